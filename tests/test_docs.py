"""The tutorials run as they stand; every page is in the navigation, links lead somewhere, each parameter is explained."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oneshot_runtime.synthetic import draw, invent_alphabet, random_writer

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
CLUSTER = "oneshot_runtime.cluster.ClusterStore"  # its methods are those of GalleryStore, where they are told
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))


def python_of(page: Path) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))


def run(page: Path, folder: Path) -> str:
    """What the page's Python prints when it is run as it stands."""
    rng = np.random.default_rng(1)
    (folder / "pictures").mkdir()
    Image.fromarray(draw(invent_alphabet(1, seed=1)[0], random_writer(rng), rng)).save(folder / "pictures" / "alef.png")
    command = [sys.executable, "-W", "error", "-c", python_of(page)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", [page for page in TUTORIALS if python_of(page)], ids=lambda page: page.stem)
def test_a_tutorial_runs(page: Path, tmp_path: Path) -> None:
    printed = run(page, tmp_path)
    if page.stem == "ten-symbols":
        right = re.search(r"^(\d+) of 10$", printed, re.MULTILINE)
        assert right, printed
        assert int(right[1]) >= 8


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert sorted(page for page in pages if page not in navigation) == []


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def public_functions(name: str) -> list[tuple[str, object]]:
    """What the reference shows of a name: a function, or a class's public methods."""
    module, _, last = name.rpartition(".")
    found = getattr(importlib.import_module(module), last)
    if inspect.isfunction(found):
        return [(name, found)]
    methods = {method: getattr(found, method) for method in vars(found) if not method.startswith(("_", "test_"))}
    return [(f"{name}.{method}", value) for method, value in methods.items() if inspect.isroutine(value)]


REFERENCE = re.findall(
    r"^::: (oneshot_runtime\.\S+)$",
    "\n".join(page.read_text(encoding="utf-8") for page in sorted((DOCS / "reference").glob("*.md"))),
    re.MULTILINE,
)


@pytest.mark.parametrize("name", [name for name in REFERENCE if name not in ("oneshot_runtime.errors", CLUSTER)])
def test_the_reference_says_what_is_passed_and_returned(name: str) -> None:
    missing = []
    for called, function in public_functions(name):
        text, signature = inspect.getdoc(function) or "", inspect.signature(function)
        told = set(re.findall(r"^    \**(\w+):", text.partition("Args:")[2], re.MULTILINE))
        missing += [f"{called}({parameter})" for parameter in signature.parameters if parameter not in told | {"self", "cls"}]
        if signature.return_annotation not in ("None", None) and "Returns:" not in text:
            missing.append(f"{called}: what it returns")
    assert missing == []

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

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.synthetic import draw, invent_alphabet, random_writer

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
CLUSTER = "oneshot_runtime.cluster.ClusterStore"  # its methods are those of GalleryStore, where they are told


def python_of(page: Path) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))


def run(code: str, folder: Path) -> str:
    """What Python prints when it runs as it stands, in a folder with a picture."""
    pictures = folder / "pictures"
    if not pictures.exists():
        pictures.mkdir()
        draw_one(pictures / "alef.png")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def draw_one(path: Path, writer: int = 1) -> None:
    rng = np.random.default_rng(writer)
    Image.fromarray(draw(invent_alphabet(1, seed=1)[0], random_writer(rng), rng)).save(path)


def test_ten_symbols_are_taught_and_read_from_a_sheet(tmp_path: Path) -> None:
    printed = run(python_of(DOCS / "tutorials" / "ten-symbols.md"), tmp_path)
    right = re.search(r"^(\d+) of 10$", printed, re.MULTILINE)
    assert right, printed
    assert int(right[1]) >= 8
    lines = run(python_of(DOCS / "tutorials" / "read-a-sheet.md"), tmp_path).splitlines()
    assert len(lines) == 10
    assert sum(" None " not in line for line in lines) >= 7  # one of them was removed


@pytest.mark.parametrize("page", ["camera-app", "team-gallery"])
def test_a_tutorial_runs(page: str, tmp_path: Path) -> None:
    run(python_of(DOCS / "tutorials" / f"{page}.md").replace('open_source("0")', 'open_source("pictures")'), tmp_path)


RUN_HERE = ["README", "bulk", "camera", "enrollment", "gallery", "index", "pictures", "stores"]
RUN_ELSEWHERE = {"cluster", "postgres", "runtime"}  # a cluster, a database, processes: they have tests of their own


@pytest.mark.parametrize("page", RUN_HERE)
def test_the_python_of_a_page_runs(page: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures" / "alef").mkdir(parents=True)
    shown = [
        "alef.png",
        "alef-1.png",
        "alef-2.png",
        "query.png",
        "a.png",
        "b.png",
        "desk.jpg",
        "page.jpg",
        "pictures/alef/1.png",
    ]
    for writer, name in enumerate(shown):
        draw_one(Path(name), writer)
    Image.new("L", (640, 480), 255).save("photo.jpg")
    Image.open("alef.png").resize((300, 300)).save("alef-large.png")
    photo = Image.open("photo.jpg")
    photo.paste(Image.open("alef-large.png"), (120, 80))
    photo.save("photo.jpg")
    with OneShotMatcher.load() as matcher:
        known = {"matcher": matcher, "labels": ["bet"], "embeddings": matcher.embed(["a.png"]), "__name__": "docs"}
        code = python_of(ROOT / "README.md" if page == "README" else DOCS / f"{page}.md")
        exec(compile(code.replace('open_source("0")', 'open_source("pictures/alef")'), page, "exec"), known)


def test_no_page_with_python_is_forgotten() -> None:
    pages = {page.stem for page in DOCS.glob("*.md") if python_of(page)}
    assert pages == {*RUN_HERE, *RUN_ELSEWHERE} - {"README"}


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


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "js" / "README.md"], ids=lambda page: page.stem)
def test_files_and_programs_that_are_named_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    ours = ("benchmarks", "docs", "examples", "export", "js/src", "js/scripts", "oneshot_runtime", "tests", "train", ".github")
    there = {path.relative_to(ROOT).as_posix() for folder in ours for path in (ROOT / folder).rglob("*.*")} | {"mkdocs.yml"}
    named = re.findall(r"`([\w./-]+\.(?:py|js|mjs|sh|yml|ipynb))`", text)
    assert [name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in there)] == []
    programs = re.findall(r"python -m ((?:benchmarks|train|export)[\w.]*)", text)
    places = [ROOT / program.rstrip(".").replace(".", "/") for program in programs]
    assert [str(place) for place in places if not (place.with_suffix(".py").exists() or (place / "__main__.py").exists())] == []


def test_the_table_of_formats_names_those_that_are_read() -> None:
    from oneshot_runtime.vision import FORMATS
    from oneshot_runtime.vision.pages import ANIMATED

    section = (DOCS / "pictures.md").read_text(encoding="utf-8").split("## Formats")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| ")][1:]
    assert sorted(row[0] for row in rows) == sorted([*FORMATS, "HEIC"])
    assert sorted(row[0] for row in rows if row[1]) == sorted([*ANIMATED, "TIFF"])

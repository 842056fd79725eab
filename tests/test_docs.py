"""The tutorials' Python runs as it stands; every page is in the site's navigation, and every link leads somewhere."""

from __future__ import annotations

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

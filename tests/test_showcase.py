"""The showcase's code runs as its page shows it, and reads what the pictures show."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("cv2")

sys.path.append(str(Path(__file__).parents[1] / "examples" / "showcase"))

from make import PAGE, run_page


def alike(found: list[str], shown: list[str]) -> float:
    """Share of what is shown that was found in its place."""
    assert len(found) == len(shown), (found, shown)
    return sum(one == other for one, other in zip(found, shown, strict=True)) / len(shown)


def test_what_the_showcase_reads_is_what_its_pictures_show(tmp_path) -> None:
    printed, truth = run_page(tmp_path)
    sheet, stone, tiles, music, score, sudoku = [lines for lines in printed if lines]
    found, known = (int(word) for word in re.findall(r"\d+", sheet.splitlines()[0]))
    assert (found, known >= 22) == (24, True)
    assert sheet.splitlines()[1].removeprefix("the least sure: ").split(",")[0] in truth["sheet"]
    assert alike(stone.splitlines()[0].split(), truth["stone"]) == 1
    assert stone.splitlines()[1] == "oneshot"
    assert sorted(truth["tiles"]) == tiles.split(": ")[1].split()
    assert alike(", ".join(music.splitlines()).split(", "), truth["music"]) >= 0.9
    assert alike(score.split(), truth["score"]) >= 0.8
    given, solution = sudoku.splitlines()
    assert given == "".join(truth["sudoku"])
    assert all(one in (".", other) for one, other in zip(given, solution, strict=True))
    assert all(set(solution[start : start + 9]) == set("123456789") for start in range(0, 81, 9))


def test_the_page_shows_what_its_code_prints() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "```text\n```" not in text  # examples/showcase/make.py was not run
    assert all((PAGE.parent / name).exists() for name in ("sheet.webp", "tiles.webp", "sudoku.webp"))

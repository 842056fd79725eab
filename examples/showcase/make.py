"""Make the showcase: draw the pictures, run the code of docs/showcase/index.md on them, and write what it shows and prints.

python examples/showcase/make.py
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT)]

from scenes import draw_everything  # noqa: E402

from oneshot_runtime import ReadSymbol  # noqa: E402
from oneshot_runtime.quality.sheet import font  # noqa: E402

__all__ = ["run_page"]

PAGE = ROOT / "docs" / "showcase" / "index.md"
_KNOWN, _UNKNOWN = (22, 128, 61), (190, 30, 45)
_BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)```\n)?", re.MULTILINE | re.DOTALL)


def run_page(folder: Path, pictures: Path | None = None) -> tuple[list[str], dict[str, list[str]]]:
    """Draw everything into a folder and run the page's code there.

    Args:
        folder: An empty one.
        pictures: Where what each example shows is written; nowhere by default.

    Returns:
        What each example prints, and what each picture shows.
    """
    truth = draw_everything(folder)
    printed: list[str] = []
    scope: dict[str, Any] = {}
    with _inside(folder):
        for code, _ in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(code, str(PAGE), "exec"), scope)
            printed.append(output.getvalue())
            if pictures is not None:
                _show(code, scope, folder, pictures)
    return printed, truth


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _show(code: str, scope: dict[str, Any], folder: Path, pictures: Path) -> None:
    """The picture of an example: with boxes and names, a film, or the Sudoku beside its solution."""
    read = re.search(r'read\("(\w+)\.jpg"', code)
    if read:
        _named(folder / f"{read[1]}.jpg", scope["found"]).save(pictures / f"{read[1]}.webp", quality=70)
    elif "open_source" in code:
        frames = [Image.fromarray(frame[:, :, ::-1]).resize((640, 360)) for frame in scope["frames"][2:]]
        frames[0].save(
            pictures / "tiles.webp", save_all=True, append_images=frames[1:], duration=100, loop=0, quality=30, method=6
        )
    elif "solution" in code:
        _solved(folder / "sudoku.png", scope["given"], scope["solution"]).save(pictures / "sudoku.webp", quality=60)


def _named(path: Path, found: Sequence[ReadSymbol]) -> Image.Image:
    """The picture with a box and a name for each symbol."""
    picture = Image.open(path).convert("RGB")
    pen = ImageDraw.Draw(picture)
    for one in found:
        x, y, width, height = one.box
        colour = _KNOWN if one.match.label is not None else _UNKNOWN
        pen.rectangle((x - 5, y - 5, x + width + 4, y + height + 4), outline=colour, width=2)
        name = one.match.label or "unknown"
        text = (x - 5, y - 25, x + 3 + pen.textlength(name, font(18)), y - 5)
        pen.rectangle(text, fill=colour)
        pen.text((x - 1, y - 25), name, fill="white", font=font(18))
    return picture


def _solved(path: Path, given: str, solution: str) -> Image.Image:
    """The puzzle, and beside it the puzzle with the digits that were missing."""
    puzzle = Image.open(path).convert("RGB")
    both = Image.new("RGB", (2 * puzzle.width + 40, puzzle.height), "white")
    filled = puzzle.copy()
    pen = ImageDraw.Draw(filled)
    for place, (before, digit) in enumerate(zip(given, solution, strict=True)):
        if before == "0":
            pen.text((80 * (place % 9) + 43, 80 * (place // 9) + 43), digit, fill=_KNOWN, font=font(44), anchor="mm")
    both.paste(puzzle, (0, 0))
    both.paste(filled, (puzzle.width + 40, 0))
    return both.resize((both.width * 2 // 3, both.height * 2 // 3), Image.Resampling.LANCZOS)


def main() -> None:
    """Write the page's pictures, and its printed lines into it."""
    np.seterr(all="raise")
    with tempfile.TemporaryDirectory() as folder:
        printed = iter(run_page(Path(folder), PAGE.parent)[0])
    text = PAGE.read_text(encoding="utf-8")

    def shown(block: re.Match[str]) -> str:
        lines = next(printed)
        return f"```python\n{block[1]}```\n" + (f"\n```text\n{lines}```\n" if lines else "")

    PAGE.write_text(_BLOCK.sub(shown, text), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} and its pictures are written")


if __name__ == "__main__":
    main()

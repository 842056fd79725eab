"""The pictures that the showcase reads: each drawn by one writer from the project's glyphs, and photographed or filmed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from glyphs import CHESS, DIGITS, MUSIC, RUNES
from numpy.typing import NDArray
from PIL import Image

from benchmarks.film import Film, Scene, film
from oneshot_runtime.synthetic import Symbol, Writer, draw, invent_alphabet, random_writer, symbol_names

__all__ = ["draw_everything"]

Page = NDArray[np.float32]
"""Ink between 0 and 1, float32 (h, w)."""

_GAME = ["e4", "e5", "Nf3", "Nc6", "Bb5", "a6", "Bxc6", "dxc6", "d4", "exd4", "Qxd4", "Qxd4", "Nxd4", "Bd7"]
_SUDOKU = ("53..7....", "6..195...", ".98....6.", "8...6...3", "4..8.3..1", "7...2...6", ".6....28.", "...419..5", "....8..79")
_TILES = ["harbour", "forest", "mill", "tower", "river", "bridge", "market", "gate"]
_INSCRIPTION = ["othala", "naudiz", "ehwaz", "sowilo", "hagalaz", "othala", "tiwaz"]
_TUNE = ["treble clef", "sharp", "quarter note", "eighth note", "eighth note", "quarter rest", "half note", "fermata",
         "bass clef", "flat", "whole note", "eighth rest", "natural", "quarter note"]  # fmt: skip


def draw_everything(folder: Path) -> dict[str, list[str]]:
    """Write the pictures to be enrolled, one a symbol, and what is to be read; returns what that shows, in order."""
    rng = np.random.default_rng(2)
    sheet = _sheet(folder, rng)
    _inscription(folder, rng)
    _tiles(folder, rng)
    _music(folder, rng)
    _score(folder, rng)
    _puzzle(folder, rng)
    return {"sheet": sheet, "stone": _INSCRIPTION, "tiles": _TILES, "music": _TUNE, "score": _GAME, "sudoku": list(_SUDOKU)}


def _sheet(folder: Path, rng: np.random.Generator) -> list[str]:
    """Twenty-four signs in rows, taught by one writer and written by another."""
    signs = dict(zip(symbol_names(24), invent_alphabet(24, seed=11), strict=True))
    _teach(folder / "signs", signs, random_writer(rng), rng)
    other = random_writer(rng)
    names = [list(signs)[number] for number in rng.permutation(24)]
    rows = [names[start : start + 8] for start in range(0, 24, 8)]
    page = _written([[signs[name] for name in row] for row in rows], other, rng, 120, (150, 170))
    _lit(folder / "sheet.jpg", 0.9 - 0.7 * page, rng)
    return names


def _inscription(folder: Path, rng: np.random.Generator) -> None:
    """A word in runes, light on stone."""
    _teach(folder / "runes", RUNES, random_writer(rng), rng)
    page = _written([[RUNES[name] for name in _INSCRIPTION]], random_writer(rng), rng, 150, (150, 200))
    grain = cv2.GaussianBlur(rng.normal(0, 1, page.shape).astype(np.float32), (0, 0), 1.5)
    stone = 0.32 + 0.06 * cv2.GaussianBlur(grain, (0, 0), 8) / 0.1 + 0.03 * grain
    _photograph(folder / "stone.jpg", stone + (0.8 - stone) * page, rng, Film(420, 1180, noise=5, shadow=0.2, tilt=0.4))


def _tiles(folder: Path, rng: np.random.Generator) -> None:
    """Eight tiles of a game on a table, filmed by hand."""
    signs = dict(zip(_TILES, invent_alphabet(8, seed=21), strict=True))
    _teach(folder / "tiles", signs, random_writer(rng), rng)
    writer, side = random_writer(rng), 200
    table = np.full((2 * (side + 30) + 60, 4 * (side + 30) + 60), 0.42, np.float32)
    for number, symbol in enumerate(signs.values()):
        y, x = 40 + number // 4 * (side + 30), 40 + number % 4 * (side + 30)
        table[y : y + side, x : x + side] = 0.88 - 0.7 * _ink(symbol, writer, rng, side)
    frames = film(Scene(table, (), ()), Film(450, 800, fps=10, motion=0.8, noise=3, shadow=0.3), 32, rng)
    _write_film(folder / "tiles.mp4", (frame for frame, _ in frames))


def _music(folder: Path, rng: np.random.Generator) -> None:
    _teach(folder / "music", MUSIC, random_writer(rng), rng)
    rows = [[MUSIC[name] for name in _TUNE[:7]], [MUSIC[name] for name in _TUNE[7:]]]
    page = _written(rows, random_writer(rng), rng, 150, (160, 230))
    _lit(folder / "music.jpg", 0.92 - 0.72 * page, rng)


def _score(folder: Path, rng: np.random.Generator) -> None:
    """The moves of a game, two a line, by the hand that taught the letters; a photograph of the sheet alone."""
    writer = random_writer(rng)
    kinds = {"digit": "12345678", "file": "abcdefgh", "piece": "NBRQK", "sign": "x+"}
    for kind, names in kinds.items():  # names of files differ by more than by case
        _teach(folder / "letters", {f"{kind} {name}": CHESS[name] for name in names}, writer, rng)
    lines = [_GAME[start : start + 2] for start in range(0, len(_GAME), 2)]
    page = np.zeros((90 * len(lines) + 80, 760), np.float32)
    for number, moves in enumerate(lines):
        for column, move in enumerate(moves):
            for place, name in enumerate(move):
                _put(page, _ink(CHESS[name], writer, rng, 66), 40 + 90 * number, 50 + 360 * column + 62 * place)
    _lit(folder / "score.jpg", 0.92 - 0.7 * page, rng, shadow=0)


def _puzzle(folder: Path, rng: np.random.Generator) -> None:
    """A printed grid with digits by hand, scanned: straight, so that the cells are where they are expected."""
    writer = random_writer(rng)
    _teach(folder / "digits", DIGITS, writer, rng)
    page = np.zeros((9 * 80 + 6, 9 * 80 + 6), np.float32)
    for number in range(10):
        width = 6 if number % 3 == 0 else 2
        page[80 * number : 80 * number + width] = page[:, 80 * number : 80 * number + width] = 0.8
    for row, line in enumerate(_SUDOKU):
        for column, name in enumerate(line):
            if name != ".":
                _put(page, _ink(DIGITS[name], writer, rng, 64), 80 * row + 10, 80 * column + 10)
    _save(folder / "sudoku.png", 0.95 - 0.8 * page + rng.normal(0, 0.01, page.shape))


def _teach(folder: Path, symbols: Mapping[str, Symbol], writer: Writer, rng: np.random.Generator) -> None:
    """One picture of each symbol."""
    folder.mkdir(exist_ok=True)
    for name, symbol in symbols.items():
        Image.fromarray(draw(symbol, writer, rng)).save(folder / f"{name}.png")


def _written(
    rows: Sequence[Sequence[Symbol]], writer: Writer, rng: np.random.Generator, side: int, cell: tuple[int, int]
) -> Page:
    """Symbols in rows. side: of each drawing in pixels. cell: width and height of the place that it gets."""
    page = np.zeros((cell[1] * len(rows) + 80, cell[0] * len(rows[0]) + 80), np.float32)
    for number, row in enumerate(rows):
        for place, symbol in enumerate(row):
            y, x = 40 + cell[1] * number + (cell[1] - side) // 2, 40 + cell[0] * place + (cell[0] - side) // 2
            dy, dx = rng.integers(-6, 7, 2)
            _put(page, _ink(symbol, writer, rng, side), y + int(dy), x + int(dx))
    return page


def _put(page: Page, ink: Page, y: int, x: int) -> None:
    part = page[y : y + ink.shape[0], x : x + ink.shape[1]]
    np.maximum(part, ink[: part.shape[0], : part.shape[1]], out=part)


def _ink(symbol: Symbol, writer: Writer, rng: np.random.Generator, side: int) -> Page:
    return np.asarray(1 - draw(symbol, writer, rng, side).astype(np.float32) / 255, np.float32)


def _photograph(path: Path, reflectance: NDArray[np.floating], rng: np.random.Generator, how: Film) -> None:
    """The page on a table, lit unevenly."""
    frame = next(iter(film(Scene(np.clip(reflectance, 0, 1).astype(np.float32), (), ()), how, 1, rng)))[0]
    Image.fromarray(frame[:, :, ::-1]).save(path, quality=88)


def _lit(path: Path, reflectance: NDArray[np.floating], rng: np.random.Generator, shadow: float = 0.35) -> None:
    """The page alone, lit from one side, with a shadow over a corner of it that takes this share of the light."""
    height, width = reflectance.shape
    y, x = np.mgrid[0:height, 0:width]
    shade = np.clip((x / width + y / height - 1.3) * 12, 0, 1)
    light = (0.97 - 0.15 * x / width) * (1 - shadow * shade)
    _save(path, light * reflectance + rng.normal(0, 0.006, reflectance.shape))


def _save(path: Path, reflectance: NDArray[np.floating]) -> None:
    Image.fromarray((255 * np.clip(reflectance, 0, 1)).astype(np.uint8)).save(path)


def _write_film(path: Path, frames: Iterable[NDArray[np.uint8]]) -> None:
    writer = None
    for frame in frames:
        if writer is None:
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (frame.shape[1], frame.shape[0]))
        writer.write(frame)
    if writer is not None:
        writer.release()

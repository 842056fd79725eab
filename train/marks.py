"""Alphabets of letters with small marks, as dots tell Arabic letters apart and strokes the vowels of many scripts.

Each letter of such an alphabet comes bare and with several marks, so that only the mark tells it from its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from tqdm import tqdm

from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess
from train.canvases import Canvases
from train.omniglot import DatasetError, ImageSet

__all__ = ["LETTERS", "MARKS", "marked_alphabets"]

LETTERS, MARKS = 4, 5
"""Letters of an alphabet, and forms of each, the bare one among them."""

_SHAPES = ("dot", "two dots", "two dots above each other", "three dots", "dash", "slanted", "cross", "ring", "hook", "wave")
_PLACES = ("above", "above", "below", "below", "upper right", "lower right", "inside", "left", "right")
_FINE = 4
"""Marks are drawn so many times as large, then reduced."""

_SIDE = 105

Line = list[tuple[float, float]]


class _Mark(NamedTuple):
    shape: str
    place: str


class _Hand(NamedTuple):
    """How one drawer draws all marks. size, width: of a mark and its pen, in pixels. filled: dots are blobs, not strokes."""

    size: float
    width: float
    gap: float
    filled: bool


def marked_alphabets(
    images: ImageSet,
    alphabets: dict[str, tuple[int, int]],
    spec: PreprocessSpec,
    count: int,
    seed: int,
    progress: bool = False,
) -> Canvases:
    """`count` alphabets of `LETTERS` x `MARKS` characters: letters of one alphabet as each drawer drew them, bare and marked.

    alphabets: those of `images.alphabets` to take. Raises `DatasetError` when none has enough characters.
    """
    rng = np.random.default_rng(seed)
    ranges = [(first, last) for first, last in alphabets.values() if last - first + 1 >= LETTERS]
    if not ranges:
        raise DatasetError(f"no alphabet has the {LETTERS} characters to mark: --marked 0")
    drawings = images.images.shape[1]
    canvases: list[NDArray[np.uint8]] = []
    for number in tqdm(range(count), desc="mark", unit="alphabet", disable=not progress, leave=False):
        first, last = ranges[number % len(ranges)]
        hands = [_hand(rng) for _ in range(drawings)]
        marks = [None, *_marks(MARKS - 1, rng)]
        for letter in rng.choice(np.arange(first, last + 1), LETTERS, replace=False):
            for mark in marks:
                both = zip(images.images[letter], hands, strict=True)
                canvases += [preprocess(_marked(drawing, mark, hand, rng) if mark else drawing, spec) for drawing, hand in both]
    classes = count * LETTERS * MARKS
    size = LETTERS * MARKS
    return Canvases(
        images=np.stack(canvases),
        classes=np.repeat(np.arange(classes), drawings),
        drawers=np.tile(np.arange(drawings), classes),
        groups={f"marked {start // size}": np.arange(start, start + size) for start in range(0, classes, size)},
    )


def _hand(rng: np.random.Generator) -> _Hand:
    size = float(rng.uniform(8, 20))
    return _Hand(size, float(rng.uniform(2, 5)), float(rng.uniform(1, 9)), bool(rng.random() < 0.6))


def _marks(count: int, rng: np.random.Generator) -> Sequence[_Mark]:
    """Different ones; half of the alphabets have few shapes in many places, as most scripts do."""
    shapes = rng.choice(_SHAPES, 2, replace=False) if rng.random() < 0.5 else np.array(_SHAPES)
    marks: list[_Mark] = []
    while len(marks) < count:
        mark = _Mark(str(rng.choice(shapes)), str(rng.choice(_PLACES)))
        if mark not in marks:
            marks.append(mark)
    return marks


def _marked(drawing: NDArray[np.uint8], mark: _Mark, hand: _Hand, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The drawing, on a larger sheet, with the mark near its ink."""
    pad = round(2.5 * hand.size + hand.gap)
    sheet = np.pad(drawing, pad, constant_values=255)
    rows, columns = np.flatnonzero((sheet < 128).any(axis=1)), np.flatnonzero((sheet < 128).any(axis=0))
    x, y = _place(mark.place, (columns[0], rows[0], columns[-1], rows[-1]), hand, rng)
    fine = Image.new("L", (_FINE * sheet.shape[1], _FINE * sheet.shape[0]), 255)
    pen = ImageDraw.Draw(fine)
    for line in _lines(mark.shape, hand, rng):
        points = [(_FINE * (x + dx), _FINE * (y + dy)) for dx, dy in line]
        _stroke(pen, points, _FINE * hand.width)
    return np.minimum(sheet, np.asarray(fine.reduce(_FINE)))


def _place(place: str, box: tuple[int, int, int, int], hand: _Hand, rng: np.random.Generator) -> tuple[float, float]:
    """The middle of the mark, near a box (left, top, right, bottom) of ink."""
    left, top, right, bottom = box
    away = hand.gap + hand.size / 2
    x = (left + right) / 2 + rng.normal(0, 0.08) * (right - left)
    y = (top + bottom) / 2 + rng.normal(0, 0.08) * (bottom - top)
    match place:
        case "above" | "below":
            y = top - away if place == "above" else bottom + away
        case "left" | "right":
            x = left - away if place == "left" else right + away
        case "upper right" | "lower right":
            x = right + rng.uniform(-0.3, 0.6) * away
            y = top - rng.uniform(0, 0.8) * away if place == "upper right" else bottom + rng.uniform(0, 0.8) * away
    return x, y


def _lines(shape: str, hand: _Hand, rng: np.random.Generator) -> list[Line]:
    """The strokes of a mark around (0, 0)."""
    size = hand.size * float(rng.uniform(0.8, 1.25))
    half, turn = size / 2, float(rng.normal(0, 0.15))

    def dot(x: float, y: float) -> Line:
        if hand.filled:
            return [(x, y)]
        dx, dy = rng.normal(0, 0.12 * size, 2)
        return [(x - dx, y - dy), (x + dx, y + dy)]

    def turned(points: Line) -> Line:
        cos, sin = math.cos(turn), math.sin(turn)
        return [(cos * x - sin * y, sin * x + cos * y) for x, y in points]

    lines: dict[str, list[Line]] = {
        "dot": [dot(0, 0)],
        "two dots": [dot(-half, 0), dot(half, 0)],
        "two dots above each other": [dot(0, -half), dot(0, half)],
        "three dots": [dot(-half, half / 2), dot(half, half / 2), dot(0, -half / 2)],
        "dash": [[(-half, 0), (half, 0)]],
        "slanted": [[(-half / 2, half), (half / 2, -half)]],
        "cross": [[(-half, 0), (half, 0)], [(0, -half), (0, half)]],
        "ring": [[(half * math.cos(angle), half * math.sin(angle)) for angle in np.linspace(0, 2 * math.pi, 12)]],
        "hook": [[(-half, -half / 2), (0, half / 2), (half, -half / 2)]],
        "wave": [[(half * step, half / 3 * math.sin(math.pi * step)) for step in np.linspace(-1, 1, 9)]],
    }
    return [turned(line) for line in lines[shape]]


def _stroke(pen: ImageDraw.ImageDraw, points: Line, width: float) -> None:
    if len(points) > 1:
        pen.line(points, fill=0, width=max(1, round(width)), joint="curve")
    # A dot is a little wider than the pen that draws it.
    radius = width / 2 if len(points) > 1 else 0.7 * width
    for x, y in (points[0], points[-1]):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)

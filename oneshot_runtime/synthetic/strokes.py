"""Invent alphabets and draw them by different writers: the project's own symbols, for the demo, the tests and golden images.

A symbol is a few strokes between points of a loose grid, as most scripts are. A writer adds what tells two writers apart:
slant, proportions, a wobble along each stroke, and the pen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

__all__ = ["Symbol", "Writer", "draw", "invent_alphabet", "random_writer", "symbol_names"]

_SUPERSAMPLING = 4
_POINTS = 24


@dataclass(frozen=True, eq=False)
class Symbol:
    """strokes: float64 (24, 2) each, x and y within about [-1, 1], y pointing down."""

    strokes: tuple[NDArray[np.float64], ...]

    def __repr__(self) -> str:
        return f"Symbol({len(self.strokes)} stroke{'' if len(self.strokes) == 1 else 's'})"


@dataclass(frozen=True)
class Writer:
    """rotation, slant: radians, slope. width, height: proportions. wobble: amplitude in units of the symbol. pen: stroke width
    as a share of the picture's side."""

    rotation: float
    slant: float
    width: float
    height: float
    wobble: float
    pen: float


def invent_alphabet(count: int, seed: int) -> list[Symbol]:
    """`count` symbols that differ from each other, the same for the same seed."""
    rng = np.random.default_rng(seed)
    symbols: list[Symbol] = []
    while len(symbols) < count:
        candidate = _invent(rng)
        if all(_difference(candidate, other) > 0.25 for other in symbols):
            symbols.append(candidate)
    return symbols


def random_writer(rng: np.random.Generator) -> Writer:
    """Some writer with some pen."""
    return Writer(
        rotation=float(rng.uniform(-0.12, 0.12)),
        slant=float(rng.uniform(-0.25, 0.25)),
        width=float(rng.uniform(0.75, 1.0)),
        height=float(rng.uniform(0.75, 1.0)),
        wobble=float(rng.uniform(0.02, 0.05)),
        pen=float(rng.uniform(0.02, 0.04)),
    )


def draw(symbol: Symbol, writer: Writer, rng: np.random.Generator, side: int = 105) -> NDArray[np.uint8]:
    """The symbol as `writer` writes it this time: uint8 (side, side), dark ink on white. `rng` gives the wobble."""
    big = side * _SUPERSAMPLING
    image = Image.new("L", (big, big), 255)
    pen = ImageDraw.Draw(image)
    radius = max(1.0, writer.pen * big / 2)
    centre = big / 2 + rng.uniform(-0.05, 0.05, 2) * big
    for stroke in symbol.strokes:
        points = [tuple(point) for point in _written(stroke, writer, rng) * 0.34 * big + centre]
        pen.line(points, fill=0, width=round(2 * radius), joint="curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
    return np.asarray(image.reduce(_SUPERSAMPLING))


def _written(stroke: NDArray[np.float64], writer: Writer, rng: np.random.Generator) -> NDArray[np.float64]:
    phase, cycles = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.5, 1.5, 2)
    along = np.linspace(0, 2 * np.pi, len(stroke))[:, None]
    wobbled = stroke + writer.wobble * np.sin(along * cycles + phase) + rng.normal(0, writer.wobble, 2)
    x = (wobbled[:, 0] - writer.slant * wobbled[:, 1]) * writer.width
    y = wobbled[:, 1] * writer.height
    cos, sin = np.cos(writer.rotation), np.sin(writer.rotation)
    return np.stack((cos * x - sin * y, sin * x + cos * y), axis=1)


def _invent(rng: np.random.Generator) -> Symbol:
    strokes: list[NDArray[np.float64]] = []
    for _ in range(int(rng.choice([1, 2, 3, 4], p=[0.15, 0.4, 0.35, 0.1]))):
        # Strokes of a letter usually touch: most start where an earlier one passes.
        start = strokes[-1][rng.choice([0, _POINTS // 2, -1])] if strokes and rng.random() < 0.6 else _grid_point(rng)
        strokes.append(_stroke(start, rng))
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = 2 / max(float((high - low).max()), 0.5)
    return Symbol(tuple((stroke - (low + high) / 2) * scale for stroke in strokes))


def _grid_point(rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.choice([-1.0, 0.0, 1.0], 2) + rng.uniform(-0.15, 0.15, 2)


def _stroke(start: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    end = start
    while np.linalg.norm(end - start) < 0.7:
        end = _grid_point(rng)
    along = np.linspace(0, 1, _POINTS)[:, None]
    kind = rng.choice(["line", "arc", "wave", "loop"], p=[0.4, 0.35, 0.15, 0.1])
    across = np.array([start[1] - end[1], end[0] - start[0]])
    if kind == "loop":
        angle = along * 2 * np.pi + np.arctan2(*(start - end)[::-1])
        middle, radius = (start + end) / 2, np.linalg.norm(end - start) / 2
        loop: NDArray[np.float64] = middle + radius * np.concatenate((np.cos(angle), np.sin(angle)), axis=1) * rng.uniform(
            0.7, 1.0, 2
        )
        return loop
    bend = {"line": 0.0, "arc": rng.choice([-1, 1]) * rng.uniform(0.3, 0.6), "wave": rng.uniform(0.25, 0.4)}[str(kind)]
    cycles = 2 if kind == "wave" else 1
    bent: NDArray[np.float64] = start + along * (end - start) + bend * np.sin(np.pi * cycles * along) * across
    return bent


def _difference(first: Symbol, second: Symbol) -> float:
    """Mean distance from each symbol's points to the other's nearest, whichever way is larger."""
    a, b = (np.concatenate([stroke[::3] for stroke in symbol.strokes]) for symbol in (first, second))
    distances = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))
    return float(max(distances.min(axis=1).mean(), distances.min(axis=0).mean()))


def symbol_names(count: int) -> list[str]:
    """Short invented names: ba, be, bi, ..."""
    names = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    return names[:count]

"""What is drawn around symbols, and is none: frames of cards, circles, hand-drawn boxes that lean and do not close, tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.vision.grouping import union
from oneshot_runtime.vision.ink import Ink

__all__ = ["rings_of"]

_PENS = 8
"""A ring's shorter side over the width of its pen, at least."""

_AROUND = 0.9
"""Share of the rows and columns of what it encloses that a ring closes to each side: hand-drawn ones have gaps."""

_FILLED = 4
"""A ring's longer side over that of all it encloses, at most."""


def rings_of(ink: Ink, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Parts of ink that enclose others on all sides, clear of each: their numbers int64, of those given."""
    boxes = ink.parts.boxes[numbers]
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    within = np.asarray(((low[None] > low[:, None]) & (high[None] < high[:, None])).all(axis=2))
    rings = []
    for at in np.flatnonzero(
        np.asarray(within.any(axis=1)) & (4 * boxes[:, 2:].min(axis=1) >= _PENS * ink.parts.pens[numbers])
    ):
        inner = boxes[within[at]]
        if int(union(inner)[2:].max()) * _FILLED >= int(boxes[at, 2:].max()) and _is_around(ink, int(numbers[at]), inner):
            rings.append(int(numbers[at]))
    return np.array(rings, np.int64)


def _is_around(ink: Ink, number: int, inner: NDArray[np.int64]) -> bool:
    """Whether a part is on all four sides of each of the boxes int64 (n, 4), and in none of them."""
    x, y, w, h = (int(value) for value in ink.parts.boxes[number])
    mask = ink.parts.mask(np.array([number]), (x, y, x + w, y + h)) > 0
    largest = int(inner[:, 2:].max())
    for box in inner[8 * inner[:, 2:].max(axis=1) >= largest]:
        left, top = (int(value) for value in box[:2] - (x, y))
        right, bottom = left + int(box[2]), top + int(box[3])
        rows, columns = mask[top:bottom], mask[:, left:right]
        if rows[:, left:right].any():
            return False
        beside = (
            rows[:, :left].any(axis=1),
            rows[:, right:].any(axis=1),
            columns[:top].any(axis=0),
            columns[bottom:].any(axis=0),
        )
        if min(float(side.mean()) for side in beside) < _AROUND:
            return False
    return True

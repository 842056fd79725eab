"""What is drawn around symbols, and is none: frames of cards, circles, hand-drawn boxes that lean and do not close, tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.vision.grouping import union
from oneshot_runtime.vision.ink import Ink
from oneshot_runtime.vision.outline import filled_in, is_convex

__all__ = ["frames_of", "rings_of"]

_PENS = 8
"""A ring's shorter side over the width of its pen, at least."""

_AROUND = 0.9
"""Share of the rows and columns of what it encloses that a ring closes to each side: hand-drawn ones have gaps."""

_FILLED = 4
"""A ring's longer side over that of all it encloses, at most."""

_THIN = 32
"""A ring's longer side over the width of its pen, from which on it is hardly a stroke of the symbol."""

_OUTLINE, _ROUND = 128, 0.85
"""Pixels of a ring's longer side at which its outline is looked at; and share of its hull that it and what is in it take."""

_DOUBLE = 0.7
"""A frame's longer side over that of the frame around it, at least."""

_FRAMED = 0.9
"""Share of each side of its box that a frame runs along."""


def rings_of(ink: Ink, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Parts of ink that enclose others on all sides, clear of each: their numbers int64, of those given."""
    boxes = ink.parts.boxes[numbers]
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    within = np.asarray(((low[None] > low[:, None]) & (high[None] < high[:, None])).all(axis=2))
    rings = []
    likely = within.any(axis=1) & (4 * boxes[:, 2:].min(axis=1) >= _PENS * ink.parts.pens[numbers])
    for at in np.flatnonzero(likely):
        inner = np.flatnonzero(within[at])
        outermost = inner[~within[np.ix_(inner, inner)].any(axis=0)]  # of rings within rings the next: not all that are in it
        is_filled = int(union(boxes[inner])[2:].max()) * _FILLED >= int(boxes[at, 2:].max())
        if is_filled and _is_around(ink, int(numbers[at]), numbers[outermost]):
            rings.append(int(numbers[at]))
    return np.array(rings, np.int64)


def frames_of(ink: Ink, rings: NDArray[np.int64], pen: float) -> tuple[NDArray[np.int64], bool]:
    """The rings that are hardly part of a symbol: thin ones, and those that run along all four sides of their box, and nowhere
    else; of rings within each other the outer ones, as far as they are about as large. And whether one is round.

    pen: about the width of the strokes of the symbol.
    """
    frames: list[int] = []
    last, is_round = 0, False
    for ring in sorted(rings.tolist(), key=lambda one: -int(ink.parts.boxes[one, 2:].max())):
        x, y, w, h = (int(value) for value in ink.parts.boxes[ring])
        if max(w, h) < _DOUBLE * last:
            break
        band = max(2, round(2 * pen), max(w, h) // 12)
        mask = ink.parts.mask(np.array([ring]), (x, y, x + w, y + h)) > 0
        sides = (mask[:band].any(axis=0), mask[-band:].any(axis=0), mask[:, :band].any(axis=1), mask[:, -band:].any(axis=1))
        is_straight = min(float(side.mean()) for side in sides) >= _FRAMED
        if (not is_straight or mask[band:-band, band:-band].any()) and 4 * max(w, h) < _THIN * int(ink.parts.pens[ring]):
            break
        frames.append(ring)
        last, is_round = max(w, h), is_round or not is_straight
    return np.array(frames, np.int64), is_round


def _is_around(ink: Ink, number: int, inner: NDArray[np.int64]) -> bool:
    """Whether a part is on all four sides of each of the others, and between no two pixels of one row or column of them.

    What is drawn around something has no bays: the outline of a skull is part of it.
    """
    x, y, w, h = (int(value) for value in ink.parts.boxes[number])
    around = ink.parts.mask(np.array([number]), (x, y, x + w, y + h)) > 0
    sides = ink.parts.boxes[inner, 2:].max(axis=1)
    for other in inner[8 * sides >= sides.max()]:
        left, top, width, height = (int(value) for value in ink.parts.boxes[other])
        mask = ink.parts.mask(np.array([other]), (left, top, left + width, top + height)) > 0
        rows, columns = around[top - y : top - y + height], around[:, left - x : left - x + width].T
        if not (_is_beside(rows, mask, left - x) and _is_beside(columns, mask.T, top - y)):
            return False
    step = 1 + max(w, h) // _OUTLINE
    return is_convex(filled_in(around)[::step, ::step], _ROUND)


def _is_beside(around: NDArray[np.bool_], mask: NDArray[np.bool_], start: int) -> bool:
    """Whether what is around a mask bool (h, w), which begins in its column `start`, is to the left and to the right of most of
    the mask's rows, and never in between."""
    rows = np.flatnonzero(mask.any(axis=1))
    first, last = start + mask[rows].argmax(axis=1), start + mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    count = np.pad(np.cumsum(around[rows], axis=1, dtype=np.int32), ((0, 0), (1, 0)))
    at = np.arange(len(rows))
    before, within = count[at, first], count[at, last]
    left, right = float((before > 0).mean()), float((count[:, -1] > within).mean())
    return bool((before == within).all()) and min(left, right) >= _AROUND

"""The outlines of things in a small picture: filled, convex, rectangular; and whether they are sheets or tiles. In integers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.vision.morphology import connected_parts

__all__ = ["convex_hull", "filled_in", "is_carrier", "is_convex", "is_letter", "is_rectangle"]

_RECTANGLE = 0.93
"""Share of the smallest rectangle around it that a sheet or a tile covers, at least; it may be round, too."""

_DIRECTIONS = [(16, down) for down in range(-16, 16, 2)]
"""Of a rectangle's sides."""

_CONVEX = 0.96
"""Share of its hull that a sheet or a tile covers, at least."""

_SOLID = 0.6
"""Share of it that a sheet or a tile covers with itself, at least: what it carries takes less."""

_HOLES = 3
"""Holes that a letter has at most."""


def is_carrier(mask: NDArray[np.bool_], filled: NDArray[np.bool_], box: tuple[int, int, int, int]) -> bool:
    """Whether a thing bool (h, w) is a sheet or a tile, and no letter.

    filled: the thing as `filled_in` gives it. box: its left, top, right and bottom.
    """
    is_solid = bool(np.count_nonzero(mask) >= _SOLID * np.count_nonzero(filled))
    return is_solid and is_convex(filled) and not is_letter(mask, filled, box)


def is_letter(mask: NDArray[np.bool_], filled: NDArray[np.bool_], box: tuple[int, int, int, int]) -> bool:
    """Whether a convex thing bool (h, w) may be a letter: its holes have its own shape and fill it."""
    holes = connected_parts(filled & ~mask)
    large = np.flatnonzero(50 * holes.areas >= np.count_nonzero(filled))
    if not 0 < len(large) <= _HOLES:
        return False
    height, width = mask.shape
    straight = is_rectangle(filled)
    for number in large:
        hole = filled_in(holes.mask(np.array([number]), (0, 0, width, height)) > 0)
        if 20 * holes.areas[number] < 19 * np.count_nonzero(hole) or not is_convex(hole):
            return False
        if straight and not is_rectangle(hole):
            return False
    left, top, right, bottom = box
    x, y, w, h = holes.boxes[large].T
    margins = (int(x.min()) - left, int(y.min()) - top, right - int((x + w).max()), bottom - int((y + h).max()))
    return max(margins) <= 2 * min(margins) + 2 and 10 * max(margins) <= 3 * max(right - left, bottom - top)


def filled_in(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask bool (h, w) filled between the ends of each row, where that is between the ends of the column, too."""
    across = np.logical_or.accumulate(mask, axis=1) & np.logical_or.accumulate(mask[:, ::-1], axis=1)[:, ::-1]
    down = np.logical_or.accumulate(mask, axis=0) & np.logical_or.accumulate(mask[::-1], axis=0)[::-1]
    return np.asarray(across & down)


def is_convex(filled: NDArray[np.bool_], share: float = _CONVEX) -> bool:
    """Whether a region bool (h, w) that is not empty takes that share of its hull."""
    return bool(np.count_nonzero(filled) >= share * np.count_nonzero(convex_hull(filled)))


def is_rectangle(filled: NDArray[np.bool_]) -> bool:
    """Whether a convex region fills the smallest rectangle around it, in any direction."""
    rows = np.flatnonzero(filled.any(axis=1))
    first, last = filled[rows].argmax(axis=1), filled.shape[1] - 1 - filled[rows, ::-1].argmax(axis=1)
    x, y = np.concatenate((first, last)), np.concatenate((rows, rows))
    least = min(
        (int(np.ptp(x * across + y * down)) + across + down)
        * (int(np.ptp(y * across - x * down)) + across + down)
        // (across * across + down * down)
        for across, down in _DIRECTIONS
    )
    return bool(np.count_nonzero(filled) >= _RECTANGLE * least)


def convex_hull(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The convex hull of a region bool (h, w) that is not empty."""
    rows = np.flatnonzero(region.any(axis=1))
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    first = _under(region[top:bottom].argmax(axis=1).tolist())
    last = _under(region[top:bottom, ::-1].argmax(axis=1).tolist())
    columns = np.arange(region.shape[1])[None]
    hull = np.zeros_like(region)
    hull[top:bottom] = (columns >= first[:, None]) & (columns < region.shape[1] - last[:, None])
    return hull


def _under(bounds: list[int]) -> NDArray[np.int64]:
    """The highest convex line that is nowhere above these bounds, rounded up."""
    kept: list[int] = []
    for at in range(len(bounds)):
        while len(kept) > 1 and _turns_up(bounds, kept[-2], kept[-1], at):
            kept.pop()
        kept.append(at)
    line = np.array(bounds[:1] * len(bounds), np.int64)
    for one, other in pairwise(kept):
        steps = np.arange(other - one + 1)
        line[one : other + 1] = bounds[one] - steps * (bounds[one] - bounds[other]) // (other - one)
    return line


def _turns_up(bounds: list[int], one: int, middle: int, other: int) -> bool:
    """Whether the middle of three bounds lies on the line between the others, or above it."""
    return (bounds[middle] - bounds[one]) * (other - one) >= (bounds[other] - bounds[one]) * (middle - one)

"""Rows of symbols that stand as close as print: each is a symbol of its own, however near its neighbours are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.vision.grouping import group_parts, union, usual_side

__all__ = ["are_row", "group_symbols"]

_FEWEST, _FEWEST_LIKE = 3, 2
"""Symbols of a row, at least; and of another that is as high as one of those is."""

_STACKED, _TOGETHER, _OTHER = 0.35, 1.6, 2
"""Gap between what lies above each other in one symbol, by the larger one's longer side; how high and how wide both are
together, by the higher one; and how many times as high as another row's symbols is hardly one with them."""

_APART, _ALIKE = 0.5, 2.5
"""Gap between neighbours of a row as a share of the higher one's height, and how many times as high as the other that is."""

_NARROW = 0.35
"""Width over height of most symbols of a row, at least: narrower ones are strokes, beside each other."""

_LONG = 2
"""What joins may be a row where it is longer than so many of its parts are large."""


def group_symbols(boxes: NDArray[np.int64], common: float = 0.0) -> list[list[int]]:
    """Groups of parts as in `group_parts`; in rows of print, which would join to words and to sheets, each symbol is one."""
    groups = group_parts(boxes, common)
    if not any(_may_be_row(boxes[group]) for group in groups):
        return groups
    symbols = _longer_rows(boxes)
    rest = np.setdiff1d(np.arange(len(boxes)), [part for symbol in symbols for part in symbol])
    return symbols + [rest[group].tolist() for group in group_parts(boxes[rest], common)]


def are_row(boxes: NDArray[np.int64]) -> bool:
    """Whether most of the symbols with these boxes int64 (n, 4) stand in rows."""
    return _may_be_row(boxes) and 2 * len(_longer_rows(boxes)) > len(boxes)


def _may_be_row(boxes: NDArray[np.int64]) -> bool:
    return len(boxes) >= _FEWEST and int(union(boxes)[2:].max()) > _LONG * usual_side(boxes)


def _longer_rows(boxes: NDArray[np.int64]) -> list[list[int]]:
    """The symbols of rows, from left to right or from top to bottom: of that way of writing which has more."""
    return max(_rows(boxes), _rows(boxes[:, [1, 0, 3, 2]]), key=len)


def _rows(boxes: NDArray[np.int64]) -> list[list[int]]:
    """The symbols of rows that run from left to right, each with its parts."""
    bodies = _bodies(boxes, _in_rows(boxes))
    around = np.stack([union(boxes[body]) for body in bodies])
    chains = _chains_of_symbols(around)
    rows = [chain for chain in chains if _may_be_row(around[chain])]
    heights = np.array([np.median(around[chain, 3]) for chain in rows])
    for chain in chains:
        height = float(np.median(around[chain, 3]))
        is_like = bool(((2 * height >= heights) & (height <= 2 * heights)).any())
        if _FEWEST_LIKE <= len(chain) < _FEWEST and is_like:
            rows.append(chain)
    return [bodies[at] for row in rows for at in row]


def _chains_of_symbols(boxes: NDArray[np.int64]) -> list[list[int]]:
    return [chain for chain in _chains(boxes) if np.median(boxes[chain, 2] / boxes[chain, 3]) >= _NARROW]


def _in_rows(boxes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which parts stand in rows as they are."""
    rows = [chain for chain in _chains_of_symbols(boxes) if _may_be_row(boxes[chain])]
    return np.isin(np.arange(len(boxes)), [at for row in rows for at in row])


def _bodies(boxes: NDArray[np.int64], in_rows: NDArray[np.bool_]) -> list[list[int]]:
    """Parts that lie above each other in one symbol: a stem and its dot, a letter and its accent, but not the smaller print of
    another row."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    sides = boxes[:, 2:].max(axis=1)
    larger = np.maximum(sides[:, None], sides[None])
    shared = np.minimum(high[:, None, 0], high[None, :, 0]) - np.maximum(low[:, None, 0], low[None, :, 0])
    apart = np.maximum(low[:, None, 1] - high[None, :, 1], low[None, :, 1] - high[:, None, 1])
    near = (2 * shared >= np.minimum(boxes[:, None, 2], boxes[None, :, 2])) & (apart <= _STACKED * larger)
    heights = boxes[:, 3]
    smaller = _OTHER * np.minimum(heights[:, None], heights[None]) <= np.maximum(heights[:, None], heights[None])
    near &= ~(in_rows[:, None] & in_rows[None] & smaller)
    ones, others = np.nonzero(np.triu(near, 1))
    owner = list(range(len(boxes)))
    members, around = [[part] for part in owner], list(boxes)
    for at in np.argsort(apart[ones, others], kind="stable").tolist():
        one, other = owner[ones[at]], owner[others[at]]
        if one == other:
            continue
        box = union(np.stack((around[one], around[other])))
        taller = max(around[one], around[other], key=lambda one: int(one[3]))
        if box[3] <= max(_TOGETHER * taller[3], box[2]) and box[2] <= max(_TOGETHER * taller[2], taller[3]):
            for part in members[other]:
                owner[part] = one
            members[one], members[other] = members[one] + members[other], []
            around[one] = box
    return [body for body in members if body]


def _chains(boxes: NDArray[np.int64]) -> list[list[int]]:
    """Boxes beside each other, from left to right: each is followed by the next that is about as high and on its line."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    heights, widths = boxes[:, 3], boxes[:, 2]
    gap = low[None, :, 0] - high[:, None, 0]
    shared = np.minimum(high[:, None, 1], high[None, :, 1]) - np.maximum(low[:, None, 1], low[None, :, 1])
    smaller, larger = np.minimum(heights[:, None], heights[None]), np.maximum(heights[:, None], heights[None])
    beside = (4 * gap >= -np.minimum(widths[:, None], widths[None])) & (gap <= _APART * larger)
    beside &= (2 * shared >= smaller) & (larger <= _ALIKE * smaller)
    follows = np.where(beside, gap, np.iinfo(np.int64).max)
    following = np.where(beside.any(axis=1), follows.argmin(axis=1), -1)
    before = follows.argmin(axis=0)
    following = np.where((following >= 0) & (before[following] == np.arange(len(boxes))), following, -1)
    chains = []
    for start in np.setdiff1d(np.arange(len(boxes)), following).tolist():
        chain = [start]
        while following[chain[-1]] >= 0:
            chain.append(int(following[chain[-1]]))
        chains.append(chain)
    return chains

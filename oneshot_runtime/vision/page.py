"""Every symbol of a page: photograph, scan or screenshot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.glance import best_glance, bold_row
from oneshot_runtime.vision.grouping import common_side, union
from oneshot_runtime.vision.picture import Picture
from oneshot_runtime.vision.readings import Reading, readings
from oneshot_runtime.vision.rows import are_row
from oneshot_runtime.vision.segment import Found
from oneshot_runtime.vision.ways import is_dot

__all__ = ["symbols_of_page"]

_SMALL = 0.25
"""Share of the usual side below which something beside the symbols is none."""

_FEW, _BITS, _SOFT = 6, 0.75, 0.1
"""Two things to so many, which together take less than that share of the box of a symbol of wide ink, may be bits of it; and
how far they stick out of it, as a share of its longer side."""

_MOST = 400
"""Symbols that are read, largest first."""

_LEAST_STEPS, _SLANTED = 3, 50
"""Steps from a symbol to the next that show a slant, at least; lines that fall one pixel in more than so many are straight."""


def symbols_of_page(picture: Picture) -> list[list[Reading]]:
    """The symbols of a picture in the order of reading, from line to line, and along the line: of each the ways to read it.

    A picture of one symbol is read as `readings` reads it.
    """
    grey = np.ascontiguousarray(picture.grey)
    seen, _ = best_glance(grey, [False, True], still=True)
    chosen = _chosen(seen.readable())
    if len(chosen) <= _FEW and not (chosen and are_row(np.stack([ways[0].box for ways in chosen]))):
        bold = bold_row(grey)
        several = [] if bold is None else _chosen(bold.readable())
        if bold is not None and len(several) > len(chosen):
            seen, chosen = bold, several
    found = seen.readings(_in_order(chosen))
    alone = _alone(picture) if len(found) <= _FEW else []
    return [alone] if alone and (len(found) == 1 or _are_bits(found, alone[0])) else found


def _alone(picture: Picture) -> list[Reading]:
    """The ways to read a picture of one symbol, which may be of wide ink, or as light as its paper; none for other pictures."""
    try:
        ways = readings(picture)
    except ImageError:
        return []
    return ways if ways[0].symbols == 1 else []


def _are_bits(found: list[list[Reading]], one: Reading) -> bool:
    """Whether what was found is much less than one symbol; or nothing, where that is not the whole picture for want of one."""
    x, y, w, h = one.box
    if not found:
        return not one.whole or one.bounds is not None
    left, top, width, height = (int(value) for value in union(np.array([ways[0].box for ways in found])))
    soft = _SOFT * max(w, h)
    inside = left + soft >= x and top + soft >= y and left + width - soft <= x + w and top + height - soft <= y + h
    return inside and width * height < _BITS * w * h


def _chosen(symbols: list[list[Found]]) -> list[list[Found]]:
    sides = [ways[0].side for ways in symbols]
    if not sides:
        return []
    many = common_side(np.array([ways[0].side for ways in symbols if not is_dot(ways[0])]), 1)
    usual = many or float(np.median([side for side in sides if 2 * side >= max(sides)]))
    kept = [ways for ways in symbols if ways[0].side >= _SMALL * usual]
    return sorted(kept, key=lambda ways: -ways[0].side)[:_MOST]


def _in_order(symbols: list[list[Found]]) -> list[list[Found]]:
    """By lines, slanted as most of them are: what overlaps the first of a line by half of its height belongs to the line."""
    if not symbols:
        return []
    boxes = np.array([ways[0].box for ways in symbols])
    down, along = _slant(boxes)
    tops = boxes[:, 1] - down * (2 * boxes[:, 0] + boxes[:, 2]) // (2 * along)
    ordered: list[list[Found]] = []
    waiting = np.argsort(tops, kind="stable")
    while len(waiting):
        low, high = tops[waiting], tops[waiting] + boxes[waiting, 3]
        shared = np.minimum(high[0], high) - np.maximum(low[0], low)
        beside = 2 * shared >= np.minimum(high[0] - low[0], boxes[waiting, 3])
        line = waiting[beside]
        ordered += [symbols[at] for at in line[np.argsort(boxes[line, 0], kind="stable")]]
        waiting = waiting[~beside]
    return ordered


def _slant(boxes: NDArray[np.int64]) -> tuple[int, int]:
    """How far lines of boxes int64 (n, 4) fall, on so many pixels: the median of all steps to the next box on the right."""
    middle = 2 * boxes[:, :2] + boxes[:, 2:]
    right = middle[None, :, 0] - middle[:, None, 0]
    top, bottom, heights = boxes[:, 1], boxes[:, 1] + boxes[:, 3], boxes[:, 3]
    shared = np.minimum(bottom[:, None], bottom[None]) - np.maximum(top[:, None], top[None])
    beside = (right > 0) & (2 * shared >= np.minimum(heights[:, None], heights[None]))
    nearest = np.where(beside, right, np.iinfo(np.int64).max).argmin(axis=1)
    from_box = np.flatnonzero(beside.any(axis=1))
    to_box = nearest[from_box]
    if len(from_box) < _LEAST_STEPS:
        return 0, 1
    steps = np.stack((middle[to_box, 1] - middle[from_box, 1], right[from_box, to_box]), axis=1)
    ranked = steps[np.argsort(steps[:, 0] / steps[:, 1], kind="stable")]
    down, along = (int(value) for value in ranked[len(ranked) // 2])
    return (down, along) if _SLANTED * abs(down) >= along else (0, 1)

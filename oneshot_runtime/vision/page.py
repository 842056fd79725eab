"""Every symbol of a page: photograph, scan or screenshot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.vision.decode import Picture
from oneshot_runtime.vision.readings import Reading, readings_of_page
from oneshot_runtime.vision.segment import Found, Scene

__all__ = ["symbols_of_page"]

_SMALL = 0.25
"""Share of the usual side below which something beside the symbols is none."""

_LONG = 12
"""A stroke so many times as long as it is wide is a rule, when it is longer than the symbols, too."""

_MOST = 400
"""Symbols that are read, largest first."""

_LEAST_STEPS, _SLANTED = 3, 50
"""Steps from a symbol to the next that show a slant, at least; lines that fall one pixel in more than so many are straight."""


def symbols_of_page(picture: Picture) -> list[Reading]:
    """The symbols of a picture, each cut out, in the order of reading: from line to line, and along the line."""
    return readings_of_page(np.ascontiguousarray(picture.grey), _chosen)


def _chosen(scene: Scene) -> list[Found]:
    if not scene.symbols:
        return []
    usual = float(np.median([one.side for one in scene.symbols if 2 * one.side >= scene.symbols[0].side]))
    kept = [one for one in scene.symbols if one.side >= _SMALL * usual and not _is_rule(one, usual)][:_MOST]
    return _in_order(kept)


def _is_rule(one: Found, usual: float) -> bool:
    return one.side > 1.5 * usual and one.side >= _LONG * int(one.box[2:].min())


def _in_order(symbols: list[Found]) -> list[Found]:
    """By lines, slanted as most of them are: what overlaps the first of a line by half of its height belongs to the line."""
    boxes = np.array([one.box for one in symbols])
    down, along = _slant(boxes)
    tops = (boxes[:, 1] - down * (2 * boxes[:, 0] + boxes[:, 2]) // (2 * along)).tolist()
    waiting = sorted(zip(tops, symbols, strict=True), key=lambda one: one[0])
    ordered: list[Found] = []
    while waiting:
        low, high = waiting[0][0], waiting[0][0] + int(waiting[0][1].box[3])
        line = [
            one
            for top, one in waiting
            if 2 * (min(high, top + int(one.box[3])) - max(low, top)) >= min(high - low, int(one.box[3]))
        ]
        ordered += sorted(line, key=lambda one: int(one.box[0]))
        waiting = [(top, one) for top, one in waiting if all(one is not other for other in line)]
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

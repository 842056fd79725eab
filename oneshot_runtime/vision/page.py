"""Every symbol of a page: photograph, scan or screenshot."""

from __future__ import annotations

import numpy as np

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
    """By lines: what overlaps the first of a line by half of its height belongs to the line."""
    waiting = sorted(symbols, key=lambda one: int(one.box[1]))
    ordered: list[Found] = []
    while waiting:
        first = waiting[0]
        low, high = int(first.box[1]), int(first.box[1] + first.box[3])
        line = [
            one
            for one in waiting
            if 2 * (min(high, int(one.box[1] + one.box[3])) - max(low, int(one.box[1]))) >= min(high - low, int(one.box[3]))
        ]
        ordered += sorted(line, key=lambda one: int(one.box[0]))
        waiting = [one for one in waiting if all(one is not other for other in line)]
    return ordered

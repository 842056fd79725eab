"""Ink that one level tells from all paper, whatever shadows lie on it: a shadow leaves much of the light, ink hardly any.

Light falls on ink and paper alike, so that the outline of ink has about the same contrast in a shadow and beside it. At a
level between the ink and the paper in the shadow, all outlines have it; at another one, some are the shadow's, and weaker.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.vision.grouping import union
from oneshot_runtime.vision.ink import Ink, logarithm
from oneshot_runtime.vision.morphology import connected_parts, spread
from oneshot_runtime.vision.outline import filled_in, is_carrier, is_rectangle
from oneshot_runtime.vision.segment import Scene, scene_of, working
from oneshot_runtime.vision.sheet_on_desk import View

__all__ = ["level_scene"]

_SIDE = 192
"""Longer side of the small picture at most."""

_LEVELS = 64
"""Levels of the logarithm that are told apart."""

_CONTRAST, _ENOUGH = 12, 24
"""Levels between ink and paper along most of an outline, at least; and more than that is no better."""

_WEAKEST = 5
"""One pixel of so many of an outline may have less contrast."""

_TRIED, _APART, _BETTER = 6, 3, (9, 8)
"""Levels that are tried, and how far they are from each other; ink that is worth so much more than that of a level with a
stronger outline is the likelier one."""

_MOST_PARTS = 40
"""Parts of ink above which they are noise."""

_LARGE, _BIT = 16, 8
"""The picture's shorter side over the ink's longer side, and that over the side of bits of it, at most."""

_SHEET, _BAY = 5, 4
"""The picture's shorter side over that of an empty sheet, at most; and pixels of what lies on one, more than."""

_EDGE = 10
"""What leaves less than one part in so many of the picture's width or height is the edge of a sheet or a card."""

_MARGIN = 3
"""Pixels of the small picture around the ink that are looked at."""

_LEVEL = logarithm(np.arange(256, dtype=np.uint8)) // (256 // _LEVELS)
"""The level of each grey level."""


@dataclass(frozen=True)
class _Level:
    """Ink at a level. worth: how strong and how large it is. box: of it, in the small picture. curve: from grey levels to those
    of a clean drawing."""

    worth: int
    box: NDArray[np.int64]
    curve: bytes


def level_scene(grey: NDArray[np.uint8], view: View) -> tuple[View, Scene] | None:
    """The ink that one level tells from its paper in a picture uint8 (H, W), drawn dark on white; None where there is none.

    view: where ink was looked for in the picture before; ink is looked for in all of it.
    """
    small, factor = (view.working, view.factor) if view.grey is grey else working(grey)
    times = -(-max(small.shape) // _SIDE)
    small = small if times == 1 else np.asarray(Image.fromarray(small).reduce(times))
    best = _best_level(small)
    if best is None:
        return None
    x, y, w, h = (int(value) for value in best.box)
    factor *= times
    left, top = (max(0, value - _MARGIN) * factor for value in (x, y))
    part = grey[top : (y + h + _MARGIN) * factor, left : (x + w + _MARGIN) * factor]
    part = np.frombuffer(part.tobytes().translate(best.curve), np.uint8).reshape(part.shape)
    near = View(part, left, top, *working(part))
    contrast = 255 - near.working
    parts = connected_parts(contrast > 127)
    paper = np.full(contrast.shape, 255, np.uint8)
    ink = Ink(False, near.working, paper, contrast, 128, parts, *parts.levels(contrast), False)
    scene = scene_of(ink, max(contrast.shape))
    return (near, scene) if scene.symbols else None


def _best_level(small: NDArray[np.uint8]) -> _Level | None:
    levels = _LEVEL[small]
    contrast = spread(levels, 2) - (255 - spread(255 - levels, 2))
    best: _Level | None = None
    for level in _firmest(levels):
        for light in (False, True):
            one = _at_level(small, (levels >= level) if light else (levels < level), contrast, level, light)
            if one is not None and (best is None or _BETTER[1] * one.worth > _BETTER[0] * best.worth):
                best = one
    return best


def _firmest(levels: NDArray[np.uint8]) -> list[int]:
    """The levels with the strongest outlines, that is those that few pixels are near to; of two as strong the shorter one's."""
    low, high = 255 - spread(255 - levels, 1), spread(levels, 1)
    pairs = np.bincount(low.ravel().astype(np.int64) * _LEVELS + high.ravel(), minlength=_LEVELS**2)
    pairs = pairs.reshape(_LEVELS, _LEVELS)
    steps = np.arange(_LEVELS)[None] - np.arange(_LEVELS)[:, None]
    firm, lengths = np.zeros(_LEVELS, np.int64), np.zeros(_LEVELS, np.int64)
    for level in range(1, _LEVELS):
        counts = np.bincount(steps[:level, level:].ravel(), pairs[:level, level:].ravel(), _LEVELS)
        ranked = np.cumsum(counts.astype(np.int64))
        lengths[level] = ranked[-1]
        firm[level] = np.searchsorted(ranked, ranked[-1] // _WEAKEST, side="right") if ranked[-1] else 0
    found: list[int] = []
    for level in np.lexsort((lengths, -firm)).tolist():
        is_peak = 2 * firm[level] > _CONTRAST and firm[level] == firm[max(0, level - _APART) : level + _APART + 1].max()
        if len(found) < _TRIED and is_peak and all(abs(level - other) > _APART for other in found):
            found.append(level)
    return found


def _at_level(
    small: NDArray[np.uint8], mask: NDArray[np.bool_], contrast: NDArray[np.uint8], level: int, light: bool
) -> _Level | None:
    """The ink bool (h, w) of a level, unless it is noise, weak, or a sheet or a tile that carries something else."""
    height, width = mask.shape
    parts = connected_parts(mask)
    x, y, w, h = parts.boxes.T
    inside = (x > 0) & (y > 0) & (x + w < width) & (y + h < height) & (parts.areas > 1)
    numbers = np.flatnonzero(inside & (_EDGE * w < (_EDGE - 1) * width) & (_EDGE * h < (_EDGE - 1) * height))
    sides = parts.boxes[numbers, 2:].max(axis=1, initial=0)
    if not 0 < len(numbers) <= _MOST_PARTS or int(sides.max()) * _LARGE < min(height, width):
        return None
    own = parts.mask(numbers, (0, 0, width, height))
    along = np.sort(contrast[(own > 0) & (spread(255 - own, 1) > 0)])
    weakest = int(along[len(along) // _WEAKEST])
    left, top, wide, high = (int(value) for value in parts.boxes[numbers[sides.argmax()]])
    largest = parts.mask(numbers[[sides.argmax()]], (0, 0, width, height)) > 0
    if weakest < _CONTRAST or _carries(largest, (left, top, left + wide, top + high)):
        return None
    box = union(parts.boxes[numbers[_BIT * sides >= sides.max()]])
    return _Level(min(weakest, _ENOUGH) * int(box[2:].sum()), box, _curve(small[own > 0], level, light))


def _carries(thing: NDArray[np.bool_], box: tuple[int, int, int, int]) -> bool:
    """Whether a thing bool (h, w) is a sheet or a tile with something on it, or a large and empty one."""
    filled = filled_in(thing)
    if not is_carrier(thing, filled, box):
        return False
    if np.count_nonzero(filled & ~thing) > _BAY:
        return True
    left, top, right, bottom = box
    return _SHEET * min(right - left, bottom - top) > min(thing.shape) and is_rectangle(filled)


def _curve(ink: NDArray[np.uint8], level: int, light: bool) -> bytes:
    """Grey levels as a clean drawing has them: black for most of the ink, and half of that at the level."""
    limit = int(np.searchsorted(_LEVEL, level))
    full = int(np.sort(ink)[len(ink) // 5 if light else len(ink) * 4 // 5])
    depth = (np.arange(256) - full) * (1 if full < limit else -1)
    return np.clip(depth * 255 // (2 * max(1, abs(limit - full))), 0, 255).astype(np.uint8).tobytes()

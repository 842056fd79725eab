"""Which parts of ink make up one symbol: strokes that don't touch, dots and accents belong to what they are near."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["common_side", "group_parts", "union", "usual_side"]

_TOUCHING, _NEAR, _LOOSE = 0.15, 0.35, 0.6
"""Gaps between parts, as a share of the size that goes with each."""

_LARGE, _USUAL = 1.6, 1.15
"""Near parts make up at most so many usual sides together, loose ones so many."""

_ALIKE, _MANY = 1.6, 6
"""Things are alike up to so many times as large as each other; and so many are many."""


def group_parts(boxes: NDArray[np.int64], common: float = 0.0) -> list[list[int]]:
    """Groups of parts, by the index of their box int64 (n, 4) of x, y, width, height.

    Parts join when they almost touch, or are near for the larger one's size and not too large together: a dot belongs to its
    stem. Then loose groups join when they are together no larger than what is usual: two far strokes of one symbol do.

    common: the side that most symbols of a page have, where that is known; nothing larger reaches farther.
    """
    groups = [[index] for index in range(len(boxes))]
    if len(groups) > 1:
        gap, larger, together = _pairs(boxes)
        if common:
            larger = np.minimum(larger, _LARGE * common)
        near = (gap <= _NEAR * larger) & (together <= _LARGE * usual_side(boxes))
        groups = _joined(groups, near | (gap <= _TOUCHING * larger))
    if len(groups) > 1:
        merged = np.stack([union(boxes[group]) for group in groups])
        usual = usual_side(merged)
        gap, _, together = _pairs(merged)
        groups = _joined(groups, (gap <= _LOOSE * usual) & (together <= _USUAL * usual))
    return groups


def union(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The box int64 (4,) around boxes int64 (n, 4)."""
    low = boxes[:, :2].min(axis=0)
    return np.concatenate((low, (boxes[:, :2] + boxes[:, 2:]).max(axis=0) - low))


def common_side(sides: NDArray[np.int64], mostly: int) -> float:
    """The side of most of many things int64 (n,); 0 where few are alike, or together less than `mostly` times the largest."""
    if len(sides) < _MANY:
        return 0.0
    ordered = np.sort(sides)
    past = np.searchsorted(ordered, _ALIKE * ordered, side="right")
    sums = np.concatenate(([0], np.cumsum(ordered)))
    together = sums[past] - sums[:-1]
    first = int(together.argmax())
    alike = ordered[first : past[first]]
    return float(np.median(alike)) if len(alike) >= _MANY and alike.sum() >= mostly * ordered[-1] else 0.0


def usual_side(boxes: NDArray[np.int64]) -> float:
    """The longer side that the larger half of the boxes usually has: dots and accents don't lower it."""
    sides = boxes[:, 2:].max(axis=1)
    return float(np.median(sides[sides >= np.median(sides)]))


def _pairs(boxes: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """For each pair of boxes: the gap between them, 0 when they overlap; the larger one's longer side; the longer side of
    the box around both. Each is (n, n)."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    apart = np.maximum(0, np.maximum(low[:, None] - high[None], low[None] - high[:, None]))
    sides = boxes[:, 2:].max(axis=1)
    together = np.maximum(high[:, None], high[None]) - np.minimum(low[:, None], low[None])
    return np.hypot(apart[..., 0], apart[..., 1]), np.maximum(sides[:, None], sides[None]), together.max(axis=2)


def _joined(groups: list[list[int]], near: NDArray[np.bool_]) -> list[list[int]]:
    """Groups that are linked by any chain of near ones, as one."""
    waiting = list(range(len(groups)))
    result = []
    while waiting:
        reached = [waiting.pop(0)]
        for index in reached:
            linked = [other for other in waiting if near[index, other]]
            reached += linked
            waiting = [other for other in waiting if not near[index, other]]
        result.append([part for index in reached for part in groups[index]])
    return result

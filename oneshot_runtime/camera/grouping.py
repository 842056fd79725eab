"""Which parts of ink make up one symbol: strokes that don't touch, dots and accents belong to what they are near."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["group_parts", "union"]

_NEAR, _NEAR_USUAL = 0.35, 0.22
"""Parts of one symbol are closer than this share of the larger part's longer side, or of the usual symbol's."""

_LARGEST = 1.4
"""Parts that are only near for the usual symbol's size may make up this many usual symbols' sizes together."""


def group_parts(boxes: NDArray[np.int64]) -> list[list[int]]:
    """Groups of parts, by the index of their box int64 (n, 4) of x, y, width, height.

    Parts join when they are near for the larger one's size: a dot belongs to its stem. Then groups join when they are near for
    the size that is usual among them, unless they are too large together: two loose strokes of one symbol join.
    """
    groups = [[index] for index in range(len(boxes))]
    if len(groups) > 1:
        gap, larger, _ = _pairs(boxes)
        groups = _joined(groups, gap <= _NEAR * larger)
    if len(groups) > 1:
        merged = np.stack([union(boxes[group]) for group in groups])
        sides = merged[:, 2:].max(axis=1)
        usual = float(np.median(sides[sides >= np.median(sides)]))
        gap, _, together = _pairs(merged)
        groups = _joined(groups, (gap <= _NEAR_USUAL * usual) & (together <= _LARGEST * usual))
    return groups


def union(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The box int64 (4,) around boxes int64 (n, 4)."""
    low = boxes[:, :2].min(axis=0)
    return np.concatenate((low, (boxes[:, :2] + boxes[:, 2:]).max(axis=0) - low))


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

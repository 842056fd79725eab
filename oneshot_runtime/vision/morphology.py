"""Grey-level morphology and connected parts in numpy: what finding ink is made of, in integers and the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.vision.lazy_property import lazy_property

__all__ = ["Parts", "closing", "connected_parts", "opening", "spread"]


def closing(plane: NDArray[np.uint8], window: int) -> NDArray[np.uint8]:
    """Fill in what is darker than its surroundings and narrower than `window`, an odd number of pixels; steps stay."""
    return _extreme(_extreme(plane, window, np.maximum), window, np.minimum)


def opening(plane: NDArray[np.uint8], window: int) -> NDArray[np.uint8]:
    """Level what is lighter than its surroundings and narrower than `window`, an odd number of pixels; steps stay."""
    return _extreme(_extreme(plane, window, np.minimum), window, np.maximum)


def spread(mask: NDArray[np.uint8], reach: int) -> NDArray[np.uint8]:
    """Every pixel takes the highest level within `reach` pixels in both directions."""
    return _extreme(mask, 2 * reach + 1, np.maximum)


def _extreme(plane: NDArray[np.uint8], window: int, choose: np.ufunc) -> NDArray[np.uint8]:
    """The highest or lowest level in a square around each pixel; beyond the borders there is nothing."""
    for axis in (0, 1):
        plane = _extreme_along(plane, min(window, 2 * plane.shape[axis] - 1), choose, axis)
    return plane


def _extreme_along(plane: NDArray[np.uint8], window: int, choose: np.ufunc, axis: int) -> NDArray[np.uint8]:
    reach = window // 2
    shape = [length + (2 * reach if at == axis else 0) for at, length in enumerate(plane.shape)]
    ahead = np.full(shape, 0 if choose is np.maximum else 255, np.uint8)
    _part(ahead, axis, reach, plane.shape[axis])[...] = plane
    spare = np.empty_like(ahead)
    seen, left = 1, shape[axis]  # how many pixels ahead, and for how many pixels
    while seen < window:
        step = min(seen, window - seen)
        left -= step
        choose(_part(ahead, axis, 0, left), _part(ahead, axis, step, left), out=_part(spare, axis, 0, left))
        ahead, spare = spare, ahead
        seen += step
    return _part(ahead, axis, 0, left)


def _part(plane: NDArray[np.uint8], axis: int, start: int, length: int) -> NDArray[np.uint8]:
    return plane[start : start + length] if axis == 0 else plane[:, start : start + length]


@dataclass(frozen=True)
class Parts:
    """Connected parts of a mask, numbered from 0 by their first pixel in reading order; pixels connect at corners, too.

    rows, starts, ends: int64 (r,), the runs of set pixels, ends exclusive. of: int64 (r,), the part of each run. boxes:
    int64 (n, 4), x, y, width, height. areas: int64 (n,). pens: int64 (n,), about the width of the strokes in 1/4 pixel: twice
    the area over the outline.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    of: NDArray[np.int64]
    boxes: NDArray[np.int64]
    areas: NDArray[np.int64]
    pens: NDArray[np.int64]

    def levels(self, plane: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The highest and the mean level, rounded down, of a plane uint8 (h, w) in each part: int64 (n,) each."""
        count = len(self.boxes)
        peaks = np.zeros(count, np.int64)
        if not count:
            return peaks, peaks
        flat = np.append(plane.ravel(), np.uint8(0))
        at = self.rows * plane.shape[1]
        bounds = np.stack((at + self.starts, at + self.ends), axis=1).ravel()
        np.maximum.at(peaks, self.of, np.maximum.reduceat(flat, bounds)[::2].astype(np.int64))
        sums = np.bincount(self.of, weights=np.add.reduceat(flat, bounds, dtype=np.int64)[::2], minlength=count)
        return peaks, sums.astype(np.int64) // self.areas

    def only(self, numbers: NDArray[np.int64]) -> Parts:
        """These parts, numbered anew in this order."""
        renumbered = np.full(len(self.areas), -1, np.int64)
        renumbered[numbers] = np.arange(len(numbers))
        of = renumbered[self.of]
        kept = of >= 0
        runs = (self.rows[kept], self.starts[kept], self.ends[kept], of[kept])
        return Parts(*runs, self.boxes[numbers], self.areas[numbers], self.pens[numbers])

    def spans(self) -> NDArray[np.int64]:
        """The area of each part if every row were filled between its first and its last pixel, int64 (n,)."""
        rows = np.lexsort((self.rows, self.of))
        first = np.flatnonzero(np.diff(self.of[rows] * (1 << 32) + self.rows[rows], prepend=-1))
        widths = np.maximum.reduceat(self.ends[rows], first) - np.minimum.reduceat(self.starts[rows], first)
        return np.bincount(self.of[rows[first]], weights=widths, minlength=len(self.boxes)).astype(np.int64)

    @lazy_property
    def _runs_of(self) -> list[NDArray[np.int64]]:
        """The runs of each part."""
        order = np.argsort(self.of, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.of, minlength=len(self.boxes)))[:-1])

    def runs(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The runs of these parts."""
        return np.concatenate([np.empty(0, np.int64), *(self._runs_of[number] for number in numbers)])

    def mask(self, numbers: NDArray[np.int64], box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """255 where one of these parts is, within left, top, right, bottom: uint8 (bottom - top, right - left)."""
        left, top, right, bottom = box
        drawn = np.zeros((bottom - top, right - left), np.uint8)
        runs = self.runs(numbers)
        for row, start, end in np.stack((self.rows[runs], self.starts[runs], self.ends[runs]), axis=1).tolist():
            if top <= row < bottom and end > left:
                drawn[row - top, max(0, start - left) : end - left] = 255
        return drawn


def connected_parts(mask: NDArray[np.bool_]) -> Parts:
    """The connected parts of a mask bool (h, w)."""
    height, width = mask.shape
    stride = width + 2  # two empty columns, so that the last pixel of a row touches nothing in the next
    padded = np.zeros((height, stride), np.int8)
    padded[:, 1:-1] = mask
    change = np.diff(padded.ravel(), prepend=np.int8(0))
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    of, covered = _joined(starts, ends, stride)
    rows, starts = np.divmod(starts, stride)
    ends = ends - rows * stride - 1
    starts = starts - 1
    count = int(of.max()) + 1 if len(of) else 0
    low = np.full((2, count), np.iinfo(np.int64).max)
    high = np.zeros((2, count), np.int64)
    for extreme, values in ((low[0], starts), (low[1], rows)):
        np.minimum.at(extreme, of, values)
    for extreme, values in ((high[0], ends), (high[1], rows + 1)):
        np.maximum.at(extreme, of, values)
    areas = np.bincount(of, weights=ends - starts, minlength=count).astype(np.int64)
    outlines = np.bincount(of, weights=1 + ends - starts - covered, minlength=count).astype(np.int64)
    return Parts(rows, starts, ends, of, np.concatenate((low, high - low)).T, areas, 5 * areas // np.maximum(outlines, 1))


def _joined(starts: NDArray[np.int64], ends: NDArray[np.int64], stride: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The part of each run, int64 (r,), and how many of its pixels have one of the part above them, int64 (r,).

    Runs in neighbouring rows that touch, at corners too, belong together.
    """
    count = len(starts)
    first = np.searchsorted(ends, starts + stride - 1, side="right")  # of the runs that touch in the next row
    last = np.searchsorted(starts, ends + stride + 1, side="left")
    # `ends + stride` is exclusive: a run that starts right there touches at a corner.
    touching = np.maximum(last - first, 0)
    above = np.repeat(np.arange(count), touching)
    below = np.arange(len(above)) - np.repeat(np.cumsum(touching) - touching, touching) + np.repeat(first, touching)
    parent = np.arange(count)
    while True:
        low = np.minimum(parent[above], parent[below])
        before = parent.copy()
        for side in (above, below):
            np.minimum.at(parent, before[side], low)
            np.minimum.at(parent, side, low)
        parent = parent[parent]
        if np.array_equal(parent, before):
            break
    shared = np.minimum(ends[above] + stride, ends[below]) - np.maximum(starts[above] + stride, starts[below])
    covered = np.bincount(below, weights=np.maximum(shared, 0), minlength=count).astype(np.int64)
    return np.unique(parent, return_inverse=True)[1].reshape(-1), covered

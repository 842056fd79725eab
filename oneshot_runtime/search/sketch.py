"""A bound of the distance in a fifth of the bytes: sums of components that vary together.

For any signs, `|sum of s_j (a_j - b_j)| <= sum of |a_j - b_j|`, so the L1 distance of two codes' sums is at most that of the
codes. Sums are kept as bytes: less the group's offset, divided by the step, rounded down, clipped to 0..255. How far rounding
can move a difference is known exactly for a query's own sums; that much is taken off, and the bound stays one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.bundle import Sketch
from oneshot_runtime.search import kernels

__all__ = ["Asked", "Sums", "asked", "sums"]

_BLOCK = 4096
"""Codes that are summed at once: as floats they stay in the cache."""


@dataclass(frozen=True)
class Asked:
    """A query's sums uint8 (G,). `step * SAD(sums, those of a code) - slack` is at most the distance of query and code."""

    sums: NDArray[np.uint8]
    step: int
    slack: int

    def limit(self, radius: int) -> int:
        """The largest SAD of sums that a code within `radius` can have."""
        return (radius + self.slack) // self.step


class Sums:
    """The sums of a segment's codes, worked out some time after the codes came, by one thread at a time.

    codes: uint8 (n, D), the segment's whole room; rows that were shown to a reader never change.
    """

    def __init__(self, codes: NDArray[np.uint8], sketch: Sketch) -> None:
        self._codes, self._sketch = codes, sketch
        self._kept = np.empty((0, sketch.count), np.uint8)
        self._done = 0

    def of(self, rows: int) -> NDArray[np.uint8]:
        """The sums uint8 (m, G) of the first of `rows` rows, as many as have theirs."""
        return self._kept[: min(rows, self._done)]

    def missing(self, rows: int) -> int:
        """How many of the first `rows` rows have no sums yet."""
        return max(0, rows - self._done)

    def grow(self, rows: int, most: int) -> None:
        """Sum up to `most` more of the first `rows` codes."""
        if not len(self._kept):
            self._kept = np.empty((len(self._codes), self._sketch.count), np.uint8)
        start = self._done
        stop = max(start, min(rows, start + most))
        self._kept[start:stop] = sums(self._codes[start:stop], self._sketch)
        self._done = stop


def sums(codes: NDArray[np.uint8], sketch: Sketch) -> NDArray[np.uint8]:
    """The sums uint8 (n, G) of codes uint8 (n, D)."""
    found = np.empty((len(codes), sketch.count), np.uint8)
    if (compiled := kernels.summing()) is not None:
        whole = [values.astype(np.int32) for values in (sketch.groups, sketch.signs, sketch.offsets)]
        compiled(np.ascontiguousarray(codes), *whole, sketch.step, found)
        return found
    for start in range(0, len(codes), _BLOCK):
        part = _exact(codes[start : start + _BLOCK], sketch)
        part /= sketch.step
        np.floor(part, out=part)
        found[start : start + _BLOCK] = np.clip(part, 0, 255, out=part)
    return found


def asked(query: NDArray[np.uint8], sketch: Sketch) -> Asked:
    """What to ask of sums for a query uint8 (D,)."""
    exact = _exact(query[None], sketch)[0].astype(np.int64)
    step = sketch.step
    kept = np.clip(exact // step, 0, 255)
    above = exact - step * kept
    # A code with larger sums can be nearer than its bytes say by `above`, one with smaller sums by what is left of the step.
    slack = np.maximum(np.where(kept < 255, above, 0), np.where(kept > 0, step - 1 - above, 0))
    return Asked(kept.astype(np.uint8), step, int(np.maximum(slack, 0).sum()))


def _exact(codes: NDArray[np.uint8], sketch: Sketch) -> NDArray[np.float32]:
    """Signed sums less the offsets (n, G): whole numbers below 2 ** 24, which float32 adds exactly in any order."""
    return np.asarray(codes.astype(np.float32) @ sketch.matrix - sketch.offsets, np.float32)

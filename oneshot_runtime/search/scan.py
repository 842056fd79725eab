"""The supports nearest to a code, exactly: by OpenCV where the gallery is large enough to repay its import, else by numpy, and
by a compiled kernel where a search among many supports has had it made.

Blocks of rows are scanned, on several threads where there is much to scan, and of each block the few nearest are kept.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.codes import sum_absolute_differences
from oneshot_runtime.model.thread_pool import Workers
from oneshot_runtime.search import kernels
from oneshot_runtime.search.sketch import Sums

__all__ = ["REMOVED", "Rows", "Scanner", "by_numpy", "by_opencv", "distances", "opencv", "smallest"]

_OPENCV_FROM_BYTES = 250_000
"""A thousand codes. Fewer are scanned by numpy in about a tenth of a millisecond; importing OpenCV takes a quarter second."""

_OPENCV_UP_TO = 256
"""Rows asked for. OpenCV keeps them in a list that it inserts into, so its time grows with the square of their number."""

_THREADS_FROM_BYTES = 1 << 22
"""What one thread scans in less time than it takes to wake others."""

_BLOCK_BYTES = 1 << 25
"""Blocks that threads take in turn: enough of them to end together, few enough to keep the memory streaming."""

_FEW_ROWS = 64
"""Up to so many rows are sorted whole."""

_SCANS = 16
"""Up to so many rows are picked by scanning for the minimum, more by a partial sort."""

REMOVED = int(np.iinfo(np.int32).max)
"""In the place of the distance of a row that was removed."""


@dataclass(frozen=True)
class Rows:
    """Rows to search.

    codes: uint8 (n, D), contiguous. alive: bool (n,), None when none is to be left out. sums: what `sketch` keeps of the codes,
    None where nothing is.
    """

    codes: NDArray[np.uint8]
    alive: NDArray[np.bool_] | None
    sums: Sums | None = field(default=None, kw_only=True)


class Scanner:
    """Searches with at most `threads` threads, which are started when they are first needed and sleep between searches."""

    def __init__(self, threads: int = 1) -> None:
        self._here, self._workers = Workers(1), Workers(threads)

    def nearest(
        self, parts: Sequence[Rows], query: NDArray[np.uint8], count: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The `count` rows nearest to the code uint8 (D,), or all there are: their distances (SAD) and row numbers.

        Rows are numbered through all parts; ties go to the lower number.
        """
        size = sum(part.codes.nbytes for part in parts)
        if len(parts) == 1 and size < _OPENCV_FROM_BYTES:
            return by_numpy(parts[0], query, count)
        repays = size >= _OPENCV_FROM_BYTES and count <= _OPENCV_UP_TO and kernels.of(len(query)) is None
        cv2 = opencv() if repays else None
        blocks = _blocks(parts)

        def scan(block: tuple[int, Rows]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
            first, rows = block
            found, numbers = by_numpy(rows, query, count) if cv2 is None else by_opencv(cv2, rows, query, count)
            return found, numbers + first

        workers = self._here if size < _THREADS_FROM_BYTES else self._workers
        results = workers.map(scan, blocks)
        if not results:
            return np.empty(0, np.int32), np.empty(0, np.int64)
        if len(results) == 1:
            return results[0]
        found, numbers = (np.concatenate(values) for values in zip(*results, strict=True))
        order = np.argsort(found, kind="stable")[:count]
        return found[order], numbers[order]


def _blocks(parts: Sequence[Rows]) -> list[tuple[int, Rows]]:
    """The parts in blocks, each with the number of its first row."""
    blocks, first = [], 0
    for part in parts:
        total, dim = part.codes.shape
        step = max(1, _BLOCK_BYTES // dim)
        for start in range(0, total, step):
            alive = None if part.alive is None else part.alive[start : start + step]
            blocks.append((first + start, Rows(part.codes[start : start + step], alive)))
        first += total
    return blocks


def by_opencv(cv2: ModuleType, rows: Rows, query: NDArray[np.uint8], count: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """`Scanner.nearest` of one part, on this thread; up to a few hundred rows."""
    mask = None if rows.alive is None else rows.alive.view(np.uint8)[None]
    kept = min(count, len(rows.codes))
    # One query against many rows: OpenCV runs this call on the calling thread, whatever its own number of threads is.
    found, numbers = cv2.batchDistance(query[None], rows.codes, cv2.CV_32S, normType=cv2.NORM_L1, K=kept, mask=mask)
    living = numbers[0] >= 0  # fewer were alive
    return found[0][living], numbers[0][living].astype(np.int64)


def by_numpy(rows: Rows, query: NDArray[np.uint8], count: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """`Scanner.nearest` of one part, on this thread."""
    found = distances(rows.codes, query)
    if rows.alive is not None:
        found[~rows.alive] = REMOVED
    living = len(found) if rows.alive is None else int(np.count_nonzero(rows.alive))
    return smallest(found, min(count, living))


def distances(codes: NDArray[np.uint8], query: NDArray[np.uint8]) -> NDArray[np.int32]:
    """L1 distances int32 (n,) of the code uint8 (D,) to codes uint8 (n, D)."""
    kernel = kernels.of(len(query))
    if kernel is None or not codes.flags.c_contiguous:
        return sum_absolute_differences(codes, query)
    return kernel.every(codes, np.ascontiguousarray(query))


def smallest(values: NDArray[np.int32], count: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The `count` smallest of values (n,) that are not `REMOVED`, and where they are; in order, ties by position.

    values: lost. count: at most as many as are not removed.
    """
    if len(values) <= _FEW_ROWS:
        order = values.argsort(kind="stable")[:count]
        return values[order], order.astype(np.int64, copy=False)
    if count > _SCANS:
        limit = np.partition(values, count - 1)[count - 1]
        positions = np.flatnonzero(values <= limit)
        positions = positions[np.argsort(values[positions], kind="stable")][:count]
        return values[positions], positions
    found, numbers = np.empty(count, np.int32), np.empty(count, np.int64)
    # A scan for the minimum is so much faster than a partial sort that a few of them win.
    for place in range(count):
        row = int(values.argmin())
        numbers[place], found[place] = row, values[row]
        values[row] = REMOVED
    return found, numbers


@functools.cache
def opencv() -> ModuleType | None:
    """OpenCV of the `search` extra, None where it is not installed: numpy then gives the same answers, slower."""
    try:
        import cv2
    except ImportError:
        return None
    return cv2

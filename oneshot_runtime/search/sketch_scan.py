"""The supports nearest to a code, exactly, without reading most codes: first their sums, then those that the bound leaves.

The gallery is taken in pieces, twice. First all sums are read, which bounds the distance of every row, and of each piece the
rows with the smallest bounds are read in full: the `count`-th nearest of these gives a radius. Then the rows whose bound is
within the radius are read in full, which shrinks it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.bundle import Sketch
from oneshot_runtime.model.fork_lock import ForkLock
from oneshot_runtime.model.thread_pool import Workers
from oneshot_runtime.search import kernels, scan
from oneshot_runtime.search.scan import Rows, Scanner
from oneshot_runtime.search.sketch import Asked, asked

__all__ = ["SketchScanner"]

_SEARCHED_FROM = 100_000
"""Rows that repay keeping their sums and compiling for them."""

_SUMMED = 1 << 14
"""Codes that are summed at once; a process that ends waits for no more."""

_FEW = 3
"""Searches after which nothing is prepared."""

_UNSUMMED = 1 << 10
"""Rows without sums that searches bear with: those enrolled since."""

_PIECES = 8
"""For each thread: so all end together."""

_PIECE = 1 << 14, 1 << 17
"""Rows of a piece, at least and at most: threads take turns in Python between pieces only."""

_LIKELIEST = 4
"""Rows of a piece, at least, that are read in full for the first radius."""

_MANY, _FIRST = 256, 64
"""Rows within the radius of which so many with the smallest bounds are read before the others: they shrink it."""

_MOST_LEFT = 0.4
"""Share of rows that are read one by one, at most; of more, all are: of a piece, or of the gallery by a sample."""

_SAMPLED = 256
"""Rows of each piece that are the sample."""


class SketchScanner:
    """Searches as `Scanner` does, with the same answers; where there are many rows, by their sums first."""

    def __init__(self, sketch: Sketch, threads: int = 1) -> None:
        self._sketch, self._threads = sketch, threads
        self._plain, self._workers = Scanner(threads), Workers(threads)
        self._lock, self._preparing = ForkLock(), threading.Thread()
        self._searches = 0

    def nearest(
        self, parts: Sequence[Rows], query: NDArray[np.uint8], count: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The `count` rows nearest to the code uint8 (D,), or all there are: their distances (SAD) and row numbers.

        Rows are numbered through all parts; ties go to the lower number.
        """
        if not self._repays(parts):
            return self._plain.nearest(parts, query, count)
        if not self._is_prepared(parts):
            self._prepare_soon(parts)
        pieces = _pieces(parts, self._threads)
        summed = sum(len(piece.codes) for piece in pieces if piece.sums is not None)
        slow = kernels.of(len(query)) is None and kernels.possible()  # OpenCV is faster than numpy with sums
        if slow or 2 * summed < sum(len(piece.codes) for piece in pieces):
            return self._plain.nearest(parts, query, count)
        search = _Search(query, asked(query, self._sketch), count, max(_LIKELIEST, -(-2 * count // len(pieces))))
        self._share(pieces, search.bound)
        if not search.repays(pieces):
            return self._plain.nearest(parts, query, count)
        self._share(pieces, search.read)
        return search.best.found()

    def prepare(self, parts: Sequence[Rows]) -> None:
        """Compile for a search among many rows, where numba is there, and sum their codes; else the fourth search starts it."""
        if not self._repays(parts):
            return
        with self._lock:
            kernels.compile_for((len(self._sketch.groups), self._sketch.count))
            for rows in parts:
                while rows.sums is not None and rows.sums.missing(len(rows.codes)) and threading.main_thread().is_alive():
                    rows.sums.grow(len(rows.codes), _SUMMED)

    def _repays(self, parts: Sequence[Rows]) -> bool:
        """Whether there is much to search, and a better way to sums than by numpy, or no better way to codes."""
        if sum(len(rows.codes) for rows in parts if rows.sums is not None) < _SEARCHED_FROM:
            return False
        return kernels.possible() or scan.opencv() is None

    def _is_prepared(self, parts: Sequence[Rows]) -> bool:
        missing = sum(rows.sums.missing(len(rows.codes)) for rows in parts if rows.sums is not None)
        return missing <= _UNSUMMED and (kernels.of(self._sketch.count) is not None or not kernels.possible())

    def _prepare_soon(self, parts: Sequence[Rows]) -> None:
        """On a thread, and not for the first searches: a process that asks no more would wait for it at its end."""
        self._searches += 1
        if self._searches > _FEW and not self._preparing.is_alive():
            self._preparing = threading.Thread(target=self.prepare, args=(parts,), name="oneshot-prepare")
            self._preparing.start()

    def _share(self, pieces: Sequence[_Piece], work: Callable[[_Piece], None]) -> None:
        """`work` on every piece; each thread takes the next that is left, which costs less than a task for each."""
        left = iter(pieces)

        def take(_: int) -> None:
            while (piece := next(left, None)) is not None:
                work(piece)

        self._workers.map(take, range(min(self._threads, len(pieces))))


@dataclass
class _Piece:
    """Rows from number `first` on: codes uint8 (n, D), sums uint8 (n, G), None when they have none yet, alive bool (n,), None
    when none was removed; bounds int32 (n,), of the rows that are alive, once they are known.
    """

    first: int
    codes: NDArray[np.uint8]
    sums: NDArray[np.uint8] | None
    alive: NDArray[np.bool_] | None
    bounds: NDArray[np.int32] | None = field(default=None, init=False)


def _pieces(parts: Sequence[Rows], threads: int) -> list[_Piece]:
    least, most = _PIECE
    step = min(most, max(least, sum(len(rows.codes) for rows in parts) // (_PIECES * threads)))
    pieces, first = [], 0
    for rows in parts:
        summed = None if rows.sums is None else rows.sums.of(len(rows.codes))
        many = 0 if summed is None else len(summed)
        for begin, end, sums in ((0, many, summed), (many, len(rows.codes), None)):
            for start in range(begin, end, step):
                part = slice(start, min(end, start + step))
                alive = None if rows.alive is None else rows.alive[part]
                pieces.append(_Piece(first + start, rows.codes[part], None if sums is None else sums[part], alive))
        first += len(rows.codes)
    return pieces


class _Best:
    """The nearest rows so far; shared by the threads of a search."""

    def __init__(self, count: int) -> None:
        self._lock, self._count = threading.Lock(), count
        self._distances, self._numbers = np.empty(0, np.int32), np.empty(0, np.int64)
        self.radius = scan.REMOVED - 1
        """Rows farther than this are none of the nearest."""

    def add(self, distances: NDArray[np.int32], numbers: NDArray[np.int64]) -> None:
        """Rows (m,) in the order of their numbers; one that was added before is one with itself."""
        if len(distances) > self._count:
            distances, places = scan.smallest(distances, self._count)
            numbers = numbers[places]
        near = distances <= self.radius
        if not near.any():
            return
        with self._lock:
            distances = np.concatenate((self._distances, distances[near]))
            numbers = np.concatenate((self._numbers, numbers[near]))
            order = np.lexsort((numbers, distances))
            order = order[np.diff(numbers[order], prepend=-1) != 0][: self._count]
            self._distances, self._numbers = distances[order], numbers[order]
            if len(order) == self._count:
                self.radius = int(self._distances[-1])

    def found(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Distances and numbers, in order."""
        return self._distances, self._numbers


class _Search:
    """One search. likeliest: rows of a piece that are read for the first radius."""

    def __init__(self, query: NDArray[np.uint8], sums: Asked, count: int, likeliest: int) -> None:
        self._query, self._asked, self._likeliest = query, sums, likeliest
        self.best = _Best(count)

    def bound(self, piece: _Piece) -> None:
        """Bound the distance of every row of a piece, and read the likeliest."""
        if piece.sums is None:
            self._read_all(piece)
            return
        bounds = scan.distances(piece.sums, self._asked.sums)
        if piece.alive is not None:
            bounds[~piece.alive] = scan.REMOVED
        likely, rows = scan.smallest(bounds, min(self._likeliest, len(bounds)))
        rows, likely = rows[likely < scan.REMOVED], likely[likely < scan.REMOVED]
        bounds[rows] = likely
        self._read(piece, np.sort(rows))
        piece.bounds = bounds

    def repays(self, pieces: Sequence[_Piece]) -> bool:
        """Whether the bounds leave few rows, by a sample of them."""
        samples = [piece.bounds[:_SAMPLED] for piece in pieces if piece.bounds is not None]
        left = sum(int(np.count_nonzero(sample <= self._limit())) for sample in samples)
        return left <= _MOST_LEFT * sum(map(len, samples))

    def read(self, piece: _Piece) -> None:
        """Read the rows of a piece whose bound is within the radius."""
        if piece.bounds is None:
            return
        rows = np.flatnonzero(piece.bounds <= self._limit())
        if len(rows) > _MOST_LEFT * len(piece.codes):
            self._read_all(piece)
            return
        if len(rows) > _MANY:
            bounds = piece.bounds[rows]
            self._read(piece, np.sort(rows[np.argpartition(bounds, _FIRST)[:_FIRST]]))
            rows = rows[bounds <= self._limit()]
        self._read(piece, rows)

    def _limit(self) -> int:
        return min(self._asked.limit(self.best.radius), scan.REMOVED - 1)

    def _read(self, piece: _Piece, rows: NDArray[np.int64]) -> None:
        if len(rows):
            self.best.add(scan.distances_at(piece.codes, rows, self._query), rows + piece.first)

    def _read_all(self, piece: _Piece) -> None:
        found = scan.distances(piece.codes, self._query)
        if piece.alive is not None:
            found[~piece.alive] = scan.REMOVED
        self.best.add(found, np.arange(piece.first, piece.first + len(found)))

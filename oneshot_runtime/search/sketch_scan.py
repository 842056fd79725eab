"""The supports nearest to a code, exactly, without reading most codes: first their sums, then those that the bound leaves.

The gallery is taken in pieces, twice. First all sums are read, which bounds the distance of every row, and of each piece the
rows with the smallest bounds are read in full: the `count`-th nearest of these gives a radius. Then the rows whose bound is
within the radius are read in full, which shrinks it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.bundle import Sketch
from oneshot_runtime.model.codes import sum_absolute_differences
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

_PIECES = 2
"""For each thread at least: more end together, and take longer."""

_PIECE = 1 << 15, 1 << 17
"""Rows of a piece, at least and at most: threads take turns in Python between pieces only."""

_LEAST_APART, _APART = 1 << 6, 1 << 12
"""Of so many rows the one with the smallest bound is read in full for the first radius; of fewer where many are asked for."""

_MOST_LEFT = 0.4
"""Share of rows that are read one by one, at most; where a sample says that more would be, all are."""

_SAMPLED = 256
"""Rows of each piece that are the sample."""


_Found = tuple[NDArray[np.int32], NDArray[np.int64]]
"""Distances, and the rows they belong to."""


class SketchScanner:
    """Searches as `Scanner` does, with the same answers; where there are many rows, by their sums first."""

    def __init__(self, sketch: Sketch, threads: int = 1) -> None:
        self._sketch, self._threads = sketch, threads
        self._plain, self._workers = Scanner(threads), Workers(threads)
        self._lock, self._preparing = ForkLock(), threading.Thread()
        self._searches = 0
        self._spare: list[NDArray[np.uint16]] = []  # room for the bounds of one search: fresh memory takes its time

    def nearest(self, parts: Sequence[Rows], query: NDArray[np.uint8], count: int) -> _Found:
        """The `count` rows nearest to the code uint8 (D,), or all there are: their distances (SAD) and row numbers.

        Rows are numbered through all parts; ties go to the lower number.
        """
        if not self._repays(parts):
            return self._plain.nearest(parts, query, count)
        if not self._is_prepared(parts):
            self._prepare_soon(parts)
        found = self._by_sums(parts, query, count) if self._are_summed(parts) else None
        return self._plain.nearest(parts, query, count) if found is None else found

    def _by_sums(self, parts: Sequence[Rows], query: NDArray[np.uint8], count: int) -> _Found | None:
        """None where the bounds leave too many rows."""
        total = sum(len(rows.codes) for rows in parts)
        scratch = self._spare.pop() if self._spare else np.empty(0, np.uint16)
        if len(scratch) < total:
            scratch = np.empty(total, np.uint16)
        least, most = _PIECE
        pieces = _pieces(parts, min(most, max(least, total // (_PIECES * self._threads))), scratch)
        search = _Search(query, asked(query, self._sketch), count, max(_LEAST_APART, min(_APART, total // (4 * count))))
        self._share(pieces, search.bound)
        repays = search.repays(pieces)
        if repays:
            self._share(pieces, search.read)
        self._spare[:] = [scratch]
        return search.best.found() if repays else None

    def prepare(self, parts: Sequence[Rows]) -> None:
        """Compile for a search among many rows, where numba is there, and sum their codes; else the fourth search starts it."""
        if not self._repays(parts):
            return
        with self._lock:
            kernels.compile_for(len(self._sketch.groups), self._sketch.count)
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
        return missing <= _UNSUMMED and self._is_compiled()

    def _is_compiled(self) -> bool:
        """Or never will be."""
        compiled = kernels.of(len(self._sketch.groups)) is not None and kernels.bounding(self._sketch.count) is not None
        return compiled or not kernels.possible()

    def _are_summed(self, parts: Sequence[Rows]) -> bool:
        """Most rows, and there is a better way to sums than by numpy, where there is one to codes."""
        summed = sum(len(rows.sums.of(len(rows.codes))) for rows in parts if rows.sums is not None)
        return 2 * summed >= sum(len(rows.codes) for rows in parts) and self._is_compiled()

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


@dataclass(frozen=True)
class _Piece:
    """Rows from number `first` on: codes uint8 (n, D), sums uint8 (n, G), None when they have none yet, alive bool (n,), None
    when none was removed, and bounds uint16 (n,), which a search works out.
    """

    first: int
    codes: NDArray[np.uint8]
    sums: NDArray[np.uint8] | None
    alive: NDArray[np.bool_] | None
    bounds: NDArray[np.uint16]


def _pieces(parts: Sequence[Rows], step: int, scratch: NDArray[np.uint16]) -> list[_Piece]:
    """Of up to `step` rows. scratch: room for all bounds."""
    pieces, first = [], 0
    for rows in parts:
        summed = None if rows.sums is None else rows.sums.of(len(rows.codes))
        many = 0 if summed is None else len(summed)
        for begin, end, sums in ((0, many, summed), (many, len(rows.codes), None)):
            for start in range(begin, end, step):
                part = slice(start, min(end, start + step))
                alive = None if rows.alive is None else rows.alive[part]
                bounds = scratch[first + part.start : first + part.stop]
                pieces.append(_Piece(first + start, rows.codes[part], None if sums is None else sums[part], alive, bounds))
        first += len(rows.codes)
    return pieces


class _Best:
    """The nearest rows so far, in order; shared by the threads of a search."""

    def __init__(self, count: int) -> None:
        self._lock, self._count = threading.Lock(), count
        self._rows: list[tuple[int, int]] = []
        self.radius = scan.REMOVED - 1
        """Rows farther than this are none of the nearest."""

    def add(self, distances: NDArray[np.int32], numbers: NDArray[np.int64]) -> None:
        """Rows (m,) in the order of their numbers; one that was added before is one with itself."""
        if len(distances) > self._count:
            distances, places = scan.smallest(distances, self._count)
            numbers = numbers[places]
        near = distances <= self.radius
        rows = zip(distances[near].tolist(), numbers[near].tolist(), strict=True)
        with self._lock:
            self._rows = sorted({*self._rows, *rows})[: self._count]
            if len(self._rows) == self._count:
                self.radius = self._rows[-1][0]

    def found(self) -> _Found:
        """Distances and numbers."""
        distances, numbers = zip(*self._rows, strict=True) if self._rows else ((), ())
        return np.array(distances, np.int32), np.array(numbers, np.int64)


class _Search:
    """One search. apart: of how many rows one is read for the first radius."""

    def __init__(self, query: NDArray[np.uint8], sums: Asked, count: int, apart: int) -> None:
        self._query, self._asked, self._count, self._apart = np.ascontiguousarray(query), sums, count, apart
        self.best = _Best(count)

    def bound(self, piece: _Piece) -> None:
        """Bound the distance of every row of a piece, and read the likeliest."""
        if piece.sums is None:
            found = scan.distances(piece.codes, self._query)
            if piece.alive is not None:
                found[~piece.alive] = scan.REMOVED
            self.best.add(found, np.arange(piece.first, piece.first + len(found)))
            return
        likely = _bound(piece.sums, self._asked.sums, self._apart, piece.bounds)
        if piece.alive is not None:
            piece.bounds[~piece.alive] = kernels.REMOVED
            likely = likely[piece.alive[likely]]
        self._read(piece, likely)

    def repays(self, pieces: Sequence[_Piece]) -> bool:
        """Whether the bounds leave few rows, by a sample of them."""
        samples = [piece.bounds[:_SAMPLED] for piece in pieces if piece.sums is not None]
        left = sum(int(np.count_nonzero(sample <= self._limit())) for sample in samples)
        return left <= _MOST_LEFT * sum(map(len, samples))

    def read(self, piece: _Piece) -> None:
        """Read the rows of a piece whose bound is within the radius."""
        if piece.sums is None:
            return
        kernel = kernels.of(len(self._query))
        if kernel is None:
            self._read(piece, np.flatnonzero(piece.bounds <= self._limit()))
            return
        limit = self._asked.slack, self._asked.step
        distances, rows = kernel.within(piece.codes, self._query, piece.bounds, self.best.radius, limit, self._count)
        self.best.add(distances, rows + piece.first)

    def _limit(self) -> int:
        return min(self._asked.limit(self.best.radius), kernels.REMOVED - 1)

    def _read(self, piece: _Piece, rows: NDArray[np.int64]) -> None:
        if len(rows):
            self.best.add(scan.distances(piece.codes[rows], self._query), rows + piece.first)


def _bound(sums: NDArray[np.uint8], query: NDArray[np.uint8], apart: int, bounds: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Write the distances of sums into `bounds`; returns where the smallest of each `apart` rows is."""
    likely = np.empty(-(-len(sums) // apart), np.int64)
    compiled = kernels.bounding(len(query))
    if compiled is not None:
        compiled(sums, query, apart, bounds, likely)
        return likely
    np.minimum(sum_absolute_differences(sums, query), kernels.REMOVED - 1, out=bounds, casting="unsafe")
    for place, start in enumerate(range(0, len(sums), apart)):
        likely[place] = start + bounds[start : start + apart].argmin()
    return likely

"""The supports nearest to a code, exactly, without reading most codes: first their sums, then those that the bound leaves.

The gallery is taken in pieces. The likeliest rows of the beginning of each give a first radius: the distance of the `count`-th
nearest of them. Then of each piece the rows whose bound is within the radius are read in full, nearest first, which shrinks the
radius. Where the bound would leave too many, all codes are scanned.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.bundle import Sketch
from oneshot_runtime.model.codes import sum_absolute_differences
from oneshot_runtime.model.thread_pool import Workers
from oneshot_runtime.search import scan
from oneshot_runtime.search.scan import Rows, Scanner
from oneshot_runtime.search.sketch import Asked, asked

__all__ = ["SKETCHED_FROM", "SketchScanner"]

SKETCHED_FROM = 1 << 16
"""Rows of a segment that repay keeping their sums."""

_SEARCHED_FROM = 400_000
"""Rows that repay reading sums first; the codes of fewer stay in a processor's cache, where the plain scan is as fast."""

_SUMMED = 1 << 15
"""Codes that a search sums for those after it, while some have no sums yet: it then takes about three times as long."""

_UP_TO = 32
"""Rows asked for; more are left to the plain scan: so far from the query the bound leaves too many."""

_PIECE = 1 << 16
"""Rows whose sums are read at once: threads take turns in Python between pieces only."""

_PROBED, _LIKELIEST = 1 << 12, 16
"""Rows at the beginning of a piece whose sums are looked at for the first radius, and how many of them are read in full."""

_SAMPLED, _MOST_SAMPLED = 1 << 8, 0.2
"""Rows at the beginning of a piece by which is judged how many the first radius leaves, and their share beyond which sums are
not gone through."""

_FIRST = 64
"""Rows of a piece, nearest first, that are read in full before its others."""

_MOST_LEFT = 0.15
"""Share of a piece's rows that is read one by one, at most; of more, all are."""

_FAR_AWAY = int(np.iinfo(np.int32).max)

_Found = tuple[NDArray[np.int32], NDArray[np.int64]]
"""Distances or bounds, and the rows they belong to."""


class SketchScanner:
    """Searches as `Scanner` does, with the same answers; parts that have their sums are read by them first."""

    def __init__(self, sketch: Sketch, threads: int = 1) -> None:
        self._sketch, self._threads = sketch, threads
        self._plain, self._workers = Scanner(threads), Workers(threads)

    def nearest(
        self, parts: Sequence[Rows], query: NDArray[np.uint8], count: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The `count` rows nearest to the code uint8 (D,), or all there are: their distances (SAD) and row numbers.

        Rows are numbered through all parts; ties go to the lower number.
        """
        if count > _UP_TO or sum(len(rows.codes) for rows in parts if rows.sums is not None) < _SEARCHED_FROM:
            return self._plain.nearest(parts, query, count)
        _sum_more(parts)
        firsts = itertools.accumulate((len(rows.codes) for rows in parts), initial=0)
        pieces, others = list[_Piece](), list[tuple[int, Rows]]()
        for first, rows in zip(firsts, parts, strict=False):
            sums = None if rows.sums is None else rows.sums.of(len(rows.codes))
            if sums is None:
                others.append((first, rows))
            else:
                pieces += _pieces(first, rows, sums)
        search = _Search(query, asked(query, self._sketch), count, scan.opencv())
        self._share(pieces, search.probe)
        if not search.repays(pieces):
            return self._plain.nearest(parts, query, count)
        for first, rows in others:
            search.best.add(*self._plain.nearest([rows], query, count), first)
        self._share(pieces, search.read)
        return search.best.found()

    def _share(self, pieces: Sequence[_Piece], work: Callable[[_Piece], None]) -> None:
        """`work` on every piece; each thread takes the next that is left, which costs less than a task for each."""
        left = iter(pieces)

        def take(_: int) -> None:
            while (piece := next(left, None)) is not None:
                work(piece)

        self._workers.map(take, range(min(self._threads, len(pieces))))


def _sum_more(parts: Sequence[Rows]) -> None:
    """A gallery is searched plainly until its sums are worked out: opening it takes no longer, nor does a single question."""
    left = _SUMMED
    for rows in parts:
        if rows.sums is not None and left > 0:
            left -= rows.sums.grow(len(rows.codes), left)


@dataclass(frozen=True)
class _Piece:
    """Rows from number `first` on: codes uint8 (n, D), sums uint8 (n, G), alive bool (n,), None when none was removed."""

    first: int
    codes: NDArray[np.uint8]
    sums: NDArray[np.uint8]
    alive: NDArray[np.bool_] | None

    def head(self, rows: int) -> _Piece:
        """Its first rows."""
        return _Piece(self.first, self.codes[:rows], self.sums[:rows], None if self.alive is None else self.alive[:rows])


def _pieces(first: int, rows: Rows, sums: NDArray[np.uint8]) -> Iterator[_Piece]:
    for start in range(0, len(rows.codes), _PIECE):
        part = slice(start, start + _PIECE)
        yield _Piece(first + start, rows.codes[part], sums[part], None if rows.alive is None else rows.alive[part])


class _Best:
    """The nearest rows so far, in order; shared by the threads of a search."""

    def __init__(self, count: int) -> None:
        self._lock, self._count = threading.Lock(), count
        self._rows: list[tuple[int, int]] = []
        self.radius = _FAR_AWAY
        """Rows farther than this are none of the nearest."""

    def add(self, distances: NDArray[np.int32], numbers: NDArray[np.int64], first: int) -> None:
        """Distances in order, numbers counted from `first`; a row that was added before is one with itself."""
        if not len(distances) or distances[0] > self.radius:
            return
        rows = zip(distances.tolist(), (numbers + first).tolist(), strict=True)
        with self._lock:
            self._rows = sorted({*self._rows, *rows})[: self._count]
            if len(self._rows) == self._count:
                self.radius = self._rows[-1][0]

    def found(self) -> _Found:
        """Distances and numbers."""
        distances, numbers = zip(*self._rows, strict=True) if self._rows else ((), ())
        return np.array(distances, np.int32), np.array(numbers, np.int64)


class _Search:
    """One search. opencv: None where it is not installed."""

    def __init__(self, query: NDArray[np.uint8], sums: Asked, count: int, opencv: ModuleType | None) -> None:
        self._query, self._asked, self._count, self._opencv = query, sums, count, opencv
        self.best = _Best(count)

    def probe(self, piece: _Piece) -> None:
        """Read the likeliest rows of the beginning of a piece; neighbours in a gallery are often of one kind, so of each."""
        head = piece.head(_PROBED)
        _, rows = self._nearest(Rows(head.sums, head.alive), self._asked.sums, _LIKELIEST)
        self._read_rows(piece, rows)

    def repays(self, pieces: Sequence[_Piece]) -> bool:
        """Whether the radius leaves few rows, by a sample of them."""
        samples = [piece.head(_SAMPLED) for piece in pieces]
        left = sum(len(self._within(sample)[0]) for sample in samples)
        return left < _MOST_SAMPLED * sum(len(sample.codes) for sample in samples)

    def read(self, piece: _Piece) -> None:
        """Read the rows of a piece whose bound is within the radius."""
        bounds, rows = self._within(piece)
        self._read_rows(piece, rows[:_FIRST])
        if len(rows) <= _FIRST:
            return
        rows = rows[_FIRST : int(np.searchsorted(bounds, self._limit(), "right"))]
        if len(rows) > _MOST_LEFT * len(piece.codes):
            self.best.add(*self._nearest(Rows(piece.codes, piece.alive), self._query, self._count), piece.first)
        else:
            self._read_rows(piece, np.sort(rows))

    def _within(self, piece: _Piece) -> _Found:
        """Bounds and places of the rows whose bound is within the radius, nearest first."""
        if self._opencv is None:
            near = sum_absolute_differences(piece.sums, self._asked.sums)
            rows = np.flatnonzero(near <= self._limit())
            rows = rows[np.argsort(near[rows], kind="stable")]
            bounds = near[rows]
        else:
            # The one call of OpenCV that gives all rows within a distance, not only so many; it takes them for float32,
            # which is exact up to 2 ** 24.
            found = self._opencv.BFMatcher(self._opencv.NORM_L1).radiusMatch(
                self._asked.sums[None], piece.sums, self._limit() + 0.5
            )[0]
            bounds = np.fromiter((one.distance for one in found), np.int32, len(found))
            rows = np.fromiter((one.trainIdx for one in found), np.int64, len(found))
        if piece.alive is None:
            return bounds, rows
        living = piece.alive[rows]
        return bounds[living], rows[living]

    def _read_rows(self, piece: _Piece, rows: NDArray[np.int64]) -> None:
        if len(rows):
            distances, places = self._nearest(Rows(piece.codes[rows], None), self._query, self._count)
            self.best.add(distances, rows[places], piece.first)

    def _nearest(self, rows: Rows, query: NDArray[np.uint8], count: int) -> _Found:
        if self._opencv is None:
            return scan.by_numpy(rows, query, count)
        return scan.by_opencv(self._opencv, rows, query, count)

    def _limit(self) -> int:
        return min(self._asked.limit(self.best.radius), _FAR_AWAY - 1)

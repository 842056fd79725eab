"""The supports nearest to a code, exactly, without reading most codes: first their sums, then those that the bound leaves.

A few rows from everywhere give a first radius: the distance of the `count`-th nearest of them. Then all sums are scanned in
blocks, each keeping the rows whose bound is within the radius, nearest first; the best of them are read in full, which shrinks
the radius. At the end the rows that are still within it are read. A block with more of them than it keeps is scanned whole.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
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

_LEAST = 4096
"""Rows of a part that are worth a look at their sums."""

_UP_TO = 32
"""Rows asked for; more are left to the plain scan: so far from the query the bound leaves too many."""

_BLOCK, _KEPT = 4096, 128
"""Rows of a block, and those of it that may be read in full. OpenCV inserts each into a list: with three in a hundred that, and
reading them one by one, take as long as reading the block whole."""

_TRIED, _FULL = 4, 0.6
"""Blocks of a part that are tried first, and the share of their lists beyond which the part is scanned whole."""

_PROBE = 1 << 10
"""Rows that are looked at together for a first radius, one such piece in `_PROBED` of them."""
_PROBED = 16
_FIRST = 32
"""Rows that are read in full to shrink the radius."""

_FAR_AWAY = int(np.iinfo(np.int32).max)


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
        firsts = itertools.accumulate((len(rows.codes) for rows in parts), initial=0)
        if count > _UP_TO or sum(len(rows.codes) for rows in parts if rows.sums is not None) < _SEARCHED_FROM:
            return self._plain.nearest(parts, query, count)
        _sum_more(parts)
        numbered = [_Part(first, rows) for first, rows in zip(firsts, parts, strict=False)]
        small = [part for part in numbered if not part.repays]
        large = [part for part in numbered if part.repays]
        search = _Search(query, asked(query, self._sketch), count, scan.opencv())
        for part in small:
            search.best.add(*part.numbered(self._plain.nearest([part.rows], query, count)))
        if not large:
            return search.best.distances, search.best.numbers
        search.probe(large)
        self._share(large, search.scan)
        search.read_first(large)
        self._share(large, search.read_rest)
        return search.best.distances, search.best.numbers

    def _share(self, parts: Sequence[_Part], work: Callable[[_Part], None]) -> None:
        """`work` on every part; each thread takes the next that is left, which costs less than a task for each."""
        left = iter(parts)

        def take(_: int) -> None:
            for part in _taken(left):
                work(part)

        self._workers.map(take, range(min(self._threads, len(parts))))


def _sum_more(parts: Sequence[Rows]) -> None:
    """A gallery is searched plainly until its sums are worked out: opening it takes no longer, nor does a single question."""
    left = _SUMMED
    for rows in parts:
        if rows.sums is not None and left > 0:
            left -= rows.sums.grow(len(rows.codes), left)


@dataclass
class _Part:
    """Rows, the number of the first, and what a search found: bounds and places of rows to read, and blocks to scan whole."""

    first: int
    rows: Rows
    bounds: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    found: NDArray[np.signedinteger] = field(default_factory=lambda: np.empty(0, np.int64))
    whole: list[slice] = field(default_factory=list)
    sums: NDArray[np.uint8] | None = field(init=False)

    def __post_init__(self) -> None:
        self.sums = None if self.rows.sums is None else self.rows.sums.of(len(self.rows.codes))

    @property
    def repays(self) -> bool:
        """Whether its sums are there and worth a look."""
        return self.sums is not None and len(self.rows.codes) >= _LEAST

    def numbered(
        self, found: tuple[NDArray[np.int32], NDArray[np.int64]], start: int = 0
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        return found[0], found[1] + (self.first + start)

    def blocks(self) -> list[slice]:
        """Of `_BLOCK` rows at least, less than twice as many at most."""
        total = len(self.rows.codes)
        edges = np.linspace(0, total, max(1, total // _BLOCK) + 1).astype(int).tolist()
        return [slice(start, stop) for start, stop in itertools.pairwise(edges)]

    def alive(self, rows: slice) -> NDArray[np.bool_] | None:
        return None if self.rows.alive is None else self.rows.alive[rows]


class _Best:
    """The nearest rows so far, in order; shared by the threads of a search."""

    def __init__(self, count: int) -> None:
        self._lock, self._count = threading.Lock(), count
        self.distances, self.numbers = np.empty(0, np.int32), np.empty(0, np.int64)
        self.radius = _FAR_AWAY
        """Rows farther than this are none of the nearest."""

    def add(self, distances: NDArray[np.int32], numbers: NDArray[np.int64]) -> None:
        with self._lock:
            distances = np.concatenate((self.distances, distances))
            numbers = np.concatenate((self.numbers, numbers))
            order = np.lexsort((numbers, distances))
            distances, numbers = distances[order], numbers[order]
            # A row that was read twice stands beside itself.
            once = np.concatenate(([True], numbers[1:] != numbers[:-1])) if len(numbers) else np.empty(0, bool)
            self.distances, self.numbers = distances[once][: self._count], numbers[once][: self._count]
            if len(self.numbers) == self._count:
                self.radius = int(self.distances[-1])


class _Search:
    """One search. opencv: None where it is not installed."""

    def __init__(self, query: NDArray[np.uint8], sums: Asked, count: int, opencv: ModuleType | None) -> None:
        self._query, self._asked, self._count, self._opencv = query, sums, count, opencv
        self.best = _Best(count)

    def probe(self, parts: Sequence[_Part]) -> None:
        """A first radius, from rows spread over all parts: neighbours in a gallery are often of one kind."""
        pieces = sum(-(-len(part.rows.codes) // (_PROBED * _PROBE)) for part in parts)
        for part in parts:
            found = []
            for start in range(0, len(part.rows.codes), _PROBED * _PROBE):
                piece = slice(start, start + _PROBE)
                assert part.sums is not None
                few = Rows(part.sums[piece], part.alive(piece))
                bounds, places = self._few_nearest(few, self._asked.sums, _FIRST + self._count // pieces)
                found.append((bounds, places + start))
            part.bounds, part.found = (np.concatenate(values) for values in zip(*found, strict=True))
        self.read_first(parts)
        for part in parts:
            part.bounds, part.found = part.bounds[:0], part.found[:0]

    def scan(self, part: _Part) -> None:
        """Find the rows of a part whose bound is within the radius."""
        if self._opencv is None:
            self._by_numpy(part)
        else:
            self._by_opencv(self._opencv, part)

    def _by_opencv(self, cv2: ModuleType, part: _Part) -> None:
        blocks = part.blocks()
        bounds, rows = self._lists(cv2, part, blocks[:_TRIED])
        taken = rows >= 0
        part.bounds, part.found = bounds[taken], rows[taken]
        self.read_first([part])
        if (bounds <= self._limit()).mean() > _FULL:
            part.bounds, part.found, part.whole = part.bounds[:0], part.found[:0], [slice(0, len(part.rows.codes))]
            return
        others = self._lists(cv2, part, blocks[_TRIED:])
        bounds, rows = np.concatenate((bounds, others[0])), np.concatenate((rows, others[1]))
        within = bounds <= self._limit()
        for number in np.flatnonzero(within[:, -1]).tolist():  # a full list: there may have been more
            part.whole.append(blocks[number])
            within[number] = False
        part.bounds, part.found = bounds[within], rows[within]

    def _lists(self, cv2: ModuleType, part: _Part, blocks: list[slice]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Bounds and places (B, `_KEPT`) of each block's rows within the radius, or the nearest of them; places end in -1."""
        assert part.sums is not None
        query, sums = self._asked.sums[None], part.sums
        # OpenCV keeps the K nearest. Lists that are full of the first distance that is too far, and that it is told to go on
        # with ("update"), take up only nearer rows.
        bounds = np.full((len(blocks), _KEPT), self._limit() + 1, np.int32)
        rows = np.zeros((len(blocks), _KEPT), np.int32)
        for number, block in enumerate(blocks):
            alive = part.alive(block)
            cv2.batchDistance(
                query,
                sums[block],
                cv2.CV_32S,
                dist=bounds[number : number + 1],
                nidx=rows[number : number + 1],
                normType=cv2.NORM_L1,
                K=_KEPT,
                mask=None if alive is None else alive.view(np.uint8)[None],
                update=block.start + 1,  # what places are counted from; 0 would empty the lists
            )
        return bounds, rows - 1

    def _by_numpy(self, part: _Part) -> None:
        assert part.sums is not None
        kept: list[tuple[NDArray[np.int32], NDArray[np.int64]]] = []
        for number, block in enumerate(part.blocks()):
            near = sum_absolute_differences(part.sums[block], self._asked.sums)
            alive = part.alive(block)
            if alive is not None:
                near[~alive] = _FAR_AWAY
            rows = np.flatnonzero(near <= self._limit())
            if len(rows) < _KEPT:
                kept.append((near[rows], rows + block.start))
                part.bounds, part.found = kept[-1]
                self.read_first([part])
                continue
            part.whole.append(block)
            if len(part.whole) == _TRIED == number + 1:
                part.whole = [slice(0, len(part.rows.codes))]
                return
        if kept:
            part.bounds, part.found = (np.concatenate(values) for values in zip(*kept, strict=True))

    def read_first(self, parts: Sequence[_Part]) -> None:
        """Read the rows with the smallest bounds in full."""
        bounds = np.concatenate([part.bounds for part in parts])
        count = _FIRST + self._count
        last = int(np.partition(bounds, count - 1)[count - 1]) if len(bounds) > count else _FAR_AWAY
        for part in parts:
            near = np.flatnonzero(part.bounds <= last)[:count]
            if len(near):
                self._read(part, part.found[near])

    def read_rest(self, part: _Part) -> None:
        """Read the rows whose bound is within the radius, and the blocks that have too many of them."""
        rows = np.sort(part.found[part.bounds <= self._limit()])
        for start in range(0, len(rows), _BLOCK):
            self._read(part, rows[start : start + _BLOCK])
        for block in part.whole:
            for start in range(block.start, block.stop, 8 * _BLOCK):
                some = slice(start, min(start + 8 * _BLOCK, block.stop))
                found = self._few_nearest(Rows(part.rows.codes[some], part.alive(some)), self._query, self._count)
                self.best.add(*part.numbered(found, start))

    def _read(self, part: _Part, rows: NDArray[np.signedinteger]) -> None:
        codes = Rows(part.rows.codes[rows], None if part.rows.alive is None else part.rows.alive[rows])
        distances, places = self._few_nearest(codes, self._query, self._count)
        self.best.add(distances, (rows[places] + part.first).astype(np.int64))

    def _few_nearest(self, rows: Rows, query: NDArray[np.uint8], count: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        if self._opencv is None:
            return scan.by_numpy(rows, query, count)
        return scan.by_opencv(self._opencv, rows, query, count)

    def _limit(self) -> int:
        return min(self._asked.limit(self.best.radius), _FAR_AWAY - 1)


def _taken(parts: Iterator[_Part]) -> Iterator[_Part]:
    """The next of an iterator that threads share, until it is empty."""
    while (part := next(parts, None)) is not None:
        yield part

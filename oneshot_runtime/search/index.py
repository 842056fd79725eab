"""The search matrix: codes in append-only segments, read through immutable snapshots.

Writers never move or change a row that a snapshot shows: new rows go behind it, removals replace a segment's mask. A reader
keeps the snapshot it started with, so matches run beside enrollments and see the old or the new gallery, never half of one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.bundle import Sketch
from oneshot_runtime.model.fork_lock import ForkLock
from oneshot_runtime.search.prototypes import ClassRows, Prototypes
from oneshot_runtime.search.scan import Scanner
from oneshot_runtime.search.sketch import Sums
from oneshot_runtime.search.sketch_scan import SketchScanner
from oneshot_runtime.search.snapshot import Segment, Snapshot

__all__ = ["CodeIndex"]

_FIRST_SEGMENT = 1024
_LAST_SEGMENT = 1 << 17
_WASTE = 1024
"""Removed rows that are kept at least: beyond it, and beyond the living ones, the index is packed."""


class CodeIndex:
    """Grows and shrinks by whole batches; `snapshot` is what readers use.

    dim: length of a code. threads: that a search may use. numbered: whether rows keep the numbers they are added with, in eight
    bytes each. revision: of the empty index. A support takes its code, four bytes for its class, and four to chain
    it to the next of that class; a class takes its label and, once one is looked up or added to others, about eighty bytes.
    sketch: how codes are summed for a search that reads few of them; in a large index that is searched each support then takes
    its sums beside its code.
    """

    def __init__(
        self, dim: int, threads: int = 1, numbered: bool = False, revision: int = 0, sketch: Sketch | None = None
    ) -> None:
        self.dim = dim
        self._numbered = numbered
        self._sketch = sketch
        self._revision, self._thinned = revision, 0
        self._lock = ForkLock()
        self._scanner = Scanner(threads) if sketch is None else SketchScanner(sketch, threads)
        self._clear()

    def _clear(self) -> None:
        self._snapshot: Snapshot
        self._storage: list[Segment] = []  # of each segment, all that it can hold
        self._names: list[str] = []  # of each class number
        self._by_label: dict[str, int] | None = None  # made when it is first needed; until then all classes are alive
        self._counts = array("i")
        self._rows = ClassRows()
        self._prototypes = Prototypes(self._rows)
        self._alive, self._classes = 0, 0
        self._publish([])

    @property
    def snapshot(self) -> Snapshot:
        """The current state; it never changes once taken."""
        return self._snapshot

    def labels(self) -> list[str]:
        """Labels with at least one support, in the order of their first enrollment."""
        with self._lock:
            return [self._names[number] for number in self._living_classes()]

    def counts(self) -> dict[str, int]:
        """How many supports each label has, in the order of `labels`."""
        with self._lock:
            return {self._names[number]: self._counts[number] for number in self._living_classes()}

    def first_numbers(self) -> list[tuple[int, str]]:
        """`labels`, each with the number of its first support, in an index that keeps numbers."""
        with self._lock:
            names = [self._names[number] for number in self._living_classes()]
            return [(self._snapshot.number_of(next(self._rows_of(name))), name) for name in names]

    def count(self, label: str) -> int:
        """How many supports a label has, 0 when it is unknown."""
        with self._lock:
            number = self._numbers.get(label)
            return 0 if number is None else self._counts[number]

    def codes(self, label: str) -> NDArray[np.uint8]:
        """The codes uint8 (n, D) of a label's supports, in the order of their enrollment; n is 0 when it is unknown."""
        with self._lock:
            found = np.empty((self.count(label), self.dim), np.uint8)
            for place, row in enumerate(self._rows_of(label)):
                owner, local = self._locate(row)
                found[place] = self._snapshot.segments[owner].codes[local]
            return found

    def add(self, labels: list[str], codes: NDArray[np.uint8], numbers: NDArray[np.int64] | None = None) -> None:
        """Append supports; codes uint8 (n, D), numbers int64 (n,) where the index keeps them. All appear to readers at once."""
        self.add_blocks([(labels, codes, numbers)])

    def add_blocks(self, blocks: Iterable[tuple[list[str], NDArray[np.uint8], NDArray[np.int64] | None]]) -> None:
        """`add` of many blocks at once: none, where the iterable raises an error."""
        with self._lock:
            segments = list(self._snapshot.segments)
            labels: list[str] = []
            one: dict[str, str] = {}  # of equal labels that were read one by one, the first is kept
            try:
                for names, codes, numbers in blocks:
                    self._fill(segments, codes, numbers)
                    labels += names if _all_differ(names) else map(one.setdefault, names, names)
            except BaseException:
                del self._storage[len(self._snapshot.segments) :]
                raise
            if labels:
                self._number(labels)
                self._alive += len(labels)
                self._revision += 1
                self._publish(segments)

    def remove(self, label: str) -> int:
        """Hide every support of a label; returns how many there were."""
        with self._lock:
            rows = list(self._rows_of(label))
            if rows:
                self._hide(label, rows)
            return len(rows)

    def remove_support(self, label: str, place: int) -> bool:
        """Hide one support of a label, by its place among them from 0; whether there was one."""
        with self._lock:
            rows = list(self._rows_of(label))
            if not 0 <= place < len(rows):
                return False
            self._thinned += len(rows) > 1
            self._hide(label, rows[place : place + 1])
            return True

    def _hide(self, label: str, rows: list[int]) -> None:
        by_segment: dict[int, list[int]] = {}
        for row in rows:
            owner, local = self._locate(row)
            by_segment.setdefault(owner, []).append(local)
        segments = list(self._snapshot.segments)
        for owner, local_rows in by_segment.items():
            old = segments[owner]
            alive = np.ones(len(old.codes), bool) if old.alive is None else old.alive.copy()
            alive[local_rows] = False
            segments[owner] = replace(old, alive=alive)
        number = self._numbers[label]
        self._counts[number] -= len(rows)
        if not self._counts[number]:
            del self._numbers[label]  # when it comes back it is enrolled anew, so it takes a new place in the order
            self._classes -= 1
        self._alive -= len(rows)
        self._revision += 1
        self._publish(segments)
        if len(self._rows) - self._alive > max(_WASTE, self._alive):
            self._pack()

    @property
    def _numbers(self) -> dict[str, int]:
        """The class number of each label that has supports. A gallery that is only searched does without."""
        if self._by_label is None:
            self._by_label = dict(zip(self._names, range(len(self._names)), strict=True))
        return self._by_label

    def _living_classes(self) -> list[int]:
        """The numbers of classes with supports, in the order of the first that they have left."""
        numbers = [number for number, count in enumerate(self._counts) if count]
        if self._thinned:
            numbers.sort(key=lambda number: next(self._rows_of(self._names[number])))
        return numbers

    def _rows_of(self, label: str) -> Iterator[int]:
        number = self._numbers.get(label)
        if number is not None:
            rows = self._rows.of(number, len(self._rows))
            yield from (row for row in rows if self._is_alive(row)) if self._thinned else rows

    def _is_alive(self, row: int) -> bool:
        owner, local = self._locate(row)
        alive = self._snapshot.segments[owner].alive
        return alive is None or bool(alive[local])

    def _locate(self, row: int) -> tuple[int, int]:
        """The segment that holds a row, and the row's place in it."""
        for owner, segment in enumerate(self._snapshot.segments):
            if row < len(segment.codes):
                return owner, row
            row -= len(segment.codes)
        raise IndexError(row)

    def _number(self, labels: list[str]) -> None:
        """Give the rows that were just filled their classes."""
        before = len(self._rows)
        classes = self._chain(labels)
        start = 0
        for room in self._storage:
            stop = start + len(room.classes)
            if stop > before:
                part = classes[max(0, start - before) : stop - before]
                first = max(0, before - start)
                room.classes[first : first + len(part)] = part
            start = stop

    def _chain(self, labels: list[str]) -> NDArray[np.int32]:
        """Number the labels and chain the new rows to those of their classes."""
        start, count = len(self._names), len(labels)
        if not start and _all_differ(labels):  # as when a gallery is opened
            self._by_label = None
            names, found = labels, np.arange(count, dtype=np.int32)
        else:
            # One look at each label: a new one gets the number that it has if all of these are new.
            found = np.fromiter(map(self._numbers.setdefault, labels, range(start, start + count)), np.int32, count)
            first = found == np.arange(start, start + count)
            names = list(compress(labels, first.tolist()))
            if len(names) < count:
                self._numbers.update(zip(names, range(start, start + len(names)), strict=True))
                new = found >= start
                found[new] = (start - 1 + np.cumsum(first))[found[new] - start]
        self._names.extend(names)
        self._counts.frombytes(bytes(4 * len(names)))
        np.add.at(np.frombuffer(self._counts, np.int32), found, 1)
        self._classes += len(names)
        self._rows.extend(found)
        return found

    def _pack(self) -> None:
        """Copy the living rows to new segments, in order; rare enough to cost each removal O(1) on average."""
        old = self._snapshot
        kept = [(segment, slice(None) if segment.alive is None else segment.alive) for segment in old.segments]
        codes = np.concatenate([segment.codes[rows] for segment, rows in kept])
        classes = np.concatenate([segment.classes[rows] for segment, rows in kept])
        numbers = np.concatenate([segment.numbers[rows] for segment, rows in kept]) if self._numbered else None
        # Readers go on with the old snapshot, labels included, until the new one replaces it in one assignment.
        self._clear()
        self._snapshot = old
        segments: list[Segment] = []
        self._fill(segments, codes, numbers)
        self._number([old.labels[number] for number in classes.tolist()])
        self._alive = len(codes)
        self._publish(segments)

    def _fill(self, segments: list[Segment], codes: NDArray[np.uint8], numbers: NDArray[np.int64] | None) -> None:
        """Write rows into the open segment, opening a larger one whenever it is full."""
        done = 0
        while done < len(codes):
            used = len(segments[-1].codes) if segments else 0
            if not segments or used == len(self._storage[-1].codes):
                capacity = _FIRST_SEGMENT if not segments else min(2 * used, _LAST_SEGMENT)
                self._storage.append(self._room(max(capacity, min(len(codes) - done, _LAST_SEGMENT))))
                segments.append(_up_to(self._storage[-1], 0, None))
                used = 0
            room = self._storage[-1]
            taken = min(len(codes) - done, len(room.codes) - used)
            place, rows = slice(used, used + taken), slice(done, done + taken)
            room.codes[place] = codes[rows]
            if numbers is not None:
                room.numbers[place] = numbers[rows]
            alive = segments[-1].alive
            if alive is not None:
                alive = np.concatenate((alive, np.ones(taken, bool)))
            segments[-1] = _up_to(room, used + taken, alive)
            done += taken

    def _room(self, capacity: int) -> Segment:
        """A segment to be filled."""
        codes = np.empty((capacity, self.dim), np.uint8)
        return Segment(
            codes,
            None,
            np.empty(capacity, np.int32),
            np.empty(capacity if self._numbered else 0, np.int64),
            sums=None if self._sketch is None else Sums(codes, self._sketch),
        )

    def _publish(self, segments: list[Segment]) -> None:
        rows = sum(len(segment.codes) for segment in segments)
        self._snapshot = Snapshot(
            tuple(segments),
            self._names,
            self._alive,
            self._classes,
            self._scanner,
            self._prototypes,
            rows,
            self._revision,
            self._thinned,
        )


def _up_to(room: Segment, rows: int, alive: NDArray[np.bool_] | None) -> Segment:
    """The first rows of a segment."""
    return Segment(room.codes[:rows], alive, room.classes[:rows], room.numbers[:rows], sums=room.sums)


def _all_differ(labels: list[str]) -> bool:
    """Whether no label is there twice, as far as their hashes tell."""
    hashes = np.fromiter(map(hash, labels), np.int64, len(labels))
    hashes.sort()
    return bool((hashes[1:] != hashes[:-1]).all())

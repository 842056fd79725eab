"""The search matrix: codes in append-only segments, read through immutable snapshots.

Writers never move or change a row that a snapshot shows: new rows go behind it, removals replace a segment's mask. A reader
keeps the snapshot it started with, so matches run beside enrolments and see the old or the new gallery, never half of one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.search import distances

__all__ = ["CodeIndex", "Neighbour", "Snapshot"]

_Number = TypeVar("_Number", np.int32, np.int64)

_FIRST_SEGMENT = 1024
_LAST_SEGMENT = 1 << 17
_WASTE = 1024
"""Removed rows that are kept at least: beyond it, and beyond the living ones, the index is packed."""

_SCANS = 3
"""Scans for each class wanted, before a partial sort takes over."""

_REMOVED = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Neighbour:
    """A class near a query: its label and the smallest distance (SAD) of its supports."""

    label: str
    distance: int


@dataclass(frozen=True)
class _Segment:
    """codes: uint8 (n, D) of n supports. classes: int64 (n,). alive: bool (n,), None when nothing was removed."""

    codes: NDArray[np.uint8]
    classes: NDArray[np.int64]
    alive: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Snapshot:
    """What a reader sees: segments, the label of each class number, and how many supports and classes are alive."""

    segments: tuple[_Segment, ...]
    labels: list[str]
    supports: int
    classes: int

    def nearest(self, query: NDArray[np.uint8], count: int) -> list[Neighbour]:
        """The `count` classes nearest to the code uint8 (D,), nearest first; ties go to the support enrolled first."""
        if not self.supports:
            return []
        found = _joined([_distances(segment, query) for segment in self.segments])
        numbers = _joined([segment.classes for segment in self.segments])
        wanted = min(count, self.classes)
        best: dict[int, int] = {}
        # A scan for the minimum is so much faster than a partial sort that a few of them win, unless one class holds many
        # of the nearest supports.
        for _ in range(_SCANS * wanted):
            row = int(found.argmin())
            best.setdefault(int(numbers[row]), int(found[row]))
            found[row] = _REMOVED
            if len(best) == wanted:
                return self._neighbours(best)
        rows = min(8 * wanted, len(found))
        while True:
            for row in _smallest(found, rows).tolist():
                best.setdefault(int(numbers[row]), int(found[row]))
                if len(best) == wanted:
                    return self._neighbours(best)
            rows = min(rows * 8, len(found))

    def _neighbours(self, best: dict[int, int]) -> list[Neighbour]:
        return [Neighbour(self.labels[number], distance) for number, distance in best.items()]


class CodeIndex:
    """Grows and shrinks by whole batches; `snapshot` is what readers use."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._lock = threading.Lock()
        self._storage: list[tuple[NDArray[np.uint8], NDArray[np.int64]]] = []
        self._numbers: dict[str, int] = {}
        self._rows: dict[int, list[int]] = {}
        self._alive = 0
        self._snapshot = Snapshot((), [], 0, 0)

    @property
    def snapshot(self) -> Snapshot:
        """The current state; it never changes once taken."""
        return self._snapshot

    def labels(self) -> list[str]:
        """Labels with at least one support, in the order of their first enrolment."""
        return [label for label, number in list(self._numbers.items()) if self._rows.get(number)]

    def count(self, label: str) -> int:
        """How many supports a label has, 0 when it is unknown."""
        return len(self._rows.get(self._numbers.get(label, -1), ()))

    def codes(self, label: str) -> NDArray[np.uint8]:
        """The codes uint8 (n, D) of a label's supports, in the order of their enrolment; n is 0 when it is unknown."""
        with self._lock:
            segments = self._snapshot.segments
            starts = np.cumsum([0] + [len(segment.codes) for segment in segments])
            found = np.empty((self.count(label), self.dim), np.uint8)
            for place, row in enumerate(self._rows.get(self._numbers.get(label, -1), ())):
                owner = int(np.searchsorted(starts, row, side="right")) - 1
                found[place] = segments[owner].codes[row - int(starts[owner])]
            return found

    def add(self, labels: list[str], codes: NDArray[np.uint8]) -> None:
        """Append supports; codes uint8 (n, D). They appear to readers all at once."""
        with self._lock:
            self._append(labels, codes, list(self._snapshot.segments), self._snapshot.labels)

    def _append(self, labels: list[str], codes: NDArray[np.uint8], segments: list[_Segment], names: list[str]) -> None:
        numbers = np.array([self._number(label, names) for label in labels], np.int64)
        first = sum(len(segment.codes) for segment in segments)
        done = 0
        while done < len(codes):
            done += self._fill(segments, codes[done:], numbers[done:])
        for offset, number in enumerate(numbers.tolist()):
            self._rows.setdefault(number, []).append(first + offset)
        self._alive += len(labels)
        self._publish(segments, names)

    def remove(self, label: str) -> int:
        """Hide every support of a label; returns how many there were."""
        with self._lock:
            rows = self._rows.pop(self._numbers.get(label, -1), [])
            segments = list(self._snapshot.segments)
            starts = np.cumsum([0] + [len(segment.codes) for segment in segments])
            by_segment: dict[int, list[int]] = {}
            for row in rows:
                owner = int(np.searchsorted(starts, row, side="right")) - 1
                by_segment.setdefault(owner, []).append(row - int(starts[owner]))
            for owner, local in by_segment.items():
                old = segments[owner]
                alive = np.ones(len(old.codes), bool) if old.alive is None else old.alive.copy()
                alive[local] = False
                segments[owner] = _Segment(old.codes, old.classes, alive)
            self._alive -= len(rows)
            if rows:
                self._publish(segments)
                if int(starts[-1]) - self._snapshot.supports > max(_WASTE, self._snapshot.supports):
                    self._pack()
            return len(rows)

    def _pack(self) -> None:
        """Copy the living rows to new segments, in order; rare enough to cost each removal O(1) on average."""
        old = self._snapshot
        kept = [slice(None) if s.alive is None else s.alive for s in old.segments]
        codes = np.concatenate([segment.codes[rows] for segment, rows in zip(old.segments, kept, strict=True)])
        numbers = np.concatenate([segment.classes[rows] for segment, rows in zip(old.segments, kept, strict=True)])
        self._storage, self._numbers, self._rows, self._alive = [], {}, {}, 0
        # Readers go on with the old snapshot, labels included, until the new one replaces it in one assignment.
        self._append([old.labels[number] for number in numbers.tolist()], codes, [], [])

    def _number(self, label: str, names: list[str]) -> int:
        number = self._numbers.get(label)
        if number is None or number not in self._rows:
            # A label that comes back after its removal is enrolled anew, so it takes a new place in the order.
            self._numbers.pop(label, None)
            number = len(names)
            names.append(label)
            self._numbers[label] = number
            self._rows[number] = []
        return number

    def _fill(self, segments: list[_Segment], codes: NDArray[np.uint8], numbers: NDArray[np.int64]) -> int:
        """Write as many rows as the open segment holds, opening a larger one when it is full."""
        used = len(segments[-1].codes) if segments else 0
        if not segments or used == len(self._storage[-1][0]):
            capacity = _FIRST_SEGMENT if not segments else min(2 * used, _LAST_SEGMENT)
            capacity = max(capacity, min(len(codes), _LAST_SEGMENT))
            self._storage.append((np.empty((capacity, self.dim), np.uint8), np.empty(capacity, np.int64)))
            segments.append(_Segment(self._storage[-1][0][:0], self._storage[-1][1][:0], None))
            used = 0
        matrix, classes = self._storage[-1]
        taken = min(len(codes), len(matrix) - used)
        matrix[used : used + taken] = codes[:taken]
        classes[used : used + taken] = numbers[:taken]
        alive = segments[-1].alive
        if alive is not None:
            alive = np.concatenate((alive, np.ones(taken, bool)))
        segments[-1] = _Segment(matrix[: used + taken], classes[: used + taken], alive)
        return taken

    def _publish(self, segments: Iterable[_Segment], names: list[str] | None = None) -> None:
        labels = self._snapshot.labels if names is None else names
        self._snapshot = Snapshot(tuple(segments), labels, self._alive, len(self._rows))


def _joined(parts: list[NDArray[_Number]]) -> NDArray[_Number]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _distances(segment: _Segment, query: NDArray[np.uint8]) -> NDArray[np.int32]:
    found = distances(segment.codes, query)
    if segment.alive is not None:
        found[~segment.alive] = _REMOVED
    return found


def _smallest(values: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Indices of the `count` smallest values and of all that tie with the last of them, in order, ties by position."""
    if count < len(values):
        limit = np.partition(values, count - 1)[count - 1]
        positions = np.flatnonzero(values <= limit)
    else:
        positions = np.flatnonzero(values < _REMOVED)
    return positions[np.argsort(values[positions], kind="stable")]

"""One state of a gallery's codes as a reader sees it; it never changes, whatever writers do meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.codes import sum_absolute_differences
from oneshot_runtime.search.prototypes import Prototypes
from oneshot_runtime.search.scan import Rows, Scanner
from oneshot_runtime.search.sketch_scan import SketchScanner

__all__ = ["LEAST_SHARE", "Neighbour", "Segment", "Snapshot"]

_MOST_ROWS = 256
"""Rows that a search asks for at first, at most."""

LEAST_SHARE = 0.75
"""Of the distance to a class's nearest support: its class distance is never less."""


@dataclass(frozen=True)
class Neighbour:
    """A class near a query: its label, the smallest distance (SAD) of its supports, and that of its prototype.

    The prototype is the mean of the supports' codes, halves rounded up; with one support it is that one.
    """

    label: str
    distance: int
    prototype: int

    @property
    def class_distance(self) -> float:
        """By which classes are ranked: the mean of both, in validation better than either alone.

        A prototype counts as no nearer than half as far as the nearest support, as those of real drawings are (0.63 at least,
        of 25,000): so classes whose supports are far need not be looked at.
        """
        return (self.distance + max(self.prototype, self.distance / 2)) / 2


@dataclass(frozen=True)
class Segment(Rows):
    """Rows with the class number of each: classes int32 (n,), and numbers int64 (n,) where the index keeps them, else (0,)."""

    classes: NDArray[np.int32]
    numbers: NDArray[np.int64]


@dataclass(frozen=True)
class Snapshot:
    """What a reader sees: segments, the label of each class number, and how many supports and classes are alive.

    rows: how many the segments hold, removed ones included. revision: grows with every change. thinned: how often a class
    has lost one of its supports.
    """

    segments: tuple[Segment, ...]
    labels: list[str]
    supports: int
    classes: int
    scanner: Scanner | SketchScanner
    prototypes: Prototypes
    rows: int
    revision: int
    thinned: int

    def __repr__(self) -> str:
        return f"Snapshot(supports={self.supports}, classes={self.classes}, revision={self.revision})"

    def prepare(self) -> None:
        """Do now what searches in a large gallery would otherwise have done beside them: see `SketchScanner.prepare`."""
        if isinstance(self.scanner, SketchScanner):
            self.scanner.prepare(self.segments)

    def nearest(self, query: NDArray[np.uint8], count: int) -> list[Neighbour]:
        """The `count` classes nearest to the code uint8 (D,), nearest first; ties go to the support enrolled first."""
        return [neighbour for neighbour, _ in self.nearest_rows(query, count)]

    def nearest_rows(self, query: NDArray[np.uint8], count: int) -> list[tuple[Neighbour, int]]:
        """`nearest`, each class with the row that is its nearest support."""
        wanted = min(count, self.classes)
        if not wanted:
            return []
        # Enough for one class's supports to be among the nearest twice over; if they crowd out the others, ask for more.
        rows = wanted if self.supports == self.classes else min(_MOST_ROWS, 2 * wanted * -(-self.supports // self.classes))
        while True:
            found, numbers = self.scanner.nearest(self.segments, query, max(rows, wanted))
            best: dict[int, tuple[int, int]] = {}
            for distance, row in zip(found.tolist(), numbers.tolist(), strict=True):
                best.setdefault(self._class_of(row), (distance, row))
                if len(best) == wanted:
                    return self._neighbours(best, query)
            rows *= 8

    def number_of(self, row: int) -> int:
        """The number that a row was added with, in an index that keeps numbers."""
        for segment in self.segments:
            if row < len(segment.codes):
                return int(segment.numbers[row])
            row -= len(segment.codes)
        raise IndexError(row)

    def living(self) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """Label and code uint8 (D,) of each support, in the order of enrollment."""
        for segment in self.segments:
            for row in range(len(segment.codes)) if segment.alive is None else np.flatnonzero(segment.alive).tolist():
                yield self.labels[segment.classes[row]], segment.codes[row]

    def _neighbours(self, best: dict[int, tuple[int, int]], query: NDArray[np.uint8]) -> list[tuple[Neighbour, int]]:
        """Classes with the distance and the row of the nearest support of each, with the distances of their prototypes too."""
        prototypes = {number: distance for number, (distance, _) in best.items()}
        if self.supports != self.classes:
            means = {number: self.prototypes.of(number, self.rows, self.thinned, self._living) for number in best}
            several = {number: mean for number, mean in means.items() if mean is not None}
            if several:
                distances = sum_absolute_differences(np.stack(list(several.values())), query).tolist()
                prototypes |= dict(zip(several, distances, strict=True))
        return [(Neighbour(self.labels[n], distance, prototypes[n]), row) for n, (distance, row) in best.items()]

    def _living(self, row: int) -> NDArray[np.uint8] | None:
        """The code of a row, None when it was removed."""
        for segment in self.segments:
            if row < len(segment.codes):
                return None if segment.alive is not None and not segment.alive[row] else np.asarray(segment.codes[row])
            row -= len(segment.codes)
        raise IndexError(row)

    def _class_of(self, row: int) -> int:
        for segment in self.segments:
            if row < len(segment.classes):
                return int(segment.classes[row])
            row -= len(segment.classes)
        raise IndexError(row)

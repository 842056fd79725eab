"""The supports of each class: which rows they are, and their prototype, the mean of their codes (Snell et al. 2017)."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClassRows", "Prototypes", "rounded_mean"]

_END = -1
_MOST_KEPT = 1024


class ClassRows:
    """The rows of each class number, chained in the order of their enrollment.

    Rows and classes are only ever added, so a reader who looks no further than the rows it knows sees what it saw before.
    """

    def __init__(self) -> None:
        self._first, self._last = array("i"), array("i")
        self._next = array("i")

    def __len__(self) -> int:
        return len(self._next)

    def extend(self, numbers: NDArray[np.int32]) -> None:
        """The next rows belong to classes `numbers`; new classes are numbered in the order of their first rows."""
        if not len(numbers):
            return
        start, known = len(self._next), len(self._first)
        order = np.argsort(numbers, kind="stable").astype(np.int32)
        ordered = numbers[order]
        same = ordered[1:] == ordered[:-1]
        following = np.full(len(numbers), _END, np.int32)
        following[order[:-1][same]] = start + order[1:][same]
        self._next.frombytes(following.tobytes())
        begins, ends = np.concatenate(([True], ~same)), np.concatenate((~same, [True]))
        classes, firsts, lasts = ordered[begins], start + order[begins], start + order[ends]
        old = classes < known
        if old.any():
            self._link(classes[old], firsts[old], lasts[old])
        self._first.frombytes(firsts[~old].tobytes())
        self._last.frombytes(lasts[~old].tobytes())

    def _link(self, classes: NDArray[np.int32], firsts: NDArray[np.int32], lasts: NDArray[np.int32]) -> None:
        """Put more rows behind those of classes that have some; from the first to the last they are chained already."""
        last = np.frombuffer(self._last, np.int32)
        np.frombuffer(self._next, np.int32)[last[classes]] = firsts
        last[classes] = lasts

    def first(self, number: int) -> int:
        """The row that a class began with."""
        return self._first[number]

    def after(self, row: int, end: int) -> Iterator[int]:
        """The rows behind `row` in its class, below `end`."""
        row = self._next[row]
        while row != _END and row < end:
            yield row
            row = self._next[row]

    def of(self, number: int, end: int) -> Iterator[int]:
        """The rows of a class, below `end`."""
        row = self._first[number]
        if row < end:
            yield row
            yield from self.after(row, end)


@dataclass(frozen=True)
class _Sum:
    """Of the `count` living rows of a class up to `last`: their sum int64 (D,) and rounded mean uint8 (D,).

    thinned: as `Prototypes.of` was told when it began.
    """

    count: int
    last: int
    total: NDArray[np.int64]
    mean: NDArray[np.uint8]
    thinned: int


class Prototypes:
    """The mean codes of classes that were asked for, kept and brought up to date by the rows that are new since."""

    def __init__(self, rows: ClassRows) -> None:
        self._rows = rows
        self._kept: dict[int, _Sum] = {}

    def of(
        self, number: int, end: int, thinned: int, code_of: Callable[[int], NDArray[np.uint8] | None]
    ) -> NDArray[np.uint8] | None:
        """The mean uint8 (D,), halves rounded up, of a class's living codes below row `end`; None where it has only one.

        thinned: how often a class has lost one of its supports in this state; sums from another one are made again. code_of:
        gives the code uint8 (D,) of a row, None for one that was removed.
        """
        first = self._rows.first(number)
        if next(self._rows.after(first, end), None) is None:
            return None
        kept = self._kept.get(number)
        if kept is not None and (kept.last >= end or kept.thinned != thinned):  # the former for a reader of an older state
            kept = None
        rows = self._rows.of(number, end) if kept is None else self._rows.after(kept.last, end)
        fresh = [(row, code) for row in rows if (code := code_of(row)) is not None]
        if fresh:
            total: NDArray[np.int64] = np.asarray(np.sum([code for _, code in fresh], axis=0, dtype=np.int64))
            count = len(fresh)
            if kept is not None:
                total, count = total + kept.total, count + kept.count
            kept = _Sum(count, fresh[-1][0], total, rounded_mean(total, count), thinned)
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[number] = kept
        return kept.mean if kept is not None and kept.count > 1 else None


def rounded_mean(total: NDArray[np.int64], count: int) -> NDArray[np.uint8]:
    """The mean uint8 (D,) of `count` codes from their sum int64 (D,), halves rounded up."""
    return np.asarray((2 * total + count) // (2 * count)).astype(np.uint8)

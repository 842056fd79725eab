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

    def add(self, number: int) -> None:
        """The next row belongs to class `number`; the first number that is new is that of the next class."""
        row = len(self._next)
        if number == len(self._first):
            self._first.append(row)
            self._last.append(row)
        else:
            self._next[self._last[number]] = row
            self._last[number] = row
        self._next.append(_END)

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
    """Of the first `count` rows of a class up to `last`: their sum int64 (D,) and rounded mean uint8 (D,)."""

    count: int
    last: int
    total: NDArray[np.int64]
    mean: NDArray[np.uint8]


class Prototypes:
    """The mean codes of classes that were asked for, kept and brought up to date by the rows that are new since."""

    def __init__(self, rows: ClassRows) -> None:
        self._rows = rows
        self._kept: dict[int, _Sum] = {}

    def of(self, number: int, end: int, code_of: Callable[[int], NDArray[np.uint8]]) -> NDArray[np.uint8] | None:
        """The mean uint8 (D,), halves rounded up, of a class's codes below row `end`; None for a class of a single support.

        code_of: gives the code uint8 (D,) of a row.
        """
        first = self._rows.first(number)
        if next(self._rows.after(first, end), None) is None:
            return None
        kept = self._kept.get(number)
        if kept is None or kept.last >= end:  # the latter for a reader of an older state
            code = code_of(first)
            kept = _Sum(1, first, code.astype(np.int64), code)
        count, last, total = kept.count, kept.last, kept.total
        for row in self._rows.after(last, end):
            total = total + code_of(row)
            count, last = count + 1, row
        if count != kept.count:
            kept = _Sum(count, last, total, rounded_mean(total, count))
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[number] = kept
        return kept.mean


def rounded_mean(total: NDArray[np.int64], count: int) -> NDArray[np.uint8]:
    """The mean uint8 (D,) of `count` codes from their sum int64 (D,), halves rounded up."""
    return np.asarray((2 * total + count) // (2 * count)).astype(np.uint8)

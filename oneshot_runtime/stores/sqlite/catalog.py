"""Which supports a label has, and in which blocks they are: known in memory, so that the file needs no index."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Catalog"]

_FIRST_CAPACITY = 256


class Catalog:
    """The numbers of all supports with a hash of each one's label, sixteen bytes a support, and where the blocks begin.

    Two labels may share a hash, so whoever asks compares the label itself in the block.
    """

    def __init__(self) -> None:
        self._numbers = np.empty(_FIRST_CAPACITY, np.int64)
        self._hashes = np.empty(_FIRST_CAPACITY, np.int64)
        self._used = 0
        self._starts: list[int] = []

    def __len__(self) -> int:
        return self._used

    def add_blocks(self, starts: Sequence[int], numbers: NDArray[np.int64], labels: Sequence[str]) -> None:
        """Blocks that begin with the numbers `starts`; the first may be the last one there, to whose end more has come."""
        last = self._numbers[self._used - 1] if self._used else -1
        fresh = int(np.searchsorted(numbers, last, "right"))
        known = self._starts[-1] if self._starts else -1
        self._starts.extend(starts[bisect_right(starts, known) :])
        used = self._used + len(numbers) - fresh
        if used > len(self._numbers):
            for name in ("_numbers", "_hashes"):
                grown = np.empty(max(used, 2 * len(self._numbers)), np.int64)
                grown[: self._used] = getattr(self, name)[: self._used]
                setattr(self, name, grown)
        self._numbers[self._used : used] = numbers[fresh:]
        self._hashes[self._used : used] = np.fromiter(map(hash, labels[fresh:]), np.int64, len(numbers) - fresh)
        self._used = used

    def remove(self, numbers: Collection[int], emptied: Sequence[int] = ()) -> None:
        """Supports that are gone, and the starts of blocks that have none any more."""
        places = np.searchsorted(self._numbers[: self._used], np.array(sorted(numbers), np.int64))
        for name in ("_numbers", "_hashes"):
            column = getattr(self, name)
            column[: self._used - len(places)] = np.delete(column[: self._used], places)
        self._used -= len(places)
        for start in emptied:
            self._starts.remove(start)

    def numbers_of(self, label: str) -> NDArray[np.int64]:
        """The numbers of supports that may be of a label, growing."""
        numbers: NDArray[np.int64] = self._numbers[: self._used][self._hashes[: self._used] == hash(label)]
        return numbers

    def blocks_of(self, numbers: Iterable[int]) -> list[int]:
        """The starts of the blocks that supports are in, growing."""
        return sorted({self._starts[bisect_right(self._starts, number) - 1] for number in numbers})

"""The numbers of labels, in a few bytes each: a million classes are then a matter of their codes, not of dictionaries."""

from __future__ import annotations

from array import array

__all__ = ["LabelNumbers"]

_FREE = -1
_FIRST_SLOTS = 64


class LabelNumbers:
    """Label -> number, numbered 0, 1, 2, ... as they come; a label may be given a new number.

    A hash table of four-byte numbers over the list of labels (open addressing, linear probing, at most half full): about
    twenty bytes a label with the list, where a dictionary of Python integers takes eighty.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._slots = array("i", [_FREE]) * _FIRST_SLOTS
        self._used = 0

    def __len__(self) -> int:
        return len(self.names)

    def get(self, label: str) -> int | None:
        """The label's latest number, None when it has none."""
        number = self._slots[self._slot(label)]
        return None if number == _FREE else number

    def renew(self, label: str) -> int:
        """Give the label the next number, whether it has one or not."""
        slot = self._slot(label)
        number = len(self.names)
        self.names.append(label)
        if self._slots[slot] == _FREE:
            self._used += 1
        self._slots[slot] = number
        if 2 * self._used > len(self._slots):
            self._grow()
        return number

    def _slot(self, label: str) -> int:
        """Where the label's number is or belongs."""
        slots, names = self._slots, self.names
        mask = len(slots) - 1
        slot = hash(label) & mask
        while (number := slots[slot]) != _FREE and names[number] != label:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("i", [_FREE]) * (2 * len(old))
        for number in old:
            if number != _FREE:
                self._slots[self._slot(self.names[number])] = number

"""Who reads the store is told everything that is new, once and in order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from oneshot_runtime.conformance.contract_base import ContractBase, following, raised
from oneshot_runtime.errors import OneShotError
from oneshot_runtime.stores.base import Changes, Position

__all__ = ["FollowingContract"]


class FollowingContract(ContractBase):
    """Who reads the store is told everything that is new, once and in order."""

    def test_two_openings_see_each_other(self) -> None:
        """What a write returned from is in the next answer of every opening."""
        one, two = self.gallery(), self.gallery()
        rng = np.random.default_rng(3)
        for number in range(30):
            writer, reader = (one, two) if number % 2 else (two, one)
            label = f"s{rng.integers(6)}"
            if number % 5 == 4 and writer.count(label):
                writer.remove(label)
            else:
                writer.extend([label] * 2, self._embeddings(2, number))
            assert reader.labels == writer.labels
            assert [reader.count(name) for name in reader.labels] == [writer.count(name) for name in writer.labels]

    def test_sync_hands_over_what_is_new(self) -> None:
        """Everything at first, then increments, nothing when nothing is new, and all again after an error."""
        store, writer = self.store(), self.store()
        if store.engine is not None:
            return
        held, seen, apply = following()
        store.sync(apply)
        assert seen == [(True, 0, 0)]
        writer.add(iter([self._block(["a", "b", "a"])]))
        store.sync(apply)
        assert held == {"a": 2, "b": 1}
        seen.clear()
        store.sync(apply)
        assert seen == []
        writer.add(iter([self._block(["c"])]))
        writer.remove("b")
        store.sync(apply)
        assert held == {"a": 2, "c": 1}
        assert seen == [(False, 1, 1)]

    def test_sync_says_which_state_it_leads_to(self) -> None:
        """One identity, a revision that every write raises, and how many supports there then are; nothing need be read."""
        first, second = self.store(), self.store()
        if first.engine is not None:
            return
        found: list[Position] = []

        def note(changes: Changes) -> int:
            found.append(changes.position)
            return changes.position.supports

        first.sync(note)
        first.add(iter([self._block(["a", "b", "a"])]))
        first.sync(note)
        first.rename("a", "c")
        first.sync(note)
        first.remove("b")
        first.sync(note)
        second.sync(note)
        assert [position.supports for position in found] == [0, 3, 3, 2, 2]
        assert found[3] == found[4]
        assert len({position.identity for position in found}) == 1
        revisions = [position.revision for position in found[:4]]
        assert revisions == sorted(set(revisions))

    def test_numbers_order_the_supports_alike_for_every_reader(self) -> None:
        """Whether a reader followed step by step or reads anew; what was renamed comes last."""
        first, second = self.store(), self.store()
        if first.engine is not None:
            return
        followed: dict[str, list[int]] = {}
        for step in range(3):
            first.add(iter([self._block([f"s{step}", "a", "a"])]))
            first.sync(_numbers_into(followed))
        first.rename("s0", "z")
        first.remove("s1")
        first.sync(_numbers_into(followed))
        read: dict[str, list[int]] = {}
        second.sync(_numbers_into(read))
        assert read == followed
        assert max(read, key=lambda label: read[label]) == "z"

    def test_sync_says_which_support_is_gone(self) -> None:
        """By its place among those that the reader has, however much happened since, and without reading anew."""
        store, writer, late = self.store(), self.store(), self.store()
        if store.engine is not None:
            return
        followed: dict[str, list[int]] = {}
        writer.add(iter([self._block(["a", "b", "a", "a", "a", "c"])]))
        store.sync(_numbers_into(followed))
        numbers = list(followed["a"])
        writer.remove_support("a", 3)
        writer.remove_support("a", 0)
        writer.add(iter([self._block(["a", "c"])]))
        writer.remove_support("a", 0)
        writer.remove_support("a", 1)  # enrolled after the reader had looked
        writer.remove_support("b", 0)
        writer.add(iter([self._block(["b"])]))
        writer.remove_support("c", 0)
        seen: list[bool] = []
        store.sync(_numbers_into(followed, seen))
        assert seen == [False]
        assert followed["a"] == numbers[2:3]
        read: dict[str, list[int]] = {}
        late.sync(_numbers_into(read))
        assert read == followed

    def test_sync_starts_anew_after_an_error(self) -> None:
        """An `apply` that raised, or ended with another number of supports, may have half of a change."""
        store, writer = self.store(), self.store()
        if store.engine is not None:
            return
        held, seen, apply = following()
        writer.add(iter([self._block(["a", "b"])]))
        store.sync(apply)
        writer.add(iter([self._block(["c"])]))

        def fail(_: Changes) -> int:
            raise ZeroDivisionError

        # The store may pass the error on as one of the library's family.
        with raised((ZeroDivisionError, OneShotError)):
            store.sync(fail)
        seen.clear()
        store.sync(apply)
        assert held == {"a": 1, "b": 1, "c": 1}
        assert seen == [(True, 0, 3)]
        writer.add(iter([self._block(["d"])]))
        held["stranger"] = 1
        seen.clear()
        store.sync(apply)
        assert held == {"a": 1, "b": 1, "c": 1, "d": 1}
        assert [anew for anew, _, _ in seen] == [False, True]


def _numbers_into(held: dict[str, list[int]], seen: list[bool] | None = None) -> Callable[[Changes], int]:
    """An `apply` that keeps the numbers of each label's supports, and notes whether it was all read anew."""

    def apply(changes: Changes) -> int:
        if seen is not None:
            seen.append(changes.anew)
        if changes.anew:
            held.clear()
        for removed in changes.removed:
            if removed.place is None:
                held.pop(removed.label, None)
            else:
                del held[removed.label][removed.place]
                if not held[removed.label]:
                    del held[removed.label]
        for block in changes.added:
            for label, number in zip(block.labels, block.numbers, strict=True):
                held.setdefault(label, []).append(number)
        return sum(map(len, held.values()))

    return apply

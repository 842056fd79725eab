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
        followed: dict[tuple[str, int], int] = {}

        def follow(into: dict[tuple[str, int], int]) -> Callable[[Changes], int]:
            def apply(changes: Changes) -> int:
                for key in [key for key in into if changes.anew or key[0] in changes.removed]:
                    del into[key]
                for block in changes.added:
                    for label, number in zip(block.labels, block.numbers, strict=True):
                        into[label, sum(key[0] == label for key in into)] = number
                return len(into)

            return apply

        for step in range(3):
            first.add(iter([self._block([f"s{step}", "a", "a"])]))
            first.sync(follow(followed))
        first.rename("s0", "z")
        first.remove("s1")
        first.sync(follow(followed))
        read: dict[tuple[str, int], int] = {}
        second.sync(follow(read))
        assert read == followed
        assert max(read, key=lambda key: read[key]) == ("z", 0)

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

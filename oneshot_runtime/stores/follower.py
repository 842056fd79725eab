"""Staying equal to a store that others write to: what to forget and what to add, from one state of it to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from oneshot_runtime.errors import DamageError, GalleryError
from oneshot_runtime.stores.base import Added, Changes, Position, Removed
from oneshot_runtime.stores.records import Removal, State

__all__ = ["Follower", "Snapshot", "require_complete", "require_model"]


class Snapshot(Protocol):
    """One state of a store, which stays as it is while it is read."""

    @property
    def state(self) -> State:
        """What the store must hold."""
        ...

    def removals(self, after: int) -> list[Removal]:
        """The removals behind number `after`, in their order."""
        ...

    def added(self, after: int) -> Iterator[Added]:
        """The supports behind number `after`, each verified; where that is 0 and all are read, they must be all there are."""
        ...

    def count_before(self, label: str, support: int, last: int) -> int:
        """How many supports of a label have a number below `support`, and of at most `last`."""
        ...


class Follower:
    """Brings someone who reads a store up to date with it.

    place: the store, for messages. remedy: what its users do about damage.
    """

    def __init__(self, place: str, remedy: str) -> None:
        self._place, self._remedy = place, remedy
        self.position: State | None = None

    def follow(self, snapshot: Snapshot, apply: Callable[[Changes], int]) -> None:
        """Hand what is new since the last call to `apply`, everything after an error.

        Raises `GalleryError` where the store is not what it was: set back, or replaced by another copy of itself.
        """
        state, before = snapshot.state, self.position
        if state == before:
            return
        self.position = None
        position = Position(state.identity, state.revision, state.supports)
        if before is not None and state.revision <= before.revision:
            raise GalleryError(
                f"gallery '{self._place}' went back from write {before.revision} to write {state.revision}, or took another "
                "way there: it was replaced by another copy while it was open; open it again"
            )
        if before is not None and before.last_removal >= state.forgotten:
            removed = self._removed(snapshot, before)
            if apply(Changes(False, removed, snapshot.added(before.last_support), position)) == state.supports:
                self.position = state
                return
        apply(Changes(True, [], snapshot.added(0), position))
        self.position = state

    def _removed(self, snapshot: Snapshot, before: State) -> list[Removed]:
        """What was removed of the supports that the reader has."""
        state = snapshot.state
        if state.last_removal == before.last_removal:
            return []
        listed = snapshot.removals(before.last_removal)
        if [removal.number for removal in listed] != list(range(before.last_removal + 1, state.last_removal + 1)):
            raise DamageError(f"gallery '{self._place}' is damaged, its list of removals has gaps: {self._remedy}")
        return [
            Removed(removal.label, _place(snapshot, removal, listed[index + 1 :], before.last_support))
            for index, removal in enumerate(listed)
            if removal.support is None or removal.support <= before.last_support
        ]


def _place(snapshot: Snapshot, removal: Removal, later: list[Removal], last: int) -> int | None:
    """The place of a removed support among those of its label that a reader had who knew the numbers up to `last`."""
    if removal.support is None:
        return None
    gone = [other.support for other in later if other.label == removal.label]
    if None in gone:  # all of the label went afterwards: whichever is taken out first, none is left
        return 0
    also = sum(support is not None and support < removal.support for support in gone)
    return snapshot.count_before(removal.label, removal.support, last) + also


def require_complete(place: str, found: State, expected: State, remedy: str) -> None:
    """Raise `DamageError` unless the supports found are those that were written, none missing and none twice."""
    if not found.holds_as_much_as(expected):
        raise DamageError(
            f"gallery '{place}' holds {found.supports} supports, but not the {expected.supports} that were written "
            f"(the checksum over all differs): {remedy}"
        )


def require_model(place: str, state: State, model: tuple[str, int], identity: str | None, instead: str) -> None:
    """Raise `GalleryError` for another model's gallery, or one in the place of `identity`. instead: what users can do."""
    if identity not in (None, state.identity):
        raise GalleryError(f"gallery '{place}' was replaced by another while it was open: open it again")
    if (state.fingerprint, state.dim) != model:
        fingerprint, dim = model
        raise GalleryError(
            f"gallery '{place}' was made with model {state.fingerprint} (D={state.dim}), the loaded model is {fingerprint} "
            f"(D={dim}): load the bundle it was made with, {instead}"
        )

"""Asking all shards and merging what they say, only if they are all at one state of the gallery and have all of it."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.cluster.shard import Answer
from oneshot_runtime.errors import GalleryError, OptionError
from oneshot_runtime.search.snapshot import Neighbour
from oneshot_runtime.stores.base import Changes, GalleryStore, Position, Where
from oneshot_runtime.stores.partition import shard_of

__all__ = ["ClusterEngine", "ClusterView", "Fleet", "Watch"]

_PAUSE = 0.005


class Fleet(Protocol):
    """The shards of a gallery, wherever they run."""

    @property
    def shards(self) -> int:
        """How many there are."""
        ...

    def ask(self, method: str, *arguments: Any, only: int | None = None) -> list[Answer]:
        """What every shard answers, or one of them, to a method of `Shard`. Raises `OneShotError`s only."""
        ...

    def close(self) -> None:
        """End the shards."""


class ClusterView:
    """One state of the gallery: how many supports and classes it has. A search of it is of that state or a later one."""

    def __init__(self, engine: ClusterEngine, position: Position, classes: int) -> None:
        self.position = position
        self.supports, self.classes, self.revision = position.supports, classes, position.revision
        self._engine = engine

    def nearest(self, query: NDArray[np.uint8], count: int) -> list[Neighbour]:
        """The `count` classes nearest to the code uint8 (D,), nearest first; ties go to the support enrolled first."""
        return self.nearest_batch(query[None], count)[0]

    def nearest_batch(self, queries: NDArray[np.uint8], count: int) -> list[list[Neighbour]]:
        """`nearest` for each of the codes uint8 (N, D), with one question to each shard."""
        if not self.classes or not len(queries):
            return [[] for _ in queries]
        return self._engine.search(self.position, queries, count)


class Watch:
    """Which state a store is at, without reading any of its supports."""

    def __init__(self, store: GalleryStore) -> None:
        self._store = store
        self._position: Position | None = None

    def position(self) -> Position:
        """The current state: that of the last write of any process that returned, or a later one."""
        self._store.sync(self._note)
        if self._position is None:
            raise GalleryError("the store handed over nothing, not even that it is empty")
        return self._position

    def _note(self, changes: Changes) -> int:
        self._position = changes.position
        return changes.position.supports


class ClusterEngine:
    """The search of a gallery whose codes are in the shards of `fleet`; `watch` says which state is the current one.

    seconds: for how long shards that are at different states are asked again.
    """

    def __init__(self, watch: Watch, fleet: Fleet, seconds: float) -> None:
        self._watch, self._fleet, self._seconds = watch, fleet, seconds
        self._view: ClusterView | None = None

    @property
    def snapshot(self) -> ClusterView:
        """The current state: what a write of any process that returned has made of the gallery."""
        position, view = self._watch.position(), self._view
        if view is None or view.position != position:
            answers = self._agreed("state", position)
            view = self._view = ClusterView(self, answers[0].position, sum(answer.classes for answer in answers))
        return view

    def where(self, where: Where) -> ClusterView:
        """Refused: shards keep no metadata."""
        raise OptionError(
            f"a cluster's shards keep codes without their metadata, so they cannot match with some of them ({where}): a "
            "gallery that searches in its database can, such as postgresql://...?oneshot_search=exact"
        )

    def labels(self) -> list[str]:
        """Labels with at least one support, in the order of their first enrollment."""
        parts = [answer.value for answer in self._agreed("labels", self._watch.position())]
        return [label for _, label in heapq.merge(*map(sorted, parts))]

    def count(self, label: str) -> int:
        """How many supports a label has, 0 when it is unknown."""
        return int(self._owner("count", label))

    def codes(self, label: str) -> NDArray[np.uint8]:
        """The codes uint8 (n, D) of a label's supports, in the order of their enrollment; n is 0 when it is unknown."""
        return np.asarray(self._owner("codes", label))

    def search(self, position: Position, queries: NDArray[np.uint8], count: int) -> list[list[Neighbour]]:
        """The `count` classes nearest to each code uint8 (N, D), at `position` or a later state."""
        parts = [answer.value for answer in self._agreed("search", position, queries, count)]
        merged = (heapq.merge(*(part[place] for part in parts)) for place in range(len(queries)))
        nearest = (itertools.islice(best, count) for best in merged)
        return [[Neighbour(label, distance, prototype) for distance, _, label, prototype in best] for best in nearest]

    def close(self) -> None:
        """End the shards."""
        self._fleet.close()

    def _owner(self, method: str, label: str) -> Any:
        owner = shard_of(label, self._fleet.shards)
        position = self._watch.position()
        give_up = time.monotonic() + self._seconds
        while True:
            answers = self._fleet.ask(method, position.revision, label, only=owner)
            _require_same_gallery(answers, position)
            if answers[0].position.revision >= position.revision:
                return answers[0].value
            self._wait(answers, position, give_up)

    def _agreed(self, method: str, position: Position, *arguments: Any) -> list[Answer]:
        """The answers of all shards, complete and of one state: `position`, or a later one.

        A writer may pass between them, or a shard read a server that lags behind: then they are asked again.
        """
        give_up = time.monotonic() + self._seconds
        revision, reloaded = position.revision, False
        while True:
            answers = self._fleet.ask(method, revision, *arguments)
            positions = {answer.position for answer in answers}
            _require_same_gallery(answers, position)
            if len(positions) == 1 and answers[0].position.revision >= position.revision:
                held, expected = sum(answer.supports for answer in answers), answers[0].position.supports
                if held == expected:
                    return answers
                if reloaded:
                    raise GalleryError(
                        f"the shards hold {held} supports of the gallery's {expected} though they have read it anew: check it "
                        "with `oneshot gallery check`, and open it again"
                    )
                self._fleet.ask("reload", revision)
                reloaded = True
                continue
            self._wait(answers, position, give_up)
            revision = max(revision, *(found.revision for found in positions))

    def _wait(self, answers: Sequence[Answer], position: Position, give_up: float) -> None:
        if time.monotonic() > give_up:
            raise GalleryError(_disagreement(answers, position, self._seconds))
        time.sleep(_PAUSE)


def _require_same_gallery(answers: Sequence[Answer], own: Position) -> None:
    strangers = [answer for answer in answers if answer.position.identity != own.identity]
    if strangers:
        raise GalleryError(
            f"{len(strangers)} shard(s) read another gallery than this process: its address must lead every node to the same "
            "one; on several machines keep it in PostgreSQL"
        )


def _disagreement(answers: Sequence[Answer], own: Position, seconds: float) -> str:
    places = ", ".join(f"shard {number}: {answer.position.revision}" for number, answer in enumerate(answers))
    return (
        f"the shards were at different states of the gallery for {seconds:.0f} s, or behind its last write ({own.revision}), "
        f"so no answer is given ({places}): writers leave them no time, or a node reads a copy of the gallery, or a standby "
        "that lags; try again, or enroll in larger batches"
    )

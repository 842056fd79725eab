"""A shard: the classes of a gallery that fall to it, read from the durable store and searched by the embedded kernel.

Nothing here knows of Ray. A shard that is made again, by a restart say, is empty and reads its partition before it answers;
every answer says which state of the gallery it is of, and how many supports and classes the shard then has.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.search.index import CodeIndex
from oneshot_runtime.stores.address import redacted
from oneshot_runtime.stores.base import Changes, GalleryStore, Position
from oneshot_runtime.stores.partition import Partition
from oneshot_runtime.stores.registry import gallery_exists, open_store

__all__ = ["SUPPORT_BYTES", "Answer", "Found", "Shard", "Source"]

SUPPORT_BYTES = 160
"""Memory of a support beside its code: label, class, number and chain, where each class has one support."""


@dataclass(frozen=True)
class Source:
    """Where shards read from: a gallery's address, its model, how many shards there are, and what each of them may use.

    threads: of a search. limit: bytes for supports; a shard that needs more refuses to answer.
    """

    address: str
    fingerprint: str
    dim: int
    shards: int
    threads: int
    limit: int


@dataclass(frozen=True)
class Answer:
    """What a shard says, the state of the gallery that this is of, and how many supports and classes of it the shard has."""

    position: Position
    supports: int
    classes: int
    value: Any


Found = tuple[int, int, str, int]
"""A class near a query: distance, number of the nearest support (which breaks ties), label, the prototype's distance.

A plain tuple, for a batch sends thousands of them.
"""


class Shard:
    """The partition `number` of a gallery. Every method brings it to `revision` at least before it answers."""

    def __init__(self, source: Source, number: int) -> None:
        self._source, self._partition = source, Partition(number, source.shards)
        self._store: GalleryStore | None = None
        self._position: Position | None = None
        self._index = self._empty()

    def state(self, revision: int) -> Answer:
        """Which state the shard is at."""
        return self._answer(revision, lambda: None)

    def search(self, revision: int, queries: NDArray[np.uint8], count: int) -> Answer:
        """The `count` classes nearest to each of the codes uint8 (N, D): a list of `Found` for each, nearest first."""

        def find() -> list[list[Found]]:
            view = self._index.snapshot
            return [
                [(near.distance, view.number_of(row), near.label, near.prototype) for near, row in rows]
                for rows in (view.nearest_rows(query, count) for query in queries)
            ]

        return self._answer(revision, find)

    def labels(self, revision: int) -> Answer:
        """The labels with the number of the first support of each."""
        return self._answer(revision, lambda: self._index.first_numbers())

    def count(self, revision: int, label: str) -> Answer:
        """How many supports a label has."""
        return self._answer(revision, lambda: self._index.count(label))

    def codes(self, revision: int, label: str) -> Answer:
        """A label's codes uint8 (n, D)."""
        return self._answer(revision, lambda: self._index.codes(label))

    def reload(self, revision: int) -> Answer:
        """Forget everything and read the partition anew."""
        self.close()
        return self.state(revision)

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()
        self._store = None
        self._forget()

    def _answer(self, revision: int, value: Any) -> Answer:
        position = self._at(revision)
        view = self._index.snapshot
        return Answer(position, view.supports, view.classes, value())

    def _at(self, revision: int) -> Position:
        store = self._opened()
        if self._position is None or self._position.revision < revision:
            store.sync(self._apply)
        if self._position is None:
            raise GalleryError(f"{self._name}: the store handed over nothing, not even that it is empty")
        return self._position

    def _opened(self) -> GalleryStore:
        if self._store is None:
            source = self._source
            # Opening would create it, an empty gallery beside the one that is meant.
            if not gallery_exists(source.address):
                raise GalleryError(
                    f"{self._name} does not find the gallery '{redacted(source.address)}' on the machine {platform.node()}: a "
                    "file must be there for every node; on several machines keep the gallery in PostgreSQL"
                )
            self._store = open_store(source.address, source.fingerprint, source.dim, self._partition)
        return self._store

    def _apply(self, changes: Changes) -> int:
        if changes.anew:
            self._forget()
        self._position = None  # until all is applied: after an error the store starts anew
        for removed in changes.removed:
            if removed.place is None:
                self._index.remove(removed.label)
            else:
                self._index.remove_support(removed.label, removed.place)
        for block in changes.added:
            mine = [place for place, label in enumerate(block.labels) if self._partition.owns(label)]
            if mine:
                numbers = np.array([block.numbers[place] for place in mine], np.int64)
                self._index.add([block.labels[place] for place in mine], block.codes[mine], numbers)
                self._check_room()
        self._position = changes.position
        return changes.position.supports

    def _check_room(self) -> None:
        supports = self._index.snapshot.rows
        need = supports * (self._source.dim + SUPPORT_BYTES)
        if need > self._source.limit:
            self._forget()
            raise GalleryError(
                f"{self._name} has outgrown its {self._source.limit / 1e6:,.0f} MB: {supports:,} supports need "
                f"{need / 1e6:,.0f} MB; open the gallery with more shards or more memory for each"
            )

    def _forget(self) -> None:
        self._index = self._empty()
        self._position = None

    def _empty(self) -> CodeIndex:
        return CodeIndex(self._source.dim, self._source.threads, numbered=True)

    @property
    def _name(self) -> str:
        return f"shard {self._partition.number} of {self._partition.shards}"

"""A gallery in this process's memory: what a store does, without anything that outlives it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import GalleryError, LabelError, OptionError
from oneshot_runtime.model.bundle import Sketch
from oneshot_runtime.model.fork_lock import ForkLock
from oneshot_runtime.search.index import CodeIndex
from oneshot_runtime.search.snapshot import Snapshot
from oneshot_runtime.stores.base import Block, Changes, Where
from oneshot_runtime.stores.records import BLOCK, Support, pack_metadata

__all__ = ["IN_MEMORY", "MemoryStore"]

IN_MEMORY = (
    "this gallery keeps its codes in memory, without their metadata: only one that searches in its database, such as "
    "postgresql://...?oneshot_search=exact, can match with some of the supports"
)
"""Why `where` is refused."""


class MemoryStore:
    """Supports by label, searched by the index that holds their codes. threads: that a search may use. sketch: see `CodeIndex`.

    Time, thumbnail and metadata are kept only of supports that came with one of the latter two, so that a million codes take
    little more than their bytes.
    """

    def __init__(self, fingerprint: str, dim: int, threads: int = 1, sketch: Sketch | None = None) -> None:
        self.fingerprint, self.dim = fingerprint, dim
        self._lock = ForkLock()
        self._index = CodeIndex(dim, threads, sketch=sketch)
        self._engine = _MemoryEngine(self._index)
        self._kept: dict[str, dict[int, Support]] = {}
        self._notes: dict[str, str] = {}

    @property
    def engine(self) -> _MemoryEngine:
        """The index."""
        return self._engine

    def add(self, blocks: Iterable[Block]) -> None:
        """Append supports, all of them or none."""
        self._engine.require_open()
        everything = list(blocks)
        for block in everything:
            block.require_dim(self.dim)
        with self._lock, self._engine.changing():
            for block in everything:
                self._keep(block)
                self._index.add(list(block.labels), block.codes)

    def remove(self, label: str) -> int:
        """Forget a label's supports; returns how many there were."""
        with self._lock, self._engine.changing():
            self._kept.pop(label, None)
            return self._index.remove(label)

    def remove_support(self, label: str, place: int) -> bool:
        """Forget one support of a label, by its place among them from 0; whether there was one."""
        with self._lock, self._engine.changing():
            found = self._index.remove_support(label, place)
            if found and label in self._kept:
                kept = self._kept.pop(label)
                kept.pop(place, None)
                self._kept[label] = {other - (other > place): support for other, support in kept.items()}
            return found

    def rename(self, old: str, new: str) -> int:
        """Give a label's supports another name; they count as enrolled last. Returns how many there were.

        Raises `LabelError` when `new` is there already.
        """
        with self._lock, self._engine.changing():
            if self._index.count(new):
                raise LabelError(f"label {new!r} is in the gallery already: remove it first, or choose another name")
            codes = self._index.codes(old)
            if len(codes):
                self._index.remove(old)
                self._index.add([new] * len(codes), codes)
                kept = self._kept.pop(old, {})
                self._kept[new] = {place: Support(new, s.created, s.thumbnail, s.metadata) for place, s in kept.items()}
            return len(codes)

    def sync(self, apply: Callable[[Changes], int]) -> None:  # noqa: ARG002
        """Nothing: no other process writes here, and the engine is always up to date."""
        self._engine.require_open()

    def supports(self, label: str) -> list[Support]:
        """A label's supports in the order of their enrollment, with None where nothing was kept of one."""
        self._engine.require_open()
        with self._lock:
            kept = self._kept.get(label, {})
            return [kept.get(place) or Support(label, None, None, None) for place in range(self._index.count(label))]

    def holds(self, label: str, code: bytes) -> bool:
        """Whether a label has a support of exactly this code."""
        self._engine.require_open()
        return bool((self._index.codes(label) == np.frombuffer(code, np.uint8)).all(axis=1).any())

    def counts(self) -> dict[str, int]:
        """How many supports each label has, in the order of their first enrollment."""
        return self._engine.counts()

    def notes(self) -> dict[str, str]:
        """Small texts that are kept with the gallery by name."""
        self._engine.require_open()
        return dict(self._notes)

    def write_note(self, name: str, text: str | None) -> None:
        """Keep a text with the gallery under a name, or none under it any more."""
        self._engine.require_open()
        with self._lock:
            self._notes.pop(name, None)
            if text is not None:
                self._notes[name] = text

    def blocks(self) -> Iterator[Block]:
        """Everything, as one state, in the order of enrollment; how a durable store gets it."""
        self._engine.require_open()
        with self._lock:
            rows = list(self._index.snapshot.living())
            kept = {label: dict(places) for label, places in self._kept.items()}
        seen: dict[str, int] = {}
        for start in range(0, len(rows), BLOCK):
            labels = [label for label, _ in rows[start : start + BLOCK]]
            codes = np.stack([code for _, code in rows[start : start + BLOCK]])
            supports = []
            for label in labels:
                supports.append(kept.get(label, {}).get(seen.get(label, 0)))
                seen[label] = seen.get(label, 0) + 1
            yield _block(labels, codes, supports)

    def close(self) -> None:
        """Forget everything; later calls raise `GalleryError`."""
        self._engine.close()
        with self._lock:
            self._kept.clear()

    def _keep(self, block: Block) -> None:
        fresh: dict[str, int] = {}
        now = time.time()
        created = [now] * len(block.labels) if block.created is None else block.created
        for label, when, picture, text in zip(block.labels, created, block.thumbnails, block.metadata, strict=True):
            place = self._index.count(label) + fresh.get(label, 0)
            fresh[label] = fresh.get(label, 0) + 1
            if picture is not None or text is not None:
                self._kept.setdefault(label, {})[place] = Support.stored(label, when, picture, text)


class _MemoryEngine:
    """The index of a gallery in memory, as states that a reader sees the whole of."""

    def __init__(self, index: CodeIndex) -> None:
        self._index = index
        self._published: Snapshot | None = index.snapshot

    def require_open(self) -> None:
        """Raise `GalleryError` after `close`."""
        if self._published is None:
            raise GalleryError("this gallery was in memory and is closed: what it held is gone; make another one")

    @contextmanager
    def changing(self) -> Iterator[None]:
        """What happens inside appears to readers at its end, all at once."""
        self.require_open()
        yield
        self._published = self._index.snapshot

    def close(self) -> None:
        """No state is left to read."""
        self._published = None

    @property
    def snapshot(self) -> Snapshot:
        """The current state."""
        self.require_open()
        return self._published or self._index.snapshot

    def where(self, where: Where) -> Snapshot:  # noqa: ARG002
        """Refused: codes in memory are kept without their metadata."""
        raise OptionError(IN_MEMORY)

    def labels(self) -> list[str]:
        """Labels with at least one support, in the order of the first that they have."""
        self.require_open()
        return self._index.labels()

    def counts(self) -> dict[str, int]:
        """How many supports each label has, in the order of the first that they have."""
        self.require_open()
        return self._index.counts()

    def count(self, label: str) -> int:
        """How many supports a label has, 0 when it is unknown."""
        self.require_open()
        return self._index.count(label)

    def codes(self, label: str) -> NDArray[np.uint8]:
        """The codes uint8 (n, D) of a label's supports, in the order of their enrollment."""
        self.require_open()
        return self._index.codes(label)


def _block(labels: list[str], codes: NDArray[np.uint8], supports: list[Support | None]) -> Block:
    """A block of supports of which something was kept, or None; those without a time are of now."""
    now = time.time()
    thumbnails = [None if support is None else support.thumbnail for support in supports]
    metadata = [None if support is None else pack_metadata(support.metadata) for support in supports]
    created = [now if support is None or support.created is None else support.created for support in supports]
    return Block(labels, codes, thumbnails, metadata, created)

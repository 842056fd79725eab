"""`ClusterStore`: a gallery store that keeps the supports where they are, and searches them on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from oneshot_runtime.cluster.fleet import RayFleet, shard_memory
from oneshot_runtime.cluster.shard import Source
from oneshot_runtime.cluster.shard_search import ClusterEngine, Watch
from oneshot_runtime.errors import GalleryError, OptionError
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.address import redacted, scheme_of
from oneshot_runtime.stores.base import Block, Changes
from oneshot_runtime.stores.records import Support
from oneshot_runtime.stores.registry import gallery_exists, open_store

__all__ = ["ClusterStore"]

_MAX_SHARDS = 100_000


class ClusterStore:
    """A gallery in shards. Pass it as `OneShotMatcher.load(gallery=ClusterStore("letters.db", shards=4))`, on a cluster that
    `ray.init` joined.

    Args:
        address: The durable gallery, created when missing. Every shard reads its partition from there, so each node must reach
            it; a file on one machine's disk does for nodes of that machine only.
        shards: How many; classes fall to them by their label's hash.
        bundle: Folder or bundle of the model, by default the one in the package.
        threads: Of a search, and processors that a shard asks Ray for.
        memory: Bytes that a shard asks Ray for, by default enough for its partition and a quarter more.
        timeout: Seconds after which a question is refused when a shard has not answered, because it reloads or finds no place.

    Raises:
        GalleryError: For a cluster that is too small, before anything is loaded.
        OptionError: For numbers that cannot be.
        DependencyError: Without Ray.
    """

    def __init__(
        self,
        address: str | os.PathLike[str],
        shards: int = 2,
        *,
        bundle: Bundle | str | os.PathLike[str] | None = None,
        threads: int = 1,
        memory: int | None = None,
        timeout: float = 60.0,
    ) -> None:
        for name, value, most in (("shards", shards, _MAX_SHARDS), ("threads", threads, 1024), ("memory", memory or 1, None)):
            if not isinstance(value, int) or value < 1 or (most is not None and value > most):
                raise OptionError(f"{name} must be an integer from 1 on{f' to {most}' if most else ''}, got {value!r}")
        if not timeout > 0:
            raise OptionError(f"timeout must be seconds above 0, got {timeout!r}")
        opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        place = os.fspath(address) if scheme_of(address) is not None else str(Path(address).resolve())
        self.fingerprint, self.dim = opened.fingerprint, opened.dim
        RayFleet.require_cluster()
        self._store = open_store(place, opened.fingerprint, opened.dim)
        try:
            if self._store.engine is not None:
                raise GalleryError(
                    f"gallery '{redacted(place)}' searches by itself, which a cluster is to do: leave out what asks "
                    "for it in the address (oneshot_search=...)"
                )
            if not gallery_exists(place):
                self._store.write_note("cluster", None)  # makes the file, which every shard must find
            watch = Watch(self._store)
            supports = watch.position().supports
            bytes_ = memory or shard_memory(supports, shards, opened.dim)
            source = Source(place, opened.fingerprint, opened.dim, shards, threads, bytes_)
            self._engine = ClusterEngine(watch, RayFleet(source, supports, timeout), timeout)
        except BaseException:
            self._store.close()
            raise

    @property
    def engine(self) -> ClusterEngine:
        """The search by the shards."""
        return self._engine

    def add(self, blocks: Iterable[Block]) -> None:
        """Append supports to the durable gallery, all of them or none."""
        self._store.add(blocks)

    def remove(self, label: str) -> int:
        """Delete a label's supports from the durable gallery; returns how many there were."""
        return self._store.remove(label)

    def remove_support(self, label: str, place: int) -> bool:
        """Delete one of a label's supports from the durable gallery, by its place from 0; whether there was one."""
        return self._store.remove_support(label, place)

    def counts(self) -> dict[str, int]:
        """How many supports each label has in the durable gallery."""
        return self._store.counts()

    def rename(self, old: str, new: str) -> int:
        """Give a label's supports another name in the durable gallery; returns how many there were."""
        return self._store.rename(old, new)

    def sync(self, apply: Callable[[Changes], int]) -> None:
        """What is new in the durable gallery."""
        self._store.sync(apply)

    def supports(self, label: str) -> list[Support]:
        """A label's supports in the order of their enrollment, from the durable gallery."""
        return self._store.supports(label)

    def notes(self) -> dict[str, str]:
        """Small texts that are kept with the durable gallery by name."""
        return self._store.notes()

    def write_note(self, name: str, text: str | None) -> None:
        """Keep a text with the durable gallery under a name, or none under it any more."""
        self._store.write_note(name, text)

    def holds(self, label: str, code: bytes) -> bool:
        """Whether a label has a support of exactly this code in the durable gallery."""
        return self._store.holds(label, code)

    def close(self) -> None:
        """End the shards and close the durable gallery."""
        self._engine.close()
        self._store.close()

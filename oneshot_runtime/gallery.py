"""The gallery: the known symbols' codes, searchable in memory and, with a store, durable."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import GalleryError, LabelError, OneShotError, OptionError
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.codes import encode
from oneshot_runtime.model.conformal import GalleryCalibration, calibrate
from oneshot_runtime.search.index import CodeIndex
from oneshot_runtime.stores.base import Block, Changes, GalleryStore, SearchIndex, View, Where
from oneshot_runtime.stores.records import BLOCK, MAX_THUMBNAIL_BYTES, MAX_THUMBNAIL_SIDE, Support, pack_metadata
from oneshot_runtime.stores.registry import open_store

__all__ = ["MAX_LABEL_LENGTH", "Gallery", "check_embeddings", "check_label", "check_thumbnail"]

MAX_LABEL_LENGTH = 256
_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
"""Width and height follow, four bytes each."""


class Gallery:
    """Supports by label. `len()` counts supports, `labels` names the classes; safe to share between threads.

    place: a path or an address for `open_store`, or a store that is open, which `close` then closes; None keeps the gallery in
    memory. In a store, what `extend`, `rename` and `remove` returned from is durable, and changes by other processes appear at
    the next match. A write waits for the store, matches beside it don't. threads: that a search may use.
    """

    def __init__(self, bundle: Bundle, place: str | os.PathLike[str] | GalleryStore | None = None, threads: int = 1) -> None:
        self._bundle = bundle
        self._threads = threads
        self._lock = threading.RLock()
        self._index = CodeIndex(bundle.dim, threads)
        self._published = self._index.snapshot
        self._kept: dict[str, list[Support]] = {}
        self._calibrations: dict[float, GalleryCalibration] = {}
        self._store = None if place is None else open_store(place, bundle.fingerprint, bundle.dim)
        self._engine = None if self._store is None else self._store.engine
        try:
            self.snapshot()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return self.snapshot().supports

    @property
    def labels(self) -> list[str]:
        """The enrolled classes, in the order of their first enrollment."""
        with self._current() as index:
            return index.labels()

    def count(self, label: str) -> int:
        """How many supports a class has, 0 when it is unknown."""
        check_label(label)
        with self._current() as index:
            return index.count(label)

    def codes(self, label: str) -> NDArray[np.uint8]:
        """The codes uint8 (n, D) of a class's supports in the order of their enrollment; n is 0 when it is unknown."""
        with self._current() as index:
            return index.codes(label)

    def supports(self, label: str) -> list[Support]:
        """A class's supports in the order of their enrollment; raises `LabelError` when it is unknown.

        A gallery in memory keeps time, thumbnail and metadata only of supports that came with one of the latter; the others
        follow with None in their place.
        """
        check_label(label)
        if self._store is not None:
            found = self._store.supports(label)
            if not found:
                raise self._unknown(label)
            return found
        with self._lock:
            total = self._index.count(label)
            if not total:
                raise self._unknown(label)
            kept = self._kept.get(label, [])
            return kept + [Support(label, None, None, None)] * (total - len(kept))

    def snapshot(self, where: Where | None = None) -> View:
        """A view to search, up to date with the store where there is one; it does not change in memory.

        where: leaves out the other supports. Raises `OptionError` when it is given and the codes are kept in memory.
        """
        if where is not None:
            if self._engine is None:
                raise OptionError(
                    "this gallery keeps its codes in memory, without their metadata: only one that searches in its database, "
                    "such as postgresql://...?oneshot_search=exact, can match with some of the supports"
                )
            return self._engine.where(where)
        if self._engine is not None:
            return self._engine.snapshot
        with self._lock:
            if self._store is not None:
                self._store.sync(self._apply)
            # Published here, after all of a change was applied: no reader sees the half of it.
            self._published = self._index.snapshot
            return self._published

    def extend(
        self,
        labels: Sequence[str],
        embeddings: NDArray[np.float32],
        thumbnails: Sequence[bytes | None] | None = None,
        metadata: Sequence[dict[str, Any] | None] | None = None,
    ) -> None:
        """Add supports from embeddings float32 (N, D) of this model, one label each; all of them or, on an error, none.

        A million in one call need little memory beside the gallery itself: the embeddings are coded and written in blocks, and
        may be a `numpy.memmap`. Raises `LabelError` for an unusable label and `GalleryError` for embeddings of the wrong
        shape, dtype or range, or metadata that is no JSON object.
        """
        count = len(labels)
        self._check_embeddings(embeddings, count)
        for name, values in (("thumbnails", thumbnails), ("metadata", metadata)):
            if values is not None and len(values) != count:
                raise GalleryError(f"got {count} labels and {len(values)} {name}; pass one for each")
        if not count:
            return
        self.add_blocks(self._coded(labels, embeddings, thumbnails, metadata))

    def add_blocks(self, blocks: Iterator[Block]) -> None:
        """Add supports that are coded already, all of them or none; an error that the iterator raises changes nothing."""
        if self._store is not None:
            self._store.add(blocks)
            self._follow()
            return
        everything = list(blocks)
        with self._lock:
            for block in everything:
                self._index.add(list(block.labels), block.codes)
                self._keep(block)

    def rename(self, old: str, new: str) -> int:
        """Give a class another name, all of it at once; it then counts as enrolled last. Returns how many supports it has.

        Raises `LabelError` when `old` is unknown, or `new` unusable or taken.
        """
        check_label(old)
        check_label(new)
        if self._store is not None:
            moved = self._store.rename(old, new)
            if not moved:
                raise self._unknown(old)
            self._follow()
            return moved
        with self._lock:
            if self._index.count(new):
                raise LabelError(f"label {new!r} is in the gallery already: remove it first, or choose another name")
            codes = self._index.codes(old)
            if not len(codes):
                raise self._unknown(old)
            self._index.remove(old)
            self._index.add([new] * len(codes), codes)
            kept = self._kept.pop(old, [])
            self._kept[new] = [Support(new, s.created, s.thumbnail, s.metadata) for s in kept]
            return len(codes)

    def remove(self, label: str) -> int:
        """Remove a class with all its supports; returns how many there were. Raises `LabelError` when it is unknown."""
        check_label(label)
        if self._store is not None:
            removed = self._store.remove(label)
        else:
            with self._lock:
                removed = self._index.remove(label)
                self._kept.pop(label, None)
        if not removed:
            raise self._unknown(label)
        self._follow()
        return removed

    def calibrate(self, far: float = 0.01) -> GalleryCalibration:
        """Fit the threshold for strangers to the enrolled supports, for strangers that are like them.

        Matchers of this gallery with that `far` use it from the next match on; it is not stored with the gallery. Costs a
        search for each class, for 2,000 at most. Raises `OptionError` for a rate that the bundle was not calibrated for,
        `GalleryError` with too few classes.
        """
        bundle = self._bundle
        view = self.snapshot()
        fitted = calibrate(self.labels, self.codes, view, bundle.head, bundle.thresholds, far)
        self._calibrations[fitted.far] = fitted
        return fitted

    def calibration(self, far: float) -> GalleryCalibration | None:
        """What `calibrate` found for this `far`, None before it was called."""
        return self._calibrations.get(far)

    def close(self) -> None:
        """Close the file of a durable gallery; one in memory has nothing to close."""
        if self._store is not None:
            self._store.close()

    @contextmanager
    def _current(self) -> Iterator[SearchIndex]:
        """The index, up to date."""
        if self._engine is not None:
            yield self._engine
            return
        with self._lock:
            self.snapshot()
            yield self._index

    def _follow(self) -> None:
        """Read what was just written, unless that fails: it is durable, and an error now would be taken for the write's."""
        if self._engine is None:
            with suppress(OneShotError):
                self.snapshot()

    def _apply(self, changes: Changes) -> int:
        if changes.anew:
            self._index = CodeIndex(self._bundle.dim, self._threads)
        for label in changes.removed:
            self._index.remove(label)
        for block in changes.added:
            self._index.add(block.labels, block.codes)
        return self._index.snapshot.supports

    def _coded(
        self,
        labels: Sequence[str],
        embeddings: NDArray[np.float32],
        thumbnails: Sequence[bytes | None] | None,
        metadata: Sequence[dict[str, Any] | None] | None,
    ) -> Iterator[Block]:
        for start in range(0, len(labels), BLOCK):
            part = slice(start, start + BLOCK)
            names = [check_label(label) for label in labels[part]]
            rows = np.asarray(embeddings[part])
            check_embeddings(rows)
            pictures = [None] * len(names) if thumbnails is None else [check_thumbnail(picture) for picture in thumbnails[part]]
            texts = [None] * len(names) if metadata is None else [pack_metadata(values) for values in metadata[part]]
            yield Block(names, encode(rows, self._bundle.head), pictures, texts)

    def _keep(self, block: Block) -> None:
        now = time.time()
        for label, picture, text in zip(block.labels, block.thumbnails, block.metadata, strict=True):
            if picture is not None or text is not None:
                self._kept.setdefault(label, []).append(Support.stored(label, now, picture, text))

    def _unknown(self, label: str) -> LabelError:
        return LabelError(f"label {label!r} is not in the gallery of {self.snapshot().classes} classes")

    def _check_embeddings(self, embeddings: NDArray[np.float32], count: int) -> None:
        expected = (count, self._bundle.dim)
        if not isinstance(embeddings, np.ndarray) or embeddings.shape != expected or embeddings.dtype != np.float32:
            kind = f"{embeddings.dtype} {embeddings.shape}" if isinstance(embeddings, np.ndarray) else type(embeddings).__name__
            raise GalleryError(f"expected float32 embeddings of shape {expected}, one row a label, got {kind}")


def check_label(label: str) -> str:
    """The label, if it is a non-empty text of at most `MAX_LABEL_LENGTH` printable characters; else `LabelError`."""
    if not isinstance(label, str):
        raise LabelError(f"a label is a str, got {type(label).__name__}: {label!r:.80}")
    if not label.strip() or len(label) > MAX_LABEL_LENGTH or not label.isprintable():
        raise LabelError(f"a label needs 1 to {MAX_LABEL_LENGTH} printable characters and not only spaces, got {label!r:.80}")
    return label


def check_embeddings(embeddings: NDArray[np.float32]) -> None:
    """Raise `GalleryError` unless all embeddings lie in [0, 1]."""
    if not ((embeddings >= 0) & (embeddings <= 1)).all():
        raise GalleryError("embeddings must lie in [0, 1], as this model's do; NaN or another model's cannot be stored")


def check_thumbnail(thumbnail: bytes | None) -> bytes | None:
    """The thumbnail, if it is None or starts as a PNG of a sane size does; else `GalleryError`. It is not decoded."""
    if thumbnail is None:
        return None
    if not isinstance(thumbnail, bytes) or not thumbnail.startswith(_PNG_START) or len(thumbnail) > MAX_THUMBNAIL_BYTES:
        size = f"{len(thumbnail)} bytes" if isinstance(thumbnail, bytes) else type(thumbnail).__name__
        raise GalleryError(f"a thumbnail is a PNG's bytes, at most {MAX_THUMBNAIL_BYTES} of them, got {size}")
    sides = [int.from_bytes(thumbnail[place : place + 4], "big") for place in (16, 20)]
    if not all(1 <= side <= MAX_THUMBNAIL_SIDE for side in sides):
        raise GalleryError(f"a thumbnail is a PNG of 1 to {MAX_THUMBNAIL_SIDE} pixels a side, got {sides[0]}x{sides[1]}")
    return thumbnail

"""The gallery: the known symbols' codes, searchable in memory and, with a store, durable."""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import GalleryError, LabelError, OneShotError, OptionError, UnpicklableError, counted
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.conformal import GalleryCalibration, calibrate
from oneshot_runtime.model.fork_lock import ForkLock
from oneshot_runtime.model.thresholds import DEFAULT_FAR
from oneshot_runtime.search.index import CodeIndex
from oneshot_runtime.search.ranking import ranked
from oneshot_runtime.search.snapshot import Neighbour
from oneshot_runtime.search.view import View
from oneshot_runtime.stores.address import redacted
from oneshot_runtime.stores.base import Block, Changes, GalleryStore, SearchIndex, Where
from oneshot_runtime.stores.calibrations import Calibrations
from oneshot_runtime.stores.coding import coded_blocks
from oneshot_runtime.stores.copying import save_copy
from oneshot_runtime.stores.labels import MAX_LABEL_LENGTH, check_label, is_label
from oneshot_runtime.stores.memory import IN_MEMORY, MemoryStore
from oneshot_runtime.stores.records import Support
from oneshot_runtime.stores.registry import open_store

__all__ = ["MAX_LABEL_LENGTH", "Gallery", "check_label", "is_label"]


class Gallery:
    """Supports by label; safe to share between threads.

    `len()` counts supports; `label in gallery`, iteration and `labels` are of the classes. In a durable store, what `extend`,
    `rename` and `remove` returned from is durable, and changes by other processes appear at the next match. A write waits for
    the store, matches beside it don't.

    Args:
        bundle: The model whose codes it holds.
        place: A path or an address for `open_store`, or a store that is open, which `close` then closes; None keeps the
            gallery in memory.
        threads: That a search may use.
    """

    def __init__(self, bundle: Bundle, place: str | os.PathLike[str] | GalleryStore | None = None, threads: int = 1) -> None:
        self._bundle = bundle
        self._threads = threads
        self._lock = ForkLock()
        self._place = os.fspath(place) if isinstance(place, str | os.PathLike) else None
        self._index = CodeIndex(bundle.dim, threads, sketch=bundle.sketch)
        self._published = self._index.snapshot
        self._closed = False
        if place is None:
            self._store: GalleryStore = MemoryStore(bundle.fingerprint, bundle.dim, threads, bundle.sketch)
        else:
            self._store = open_store(place, bundle.fingerprint, bundle.dim)
        self._engine = self._store.engine
        self._calibrations = Calibrations(self._store)
        try:
            self.snapshot()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return self.snapshot().supports

    def __contains__(self, label: object) -> bool:
        if not isinstance(label, str) or not is_label(label):
            return False  # what can be no label is none of these
        return self.count(label) > 0

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __repr__(self) -> str:
        if isinstance(self._store, MemoryStore) and not self._closed:
            return f"Gallery(in memory, {self._store.engine.snapshot.classes} classes)"
        state = "closed" if self._closed else f"{self._published.classes} classes" if self._engine is None else "open"
        place = "in memory" if self._place is None else repr(redacted(self._place))
        return f"Gallery({place}, {state})"

    def __reduce__(self) -> NoReturn:
        raise UnpicklableError(
            "a gallery cannot be pickled: open it again in the other process, by its path or address; save one in memory "
            "first, "
            "with gallery.save(path)"
        )

    @property
    def store(self) -> GalleryStore:
        """Where the supports are kept. Raises `GalleryError` after `close`."""
        if self._closed:
            raise GalleryError(f"{self._name} is closed: open it again, with OneShotMatcher.load(gallery=...)")
        return self._store

    @property
    def labels(self) -> list[str]:
        """The enrolled classes, in the order of their first enrollment."""
        with self._current() as index:
            return index.labels()

    @property
    def revision(self) -> int:
        """Grows with every change of the supports, so that what was worked out from an older state is known to be stale."""
        return self.snapshot().revision

    def count(self, label: str) -> int:
        """How many supports a class has.

        Args:
            label: The class.

        Returns:
            The number, 0 when the class is unknown.

        Raises:
            LabelError: For a name that no class can have.
        """
        check_label(label)
        with self._current() as index:
            return index.count(label)

    def counts(self) -> dict[str, int]:
        """How many supports each class has: one question to a database.

        Returns:
            Labels to numbers, in the order of their first enrollment.
        """
        if self._engine is not None:
            return self.store.counts()
        with self._lock:
            self.snapshot()
            return self._index.counts()

    def codes(self, label: str) -> NDArray[np.uint8]:
        """The codes that are kept of a class's supports.

        Args:
            label: The class.

        Returns:
            uint8 (n, D) in the order of enrollment; n is 0 when the class is unknown.
        """
        with self._current() as index:
            return index.codes(label)

    def supports(self, label: str) -> list[Support]:
        """A class's supports, as a person would want to see them.

        A gallery in memory keeps time, thumbnail and metadata only of supports that came with one of the latter two; others
        have None in their place.

        Args:
            label: The class.

        Returns:
            The supports in the order of their enrollment.

        Raises:
            LabelError: When the class is unknown.
        """
        check_label(label)
        found = self.store.supports(label)
        if not found:
            raise self._unknown(label)
        return found

    def snapshot(self, where: Where | None = None) -> View:
        """One state of the gallery to search, up to date with the store. It does not change in memory.

        Args:
            where: Leaves out the other supports, in a gallery that searches in its database.

        Returns:
            A view, with `nearest(code, count)`.

        Raises:
            OptionError: When `where` is given and the codes are kept in memory.
            GalleryError: When the store cannot be read.
        """
        store = self.store
        if where is not None:
            if self._engine is None:
                raise OptionError(IN_MEMORY)
            return self._engine.where(where)
        if self._engine is not None:
            return self._engine.snapshot
        with self._lock:
            store.sync(self._apply)
            # Published here, after all of a change was applied: no reader sees the half of it.
            self._published = self._index.snapshot
            return self._published

    def extend(
        self,
        labels: Iterable[str],
        embeddings: NDArray[np.float32],
        thumbnails: Iterable[bytes | None] | None = None,
        metadata: Iterable[dict[str, Any] | None] | None = None,
    ) -> None:
        """Add supports from embeddings of this model: all of them or, on an error, none.

        A million in one call need little memory beside the gallery itself: the embeddings are coded and written in blocks, and
        may be a `numpy.memmap`.

        Args:
            labels: N labels, one for each embedding.
            embeddings: float32 (N, D), components in [0, 1], as `OneShotMatcher.embed` gives them.
            thumbnails: A PNG's bytes, or None, for each.
            metadata: A JSON object, or None, for each.

        Raises:
            LabelError: For an unusable label.
            GalleryError: For embeddings of the wrong shape, dtype or range, metadata that is no JSON object, or a gallery that
                cannot be written.
        """
        blocks = coded_blocks(self._bundle, labels, embeddings, thumbnails, metadata)
        if len(embeddings):
            self.add_blocks(blocks)

    def add_blocks(self, blocks: Iterator[Block]) -> None:
        """Add supports that are coded already: all of them or none.

        Args:
            blocks: The supports. An error that the iterator raises changes nothing, and is passed on.

        Raises:
            GalleryError: When the gallery cannot be written.
        """
        self.store.add(blocks)
        self._follow()

    def rename(self, old: str, new: str) -> int:
        """Give a class another name, all of it at once. It then counts as enrolled last.

        Args:
            old: Its name.
            new: The new one.

        Returns:
            How many supports it has.

        Raises:
            LabelError: When `old` is unknown, or `new` unusable or taken.
        """
        old, new = check_label(old), check_label(new)
        moved = self.store.rename(old, new)
        if not moved:
            raise self._unknown(old)
        self._follow()
        return moved

    def remove(self, label: str, support: int | None = None) -> int:
        """Remove a class with all its supports, or one of them.

        Args:
            label: The class.
            support: The place of one support among `supports(label)`, counted from 0; the class goes with its last one.

        Returns:
            How many supports were removed.

        Raises:
            LabelError: When the class is unknown.
            OptionError: When it has no such support.
        """
        check_label(label)
        if support is None:
            removed = self.store.remove(label)
        elif isinstance(support, numbers.Integral) and not isinstance(support, bool):
            removed = int(self.store.remove_support(label, int(support)))
        else:
            raise OptionError(f"support is a place among the supports, an integer from 0 on, got {support!r:.80}")
        if not removed:
            count = self.count(label)
            if not count:
                raise self._unknown(label)
            raise OptionError(f"label {label!r} has {counted(count, 'support')}, counted from 0: there is no support {support}")
        self._follow()
        return removed

    def save(self, place: str | os.PathLike[str]) -> int:
        """Write a durable copy, as one state and in the same order; this gallery stays where it is.

        Args:
            place: The path of a file, or an address, where no gallery is yet.

        Returns:
            How many supports were written.

        Raises:
            GalleryError: When there is one already, or this gallery was opened with a store of one's own, which has to be read
                with its own means.
        """
        return save_copy(self.store, self._place, place)

    def calibrate(self, far: float = DEFAULT_FAR) -> GalleryCalibration:
        """Fit the threshold for strangers to the enrolled supports, for strangers that are like them.

        It is kept with the gallery: matchers with that `far` use it from their next match on, in every process. Costs a search
        for each class, for 2,000 at most. `GalleryCalibration.is_stale(gallery.labels)` says when to do it again.

        Args:
            far: False accept rate, the share of strangers that may be given a label.

        Returns:
            The threshold, and how it was found.

        Raises:
            OptionError: For a rate outside (0, 0.5], or a bundle without thresholds.
            GalleryError: With too few classes, or where the gallery cannot be written.
        """
        bundle = self._bundle
        view = self.snapshot()

        def best(code: NDArray[np.uint8], count: int) -> list[Neighbour]:
            return ranked(view, code, count)

        supports = view.supports / max(1, view.classes)
        fitted = calibrate(self.labels, self.codes, best, bundle.head, bundle.thresholds, far, supports)
        self._calibrations.keep(fitted)
        return fitted

    def calibration(self, far: float, revision: int | None = None) -> GalleryCalibration | None:
        """What `calibrate` found, in whichever process.

        Args:
            far: The false accept rate it was found for.
            revision: Of a view that was just taken; what is known of an older one is asked for again.

        Returns:
            The calibration; None before `calibrate` was called for this rate.
        """
        return self._calibrations.find(far, revision)

    def close(self) -> None:
        """Let go of files and connections, and of what was in memory; later calls raise `GalleryError`."""
        self._closed = True
        self._store.close()

    @property
    def _name(self) -> str:
        return "the gallery" if self._place is None else f"gallery '{redacted(self._place)}'"

    @contextmanager
    def _current(self) -> Iterator[SearchIndex]:
        """The index, up to date."""
        self.store  # noqa: B018  raises when closed
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
        self._calibrations.forget()
        if changes.anew:
            revision = self._index.snapshot.revision + 1
            self._index = CodeIndex(self._bundle.dim, self._threads, revision=revision, sketch=self._bundle.sketch)
        for removed in changes.removed:
            if removed.place is None:
                self._index.remove(removed.label)
            else:
                self._index.remove_support(removed.label, removed.place)
        self._index.add_blocks((block.labels, block.codes, None) for block in changes.added)
        return self._index.snapshot.supports

    def _unknown(self, label: str) -> LabelError:
        return LabelError(f"label {label!r} is not in the gallery of {self.snapshot().classes} classes")

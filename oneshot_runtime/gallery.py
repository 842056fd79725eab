"""The gallery: the known symbols' codes, searchable in memory and, with a path, durable on disk."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.bundle import Bundle
from oneshot_runtime.codes import encode
from oneshot_runtime.errors import GalleryError, LabelError
from oneshot_runtime.index import CodeIndex, Snapshot
from oneshot_runtime.store import Changes, SqliteStore

__all__ = ["MAX_LABEL_LENGTH", "Gallery"]

MAX_LABEL_LENGTH = 256


class Gallery:
    """Supports by label. `len()` counts supports, `labels` names the classes; safe to share between threads.

    With a `path` the gallery lives in that SQLite file: what `add` and `remove` returned from is on the disk, and changes by
    other processes appear at the next match.
    """

    def __init__(self, bundle: Bundle, path: str | os.PathLike[str] | None = None) -> None:
        self._bundle = bundle
        self._index = CodeIndex(bundle.dim)
        self._store = None if path is None else SqliteStore(path, bundle.fingerprint, bundle.dim)
        try:
            self._sync()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return self.snapshot().supports

    @property
    def labels(self) -> list[str]:
        """The enrolled classes, in the order of their first enrolment."""
        self._sync()
        return self._index.labels()

    def count(self, label: str) -> int:
        """How many supports a class has, 0 when it is unknown."""
        check_label(label)
        self._sync()
        return self._index.count(label)

    def snapshot(self) -> Snapshot:
        """An unchanging view to search, up to date with the file where there is one."""
        self._sync()
        return self._index.snapshot

    def extend(
        self,
        labels: Sequence[str],
        embeddings: NDArray[np.float32],
        thumbnails: Sequence[bytes | None] | None = None,
    ) -> None:
        """Add supports from embeddings float32 (N, D) of this model, one label each; all of them or, on an error, none.

        Raises `LabelError` for an unusable label and `GalleryError` for embeddings of the wrong shape, dtype or range.
        """
        checked = [check_label(label) for label in labels]
        self._check_embeddings(embeddings, len(checked))
        pictures: Sequence[bytes | None] = [None] * len(checked) if thumbnails is None else thumbnails
        if len(pictures) != len(checked):
            raise GalleryError(f"got {len(checked)} labels and {len(pictures)} thumbnails; pass one for each")
        if not checked:
            return
        codes = encode(embeddings, self._bundle.head)
        if self._store is None:
            self._index.add(checked, codes)
            return
        self._store.add(checked, codes, pictures)
        self._sync()

    def remove(self, label: str) -> int:
        """Remove a class with all its supports; returns how many there were. Raises `LabelError` when it is unknown."""
        check_label(label)
        removed = self._index.remove(label) if self._store is None else self._store.remove(label)
        if not removed:
            raise LabelError(f"label {label!r} is not in the gallery of {self._index.snapshot.classes} classes")
        self._sync()
        return removed

    def close(self) -> None:
        """Close the file of a durable gallery; one in memory has nothing to close."""
        if self._store is not None:
            self._store.close()

    def _sync(self) -> None:
        if self._store is not None:
            self._store.sync(self._apply)

    def _apply(self, changes: Changes) -> None:
        for label in changes.removed:
            self._index.remove(label)
        if changes.labels:
            self._index.add(changes.labels, changes.codes)

    def _check_embeddings(self, embeddings: NDArray[np.float32], count: int) -> None:
        expected = (count, self._bundle.dim)
        if not isinstance(embeddings, np.ndarray) or embeddings.shape != expected or embeddings.dtype != np.float32:
            kind = f"{embeddings.dtype} {embeddings.shape}" if isinstance(embeddings, np.ndarray) else type(embeddings).__name__
            raise GalleryError(f"expected float32 embeddings of shape {expected}, one row a label, got {kind}")
        if not ((embeddings >= 0) & (embeddings <= 1)).all():
            raise GalleryError("embeddings must lie in [0, 1], as this model's do; NaN or another model's cannot be stored")


def check_label(label: str) -> str:
    """The label, if it is a non-empty text of at most `MAX_LABEL_LENGTH` printable characters; else `LabelError`."""
    if not isinstance(label, str):
        raise LabelError(f"a label is a str, got {type(label).__name__}: {label!r:.80}")
    if not label.strip() or len(label) > MAX_LABEL_LENGTH or not label.isprintable():
        raise LabelError(f"a label needs 1 to {MAX_LABEL_LENGTH} printable characters and not only spaces, got {label!r:.80}")
    return label

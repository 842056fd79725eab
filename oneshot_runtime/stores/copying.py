"""A durable copy of a gallery in another place: all of it, or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.stores.address import redacted, scheme_of
from oneshot_runtime.stores.base import Block, GalleryStore
from oneshot_runtime.stores.memory import MemoryStore
from oneshot_runtime.stores.registry import gallery_exists, open_reader, open_store

__all__ = ["save_copy"]


def save_copy(store: GalleryStore, source: str | None, place: str | os.PathLike[str]) -> int:
    """Write what a store holds, as one state, to a place where no gallery is yet; returns how many supports that were.

    source: path or address of the store, None of one in memory or of the caller's own. Raises `GalleryError`.
    """
    if not isinstance(place, str | os.PathLike):
        raise GalleryError(
            f"a gallery is saved to the path of a file, or an address, got {type(place).__name__}: {place!r:.80}"
        )
    if gallery_exists(place):
        raise GalleryError(f"'{redacted(place)}' exists already, and would be added to: remove it, or choose another place")
    if isinstance(store, MemoryStore):
        blocks = store.blocks()
    elif source is not None:
        blocks = _blocks_of(source)
    else:
        raise GalleryError("this gallery's store was opened by itself: copy what it keeps with its own means")
    written = 0

    def counted() -> Iterator[Block]:
        nonlocal written
        for block in blocks:
            written += len(block.labels)
            yield block

    with _nothing_half_written(place):
        copy = open_store(place, store.fingerprint, store.dim)
        try:
            copy.add(counted())
            copy.write_note("saved", None)  # a file is made by its first write
            for name, text in store.notes().items():
                copy.write_note(name, text)
        finally:
            copy.close()
    return written


def _blocks_of(place: str | os.PathLike[str]) -> Iterator[Block]:
    """Everything in the durable gallery at a path or address, as one state."""
    with open_reader(place) as reader:
        for rows in reader.rows():
            codes = np.frombuffer(b"".join(row.code for row in rows), np.uint8).reshape(len(rows), -1)
            pictures, texts = [row.thumbnail for row in rows], [row.metadata for row in rows]
            yield Block([row.label for row in rows], codes, pictures, texts, [row.created for row in rows])


@contextmanager
def _nothing_half_written(place: str | os.PathLike[str]) -> Iterator[None]:
    """On an error, a file that was made inside is removed."""
    try:
        yield
    except BaseException:
        if scheme_of(place) is None:
            for ending in ("", "-journal"):
                Path(f"{os.fspath(place)}{ending}").unlink(missing_ok=True)
        raise

"""From embeddings with labels to the blocks that a store takes: checked, coded, some thousand at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.codes import encode
from oneshot_runtime.stores.base import Block
from oneshot_runtime.stores.labels import check_label
from oneshot_runtime.stores.records import BLOCK, MAX_THUMBNAIL_BYTES, MAX_THUMBNAIL_SIDE, pack_metadata

__all__ = ["check_embeddings", "check_thumbnail", "coded_blocks"]

_Value = TypeVar("_Value")

_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
"""Width and height follow, four bytes each."""


def coded_blocks(
    bundle: Bundle,
    labels: Iterable[str],
    embeddings: NDArray[np.float32],
    thumbnails: Iterable[bytes | None] | None,
    metadata: Iterable[dict[str, Any] | None] | None,
) -> Iterator[Block]:
    """Blocks of supports; embeddings float32 (N, D), one of everything for each. Labels and pictures are checked on the way.

    Raises `GalleryError` at once where numbers or types do not fit.
    """
    labels = _sequence(labels)
    thumbnails = None if thumbnails is None else _sequence(thumbnails)
    metadata = None if metadata is None else _sequence(metadata)
    count, expected = len(labels), (len(labels), bundle.dim)
    if not isinstance(embeddings, np.ndarray) or embeddings.shape != expected or embeddings.dtype != np.float32:
        kind = f"{embeddings.dtype} {embeddings.shape}" if isinstance(embeddings, np.ndarray) else type(embeddings).__name__
        raise GalleryError(f"expected float32 embeddings of shape {expected}, one row a label, got {kind}")
    for name, values in (("thumbnails", thumbnails), ("metadata", metadata)):
        if values is not None and len(values) != count:
            raise GalleryError(f"got {count} labels and {len(values)} {name}; pass one for each")
    return _blocks(bundle, labels, embeddings, thumbnails, metadata)


def _blocks(
    bundle: Bundle,
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
        yield Block(names, encode(rows, bundle.head), pictures, texts)


def _sequence(values: Iterable[_Value]) -> Sequence[_Value]:
    return values if isinstance(values, Sequence) else list(values)


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

"""The arrays of an `.npz` to import, all of them checked before any is unpacked, then read a block of rows at a time."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from oneshot_runtime.errors import ArchiveError
from oneshot_runtime.gallery import MAX_LABEL_LENGTH, check_label
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.codes import encode
from oneshot_runtime.stores.base import Block
from oneshot_runtime.stores.coding import check_embeddings, check_thumbnail
from oneshot_runtime.stores.records import BLOCK, BLOCK_BYTES, MAX_METADATA_BYTES, MAX_THUMBNAIL_BYTES, pack_metadata

__all__ = ["VERSION", "Columns"]

VERSION = 1
_MAX_SUPPORTS = 100_000_000
_MAX_HEADER = 10_000
_MAX_GROWTH = 200
"""How many times its size in the archive an array may unpack to: labels and codes don't compress that well, bombs do."""

_FREE_BYTES = 1 << 26
"""What may be unpacked whatever its compression."""

_MOST_MADE = 16
"""How many times the archive's size the gallery that is made of it may have: a support has at least its code in both."""

_SUPPORT_BYTES = 64
"""What a gallery keeps of a support beside its code and its label."""

_PER_SUPPORT = ("labels", "thumbnail_sizes", "metadata_sizes")
"""Arrays that may grow more, for long runs of one label pack well. They have a small row for each code, and codes may not."""


class _Start:
    """The start of an array's file: numpy reads a header of whatever length it claims before it looks at the length."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        """The next `size` bytes."""
        if not 0 <= size <= _MAX_HEADER:
            raise ArchiveError(f"an array's header claims {size} bytes, more than {_MAX_HEADER}")
        return self._file.read(size)


class _Column:
    """One array of the archive, read a block of rows at a time."""

    def __init__(self, archive: zipfile.ZipFile, stack: ExitStack, name: str) -> None:
        info = archive.getinfo(f"{name}.npy")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # zipfile unpacks the others without a limit
            raise ArchiveError(f"array '{name}' is packed with zip's method {info.compress_type}, not stored or deflated")
        self.name = name
        self._file = stack.enter_context(archive.open(info))
        start = _Start(self._file)
        version = npy.read_magic(start)
        if version not in ((1, 0), (2, 0)):
            raise ArchiveError(f"array '{name}' has the unknown format {version}")
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        self.shape, fortran, self.dtype = read_header(start, max_header_size=_MAX_HEADER)
        size = math.prod(self.shape) * self.dtype.itemsize
        if (fortran and len(self.shape) > 1) or self.dtype.hasobject or size != info.file_size - self._file.tell():
            raise ArchiveError(
                f"array '{name}' of {self.dtype} {self.shape} is not stored as plain rows of {info.file_size} bytes"
            )
        if name not in _PER_SUPPORT and info.file_size > max(_FREE_BYTES, _MAX_GROWTH * info.compress_size):
            raise ArchiveError(f"array '{name}' unpacks {info.compress_size} bytes to {info.file_size}: refused as a zip bomb")

    def take(self, rows: int) -> NDArray[Any]:
        """The next `rows` rows."""
        width = math.prod(self.shape[1:])
        size = rows * width * self.dtype.itemsize
        content = self._file.read(size)
        if len(content) != size:
            raise ArchiveError(f"array '{self.name}' ends early")
        return np.frombuffer(content, self.dtype).reshape(rows, *self.shape[1:])

    def finish(self) -> None:
        """Read to the end, where the archive's checksum is compared."""
        if self._file.read(1):
            raise ArchiveError(f"array '{self.name}' goes on behind its last row")


class Columns:
    """The arrays of an archive, checked against each other and against the model."""

    def __init__(self, archive: zipfile.ZipFile, stack: ExitStack, bundle: Bundle) -> None:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
        if not {"fingerprint", "labels"} <= names or len({"codes", "embeddings"} & names) != 1:
            raise ArchiveError(f"expected fingerprint, labels and either codes or embeddings, got {sorted(names)[:20]}")
        for content, sizes in _SIZES.items():
            if (content in names) != (sizes in names):
                raise ArchiveError(f"'{content}' and '{sizes}' come together, but only one of them is there")
        self._bundle = bundle
        size = sum(info.compress_size for info in archive.infolist())
        self._room = max(_FREE_BYTES, _MOST_MADE * size)
        self._open = {name: _Column(archive, stack, name) for name in sorted(names & set(_EXPECTED))}
        version = self._single("version", "i") if "version" in names else VERSION
        if version != VERSION:
            raise ArchiveError(f"it has version {version}, this runtime reads {VERSION}")
        fingerprint = self._single("fingerprint", "U")
        if fingerprint != bundle.fingerprint:
            raise ArchiveError(
                f"it was exported with model {fingerprint}, the loaded model is {bundle.fingerprint}: load the bundle it "
                "was made with, or export the pictures to a folder and import that"
            )
        self.count = self._check_shapes()

    def blocks(self) -> Iterator[Block]:
        """All supports, few rows or few bytes at a time; the archive's checksums are compared after the last of them."""
        for start in range(0, self.count, BLOCK):
            rows = min(BLOCK, self.count - start)
            pictures = self._sizes("thumbnails", rows, MAX_THUMBNAIL_BYTES)
            texts = self._sizes("metadata", rows, MAX_METADATA_BYTES)
            for part in _parts([max(0, picture) + max(0, text) for picture, text in zip(pictures, texts, strict=True)]):
                block = self._block(pictures[part], texts[part])
                self._require_room(block)
                yield block
        for column in self._open.values():
            column.finish()

    def _require_room(self, block: Block) -> None:
        """Raise when the gallery that is made of the archive outgrows it."""
        held = sum(len(label.encode()) + _SUPPORT_BYTES for label in block.labels) + block.codes.nbytes
        held += sum(len(part) for part in (*block.thumbnails, *block.metadata) if part is not None)
        self._room -= held
        if self._room < 0:
            raise ArchiveError(f"it unpacks to a gallery of more than {_MOST_MADE} times its own size: refused as a zip bomb")

    def _block(self, pictures: list[int], texts: list[int]) -> Block:
        """The next rows, by the sizes of their thumbnails and metadata."""
        labels = [check_label(label) for label in self._open["labels"].take(len(pictures)).tolist()]
        thumbnails = [check_thumbnail(self._content("thumbnails", size)) for size in pictures]
        metadata = [self._metadata(self._content("metadata", size)) for size in texts]
        return Block(labels, self._codes(len(labels)), thumbnails, metadata, self._created(len(labels)))

    def _single(self, name: str, kind: str) -> Any:
        column = self._open[name]
        if column.shape != () or column.dtype.kind != kind or column.dtype.itemsize > 4 * MAX_LABEL_LENGTH:
            raise ArchiveError(f"array '{name}' should be one value, got {column.dtype} {column.shape}")
        return column.take(1)[0].item()

    def _check_shapes(self) -> int:
        count = self._open["labels"].shape[0] if len(self._open["labels"].shape) == 1 else -1
        if not 0 <= count <= _MAX_SUPPORTS:
            raise ArchiveError(f"labels have shape {self._open['labels'].shape}, expected (N,) with at most {_MAX_SUPPORTS}")
        for name, column in self._open.items():
            kinds, shape = _EXPECTED[name]
            wanted = tuple(
                {"N": count, "D": self._bundle.dim, "any": column.shape[-1] if column.shape else 0}[s] for s in shape
            )
            if column.shape != wanted or (column.dtype.str.lstrip("<|=") not in kinds and column.dtype.kind not in kinds):
                raise ArchiveError(f"array '{name}' is {column.dtype} {column.shape}, expected {' or '.join(kinds)} {wanted}")
        if self._open["labels"].dtype.itemsize > 4 * MAX_LABEL_LENGTH:
            raise ArchiveError(f"labels have more than {MAX_LABEL_LENGTH} characters")
        return count

    def _codes(self, rows: int) -> NDArray[np.uint8]:
        if "codes" in self._open:
            return self._open["codes"].take(rows)
        embeddings = self._open["embeddings"].take(rows)
        check_embeddings(embeddings)
        return encode(embeddings, self._bundle.head)

    def _created(self, rows: int) -> list[float] | None:
        if "created" not in self._open:
            return None
        values = self._open["created"].take(rows)
        if not np.isfinite(values).all():
            raise ArchiveError("a time in 'created' is not finite")
        return [float(value) for value in values]

    def _sizes(self, name: str, rows: int, limit: int) -> list[int]:
        """Bytes that the next rows have of a column, -1 for none."""
        if name not in self._open:
            return [-1] * rows
        found: list[int] = self._open[_SIZES[name]].take(rows).tolist()
        if any(not -1 <= size <= limit for size in found):
            raise ArchiveError(f"'{_SIZES[name]}' has sizes outside -1 to {limit}")
        return found

    def _content(self, name: str, size: int) -> bytes | None:
        return None if size < 0 else self._open[name].take(size).tobytes()

    def _metadata(self, part: bytes | None) -> str | None:
        return None if part is None else pack_metadata(json.loads(part))


def _parts(sizes: list[int]) -> Iterator[slice]:
    """Cuts rows of these sizes where about `BLOCK_BYTES` are together."""
    first = held = 0
    for end, size in enumerate(sizes, 1):
        held += size
        if held >= BLOCK_BYTES or end == len(sizes):
            yield slice(first, end)
            first, held = end, 0


_SIZES = {"thumbnails": "thumbnail_sizes", "metadata": "metadata_sizes"}
_EXPECTED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "version": (("i8",), ()),
    "fingerprint": (("U",), ()),
    "labels": (("U",), ("N",)),
    "codes": (("u1",), ("N", "D")),
    "embeddings": (("f4",), ("N", "D")),
    "created": (("f8",), ("N",)),
    "thumbnails": (("u1",), ("any",)),
    "thumbnail_sizes": (("i8",), ("N",)),
    "metadata": (("u1",), ("any",)),
    "metadata_sizes": (("i8",), ("N",)),
}
"""Types and shapes of the arrays; N supports, D bytes of a code."""

"""The supports of a gallery file, some dozens in one row: few checksums to verify when a million of them are read.

A block's bytes: how many supports n and how many bytes of labels (two int32), then of each support its number (int64), its
time (float64), the checksum of its picture and metadata (uint64, 0 where it has none), a CRC-32 of all that is its own
(uint32), its code (D bytes), and at last the labels as UTF-8, joined by line feeds. All numbers are little-endian. The CRCs
are for repairs: of a block that does not match its checksum, they tell which supports are intact.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.stores.labels import MAX_LABEL_LENGTH, split_labels
from oneshot_runtime.stores.records import MAX_DIM, MAX_METADATA_BYTES, MAX_THUMBNAIL_BYTES

__all__ = [
    "MAX_EXTRAS_BYTES",
    "Block",
    "block_size",
    "checksum_of",
    "max_block_bytes",
    "pack_extras",
    "unpack_extras",
]

_HEAD = struct.Struct("<ii")
_SUPPORT = struct.Struct("<qdQ")
_SIZES = struct.Struct("<ii")
_COLUMNS = tuple(map(np.dtype, ("<i8", "<f8", "<u8", "<u4", "u1")))
_BESIDE_CODE = 28
_BLOCK_CODES = 1 << 14
MAX_EXTRAS_BYTES = MAX_THUMBNAIL_BYTES + MAX_METADATA_BYTES + _SIZES.size


def block_size(dim: int) -> int:
    """How many supports with codes of `dim` bytes a block has at most: of 16 KiB, which a write may have to replace."""
    return min(128, max(1, _BLOCK_CODES // dim))


def max_block_bytes(dim: int) -> int:
    """Bytes of the largest block."""
    return _HEAD.size + block_size(dim) * (_BESIDE_CODE + dim + 4 * MAX_LABEL_LENGTH + 1)


def checksum_of(data: bytes | memoryview, key: int = 0) -> int:
    """Eight bytes of SHA-256 over the row's id and its bytes, as an unsigned number that is not 0."""
    digest = hashlib.sha256(key.to_bytes(8, "little"))
    digest.update(data)
    return int.from_bytes(digest.digest()[:8], "little") or 1


@dataclass(frozen=True)
class Block:
    """Supports in the order of their enrollment.

    numbers: int64 (n,), growing. labels: n. codes: uint8 (n, D). created: float64 (n,), seconds since 1970. extras: uint64
    (n,), the checksums of what else is kept of each, 0 for nothing.
    """

    numbers: NDArray[np.int64]
    labels: list[str]
    codes: NDArray[np.uint8]
    created: NDArray[np.float64]
    extras: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.labels)

    def pack(self) -> bytes:
        """The block's bytes."""
        labels = [label.encode() for label in self.labels]
        text = b"\n".join(labels)
        columns = (self.numbers, self.created, self.extras, self._sums(labels), self.codes)
        return b"".join((_HEAD.pack(len(self), len(text)), *(column.tobytes() for column in columns), text))

    @classmethod
    def unpack(cls, *packed: bytes | memoryview, dim: int) -> Block | None:
        """The supports of packed blocks that follow each other; None where one is no block, or not behind the others."""
        columns = _columns(packed, dim)
        if columns is None:
            return None
        numbers, created, extras, _, codes, texts = columns
        try:
            labels = split_labels(b"\n".join(texts).decode(), len(numbers))
        except UnicodeDecodeError:
            return None
        if labels is None or numbers[0] < 1 or not (numbers[1:] > numbers[:-1]).all() or not np.isfinite(created).all():
            return None
        return cls(numbers, labels, codes, created, extras)

    @classmethod
    def salvage(cls, data: bytes, dim: int) -> tuple[Block | None, int]:
        """The intact supports of a damaged block, None where there are none, and how many are lost as far as can be told."""
        columns = _columns((data,), dim, whole=False)
        if columns is None:
            return None, 1
        numbers, created, extras, sums, codes, (text,) = columns
        names = text.split(b"\n")
        places, labels = [], []
        for place in range(len(numbers)):
            # A line feed may have come or gone: the labels before it are in their places from the front, others from the back.
            for at in {place, place + len(names) - len(numbers)}:
                if (
                    0 <= at < len(names)
                    and _sum(numbers[place], created[place], extras[place], codes[place], names[at]) == sums[place]
                ):
                    places.append(place)
                    labels.append(names[at].decode(errors="replace"))
                    break
        lost = len(numbers) - len(places)
        whole = cls(numbers, [""] * len(numbers), codes, created, extras).part(places)
        block = cls(whole.numbers, labels, whole.codes, whole.created, whole.extras)
        sound = cls.unpack(block.pack(), dim=dim) if places else None
        return (sound, lost) if sound is not None else (None, len(numbers))

    def _sums(self, labels: Sequence[bytes]) -> NDArray[np.uint32]:
        columns = zip(self.numbers, self.created, self.extras, self.codes, labels, strict=True)
        return np.fromiter((_sum(*columns) for columns in columns), np.uint32, len(self))

    @staticmethod
    def count_of(data: bytes | memoryview) -> int:
        """How many supports a packed block has."""
        return int(_HEAD.unpack_from(data)[0])

    @staticmethod
    def dim_of(data: bytes) -> int | None:
        """The length of a block's codes, where it is a whole number."""
        if len(data) < _HEAD.size:
            return None
        count, size = _HEAD.unpack_from(data)
        dim, rest = divmod(len(data) - _HEAD.size - size, count) if count > 0 else (0, 1)
        return None if rest or not 0 < dim - _BESIDE_CODE <= MAX_DIM else dim - _BESIDE_CODE

    def part(self, places: Sequence[int] | slice) -> Block:
        """Some of its supports."""
        labels = self.labels[places] if isinstance(places, slice) else [self.labels[place] for place in places]
        return Block(self.numbers[places], labels, self.codes[places], self.created[places], self.extras[places])

    def places_of(self, label: str) -> list[int]:
        """Where the supports of a label are."""
        return [place for place, found in enumerate(self.labels) if found == label]

    @staticmethod
    def join(blocks: Sequence[Block]) -> Block:
        """Supports one after the other."""
        columns = (
            np.concatenate([getattr(block, name) for block in blocks]) for name in ("numbers", "codes", "created", "extras")
        )
        numbers, codes, created, extras = columns
        return Block(numbers, [label for block in blocks for label in block.labels], codes, created, extras)


def _columns(packed: Sequence[bytes | memoryview], dim: int, whole: bool = True) -> tuple[Any, ...] | None:
    """Numbers, times, checksums of extras, CRCs, codes, and the bytes of the labels of each; None where one is no block.

    whole: whether each must have as many labels as supports.
    """
    parts: tuple[list[memoryview], ...] = ([], [], [], [], [])
    texts = []
    most, width = block_size(dim), _BESIDE_CODE + dim
    for data in packed:
        if len(data) < _HEAD.size:
            return None
        count, size = _HEAD.unpack_from(data)
        if not 1 <= count <= most or size < 0 or len(data) != _HEAD.size + count * width + size:
            return None
        view, end = memoryview(data), _HEAD.size
        for part, length in zip(parts, (8, 8, 8, 4, dim), strict=True):
            part.append(view[end : (end := end + length * count)])
        texts.append(bytes(view[end:]))
        if whole and texts[-1].count(b"\n") != count - 1:
            return None
    *columns, codes = (np.frombuffer(b"".join(part), kind) for part, kind in zip(parts, _COLUMNS, strict=True))
    return *columns, codes.reshape(-1, dim), texts


def _sum(number: Any, created: Any, extras: Any, code: NDArray[np.uint8], label: bytes) -> int:
    return zlib.crc32(label, zlib.crc32(code.data, zlib.crc32(_SUPPORT.pack(number, created, extras))))


def pack_extras(thumbnail: bytes | None, metadata: str | None) -> bytes | None:
    """What is kept of a support beside its block; None for nothing."""
    if thumbnail is None and metadata is None:
        return None
    picture, text = thumbnail or b"", (metadata or "").encode()
    sizes = _SIZES.pack(-1 if thumbnail is None else len(picture), -1 if metadata is None else len(text))
    return sizes + picture + text


def unpack_extras(data: bytes) -> tuple[bytes | None, str | None] | None:
    """Inverse of `pack_extras`; None for what it never gives."""
    if len(data) < _SIZES.size:
        return None
    picture, text = _SIZES.unpack_from(data)
    middle = _SIZES.size + max(0, picture)
    if min(picture, text) < -1 or len(data) != middle + max(0, text):
        return None
    try:
        metadata = None if text < 0 else data[middle:].decode()
    except UnicodeDecodeError:
        return None
    return None if picture < 0 else data[_SIZES.size : middle], metadata

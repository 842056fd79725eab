"""Bounds on TIFF and on EXIF, which is written as a TIFF directory: few bytes can point at many, many times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.claim import MAX_PIXELS, SLOW_DECODER_BYTES, Claim, bounded

__all__ = ["check_directory", "has_more_pages", "orientation_of", "tiff_claim"]

_MAX_ENTRIES = 1024
_MAX_NUMBERS = 300_000
_MAX_SEGMENTS = 1 << 16
_MAX_SEGMENT_BYTES = 256 << 20
_MAX_SCANS = 15
"""Of the JPEGs in a TIFF, times all of its pixels: strips may share their bytes."""

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_TEXT_TYPES = (1, 2, 6, 7)
_NUMBER_TYPES = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8"}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _ROWS = 256, 257, 258, 259, 277, 278
_OFFSETS, _COUNTS = (273, 324), (279, 325)
_TILE_WIDTH, _TILE_HEIGHT, _ORIENTATION = 322, 323, 274
_INNER_DIRECTORIES = (34665, 34853, 40965)
_RAW, _JPEG = 1, 7
_COMPRESSIONS = (_RAW, 2, 3, 4, 5, _JPEG, 8, 32773, 32946, 50000)
"""None, CCITT, LZW, JPEG, deflate, PackBits, Zstandard."""


@dataclass(frozen=True)
class _Entry:
    kind: int
    count: int
    place: int
    """Where its values begin."""

    @property
    def size(self) -> int:
        return self.count * _TYPE_BYTES.get(self.kind, 0)


class _Directory:
    """The entries of a directory by tag. offset: where it begins, by default where the header says."""

    def __init__(self, data: bytes, offset: int | None = None) -> None:
        self._data = data
        self._order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
        self._large = 43 in (data[2:3] + data[3:4])  # BigTIFF
        word = 8 if self._large else 4
        self.entries: dict[int, _Entry] = {}
        self.next = 0
        """Where the directory of the next page begins; 0 for the last one."""
        start = self._number(word, word) if offset is None else offset
        if start < 8 or start >= len(data):
            return
        head = 8 if self._large else 2
        count = self._number(start, head)
        if count > _MAX_ENTRIES:
            raise ImageError(f"a directory in it has {count} entries, more than {_MAX_ENTRIES}")
        for place in range(start + head, start + head + count * (4 + 2 * word), 4 + 2 * word):
            entry = _Entry(self._number(place + 2, 2), self._number(place + 4, word), place + 4 + word)
            if entry.size > word:
                entry = _Entry(entry.kind, entry.count, self._number(place + 4 + word, word))
            self.entries.setdefault(self._number(place, 2), entry)
        self.next = self._number(start + head + count * (4 + 2 * word), word)

    def _number(self, place: int, size: int) -> int:
        return int.from_bytes(self._data[place : place + size], self._order)

    def numbers(self, tag: int) -> NDArray[np.int64]:
        """The whole numbers of an entry, as far as they are there; none for one that is missing."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _NUMBER_TYPES:
            return np.zeros(0, np.int64)
        kind = np.dtype(_NUMBER_TYPES[entry.kind]).newbyteorder("<" if self._order == "little" else ">")
        found = self._data[entry.place : entry.place + entry.size]
        values = np.frombuffer(found[: len(found) // kind.itemsize * kind.itemsize], kind)
        return np.minimum(values.astype(np.uint64), np.uint64(1 << 40)).astype(np.int64)

    def number(self, tag: int, default: int) -> int:
        """The first number of an entry."""
        return int(next(iter(self.numbers(tag)), default))

    def check(self) -> None:
        """Raise `ImageError` when reading all entries would take much more than the file's own size."""
        size = len(self._data)
        inside = [entry for entry in self.entries.values() if entry.place + entry.size <= size]
        if sum(min(entry.size, size) for entry in self.entries.values()) > 2 * size + (16 << 20):
            raise ImageError(f"the entries of a directory in it share its {size} bytes many times")
        if sum(entry.count for entry in inside if entry.kind not in _TEXT_TYPES) > _MAX_NUMBERS:
            raise ImageError(f"a directory in it has more than {_MAX_NUMBERS} numbers")


def has_more_pages(data: bytes) -> bool:
    """Whether TIFF data has a second page."""
    return 8 <= _Directory(data).next < len(data)


def _page(data: bytes, page: int) -> _Directory:
    """The directory of a page, counted from 1. Raises `ImageError` where there is none, or one on the way is not to be read."""
    found = _Directory(data)
    for number in range(2, page + 1):
        found.check()
        if not 8 <= found.next < len(data):
            raise ImageError(f"it has no page {page}: its pages are 1 to {number - 1}")
        found = _Directory(data, found.next)
    return found


def _directories(data: bytes, first: _Directory) -> Iterator[_Directory]:
    """A directory and those inside it."""
    yield first
    for tag in _INNER_DIRECTORIES:
        if tag in first.entries:
            yield _Directory(data, first.number(tag, 0))


def check_directory(data: bytes) -> None:
    """Raise `ImageError` where reading the directories of TIFF data, of EXIF for example, would take too long or too much."""
    if data[:2] in (b"II", b"MM"):
        _check(data, _Directory(data))


def _check(data: bytes, first: _Directory) -> None:
    for directory in _directories(data, first):
        directory.check()


def orientation_of(exif: bytes) -> int:
    """Which side of a picture is up, 1 to 8 as EXIF counts; 1 where it does not say."""
    data = exif.removeprefix(b"Exif\0\0")
    if data[:2] not in (b"II", b"MM"):
        return 1
    try:
        found = _Directory(data).number(_ORIENTATION, 1)
    except ImageError:
        return 1
    return found if 1 <= found <= 8 else 1


def tiff_claim(data: bytes, page: int = 1) -> Claim:
    """What a page of a TIFF claims. Raises `ImageError` where decoding would take too long or too much memory."""
    tags = _page(data, page)
    _check(data, tags)
    width, height = tags.number(_WIDTH, 0), tags.number(_HEIGHT, 0)
    if width * height > MAX_PIXELS:
        bounded(width, height, 1)  # raises, before the sizes below grow without bounds
    compression = tags.number(_COMPRESSION, _RAW)
    if compression not in _COMPRESSIONS:
        raise ImageError(f"its compression {compression} is not read: save it as PNG")
    segments = max(len(tags.numbers(tag)) for tag in _OFFSETS)
    if segments > _MAX_SEGMENTS:
        raise ImageError(f"it has {segments} strips or tiles, more than {_MAX_SEGMENTS}")
    if compression == _RAW:
        return bounded(width, height, 4)
    counts = max((tags.numbers(tag).clip(max=len(data)).sum() for tag in _COUNTS), default=0)
    if counts > 2 * len(data) + SLOW_DECODER_BYTES:
        raise ImageError("its strips or tiles share their bytes many times")
    if compression == _JPEG and data.count(b"\xff\xda") > segments + _MAX_SCANS:
        raise ImageError(f"the JPEGs in it have more than {_MAX_SCANS} scans")
    return bounded(width, height, 4, _segment_bytes(tags, width, height))


def _segment_bytes(tags: _Directory, width: int, height: int) -> int:
    """Bytes of one strip or tile when it is unpacked."""
    each = tags.numbers(_BITS)
    bits = max(int(each.sum()), int(each.max(initial=1)) * tags.number(_SAMPLES, 1))
    across, down = tags.number(_TILE_WIDTH, width), tags.number(_TILE_HEIGHT, min(height, tags.number(_ROWS, height)))
    size = -(-across * bits // 8) * down
    if size > _MAX_SEGMENT_BYTES:
        raise ImageError(f"a strip or tile of it unpacks to {size} bytes, more than {_MAX_SEGMENT_BYTES}")
    return size

"""HEIC, the pictures of phones, which the package pillow-heif reads, and AVIF, which is named and refused."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator

from PIL import Image

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.claim import MAX_PIXELS, Claim, bounded

__all__ = ["heif_claim", "is_heif", "open_heif"]

_AVIF = (b"avif", b"avis")
_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_MOST_BOXES = 4096
_MOST_CODED = 4 * MAX_PIXELS
"""Pixels of an image and of all that it is put together of, each as often as it is used."""

_DEEPEST = 3
"""A picture of a wide range of light is made of a grid, which is made of tiles."""

_BYTES_A_PIXEL = 8


def is_heif(data: bytes) -> bool:
    """Whether data begins as AVIF or HEIC do."""
    return data[4:8] == b"ftyp" and data[8:12] in _AVIF + _HEIC


def open_heif(data: bytes, name: str) -> Image.Image:
    """The picture, opened and not decoded yet. Raises `ImageError` that says what to do where nothing here reads it."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise ImageError(f"{name} is HEIC, which needs a package: pip install 'oneshot-runtime[heic]', or save it as PNG or "
                         "JPEG") from error  # fmt: skip
    opened: Callable[[io.BytesIO], Image.Image] = HeifImageFile
    return opened(io.BytesIO(data))


def heif_claim(data: bytes) -> Claim:
    """What a file claims: the size of its largest image, and the memory that it takes.

    Raises `ImageError` for a damaged header, images laid over each other, or images that together have too many pixels; and for
    AVIF, whose decoder goes by the size in its stream, whatever the header says: 2 kB took 2.9 GB.
    """
    if _is_avif(data):
        raise ImageError("AVIF is not read, since its size is known only once it is decoded: save it as PNG or JPEG, or open "
                         "it with Pillow and pass the Pillow image")  # fmt: skip
    try:
        (width, height), coded = _largest(data)
    except IndexError:
        raise ImageError("it is damaged or truncated: its header ends early") from None
    claim = bounded(width, height, _BYTES_A_PIXEL)
    if coded > _MOST_CODED:
        raise ImageError(f"its images have {coded} pixels together: save it as PNG or JPEG")
    return claim


def _largest(data: bytes) -> tuple[tuple[int, int], int]:
    """Width and height of the largest image, and the pixels that the costliest one is put together of."""
    meta = _inside(data, 0, len(data), b"meta", skip=4)
    if b"iovl" in data[slice(*meta)]:
        raise ImageError("it lays images over each other: save it as PNG or JPEG")
    properties = _inside(data, *meta, b"iprp")
    sizes = _sizes(data, *_inside(data, *properties, b"ipco"))
    size = max(sizes.values(), key=lambda size: size[0] * size[1], default=(0, 0))
    if not min(size):
        raise ImageError("it is damaged or truncated: it has no size")
    areas, tiles = _areas(data, properties, sizes), _tiles(data, meta)
    known: dict[int, tuple[int, int]] = {}
    return size, max((_coded(item, areas, tiles, known, 0)[0] for item in {*areas, *tiles}), default=0)


def _coded(
    item: int, areas: Counter[int], tiles: dict[int, Counter[int]], known: dict[int, tuple[int, int]], depth: int
) -> tuple[int, int]:
    """Pixels that are decoded for an image, its own and those of its tiles, and how many levels of tiles it has."""
    if item not in known and depth <= _DEEPEST:
        parts = [(times, _coded(tile, areas, tiles, known, depth + 1)) for tile, times in tiles.get(item, {}).items()]
        levels = 1 + max(part[1] for _, part in parts) if parts else 0
        known[item] = (areas[item] + sum(times * part[0] for times, part in parts), levels)
    if depth > _DEEPEST or known[item][1] > _DEEPEST:
        raise ImageError("its images are made of images that are made of images: save it as PNG or JPEG")
    return known[item]


def _is_avif(data: bytes) -> bool:
    return data[8:12] in _AVIF or any(brand in data[8 : _number(data, 0, 4)] for brand in _AVIF)


def _number(data: bytes, place: int, size: int) -> int:
    return int.from_bytes(data[place : place + size], "big")


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes between two places: kind, start and end of what each holds (ISO/IEC 14496-12, 4.2)."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        size, head = _number(data, start, 4), 8
        if size == 1:
            size, head = _number(data, start + 8, 8), 16
        stop = end if size == 0 else start + size
        if stop < start + head or stop > end:
            raise ImageError("it is damaged or truncated: a part of its header ends elsewhere")
        yield data[start + 4 : start + 8], start + head, stop
        start = stop
    raise ImageError("its header has too many parts")


def _inside(data: bytes, start: int, end: int, kind: bytes, skip: int = 0) -> tuple[int, int]:
    for found, first, last in _boxes(data, start, end):
        if found == kind:
            return first + skip, last
    raise ImageError("it is damaged or truncated: its header lacks a part")


def _sizes(data: bytes, start: int, end: int) -> dict[int, tuple[int, int]]:
    """Width and height by the number of the property that says them, counted from 1."""
    return {
        number: (_number(data, first + 4, 4), _number(data, first + 8, 4))
        for number, (kind, first, _) in enumerate(_boxes(data, start, end), 1)
        if kind == b"ispe"
    }


def _areas(data: bytes, properties: tuple[int, int], sizes: dict[int, tuple[int, int]]) -> Counter[int]:
    """Pixels of each image by its number."""
    areas: Counter[int] = Counter()
    for kind, place, end in _boxes(data, *properties):
        if kind != b"ipma":
            continue
        wide_item, wide_property = (4 if data[place] else 2), (2 if data[place + 3] & 1 else 1)
        count, place = _number(data, place + 4, 4), place + 8
        for _ in range(count):
            if place + wide_item >= end:
                raise ImageError("it is damaged or truncated: its header ends early")
            item, held = _number(data, place, wide_item), data[place + wide_item]
            place += wide_item + 1
            for _ in range(held):
                index = _number(data, place, wide_property) & (0x7FFF if wide_property == 2 else 0x7F)
                width, height = sizes.get(index, (0, 0))
                areas[item] = max(areas[item], width * height)
                place += wide_property
    return areas


def _tiles(data: bytes, meta: tuple[int, int]) -> dict[int, Counter[int]]:
    """What each image is made of, with how often."""
    tiles: dict[int, Counter[int]] = {}
    for kind, start, end in _boxes(data, *meta):
        if kind == b"iref":
            wide = 4 if data[start] else 2
            for what, first, last in _boxes(data, start + 4, end):
                if what == b"dimg":
                    parts = data[first + wide + 2 : last]
                    held = tiles.setdefault(_number(data, first, wide), Counter())
                    held.update(_number(parts, place, wide) for place in range(0, len(parts) - wide + 1, wide))
    return tiles

"""A flat region that holds the symbol: the tile of an app, a sign, a card. Told by its outline, whatever lies around it.

Pixels that differ little from their neighbours, in each colour, make up regions. One that is convex, has another colour than
what lies around it, and has something in it that is no hole of a letter, carries the symbol; it is then read as a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.vision.grouping import union
from oneshot_runtime.vision.morphology import connected_parts, spread
from oneshot_runtime.vision.outline import filled_in, is_convex, is_letter
from oneshot_runtime.vision.picture import Picture

__all__ = ["Tile", "find_tile"]

_SIDE, _ENLARGED = 192, 3
"""Longer side of the small picture at most, and how many times the pixels of one of half that side are enlarged: a stroke may
be as narrow there as the soft edges around it."""

_WORKING_SIDE, _MOST_COLOURED = 1024, 3
"""Longer side of the picture in which a tile is read at most, and by how much it is smaller than one whose colours are worth
the time."""

_FLAT = (12, 32)
"""Levels that neighbours in a flat region differ by at most: as it was drawn, and in noise."""

_REGIONS, _SHARE = 4, 0.03
"""Regions that are looked at, largest first, and the share of the picture that one takes at least."""

_SOLID, _HELD, _CENTRAL = 45, 8, 25
"""What a tile covers of itself at least, in hundredths; its longer side over that of what it holds, at most; and twice the
distance of that from the middle where it must be central, at most, in hundredths of the longer side."""

_CONVEX, _FULL = 0.99, 75
"""Share of its hull that a tile covers, at least, and hundredths of itself, where its surroundings may show through it: letters
may be nearly convex, and thick strokes take much of what they enclose."""

_BESIDE, _STEP, _OTHER = (8, 16), 24, 70
"""Where its surroundings are looked at, in hundredths of its longer side; levels by which they differ from it, in some colour;
and how much of them does, in hundredths. Around what is only outlined there is more of the same paper."""

_RIM = 2
"""Pixels along a tile's edge that are soft."""


@dataclass(frozen=True)
class Tile:
    """A tile in a picture. alone: what shows it and nothing else, `scale` times smaller, and goes on where the tile ends. left,
    top: where that is in the picture."""

    alone: Picture
    left: int
    top: int
    scale: int


def find_tile(picture: Picture, *, central: bool, alone: bool) -> Tile | None:
    """The largest tile that holds something.

    Filled shapes have holes, too. central: what is held must be in the middle. alone: the tile lies on no other, so that what
    it holds may have the colour that is around it; else that shows through it.
    """
    scale = -(-max(picture.grey.shape) // _WORKING_SIDE)
    grey = picture.grey if scale == 1 else np.asarray(Image.fromarray(picture.grey).reduce(scale))
    colours = None if picture.colours is None or scale > _MOST_COLOURED else picture.colours()
    pixels = grey if colours is None else colours
    factor = -(-max(grey.shape) // _SIDE)
    small = np.asarray(Image.fromarray(pixels).reduce(factor))
    small = small.reshape(*small.shape[:2], -1)
    times = _ENLARGED if 2 * max(small.shape) <= _SIDE else 1
    large = small.repeat(times, axis=0).repeat(times, axis=1)
    for limit in _FLAT:
        for region in _regions(large, limit):
            filled = filled_in(region)
            if _is_tile(large, region, filled, central, alone):
                inside = spread(255 - 255 * filled.astype(np.uint8), _RIM)[times // 2 :: times, times // 2 :: times] == 0
                if inside.any():
                    return _tile(inside, small, factor, scale, grey, colours)
    return None


def _regions(planes: NDArray[np.uint8], limit: int) -> Iterator[NDArray[np.bool_]]:
    """The largest regions of pixels that differ by no more from their neighbours: within the picture, or as large as it is."""
    height, width, colours = planes.shape
    flat = np.ones((height, width), np.bool_)
    for plane in (np.ascontiguousarray(planes[..., at]) for at in range(colours)):
        flat &= spread(plane, 1).astype(np.int16) + spread(255 - plane, 1) - 255 <= limit
    parts = connected_parts(flat)
    for number in np.argsort(-parts.areas, kind="stable")[:_REGIONS]:
        if parts.areas[number] < _SHARE * flat.size:
            break
        x, y, w, h = (int(value) for value in parts.boxes[number])
        ends = [x > 1, y > 1, x + w < width - 1, y + h < height - 1]
        if all(ends) or not any(ends):
            yield spread(parts.mask(np.array([number]), (0, 0, width, height)), 1) > 0


def _is_tile(
    planes: NDArray[np.uint8], region: NDArray[np.bool_], filled: NDArray[np.bool_], central: bool, alone: bool
) -> bool:
    """Whether a region bool (h, w) of a picture is a tile, and something large enough is on it; see `find_tile`."""
    if filled[0, 0] or filled[0, -1] or filled[-1, 0] or filled[-1, -1]:
        return False
    solid, area = int(np.count_nonzero(region)), int(np.count_nonzero(filled))
    if 100 * solid < _SOLID * area or not is_convex(filled):
        return False
    rows, columns = np.flatnonzero(filled.any(axis=1)), np.flatnonzero(filled.any(axis=0))
    left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    side = max(right - left, bottom - top)
    held = connected_parts(filled & ~region).boxes
    held = held[_HELD * held[:, 2:].max(axis=1, initial=0) >= side]
    if not len(held):
        return False
    x, y, w, h = (int(value) for value in union(held))
    if central and 100 * max(abs(2 * x + w - left - right), abs(2 * y + h - top - bottom)) > _CENTRAL * side:
        return False
    around = _around(filled, side)
    own = planes[region].sum(axis=0, dtype=np.int64) // solid
    other = np.abs(planes[around] - own).max(axis=1) >= _STEP
    if 100 * np.count_nonzero(other) < _OTHER * len(other):
        return False
    on, beside = (np.sort(planes[mask], axis=0)[np.count_nonzero(mask) // 2] for mask in (filled & ~region, around))
    if np.abs(on.astype(np.int64) - beside).max() >= _STEP:
        return True
    of_it = region | (filled & (np.abs(planes - own).max(axis=2) < _STEP))  # as it shows in the holes of a letter on it
    is_whole = (left, top, right, bottom) == (0, 0, *filled.shape[::-1])
    is_plain = is_whole or (100 * solid >= _FULL * area and is_convex(filled, _CONVEX))
    return alone and is_plain and not is_letter(of_it, filled, (left, top, right, bottom))


def _around(filled: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """What is around a region of that longer side; all else, where that is little."""
    mask = 255 * filled.astype(np.uint8)
    near, far = (spread(mask, max(2, share * side // 100)) > 0 for share in _BESIDE)
    around = far & ~near
    return around if 4 * np.count_nonzero(around) >= side else ~filled


def _tile(
    inside: NDArray[np.bool_],
    small: NDArray[np.uint8],
    factor: int,
    scale: int,
    grey: NDArray[np.uint8],
    colours: NDArray[np.uint8] | None,
) -> Tile:
    """What is inside a mask bool (h, w) of the small picture; beside it, the level of the nearest of it in the row."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    inside, levels = inside[top:bottom, left:right], small[top:bottom, left:right]
    first, last = inside.argmax(axis=1), inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    nearest = np.clip(np.arange(inside.shape[1])[None], first[:, None], last[:, None])
    levels = np.take_along_axis(levels, nearest[..., None], axis=1)

    def alone(pixels: NDArray[np.uint8], levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        part = pixels[top * factor : bottom * factor, left * factor : right * factor]
        size = part.shape[1::-1]
        mask = np.asarray(Image.fromarray(inside).resize(size, Image.Resampling.NEAREST))
        around = np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.NEAREST))
        return np.where(mask if part.ndim == 2 else mask[..., None], part, around)

    place = left * factor * scale, top * factor * scale
    if colours is None:
        return Tile(Picture(alone(grey, levels[..., 0])), *place, scale)
    lightness = np.asarray(Image.fromarray(levels).convert("L"))
    return Tile(Picture(alone(grey, lightness), lambda: alone(colours, levels)), *place, scale)

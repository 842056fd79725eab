"""A flat region that holds the symbol: the tile of an app, a sign, a card, a sheet. Told by its outline, whatever lies around it.

Pixels that differ little from their neighbours, in each colour, make up regions. One that is convex, has another colour than
what lies around it, and has something in it that is no hole of a letter, carries the symbol; it is then read as a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.vision.decode import Picture
from oneshot_runtime.vision.grouping import union
from oneshot_runtime.vision.morphology import connected_parts, spread
from oneshot_runtime.vision.outline import filled_in, is_carrier

__all__ = ["Tile", "find_tile"]

_SIDE, _ENLARGED = 192, 3
"""Longer side of the small picture at most, and how many times pixels of one that is half as large are enlarged: there a stroke
may be as wide as the edges around it."""

_FLAT = (12, 32)
"""Levels that neighbours in a flat region differ by at most: as they are made, and in noise."""

_REGIONS, _SHARE = 4, 0.03
"""Regions that are looked at, largest first, and the share of the picture that one takes at least."""

_HELD = 8
"""The longer side of a tile over that of what it holds, at most."""

_CENTRAL = 0.25
"""Twice the distance of what is held from the middle, as a share of the longer side, at most, where it must be central."""

_BESIDE, _STEP, _OTHER = (0.08, 0.16), 24, 0.7
"""Where its surroundings are looked at, as shares of its longer side; levels by which they differ from it, in some colour; and
how much of them does. Around what is only outlined there is more of the same paper."""

_RIM = 2
"""Pixels along a tile's edge that are soft."""


@dataclass(frozen=True)
class Tile:
    """Where a tile is. left, top: in the picture. factor: by how much `inside` is smaller. inside: bool (rows, columns), which
    pixels of the small picture are on it. levels: uint8 (rows, columns, colours), those it has; beside it, the nearest in the
    row."""

    left: int
    top: int
    factor: int
    inside: NDArray[np.bool_]
    levels: NDArray[np.uint8]

    def alone(self, picture: Picture) -> Picture:
        """The tile as a picture, with more of it where it ends."""
        height, width = self.inside.shape
        scale = -(-max(picture.grey.shape) // 1024)
        levels = self.levels if self.levels.shape[2] == 3 else np.repeat(self.levels, 3, axis=2)
        grey = self._alone(picture.grey, self.factor, np.asarray(Image.fromarray(levels).convert("L")))
        if picture.colours is None:
            return Picture(grey)
        colours = picture.colours
        return Picture(grey, lambda: self._alone(colours(), self.factor // scale, levels))

    def _alone(self, plane: NDArray[np.uint8], factor: int, levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = self.inside.shape
        scale = self.factor // factor
        left, top = self.left // scale, self.top // scale
        part = plane[top : top + height * factor, left : left + width * factor]
        size = part.shape[1::-1]
        mask = np.asarray(Image.fromarray(self.inside).resize(size, Image.Resampling.NEAREST))
        around = np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.NEAREST))
        return np.where(mask if part.ndim == 2 else mask[..., None], part, around)


def find_tile(picture: Picture, even: bool) -> Tile | None:
    """The largest tile that holds something. even: whether it lies on even paper: there it may be a filled shape, unless what it
    holds is in its middle."""
    scale = -(-max(picture.grey.shape) // 1024)
    full = picture.grey[..., None] if picture.colours is None else picture.colours()
    factor = -(-max(full.shape) // _SIDE)
    if picture.colours is None:
        small = np.asarray(Image.fromarray(picture.grey).reduce(scale * factor))[..., None]
    else:
        small = full if factor == 1 else np.asarray(Image.fromarray(full).reduce(factor))
    times = _ENLARGED if 2 * max(small.shape) <= _SIDE else 1
    large = small.repeat(times, axis=0).repeat(times, axis=1)
    for limit in _FLAT:
        for region in _regions(large, limit):
            filled = filled_in(region)
            if _holds_something(region, filled, even) and _is_another(large, region, filled):
                rim = 255 - spread(255 - 255 * filled.astype(np.uint8), _RIM)
                inside = (rim > 0)[times // 2 :: times, times // 2 :: times]
                if inside.any():
                    return _tile(inside, small, scale * factor)
    return None


def _regions(planes: NDArray[np.uint8], limit: int) -> Iterator[NDArray[np.bool_]]:
    """The largest regions of pixels that differ by no more from their neighbours, and end within the picture."""
    height, width = planes.shape[:2]
    steep = np.zeros((height, width), np.bool_)
    for at in range(planes.shape[2]):
        plane = np.ascontiguousarray(planes[..., at])
        steep |= spread(plane, 1).astype(np.int16) + spread(255 - plane, 1) - 255 > limit
    parts = connected_parts(~steep)
    for number in np.argsort(-parts.areas, kind="stable")[:_REGIONS]:
        if parts.areas[number] < _SHARE * steep.size:
            break
        x, y, w, h = (int(value) for value in parts.boxes[number])
        ends = [x > 1, y > 1, x + w < width - 1, y + h < height - 1]
        if all(ends) or not any(ends):
            yield spread(parts.mask(np.array([number]), (0, 0, width, height)), 1) > 0


def _holds_something(region: NDArray[np.bool_], filled: NDArray[np.bool_], central: bool) -> bool:
    """Whether a region bool (h, w) is a tile, and something large enough is on it, away from its edge."""
    if filled[0, 0] or filled[0, -1] or filled[-1, 0] or filled[-1, -1]:
        return False
    rows, columns = np.flatnonzero(filled.any(axis=1)), np.flatnonzero(filled.any(axis=0))
    box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    side = max(box[2] - box[0], box[3] - box[1])
    held = connected_parts(filled & ~region).boxes
    held = held[_HELD * held[:, 2:].max(axis=1, initial=0) >= side]
    if not len(held):
        return False
    x, y, w, h = union(held)
    off = max(abs(2 * int(x) + int(w) - box[0] - box[2]), abs(2 * int(y) + int(h) - box[1] - box[3]))
    return (not central or off <= _CENTRAL * side) and is_carrier(region, filled, box)


def _is_another(planes: NDArray[np.uint8], region: NDArray[np.bool_], filled: NDArray[np.bool_]) -> bool:
    """Whether what is around a region has another colour."""
    side = max(int(np.count_nonzero(filled.any(axis=0))), int(np.count_nonzero(filled.any(axis=1))))
    near, far = (spread(255 * filled.astype(np.uint8), max(2, round(share * side))) > 0 for share in _BESIDE)
    around = far & ~near
    if np.count_nonzero(around) < side // 4:
        around = ~filled
    own = planes[region].mean(axis=0)
    return bool((np.abs(planes[around] - own).max(axis=1) >= _STEP).mean() >= _OTHER)


def _tile(inside: NDArray[np.bool_], small: NDArray[Any], factor: int) -> Tile:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    inside, levels = inside[top:bottom, left:right], small[top:bottom, left:right]
    first, last = inside.argmax(axis=1), inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    nearest = np.clip(np.arange(inside.shape[1])[None], first[:, None], last[:, None])
    return Tile(left * factor, top * factor, factor, inside, np.take_along_axis(levels, nearest[..., None], axis=1))

"""A sheet that lies on something rough: wood, cloth, a lawn, print. What is rough is full of marks, often stronger than pencil.

Paper is smooth but for its ink. The largest smooth region is the sheet when what surrounds it is rough; ink is then looked for
on it alone. On a smooth desk nothing needs to be done: the sheet's border is a step, and leaves no ink.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.vision.morphology import closing, connected_parts, spread
from oneshot_runtime.vision.outline import convex_hull
from oneshot_runtime.vision.segment import working

__all__ = ["Sheet", "View", "find_sheet", "view_of"]

_BLOCKS, _BLOCK = 64, 4
"""Blocks along the shorter side of the picture, and pixels of each, after the picture is reduced."""

_SMOOTH = (10, 20)
"""Grey levels between a block's darkest and lightest pixel, up to which it is smooth: on paper, and on noisy paper."""

_PEN = 18
"""The shorter side of a picture over the width of pens and rules that are taken off the paper, to see whether it is smooth."""

_REGIONS = 3
"""Smooth regions that are looked at, largest first."""

_SHARE, _SOLID = 0.05, 0.6
"""Share of the picture that a sheet takes, and share of the sheet that is smooth, at least."""

_ROUGH, _AROUND = 0.3, 0.1
"""Share of what surrounds the sheet that is rough, and share of the picture that surrounds it, at least."""

_STEP, _BESIDE = 32, (2, 5)
"""Grey levels from the sheet to what lies beside it, so many blocks away: farther than a frame that is drawn on it is wide."""

_SIDES, _EDGE = 3, 0.6
"""Sides of the sheet that are seen at least, and share of its outline to one side that is such an edge."""


@dataclass(frozen=True)
class Sheet:
    """Where a sheet is. box: left, top, right, bottom in pixels of the picture. inside: bool (rows, columns), which blocks of
    the box it covers. levels: uint8 (rows, columns), their grey levels; outside it, those of its nearest in the row."""

    box: tuple[int, int, int, int]
    inside: NDArray[np.bool_]
    levels: NDArray[np.uint8]

    def alone(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The sheet's part of a picture, uint8 (h, w) in any size, with paper where the sheet is not."""
        size = picture.shape[::-1]
        mask = np.asarray(Image.fromarray(self.inside).resize(size, Image.Resampling.NEAREST))
        return np.where(mask, picture, np.asarray(Image.fromarray(self.levels).resize(size, Image.Resampling.NEAREST)))


@dataclass(frozen=True)
class View:
    """Where ink is looked for. grey: uint8 (H, W), the picture, or the sheet's part of it. left, top: where that is in the
    picture. working: uint8 (h, w), what `grey` shows, `factor` times smaller."""

    grey: NDArray[np.uint8]
    left: int
    top: int
    working: NDArray[np.uint8]
    factor: int


def view_of(grey: NDArray[np.uint8]) -> View:
    """Where ink is looked for in a picture uint8 (H, W)."""
    sheet = find_sheet(grey)
    if sheet is None:
        return View(grey, 0, 0, *working(grey))
    left, top, right, bottom = sheet.box
    part = grey[top:bottom, left:right]
    small, factor = working(part)
    return View(part, left, top, sheet.alone(small), factor)


def find_sheet(grey: NDArray[np.uint8]) -> Sheet | None:
    """The sheet in a picture uint8 (H, W) that something rough surrounds, or something darker."""
    factor = min(grey.shape) // (_BLOCKS * _BLOCK)
    if not factor:
        return None
    height, width = (side // (factor * _BLOCK) * _BLOCK for side in grey.shape)
    reduced = np.ascontiguousarray(np.asarray(Image.fromarray(grey).reduce(factor))[:height, :width])
    levels = _levels(reduced)
    drawn = _ranges(reduced) > max(_SMOOTH)
    for plane in (reduced, closing(reduced, min(reduced.shape) // _PEN | 1)):
        ranges = _ranges(plane)
        for limit in _SMOOTH:
            smooth = ranges <= limit
            regions = [inside for inside in _smooth_regions(smooth) if drawn[inside].any()]
            found = [(_edges(inside, smooth, levels), inside) for inside in regions]
            edges, inside = max(found, key=lambda one: one[0], default=(0.0, None))
            if inside is not None and edges:
                return _sheet(inside, levels, factor * _BLOCK)
    return None


def _levels(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mean level of each block of a plane uint8 (4 h, 4 w), rounded down: uint8 (h, w)."""
    return (_of_blocks(plane.astype(np.uint16), np.add) // _BLOCK**2).astype(np.uint8)


def _ranges(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey levels between the darkest and the lightest pixel of each block."""
    return np.asarray(_of_blocks(plane, np.maximum) - _of_blocks(plane, np.minimum))


def _of_blocks(plane: NDArray[Any], reduce: np.ufunc) -> NDArray[Any]:
    for _ in range(2):
        plane = functools.reduce(reduce, [plane[at::_BLOCK] for at in range(_BLOCK)]).T
    return plane


def _smooth_regions(smooth: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """The largest regions of smooth blocks that may be a sheet, its ink included: each bool (rows, columns)."""
    inner = 255 - spread(np.where(smooth, 0, 255).astype(np.uint8), 1)
    parts = connected_parts(inner > 0)
    for number in np.argsort(-parts.areas, kind="stable")[:_REGIONS]:
        if 2 * parts.areas[number] < _SHARE * smooth.size:
            break
        region = parts.mask(np.array([number]), (0, 0, smooth.shape[1], smooth.shape[0]))
        hull = convex_hull(region > 0)  # a symbol near the border of a sheet is between its corners
        hull |= smooth & (spread(np.where(hull, 255, 0).astype(np.uint8), 1) > 0)
        if _SHARE <= hull.mean() <= 1 - _AROUND and (smooth & hull).sum() >= _SOLID * hull.sum():
            yield hull


def _edges(inside: NDArray[np.bool_], smooth: NDArray[np.bool_], levels: NDArray[np.uint8]) -> float:
    """The share of a region's outline beside which it is rough; or, where all is smooth, darker: a shadow is no sheet.

    0 where it has no such edge to three sides: the lit part of a page that is half in a shadow has it to two.
    """
    is_rough = (~smooth[~inside]).mean() >= _ROUGH
    most = max(_BESIDE)
    mask, calm = np.pad(inside, most), np.pad(smooth, most, mode="edge")
    level = np.pad(levels, most, mode="edge").astype(np.int16)
    outline = edge = sides = 0
    for axis, way in ((0, 1), (0, -1), (1, 1), (1, -1)):
        ends = mask & ~np.roll(mask, -way, axis)
        beside = ends.copy()
        for far in _BESIDE:
            step = level - np.roll(level, -way * far, axis)
            beside &= (np.abs(step) >= _STEP) | ~np.roll(calm, -way * far, axis) if is_rough else step >= _STEP
        outline += int(ends.sum())
        edge += int(beside.sum())
        sides += bool(beside.sum() >= _EDGE * ends.sum())
    return edge / outline if sides >= _SIDES else 0.0


def _sheet(inside: NDArray[np.bool_], levels: NDArray[np.uint8], block: int) -> Sheet:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    inside, levels = inside[top:bottom, left:right], levels[top:bottom, left:right]
    first, last = inside.argmax(axis=1), inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    nearest = np.clip(np.arange(inside.shape[1])[None], first[:, None], last[:, None])
    box = (left * block, top * block, right * block, bottom * block)
    return Sheet(box, inside, np.take_along_axis(levels, nearest, axis=1))

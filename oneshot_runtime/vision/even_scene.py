"""Ink on even paper, in its parts; whether these are what they seem, or may be a shadow, a sheet, a desk, a raster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.vision.clean import EvenInk
from oneshot_runtime.vision.ink import Ink
from oneshot_runtime.vision.lines import count_lines
from oneshot_runtime.vision.morphology import connected_parts
from oneshot_runtime.vision.outline import is_rectangle
from oneshot_runtime.vision.segment import Scene, scene_of
from oneshot_runtime.vision.ways import FEW_GROUPS

__all__ = ["carries", "even_scene", "is_raster"]

_THIN = 10
"""The shorter side of a picture over the width of pens that may write across all of it."""

_EDGE = 0.5
"""Share of an edge of the picture that a symbol's ink covers at most."""

_SHEET, _SHEET_SIDE, _TILE_SIDE = 0.55, 0.2, 0.42
"""What fills so much of its rows, and takes so much of the picture's shorter side both ways, may be a sheet or a tile; from
the last on it is likely one."""

_MOST_EVEN_PARTS = 60
"""Parts of ink on even paper above which they are noise, dots of a raster, or squared paper."""

_SHADE, _FULL = 24, 0.5
"""The shorter side of a picture over the width of shadows, and share of ink that is as strong as the strongest at least."""

_RASTER_DOT = 4
"""Pixels of a raster's usual dot at most."""


def even_scene(small: NDArray[np.uint8], even: EvenInk) -> tuple[Scene, bool, bool, bool]:
    """The parts of ink on even paper; whether none comes from the picture's edges; whether they are what they seem, as nothing
    filled is, and whether that is likely."""
    mask = even.ink > 127
    parts = connected_parts(mask)
    levels = np.full(small.shape, even.paper, np.uint8)
    ink = Ink(not even.dark, small, levels, even.ink, 128, parts, *parts.levels(even.ink), False)
    few = len(parts.areas) <= _MOST_EVEN_PARTS and 2 * even.other <= even.contrast and not even.is_hazy()
    thin = int(parts.pens.max()) * _THIN <= 4 * min(small.shape)
    few = few and not _is_shaded(ink)
    filled = _filled_side(ink) if few else 0
    crossings = _crossings(mask) if few else 0
    drawn = crossings == 0 or (crossings == 1 and thin and len(parts.areas) <= FEW_GROUPS)
    likely = few and drawn and filled < _TILE_SIDE * min(small.shape)
    calm = few and not crossings
    return scene_of(ink, None), calm, calm and not filled, likely


def carries(scene: Scene) -> bool:
    """Whether the largest thing in a scene may be a sheet, by its outline."""
    parts = scene.ink.parts
    largest = int(parts.areas.argmax())
    x, y, width, height = (int(value) for value in parts.boxes[largest])
    mask = parts.mask(np.array([largest]), (x, y, x + width, y + height)) > 0
    gaps = connected_parts(~mask)
    left, top, across, down = gaps.boxes.T
    outside = (left == 0) | (top == 0) | (left + across == width) | (top + down == height)
    return is_rectangle(gaps.mask(np.flatnonzero(outside), (0, 0, width, height)) == 0)


def is_raster(ink: Ink) -> bool:
    """Whether the ink is mostly dots: of a raster, or of noise."""
    areas = np.sort(ink.parts.areas)
    return len(areas) > _MOST_EVEN_PARTS and int(areas[len(areas) // 2]) <= _RASTER_DOT


def _is_shaded(ink: Ink) -> bool:
    """Whether something wide comes in from the picture's border that is not as strong as ink: a shadow."""
    height, width = ink.contrast.shape
    parts = ink.parts
    x, y, w, h = parts.boxes.T
    outside = (x == 0) | (y == 0) | (x + w == width) | (y + h == height)
    wide = np.flatnonzero(outside & (parts.pens * _SHADE > 4 * min(height, width)))
    if not len(wide):
        return False
    inside = parts.mask(wide, (0, 0, width, height)) > 0
    return bool((ink.contrast[inside] == 255).mean() < _FULL)


def _filled_side(ink: Ink) -> int:
    """The shorter side of the widest thing that is full of ink from side to side: a sheet, a tile, a blot; 0 for none."""
    parts = ink.parts
    w, h = parts.boxes[:, 2:].T
    narrow = np.minimum(w, h)
    filled = (parts.areas > _SHEET * parts.spans()) & (5 * parts.areas > 2 * w * h)
    filled &= narrow >= _SHEET_SIDE * min(ink.grey.shape)
    return int(narrow[filled].max()) if filled.any() else 0


def _crossings(mask: NDArray[np.bool_]) -> int:
    """How often ink runs along an edge of the picture, or in a line from one to the other."""
    edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    count = sum(bool(edge.mean() > _EDGE) for edge in edges)
    for turned, first, last in ((mask, edges[2], edges[3]), (mask.T, edges[0], edges[1])):
        count += count_lines(turned) if first.any() and last.any() else 0
    return count

"""A glyph as people and printers show it: redrawn along its middle line with pens, filled, outlined, shaded; bent by hands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.morphology import skeletonize

__all__ = ["Shape", "Style", "drawn", "plain", "shape_of"]

_KNOTS = 5
_STROKE = 16


@dataclass(frozen=True)
class Shape:
    """What drawings of a glyph are made from, in pixels. float32 (H, W) each.

    depth: distance to its outline, positive inside. line: distance to its middle line. width: mean width of its strokes.
    """

    depth: NDArray[np.float32]
    line: NDArray[np.float32]
    width: float


@dataclass(frozen=True)
class Style:
    """How a kind of glyph is shown: shares of drawings, and how far hands bend it.

    pen: along the middle line. filled: as it is. outlined: its outline only. shaded: filled with grey inside an outline. bent:
    share of drawings that a hand bends; the others keep the shape of the font. thumbnail: share reduced to a small picture.
    """

    pen: float
    filled: float
    outlined: float
    shaded: float
    bent: float
    thumbnail: float = 0.2


def shape_of(mask: NDArray[np.uint8]) -> Shape:
    """Measure a glyph. mask: uint8 (H, W), ink 255."""
    ink = mask > 127
    depth = ndimage.distance_transform_edt(ink) - ndimage.distance_transform_edt(~ink)
    bones = skeletonize(ink)
    width = 2 * float(depth[bones].mean())
    bones = _pruned(bones, round(width / 2))
    return Shape(depth.astype(np.float32), ndimage.distance_transform_edt(~bones).astype(np.float32), width)


def plain(shape: Shape) -> NDArray[np.uint8]:
    """The glyph as it is: uint8 (H, W), dark ink on white."""
    return np.asarray(255 - 255 * np.clip(shape.depth + 0.5, 0, 1), np.uint8)


def drawn(shape: Shape, style: Style, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One drawing of the glyph: uint8 (h, w), dark ink on white."""
    hand = rng.random() < style.bent
    where = _bent(shape.depth.shape[0], rng) if hand else _barely_moved(shape.depth.shape[0], rng)
    kind = rng.choice(4, p=np.array([style.pen, style.filled, style.outlined, style.shaded]))
    if kind == 0 and shape.width > _STROKE:
        kind = 1  # no strokes: a middle line would be another shape
    pen = float(np.exp(rng.uniform(np.log(2.0), np.log(9.0))))
    if kind == 0:
        ink = pen / 2 * _uneven(shape.depth.shape[0], rng) - _sampled(shape.line, where) + 0.5
    else:
        depth = _sampled(shape.depth, where)
        ink = depth + 0.5 + rng.uniform(-0.1, 0.15) * min(shape.width, 12) * hand
        edge = pen / 3 - np.abs(depth) + 0.5
        if kind == 2:
            ink = edge
        if kind == 3:
            ink = np.maximum(edge, np.minimum(ink, rng.uniform(0.35, 0.8)))
    ink = np.clip(ink, 0, 1)
    if float(ink.max()) < 0.9 or float(ink.sum()) < 12:
        ink = np.clip(_sampled(shape.depth, where) + 1.0, 0, 1)
    picture = Image.fromarray((255 - 255 * ink).astype(np.uint8))
    if rng.random() < style.thumbnail:
        side = round(picture.width * rng.uniform(16, 40) / 80)
        picture = picture.resize((side, side), Image.Resampling.BOX if rng.random() < 0.5 else Image.Resampling.BILINEAR)
    return np.asarray(picture)


def _pruned(bones: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """The skeleton without spurs shorter than `length`: ends are taken off, and what is left of long ones grows back."""
    kept = bones
    for _ in range(length):
        kept = kept & ~_ends(kept)
    if not kept.any():
        return bones
    grown = _ends(kept)
    for _ in range(length):
        grown = ndimage.binary_dilation(grown, np.ones((3, 3), bool)) & bones
    return np.asarray(kept | grown)


def _ends(bones: NDArray[np.bool_]) -> NDArray[np.bool_]:
    around = ndimage.uniform_filter(bones.astype(np.float32), 3, mode="constant") * 9
    return np.asarray(bones & (np.rint(around) == 2))


def _sampled(field: NDArray[np.float32], where: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(ndimage.map_coordinates(field, where, order=1, mode="nearest", output=np.float32))


def _bent(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Where each pixel of a drawing comes from, float32 (2, side, side): an affine map, a bow, and a smooth field."""
    y, x = _grid(side)
    angle, shear, aspect = np.radians(rng.normal(0, 6)), rng.normal(0, 0.12), rng.normal(0, 0.12)
    cos, sin = np.cos(angle), np.sin(angle)
    wide, high = np.exp(aspect), np.exp(-aspect)
    bow = rng.normal(0, 0.12, (2, 3)).astype(np.float32)
    squares = np.stack([x * x, x * y, y * y])
    moved_x = wide * (cos * x - sin * y) + shear * y + np.tensordot(bow[0], squares, 1)
    moved_y = high * (sin * x + cos * y) + np.tensordot(bow[1], squares, 1)
    return np.stack([moved_y, moved_x]).astype(np.float32) * (side / 2) + side / 2 + _smooth(side, 2.2, rng, 2)


def _barely_moved(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    y, x = _grid(side)
    angle, aspect = np.radians(rng.normal(0, 2)), rng.normal(0, 0.05)
    moved = np.stack(
        [np.exp(-aspect) * (np.sin(angle) * x + np.cos(angle) * y), np.exp(aspect) * (np.cos(angle) * x - np.sin(angle) * y)]
    )
    return moved.astype(np.float32) * (side / 2) + side / 2


def _grid(side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    line = (np.arange(side, dtype=np.float32) - side / 2) / (side / 2)
    return np.meshgrid(line, line, indexing="ij")  # type: ignore[return-value]


def _uneven(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How hard the pen is pressed: about 1, float32 (side, side)."""
    return np.asarray(np.clip(1 + _smooth(side, 0.12, rng, 1)[0], 0.6, 1.5))


def _smooth(side: int, deviation: float, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Smooth random fields, float32 (count, side, side)."""
    basis = _basis(side)
    knots = rng.normal(0, deviation, (count, _KNOTS, _KNOTS)).astype(np.float32)
    return np.asarray(basis @ knots @ basis.T)


@lru_cache
def _basis(side: int) -> NDArray[np.float32]:
    """Cubic splines through `_KNOTS` knots, float32 (side, _KNOTS)."""
    return np.asarray(ndimage.zoom(np.eye(_KNOTS, dtype=np.float32), (side / _KNOTS, 1), order=3))

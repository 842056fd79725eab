"""Redraw one-bit drawings with narrower and wider pens, and as thumbnails, before they are preprocessed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["PENS", "Pen", "redraw", "redraw_at_random", "thumbnail"]

_FINER = 2


@dataclass(frozen=True)
class Pen:
    """A way to redraw a drawing, at random within these ranges, both ends included.

    layers: what `redraw` adds on each side of a stroke. ink: pixels of the longer side of a thumbnail's ink, if it is one.
    """

    layers: tuple[int, int]
    ink: tuple[int, int] | None = None


PENS = (Pen(layers=(-3, -1)), Pen(layers=(2, 5)), Pen(layers=(6, 11)), Pen(layers=(-1, 9), ink=(14, 32)))
"""Omniglot's strokes are five pixels wide, so these become 0.4 to 0.8, 1.4 to 2 and 2.2 to 3.2 times as wide; thumbnails 0.8
to 2.8 times, with the ink about as large as in icons and in the data sets of 28x28 pixels."""


def redraw(drawing: NDArray[np.uint8], layers: int) -> NDArray[np.uint8]:
    """Add `layers` to both sides of every stroke, or take them off when negative; a layer is half a pixel.

    drawing: uint8 (H, W), ink dark on white. Returns uint8, by `layers / 2` pixels larger on each side where strokes grew, with
    grey edges.
    """
    height, width = drawing.shape
    fine = Image.fromarray(drawing).resize((_FINER * width, _FINER * height), Image.Resampling.BICUBIC)
    ink = np.asarray(fine) < 128
    ink = _grown(np.pad(ink, _FINER * -(-layers // _FINER)), layers) if layers > 0 else ~_grown(~ink, -layers)
    paper = Image.fromarray(np.where(ink, 0, 255).astype(np.uint8))
    return np.asarray(paper.resize((ink.shape[1] // _FINER, ink.shape[0] // _FINER), Image.Resampling.BOX))


def thumbnail(drawing: NDArray[np.uint8], ink: int) -> NDArray[np.uint8]:
    """The drawing reduced so that the longer side of its ink takes about `ink` pixels; as it is where that is less already."""
    dark = drawing < 128
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    if not len(rows):
        return drawing
    share = ink / (1 + max(rows[-1] - rows[0], columns[-1] - columns[0]))
    if share >= 1:
        return drawing
    size = (max(1, round(share * drawing.shape[1])), max(1, round(share * drawing.shape[0])))
    return np.asarray(Image.fromarray(drawing).resize(size, Image.Resampling.BICUBIC))


def redraw_at_random(drawing: NDArray[np.uint8], pen: Pen, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The drawing as `pen` may draw it. drawing: as for `redraw`."""
    redrawn = redraw(drawing, int(rng.integers(pen.layers[0], pen.layers[1] + 1)))
    return redrawn if pen.ink is None else thumbnail(redrawn, int(rng.integers(pen.ink[0], pen.ink[1] + 1)))


def _grown(ink: NDArray[np.bool_], layers: int) -> NDArray[np.bool_]:
    """Dilate by a cross and a square in turn, whose sum is an octagon: a round pen, nearly.

    scipy.ndimage.binary_dilation gives the same, five times as slowly.
    """
    for layer in range(layers):
        around = np.pad(ink, 1)
        ink = ink | around[:-2, 1:-1] | around[2:, 1:-1] | around[1:-1, :-2] | around[1:-1, 2:]
        if layer % 2:
            ink = ink | around[:-2, :-2] | around[2:, 2:] | around[:-2, 2:] | around[2:, :-2]
    return ink

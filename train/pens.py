"""Redraw one-bit drawings with narrower and wider pens, before they are preprocessed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["PENS", "redraw"]

PENS = ((-3, -1), (2, 5), (5, 9))
"""Ranges of layers, both ends included, that `redraw` takes off or adds on each side of a stroke. A layer is a third of a
pixel; Omniglot's strokes are about seven wide, so they become 0.2 to 0.7, 1.6 to 2.4 and 2.4 to 3.6 times as wide."""

_FINER = 3


def redraw(drawing: NDArray[np.uint8], layers: int) -> NDArray[np.uint8]:
    """Add `layers` to both sides of every stroke, or take them off when negative.

    drawing: uint8 (H, W), ink dark on white. Returns uint8, by `layers / 3` pixels larger on each side where strokes grew, with
    grey edges.
    """
    height, width = drawing.shape
    fine = Image.fromarray(drawing).resize((_FINER * width, _FINER * height), Image.Resampling.BICUBIC)
    ink = np.asarray(fine) < 128
    ink = _grown(np.pad(ink, _FINER * -(-layers // _FINER)), layers) if layers > 0 else ~_grown(~ink, -layers)
    paper = Image.fromarray(np.where(ink, 0, 255).astype(np.uint8))
    return np.asarray(paper.resize((ink.shape[1] // _FINER, ink.shape[0] // _FINER), Image.Resampling.BOX))


def _grown(ink: NDArray[np.bool_], layers: int) -> NDArray[np.bool_]:
    """Dilate by a cross and a square in turn, whose sum is an octagon: a round pen, nearly."""
    for layer in range(layers):
        around = np.pad(ink, 1)
        ink = ink | around[:-2, 1:-1] | around[2:, 1:-1] | around[1:-1, :-2] | around[1:-1, 2:]
        if layer % 2:
            ink = ink | around[:-2, :-2] | around[2:, 2:] | around[:-2, 2:] | around[2:, :-2]
    return ink

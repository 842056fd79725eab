"""Ink that is as light as its paper: seen along the line between the two colours."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["colour_plane"]

_LEAST = 30
"""Distance of two colours, as the root of the sum of squares over red, green and blue, below which they are one."""

_TIMES = 3
"""How much farther apart ink and paper are in colour than in lightness, for colour to count."""


_FEWEST = 2000
"""One pixel of so many, of the small picture, is of the ink's colour at least."""

_GREY = np.array([19595, 38470, 7471], np.int32)
"""Parts of lightness, in 1/65536."""


def colour_plane(colours: NDArray[np.uint8], lightness: int | None) -> NDArray[np.uint8] | None:
    """A picture's levels along the line from its paper's colour to the farthest, or None where colour shows no more, as in
    one that has none.

    colours: uint8 (h, w, 3). lightness: grey levels between ink and paper; None to take the farthest, light and shadow
    included. Returns uint8 (h, w), 192 for paper.
    """
    small = np.asarray(Image.fromarray(colours).reduce(max(1, -(-max(colours.shape[:2]) // 256)))).reshape(-1, 3)
    if (small == small[:, :1]).all():
        return None
    paper = np.sort(small, axis=0)[len(small) // 2].astype(np.int32)
    off = small.astype(np.int32) - paper
    distance = (off * off).sum(axis=1)
    few = max(1, len(small) // _FEWEST)
    far = np.argsort(distance, kind="stable")[-few:]
    axis = off[far][len(far) // 2]
    length = math.isqrt(int((axis * axis).sum()))
    if lightness is None:
        lightness = int(np.sort(np.abs(off @ _GREY))[-few] >> 16)
    if length < max(_LEAST, _TIMES * lightness):
        return None
    along = (colours.astype(np.int32) - paper) @ axis
    return np.asarray(np.clip(192 - along * 160 // (length * length), 0, 255), np.uint8)

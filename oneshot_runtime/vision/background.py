"""Even out photographed paper: shadow, uneven light and noise go, ink stays.

Only images whose border is not of one level come here; scans and drawings skip it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.vision.grey_image import resized

__all__ = ["flatten_paper"]

_TILES = 8
"""Tiles along the longer side: wide enough that a thick stroke never fills one, narrow enough to follow a shadow."""


def flatten_paper(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How far each pixel of `uint8 (H, W)` departs from the paper around it, towards the ink's side.

    The paper's level is estimated tile by tile (a high percentile where ink is dark, a low one where it is light),
    interpolated, and subtracted. Specks of one pixel are removed. Returns `uint8 (H, W)`, 0 for paper.
    """
    dark_ink = _ink_is_dark(grey)
    working = grey if dark_ink else (255 - grey)
    paper = _paper_level(working)
    depth = np.maximum(paper.astype(np.int16) - working, 0).astype(np.uint8)
    return _without_specks(depth)


def _ink_is_dark(grey: NDArray[np.uint8]) -> bool:
    border = np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1]))
    paper = int(np.sort(border)[border.size // 2])
    low, high = (int(level) for level in np.percentile(grey, (1, 99)))
    return paper - low >= high - paper


def _paper_level(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Local level of light paper: a tile's 80th percentile, smoothed over neighbours and interpolated to `(H, W)`."""
    height, width = grey.shape
    tile = max(2, -(-max(height, width) // _TILES))
    rows, columns = -(-height // tile), -(-width // tile)
    padded = np.pad(grey, ((0, rows * tile - height), (0, columns * tile - width)), mode="edge")
    tiles = padded.reshape(rows, tile, columns, tile).swapaxes(1, 2).reshape(rows, columns, tile * tile)
    rank = int(tile * tile * 0.8)
    level = np.partition(tiles, rank, axis=2)[:, :, rank]
    whole = resized(Image.fromarray(level), columns * tile, rows * tile, Image.Resampling.BICUBIC)
    return np.asarray(whole)[:height, :width]


def _without_specks(depth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Limit every pixel to the strongest of its eight neighbours: noise of one pixel goes, strokes stay."""
    padded = np.pad(depth, 1)
    height, width = depth.shape
    strongest = np.zeros_like(depth)
    for y in range(3):
        for x in range(3):
            if (y, x) != (1, 1):
                np.maximum(strongest, padded[y : y + height, x : x + width], out=strongest)
    return np.minimum(depth, strongest)

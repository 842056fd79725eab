"""A drawing's ink, and how it lies on paper: what pictures of all kinds are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Cover", "Rng", "cover", "image_of", "laid", "soft_texture", "tight"]

Rng = np.random.Generator
Cover = NDArray[np.float64]
"""Share of each pixel that ink covers, (h, w), in [0, 1]."""


def tight(drawing: NDArray[np.uint8]) -> Image.Image:
    """The ink of a drawing uint8 (H, W), dark on white, cut to its box: an "L" image in which ink is 255."""
    ink = Image.fromarray(255 - drawing)
    return ink.crop(ink.point(lambda level: 255 * (level > 127)).getbbox())


def cover(ink: Image.Image, shape: tuple[int, int], size: float, rng: Rng, middle: bool = False) -> Cover:
    """Ink on a page (h, w), its longer side `size` pixels, at a place of its own or near the middle."""
    scale = size / max(ink.size)
    small = ink.resize(
        (max(1, round(ink.width * scale)), max(1, round(ink.height * scale))),
        Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC,
    )
    page = Image.new("L", (shape[1], shape[0]))
    rooms = [shape[1] - small.width, shape[0] - small.height]
    margins = [min(round(0.06 * min(shape)), room // 2) for room in rooms]
    spots = [room // 2 if middle else int(rng.integers(m, room - m + 1)) for room, m in zip(rooms, margins, strict=True)]
    page.paste(small, tuple(spots))
    return np.asarray(page) / 255.0


def image_of(levels: NDArray[np.float64]) -> Image.Image:
    """Grey levels or colours, any floats, as an image."""
    return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))


def laid(covered: Cover, paper: NDArray[np.float64] | float, ink: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Ink on paper, grey levels or colours (3,)."""
    if np.ndim(paper) == 1 or np.ndim(ink) == 1:
        covered = covered[..., None]
    return covered * ink + (1 - covered) * paper


def soft_texture(rng: Rng, shape: tuple[int, int], grain: int) -> NDArray[np.float64]:
    """A texture in [-1, 1] whose spots are `grain` pixels wide."""
    small = rng.random((max(2, shape[0] // grain), max(2, shape[1] // grain)))
    whole = Image.fromarray((255 * small).astype(np.uint8)).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(whole) / 127.5 - 1

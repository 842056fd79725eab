"""Pictures of a symbol on something flat with an outline of its own: tiles of apps, signs, turned pages, crop marks."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.picture_ink import Rng, cover, image_of, laid, soft_texture

__all__ = [
    "cropped",
    "icon_tile",
    "premultiplied_glyph",
    "same_lightness_tile",
    "sign",
    "tile_on_photograph",
    "turned_on_black",
]

_COLOURS = ((30, 90, 200), (200, 40, 60), (20, 120, 80), (40, 40, 46), (120, 60, 170))


def _glyph(ink: Image.Image, side: int, rng: Rng) -> Image.Image:
    return image_of(255 * cover(ink, (side, side), 0.56 * side, rng, middle=True))


def _tile(ink: Image.Image, side: int, rng: Rng) -> Image.Image:
    """A white symbol on a coloured tile, transparent around it."""
    page = Image.new("RGBA", (side, side))
    colour = _COLOURS[int(rng.integers(len(_COLOURS)))]
    ImageDraw.Draw(page).rounded_rectangle((0, 0, side - 1, side - 1), 0.22 * side, fill=colour)
    page.paste("white", (0, 0), _glyph(ink, side, rng))
    return page


def same_lightness_tile(ink: Image.Image, spread: float, rng: Rng) -> Image.Image:
    """Symbol and tile of one lightness, on a white page: their colours are `spread` levels apart in red."""
    step = (1 if rng.random() < 0.5 else -1) * spread / 2 * np.array([1, -0.509, 0])
    page = Image.new("RGB", (400, 400), "white")
    symbol, ground = (tuple(int(v) for v in (128 + sign * step).round()) for sign in (1, -1))
    ImageDraw.Draw(page).rounded_rectangle((60, 60, 339, 339), 60, fill=ground)
    page.paste(symbol, (60, 60), _glyph(ink, 280, rng))
    return page


def icon_tile(ink: Image.Image, side: float, rng: Rng) -> Image.Image:
    """A file of so many pixels that is all tile, on white."""
    whole = Image.new("RGB", (256, 256), "white")
    tile = _tile(ink, 256, rng)
    whole.paste(tile, (0, 0), tile)
    return whole.resize((int(side), int(side)), Image.Resampling.BOX)


def tile_on_photograph(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """A tile that takes `percent` of the side of a photograph, as on a telephone."""
    shape = (420, 420)
    bands = np.stack([90 * soft_texture(rng, shape, 110) + 40 * soft_texture(rng, shape, 24) for _ in range(3)], axis=-1)
    page = image_of(128 + bands + rng.normal(0, 2, bands.shape))
    side = round(420 * percent / 100)
    tile = _tile(ink, side, rng)
    page.paste(tile, tuple(int(v) for v in rng.integers(10, 410 - side, 2)), tile)
    return page


def sign(ink: Image.Image, degrees: float, rng: Rng) -> Image.Image:
    """A sign on a wall of planks, turned; the symbol itself stays upright."""
    upright = ink.rotate(-degrees, Image.Resampling.BICUBIC, expand=True)
    rows = 20 * soft_texture(rng, (480, 640), 6).mean(axis=1, keepdims=True) + 14 * soft_texture(rng, (480, 640), 7)
    wall = np.array([128, 92, 60]) + (rows - 40 * (np.arange(480) % 60 < 3)[:, None])[..., None]
    page = image_of(wall + rng.normal(0, 3, wall.shape))
    plate = Image.new("RGBA", (230, 230), _COLOURS[int(rng.integers(len(_COLOURS)))])
    plate.paste("white", (0, 0), _glyph(upright, 230, rng))
    plate = plate.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    page.paste(plate, (int(rng.integers(40, 600 - plate.width)), int(rng.integers(20, 460 - plate.height))), plate)
    return page


def turned_on_black(ink: Image.Image, degrees: float, rng: Rng) -> Image.Image:
    """A page turned with `rotate(expand=True)`: what is outside it is black. The symbol itself stays upright."""
    upright = ink.rotate(-degrees, Image.Resampling.BICUBIC, expand=True)
    page = image_of(laid(cover(upright, (300, 300), 150, rng, middle=True), 250, 25))
    return page.rotate(degrees, Image.Resampling.BICUBIC, expand=True)


def cropped(ink: Image.Image, width: float, rng: Rng) -> Image.Image:
    """Crop marks of that width around the symbol."""
    page = image_of(laid(cover(ink, (360, 360), 140, rng, middle=True), 255, 15))
    draw, inset = ImageDraw.Draw(page), int(rng.integers(30, 50))
    for x, across in ((inset, 1), (359 - inset, -1)):
        for y, down in ((inset, 1), (359 - inset, -1)):
            draw.line((x, y, x + 36 * across, y), fill=15, width=int(width))
            draw.line((x, y, x, y + 36 * down), fill=15, width=int(width))
    return page


def premultiplied_glyph(ink: Image.Image, level: float, rng: Rng) -> Image.Image:
    """Only the ink is visible, at one level of grey that was multiplied with its transparency."""
    alpha = cover(ink, (256, 256), 200, rng, middle=True)
    image = image_of(level * alpha).convert("RGBA")
    image.putalpha(image_of(255 * alpha))
    return image

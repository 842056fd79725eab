"""Pictures of a symbol as a camera or a scanner takes them: sheets on desks, light and shadow, books."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.picture_ink import Rng, cover, image_of, laid, soft_texture

__all__ = [
    "fold",
    "hard_shadow",
    "on_desk",
    "open_book",
    "photograph",
    "small_on_desk",
    "turned_on_desk",
    "uneven_light",
    "vignette",
]


def _sheet_on_desk(ink: Image.Image, rng: Rng, desk: float, turn: float, share: float = 0.6, paper: float = 235) -> Image.Image:
    height, width = 600, 800
    sheet = Image.new("L", (width, height))
    side = round(share * height)
    ImageDraw.Draw(sheet).rectangle(
        ((width - side * 1.25) / 2, (height - side) / 2, (width + side * 1.25) / 2, (height + side) / 2), fill=255
    )
    inked = Image.fromarray((255 * cover(ink, (height, width), 0.45 * side, rng, middle=True)).astype(np.uint8))
    spot = tuple(int(v) for v in rng.integers(-20, 21, 2))
    masks = [
        np.asarray(one.rotate(turn, Image.Resampling.BICUBIC, translate=spot).filter(ImageFilter.GaussianBlur(0.8))) / 255.0
        for one in (sheet, inked)
    ]
    ground = desk + 9 * soft_texture(rng, (height, width), 60) + 5 * soft_texture(rng, (height, width), 5)
    page = masks[0] * paper + (1 - masks[0]) * ground
    return image_of(laid(masks[1], page, 40) + rng.normal(0, 2, page.shape))


def on_desk(ink: Image.Image, tone: float, rng: Rng) -> Image.Image:
    """A sheet on a desk of that tone."""
    return _sheet_on_desk(ink, rng, tone, float(rng.uniform(-4, 4)))


def turned_on_desk(ink: Image.Image, degrees: float, rng: Rng) -> Image.Image:
    """A sheet on a desk, turned; the symbol itself stays upright."""
    against = ink.rotate(-degrees, Image.Resampling.BICUBIC, expand=True)  # so that the symbol itself stays upright
    return _sheet_on_desk(against, rng, 80, degrees)


def small_on_desk(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """A sheet that takes `percent` of the picture's height."""
    return _sheet_on_desk(ink, rng, float(rng.choice([60, 110])), float(rng.uniform(-8, 8)), percent / 100)


def _lit(ink: Image.Image, rng: Rng, light: NDArray[np.float64], noise: float = 2.0) -> Image.Image:
    covered = cover(ink, light.shape, 0.55 * min(light.shape), rng)
    page = laid(covered, 238, 45) * light
    return image_of(page + rng.normal(0, noise, page.shape))


def uneven_light(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """Light that falls by `percent` from one side to the other."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1:1:420j, -1:1:560j]
    along = (x * np.cos(angle) + y * np.sin(angle)) / (abs(np.cos(angle)) + abs(np.sin(angle)))
    return _lit(ink, rng, 1 - percent / 100 * (along + 1) / 2)


def hard_shadow(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """A hard shadow over about half of the page, in which `percent` of the light is left."""
    y, x = np.mgrid[0:420, 0:560]
    angle = rng.uniform(0, 2 * np.pi)
    inside = (x - 280) * np.cos(angle) + (y - 210) * np.sin(angle) > rng.uniform(-40, 40)
    soft = np.asarray(Image.fromarray((255 * inside).astype(np.uint8)).filter(ImageFilter.GaussianBlur(2))) / 255.0
    return _lit(ink, rng, 1 - (1 - percent / 100) * soft)


def vignette(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """Corners that are darker by `percent`."""
    y, x = np.mgrid[-1:1:420j, -1:1:560j]
    return _lit(ink, rng, 1 - percent / 100 * ((x * x + y * y) / 2) ** 1.2)


def fold(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """The shadow of a fold, sharp on one side, across the page and at times through the symbol."""
    along = np.arange(560) - rng.integers(180, 380)
    dark = np.where(along < 0, np.exp(along / 3.0), np.exp(-along / 60.0))
    return _lit(ink, rng, np.broadcast_to(1 - percent / 100 * dark, (420, 560)))


def photograph(ink: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """All at once: a sheet on a desk, uneven light, blur, noise and JPEG, `strength` times as strong as usual."""
    page = np.asarray(_sheet_on_desk(ink, rng, float(rng.uniform(50, 150)), float(rng.uniform(-7, 7)), 0.75), np.float64)
    y, x = np.mgrid[-1:1:600j, -1:1:800j]
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 - 0.3 * strength * (0.5 + (x * np.cos(angle) + y * np.sin(angle)) / 3)
    soft = image_of(page * light).filter(ImageFilter.GaussianBlur(1.2 * strength))
    file = io.BytesIO()
    image_of(np.asarray(soft) + rng.normal(0, 5 * strength, page.shape)).save(file, "JPEG", quality=round(60 / strength))
    return Image.open(file)


def open_book(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """A scan of an open book: dark around, a gutter that takes `percent` of the light, the symbol on one page."""
    shape = (700, 1000)
    x = np.arange(1000)
    light = (1 - percent / 100 * np.exp(-np.abs(x - 500) / 30.0)) * np.ones(shape)
    covered = np.zeros(shape)
    left = 60 if rng.random() < 0.5 else 560
    covered[60:640, left : left + 380] = cover(ink, (580, 380), 190, rng)
    page = laid(covered, 240, 35) * light
    page[:18] = page[-25:] = 22
    page[:, :24] = page[:, -15:] = 22
    return image_of(page + rng.normal(0, 2, shape))

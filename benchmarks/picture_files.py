"""Pictures of a symbol as files have them: tiles, icons, one bit, strong compression, noise, transparency."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.picture_ink import Rng, cover, image_of, laid

__all__ = [
    "blurred",
    "card",
    "dithered",
    "faxed",
    "glyph",
    "icon",
    "jpeg",
    "noisy",
    "premultiplied",
    "rotated",
    "tile",
    "window",
]


def tile(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """A light symbol on a coloured app-icon tile that takes `percent` of a white page's side."""
    side = round(5.12 * percent)
    page = Image.new("RGB", (512, 512), "white")
    spot = int((512 - side) * rng.uniform(0.3, 0.7)) if side < 500 else (512 - side) // 2
    colour = tuple(int(v) for v in rng.choice([(30, 90, 200), (200, 40, 60), (20, 120, 80), (40, 40, 46), (235, 180, 40)]))
    light = sum(colour) < 450
    ImageDraw.Draw(page).rounded_rectangle((spot, spot, spot + side - 1, spot + side - 1), 0.22 * side, fill=colour)
    glyph = Image.fromarray((255 * cover(ink, (side, side), 0.56 * side, rng, middle=True)).astype(np.uint8))
    page.paste("white" if light else (30, 30, 30), (spot, spot), glyph)
    return page


def dithered(ink: Image.Image, paper: float, rng: Rng) -> Image.Image:
    """One bit, dithered: paper of that level becomes dots."""
    return image_of(laid(cover(ink, (300, 400), 190, rng), paper, 20)).convert("1")


def faxed(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """One bit at a coarse threshold, with `percent` of the pixels flipped."""
    page = laid(cover(ink, (290, 220), 110, rng), 225, 40)
    page = np.where(page + rng.normal(0, 25, page.shape) > 140, 255, 0)
    return image_of(np.where(rng.random(page.shape) < percent / 100, 255 - page, page).astype(float)).convert("1")


def icon(ink: Image.Image, side: float, rng: Rng) -> Image.Image:
    """A whole picture of so many pixels."""
    return image_of(laid(cover(ink, (int(side), int(side)), side - 2, rng, middle=True), 255, 0))


def jpeg(ink: Image.Image, quality: float, rng: Rng) -> Image.Image:
    """Strong compression."""
    file = io.BytesIO()
    image_of(laid(cover(ink, (300, 400), 160, rng), 240, 30)).save(file, "JPEG", quality=int(quality))
    return Image.open(file)


def noisy(ink: Image.Image, sigma: float, rng: Rng) -> Image.Image:
    """Noise of that sigma."""
    page = laid(cover(ink, (300, 400), 190, rng), 215, 45)
    return image_of(page + rng.normal(0, sigma, page.shape))


def blurred(ink: Image.Image, sigma: float, rng: Rng) -> Image.Image:
    """Out of focus."""
    return image_of(laid(cover(ink, (300, 400), 190, rng), 240, 30)).filter(ImageFilter.GaussianBlur(sigma))


def _alpha(levels: NDArray[np.float64], alpha: Image.Image) -> Image.Image:
    image = image_of(levels).convert("RGBA")
    image.putalpha(alpha)
    return image


def card(ink: Image.Image, radius: float, rng: Rng) -> Image.Image:
    """A white card of 220 pixels with transparent rounded corners."""
    alpha = Image.new("L", (440, 440))
    ImageDraw.Draw(alpha).rounded_rectangle((0, 0, 439, 439), 2 * radius, fill=255)
    dark = rng.random() < 0.4
    page = laid(cover(ink, (220, 220), 120, rng, middle=True), 35 if dark else 255, 240 if dark else 0)
    return _alpha(page, alpha.resize((220, 220), Image.Resampling.BOX))


def window(ink: Image.Image, margin: float, rng: Rng) -> Image.Image:
    """A window on a transparent margin, as a screenshot of one."""
    side = 300 + 2 * int(margin)
    alpha = Image.new("L", (side, side))
    alpha.paste(255, (int(margin), int(margin), side - int(margin), side - int(margin)))
    dark = rng.random() < 0.5
    page = np.zeros((side, side))
    inner = slice(int(margin), side - int(margin))
    page[inner, inner] = laid(cover(ink, (300, 300), 160, rng), 30 if dark else 250, 230 if dark else 20)
    return _alpha(page, alpha)


def rotated(ink: Image.Image, degrees: float, rng: Rng) -> Image.Image:
    """A page turned with `rotate(expand=True)`: what is outside it is transparent. The symbol itself stays upright."""
    upright = ink.rotate(-degrees, Image.Resampling.BICUBIC, expand=True)
    dark = rng.random() < 0.4
    page = image_of(laid(cover(upright, (300, 300), 150, rng, middle=True), 40 if dark else 250, 245 if dark else 25)).convert(
        "RGBA"
    )
    return page.rotate(degrees, Image.Resampling.BICUBIC, expand=True)


def glyph(ink: Image.Image, level: float, rng: Rng) -> Image.Image:
    """Only the ink is visible, at one level of grey."""
    alpha = Image.fromarray((255 * cover(ink, (256, 256), 200, rng, middle=True)).astype(np.uint8))
    return _alpha(np.full((256, 256), level), alpha)


def premultiplied(ink: Image.Image, radius: float, rng: Rng) -> Image.Image:
    """A card whose colours were multiplied with their transparency."""
    pixels = np.asarray(card(ink, radius, rng)).astype(np.float64)
    pixels[..., :3] *= pixels[..., 3:] / 255
    return Image.fromarray(pixels.round().astype(np.uint8))

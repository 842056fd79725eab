"""Other pens, other pixels: changes that a held-out drawing may undergo between the benchmark and a user's picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

__all__ = ["SHIFTS", "Shift"]

Shift = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]
"""Takes and gives a grey image uint8, dark ink on white."""


def _stroke(factor: float) -> Shift:
    """Redraw the strokes `factor` times as wide, around the same middle line."""

    def change(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        # Four times the size gives thin strokes room; the distance to the paper is half the stroke's width at its middle.
        big = np.asarray(Image.fromarray(image).resize((420, 420), Image.Resampling.BICUBIC)) < 128
        inside, outside = ndimage.distance_transform_edt(big), ndimage.distance_transform_edt(~big)
        half = np.median(inside[big & (inside == ndimage.maximum_filter(inside, 9))])
        changed = outside <= half * (factor - 1) if factor > 1 else inside > half * (1 - factor)
        return np.asarray(Image.fromarray(np.where(changed, 0, 255).astype(np.uint8)).resize((105, 105), Image.Resampling.BOX))

    return change


def _resized(side: int) -> Shift:
    def change(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))

    return change


def _zoomed(factor: float) -> Shift:
    """The drawing at another scale on the same sheet; what does not fit any more is cut off."""

    def change(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        side = round(105 * factor)
        drawing = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
        sheet = Image.new("L", (105, 105), 255)
        sheet.paste(drawing, ((105 - side) // 2, (105 - side) // 2))
        return np.asarray(sheet)

    return change


def _off_centre(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    sheet = np.full((210, 210), 255, np.uint8)
    y, x = rng.integers(0, 106, 2)
    sheet[y : y + 105, x : x + 105] = image
    return sheet


def _blurred(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1.5)))


def _noisy(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    return (image + rng.normal(0, 25, image.shape)).clip(0, 255).astype(np.uint8)


def _paper(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Grey paper with a shadow across it, grey ink, and a sensor's noise."""
    y, x = np.mgrid[:105, :105] / 105
    angle = rng.uniform(0, 2 * np.pi)
    along = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle)
    light = 150 + 60 / (1 + np.exp(-along * 12))
    ink = 1 - image / 255
    return (light * (1 - 0.7 * ink) + rng.normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8)


def _inverted(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    return 255 - image


def _turned(degrees: float) -> Shift:
    """Turned to one side or the other, on a sheet that holds all of it."""

    def change(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        turn = degrees * (-1 if rng.random() < 0.5 else 1)
        turned = Image.fromarray(image).rotate(turn, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
        return np.asarray(turned)

    return change


SHIFTS: dict[str, Shift] = {
    "none": lambda image, rng: image,
    "strokes a third as wide": _stroke(1 / 3),
    "strokes half as wide": _stroke(1 / 2),
    "strokes twice as wide": _stroke(2),
    "strokes three times as wide": _stroke(3),
    "blur": _blurred,
    "noise": _noisy,
    "28x28": _resized(28),
    "400x400": _resized(400),
    "inverted": _inverted,
    "off-centre": _off_centre,
    "half scale": _zoomed(0.5),
    "one and a half scale": _zoomed(1.5),
    "grey paper with a shadow": _paper,
    **{f"turned {degrees} degrees": _turned(degrees) for degrees in (5, 15, 45, 90, 180)},
}

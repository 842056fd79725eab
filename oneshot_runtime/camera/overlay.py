"""Draw on a frame what was read in it: a box, label and probability for each symbol, and a line with rate and stages."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from oneshot_runtime.camera.aim import reach
from oneshot_runtime.camera.frame_reader import Sighting

__all__ = ["annotate", "draw_aim"]

_KNOWN, _UNKNOWN, _LINE, _WHITE = (62, 145, 20), (110, 110, 110), (40, 40, 40), (255, 255, 255)
"""Blue, green, red."""

_LONGEST = 40
"""Characters of a text at most."""


def annotate(
    frame: NDArray[np.uint8],
    symbols: Sequence[Sighting],
    fps: float | None = None,
    stages: Mapping[str, float] | None = None,
    hint: str = "",
) -> NDArray[np.uint8]:
    """Mark the symbols in a frame.

    Args:
        frame: uint8 (H, W, 3), blue, green, red, or (H, W) grey. It is not changed.
        symbols: The symbols to mark.
        fps: Frames a second, to be shown; None shows no rate.
        stages: Milliseconds by name, shown beside the rate.
        hint: What to do for more to be read (`Reading.hint`), written over the middle.

    Returns:
        A copy of the frame with boxes and names.
    """
    image = frame.copy() if frame.ndim == 3 else np.repeat(frame[:, :, None], 3, axis=2)
    size = max(12, round(image.shape[0] / 36))
    for symbol in symbols:
        colour = _UNKNOWN if symbol.label is None else _KNOWN
        x, y, width, height = symbol.box
        margin = size // 3
        left, top = x - margin, y - margin
        _outline(image, (left, top, x + width + margin, y + height + margin), colour, max(2, size // 8))
        text = "unknown"
        if symbol.label is not None:
            text = f"{_short(symbol.label)} {symbol.probability:.2f}"
        elif symbol.probably is not None:
            text = f"probably {_short(symbol.probably)} {symbol.probability:.2f}"
        _write(image, text, (left, top), size, colour, above=True)
    if fps is not None:
        parts = [f"{fps:.0f} frames/s"] + [f"{name} {value:.1f} ms" for name, value in (stages or {}).items()]
        _write(image, "   ".join(parts), (0, 0), size, _LINE)
    if hint:
        width = _plate(hint, size, _LINE).shape[1]
        _write(image, hint, ((image.shape[1] - width) // 2, image.shape[0] // 2), size, _LINE)
    return image


def draw_aim(image: NDArray[np.uint8], text: str) -> None:
    """Mark the middle of a picture, where a symbol is taken from, and write `text` at the bottom; changes the picture."""
    height, width = image.shape[:2]
    side = reach(width, height)
    for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        corner = (width // 2 + x * side, height // 2 + y * side)
        _fill(image, corner, (corner[0] - x * side // 3, corner[1] + 1), _WHITE)
        _fill(image, corner, (corner[0] + 1, corner[1] - y * side // 3), _WHITE)
    size = max(12, round(height / 36))
    _write(image, text, (0, height - size * 3 // 2), size, _LINE)


def _outline(image: NDArray[np.uint8], box: tuple[int, int, int, int], colour: tuple[int, int, int], pen: int) -> None:
    """A rectangle's four sides; those that lie outside the picture are not drawn."""
    left, top, right, bottom = box
    for at in (top, bottom - pen):
        _fill(image, (left, at), (right, at + pen), colour)
    for at in (left, right - pen):
        _fill(image, (at, top), (at + pen, bottom), colour)


def _fill(image: NDArray[np.uint8], one: tuple[int, int], other: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Fill what lies between two corners, and at least two pixels of it, as far as it is in the picture."""
    (left, right), (top, bottom) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    image[max(0, top) : max(0, bottom, top + 2), max(0, left) : max(0, right, left + 2)] = colour


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _write(
    image: NDArray[np.uint8], text: str, corner: tuple[int, int], size: int, colour: tuple[int, int, int], above: bool = False
) -> None:
    """Lay a plate with white text on the picture, as much of it as fits in."""
    plate = _plate(text, size, colour)
    x, y = corner
    y = y - plate.shape[0] if above else y
    x, y = (max(0, min(place, room - length)) for place, room, length in zip(
        (x, y), (image.shape[1], image.shape[0]), (plate.shape[1], plate.shape[0]), strict=True
    ))  # fmt: skip
    target = image[y : y + plate.shape[0], x : x + plate.shape[1]]
    target[:] = plate[: target.shape[0], : target.shape[1]]


@functools.lru_cache(maxsize=512)
def _plate(text: str, size: int, colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Text on its ground: Pillow's font, since OpenCV's has ASCII only."""
    font = ImageFont.load_default(size)
    left, _, right, _ = font.getbbox(text)
    plate = Image.new("RGB", (round(right - left) + size, size * 3 // 2), colour[::-1])
    ImageDraw.Draw(plate).text((size // 2 - left, size // 6), text, fill=_WHITE, font=font)
    return np.ascontiguousarray(np.asarray(plate)[:, :, ::-1])

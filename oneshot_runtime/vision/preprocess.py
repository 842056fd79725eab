"""Turn a grey image into the model's canvas: ink white on black, fitted to a fixed place and size.

This is the only implementation: training, export and runtime call it, and a bundle's manifest records its `PreprocessSpec`.
All arithmetic is on integers (Pillow's resampling included), so a canvas is the same on every machine.

The steps, in order: find the paper's level and which side of it the ink is on, stretch the ink's contrast, find the ink's
box, resize that box so that its longer side takes a fixed share of the canvas, and widen strokes that are thin there.
"""

from __future__ import annotations

import functools
import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.errors import BundleError, ImageError
from oneshot_runtime.vision.decode import decode
from oneshot_runtime.vision.grey_image import array_of, image_of, resized
from oneshot_runtime.vision.image_source import ImageSource, name_of
from oneshot_runtime.vision.picture import Picture
from oneshot_runtime.vision.readings import Reading, readings, whole_picture

__all__ = ["PREPROCESS_VERSION", "PreprocessSpec", "canvas_of", "ink_at_edges", "preprocess", "ways_to_read"]

_PEN_EDGE, _PEN_CORNER = 154, 90
"""In 1/256: how much of a pixel's ink the pen at full strength lays on its four neighbours, and on the four at its corners."""

_MOSTLY_INK = bytes(128) + bytes([255]) * 128
"""Translation table that keeps what is more ink than paper."""


PREPROCESS_VERSION = 2
"""Changes whenever a picture may give another canvas than before: galleries of both must not be compared."""


@dataclass(frozen=True)
class PreprocessSpec:
    """What `preprocess` does, written into the manifest.

    height, width: the canvas in pixels. fit: "ink" crops to the ink's box, "frame" keeps the whole picture. ink_share: with
    "ink", the share of the canvas that the box's longer side takes. min_ink: boxes smaller than this share of the picture's
    longer side are treated as if they had it, so that a dot stays a dot. thin: mean stroke width in pixels of the canvas below
    which "ink" widens strokes, see `_widen`; 0 leaves them. version: `PREPROCESS_VERSION`.
    """

    height: int
    width: int
    fit: str = "ink"
    ink_share: float = 0.8
    min_ink: float = 0.15
    thin: float = 2.4
    version: int = PREPROCESS_VERSION

    def __post_init__(self) -> None:
        if self.version != PREPROCESS_VERSION:
            raise BundleError(
                f"preprocess: the model was made for version {self.version!r} of finding symbols in pictures, this runtime has "
                f"version {PREPROCESS_VERSION}: export the model again, or install the release that it was made with"
            )
        for side in (self.height, self.width):
            if not isinstance(side, int) or not 8 <= side <= 1024:
                raise BundleError(f"preprocess: height and width must be integers from 8 to 1024, got {side!r}")
        if self.fit not in ("ink", "frame"):
            raise BundleError(f"preprocess: fit must be 'ink' or 'frame', got {self.fit!r}")
        for name in ("ink_share", "min_ink"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value <= 1:
                raise BundleError(f"preprocess: {name} must be above 0 and at most 1, got {value!r}")
        if not isinstance(self.thin, int | float) or not 0 <= self.thin <= 16:
            raise BundleError(f"preprocess: thin must be from 0 to 16 pixels, got {self.thin!r}")

    def to_dict(self) -> dict[str, Any]:
        """The spec as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PreprocessSpec:
        """Inverse of `to_dict`; raises `BundleError` for a missing, unknown or impossible entry."""
        values = {"version": 1, **values}  # the first one was not written down
        expected = {field.name for field in fields(cls)}
        if set(values) != expected:
            raise BundleError(f"preprocess: expected the entries {sorted(expected)}, got {sorted(values)}")
        return cls(**values)


def preprocess(image: ImageSource, spec: PreprocessSpec) -> NDArray[np.uint8]:
    """Turn any accepted image into the model's input.

    Returns `uint8 (spec.height, spec.width)`: ink towards 255, paper 0. Raises `ImageError` when the image cannot be read
    or shows no ink.
    """
    name = name_of(image)
    return canvas_of(ways_to_read(decode(image, name), spec, name)[0], spec)


def ways_to_read(picture: Picture, spec: PreprocessSpec, name: str) -> list[Reading]:
    """The ways to read a decoded picture, likeliest first; `name` is what an error calls it.

    With the fit "frame" there is one, the whole picture. Raises `ImageError` where it shows no ink.
    """
    try:
        found = readings(picture) if spec.fit == "ink" else [whole_picture(picture)]
    except ImageError as error:
        which = f"; page {picture.page} was read, and page= takes another" if picture.more else ""
        raise ImageError(f"{name}: {error}{which}") from None
    return [replace(one, page=picture.page) for one in found] if picture.more else found


def canvas_of(reading: Reading, spec: PreprocessSpec) -> NDArray[np.uint8]:
    """The canvas of one way to read a picture."""
    if spec.fit == "frame":
        return np.asarray(resized(Image.fromarray(reading.ink), spec.width, spec.height, Image.Resampling.BILINEAR))
    return _fit_ink(reading.ink, reading.bounds or _ink_box(reading.ink), spec)


def ink_at_edges(grey: NDArray[np.uint8]) -> list[str]:
    """Which edges of an image uint8 (H, W) its ink touches: of "top", "bottom", "left" and "right".

    Raises `ImageError` when it shows no ink.
    """
    ink = whole_picture(Picture(grey)).ink > 127
    edges = {"top": ink[0], "bottom": ink[-1], "left": ink[:, 0], "right": ink[:, -1]}
    return [name for name, edge in edges.items() if edge.any()]


def _fit_ink(ink: NDArray[np.uint8], bounds: tuple[int, int, int, int], spec: PreprocessSpec) -> NDArray[np.uint8]:
    left, top, right, bottom = bounds
    box_height, box_width = bottom - top, right - left
    floor = spec.min_ink * max(ink.shape)
    scale = min(
        spec.ink_share * spec.height / max(box_height, floor),
        spec.ink_share * spec.width / max(box_width, floor),
    )
    height = max(1, round(box_height * scale))
    width = max(1, round(box_width * scale))
    box = image_of(ink[top:bottom, left:right])
    canvas = np.zeros((spec.height, spec.width), np.uint8)
    y, x = (spec.height - height) // 2, (spec.width - width) // 2
    canvas[y : y + height, x : x + width] = array_of(resized(box, width, height, Image.Resampling.BILINEAR))
    return _widen(canvas, round(256 * spec.thin))


def _widen(canvas: NDArray[np.uint8], thin: int) -> NDArray[np.uint8]:
    """Go over thin strokes with a soft pen, the harder the thinner they are; `thin` in 1/256 pixel.

    At `thin` nothing changes, one pixel below it the pen is at full strength. Hairlines then look much as strokes of a pen do.
    """
    strength = min(256, thin - _stroke_width(canvas)) if thin else 0
    if strength <= 0:
        return canvas
    height, width = canvas.shape
    around = np.zeros((height + 2, width + 2), np.uint8)
    around[1:-1, 1:-1] = canvas
    beside = np.maximum(around[:, :-2], around[:, 2:])
    edge = np.maximum(np.maximum(around[:-2, 1:-1], around[2:, 1:-1]), beside[1:-1])
    corner = np.maximum(beside[:-2], beside[2:])
    on_edge, on_corner, under = _pen(strength)
    ink = np.maximum(_translated(edge, on_edge), _translated(corner, on_corner))
    return np.maximum(ink, _translated(canvas, under))


def _translated(grey: NDArray[np.uint8], table: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(grey.tobytes().translate(table), np.uint8).reshape(grey.shape)


@functools.lru_cache(maxsize=256)
def _pen(strength: int) -> tuple[bytes, bytes, bytes]:
    """The ink that a pixel has at least from the darkest of its four neighbours, from that at its corners, and from its own."""
    ink = np.arange(256)
    laid = (ink * (_PEN_EDGE * strength >> 8) >> 8, ink * (_PEN_CORNER * strength >> 8) >> 8, ink)
    # Hairlines are also faint: full strength doubles the ink.
    edge, corner, under = (np.minimum(level + (level * strength >> 8), 255).astype(np.uint8).tobytes() for level in laid)
    return edge, corner, under


def _stroke_width(canvas: NDArray[np.uint8]) -> int:
    """Mean width of the strokes in 1/256 pixel: twice the area of the ink over the length of its outline.

    The outline is the length of the summed absolute gradient, `sqrt(gx^2 + gy^2)`, times 6/5 for strokes of all directions.
    """
    ink = canvas.astype(np.int16)
    across = int(np.abs(ink[:, 1:] - ink[:, :-1]).sum(dtype=np.int32))
    along = int(np.abs(ink[1:] - ink[:-1]).sum(dtype=np.int32))
    outline = math.isqrt(across * across + along * along)
    return 256 * 5 * int(ink.sum(dtype=np.int32)) // (3 * max(1, outline))


def _ink_box(ink: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom (exclusive) of the pixels that are more ink than paper; never empty after a stretch."""
    height, width = ink.shape
    mask = Image.frombuffer("L", (width, height), ink.tobytes().translate(_MOSTLY_INK), "raw", "L", 0, 1)
    return mask.getbbox() or (0, 0, width, height)

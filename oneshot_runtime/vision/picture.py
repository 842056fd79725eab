"""A picture in grey, and its colours: from a Pillow image of any mode, or an array."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.claim import MAX_PIXELS
from oneshot_runtime.vision.grey_image import array_of
from oneshot_runtime.vision.tiff_directory import orientation_of
from oneshot_runtime.vision.transparency import Visible

__all__ = ["Picture", "picture_of_array", "picture_of_image"]

_STRIP_PIXELS = 1 << 20
"""Of a picture that is turned into grey piece by piece, where its whole would be copied several times."""

_COLOUR_SIDE = 1024
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


@dataclass(frozen=True)
class Picture:
    """A decoded picture. grey: uint8 (H, W). colours: gives its colours uint8 (h, w, 3), no longer than 1,024 pixels, for one
    that has any. page: which one of its file it is, counted from 1. more: whether the file has others."""

    grey: NDArray[np.uint8]
    colours: Callable[[], NDArray[np.uint8]] | None = None
    page: int = 1
    more: bool = False


def picture_of_image(image: Image.Image, name: str) -> Picture:
    """What a Pillow image of any mode shows, upright. Raises `ImageError` for one that is empty, too large or not finite."""
    width, height = image.size
    if width == 0 or height == 0:
        raise ImageError(f"{name} is empty: {height}x{width} pixels")
    if width * height > MAX_PIXELS:
        raise ImageError(f"{name} has {height}x{width} pixels, more than the {MAX_PIXELS} that are decoded: scale it down")
    image.load()
    if image.mode in ("L", "1"):
        grey = array_of(image if image.mode == "L" else image.convert("L"))
    elif image.mode in _DEEP_MODES:
        grey = _grey_from_levels(image, name)
    elif _shows_through(image):
        grey = _grey_from_alpha(image)
    else:
        grey = _by_strips(image, lambda strip: np.asarray(strip.convert("RGB").convert("L")))
        side = _orientation(image)
        return Picture(_upright(grey, side), lambda: _upright(_colours(image), side))
    return Picture(_upright(grey, _orientation(image)))


def _shows_through(image: Image.Image) -> bool:
    """Whether any pixel is transparent: an opaque picture is read as one without alpha, colours and all."""
    if image.mode in ("LA", "La", "RGBa"):
        return True
    if image.mode == "RGBA":
        return cast("tuple[int, int]", image.getchannel("A").getextrema())[0] < 255
    if "transparency" in image.info or "A" in image.getbands():
        return any(_shows_through(strip.convert("RGBA")) for _, strip in _strips(image))
    return False


def _colours(image: Image.Image) -> NDArray[np.uint8]:
    factor = -(-max(image.size) // _COLOUR_SIDE)
    reducible = image if image.mode in ("RGB", "CMYK", "YCbCr") else image.convert("RGB")
    return np.asarray(reducible.reduce(factor).convert("RGB"))


def _strips(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """The image in pieces of some rows, each with its place."""
    rows = max(1, _STRIP_PIXELS // image.width)
    if rows >= image.height:
        yield slice(None), image
        return
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        yield slice(top, bottom), image.crop((0, top, image.width, bottom))


def _by_strips(image: Image.Image, grey_of: Callable[[Image.Image], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    grey = np.empty((image.height, image.width), np.uint8)
    for place, strip in _strips(image):
        grey[place] = grey_of(strip)
    return grey


def _orientation(image: Image.Image) -> int:
    """Which side is up, 1 to 8 as EXIF counts. Read here, since Pillow would read all else that EXIF holds, too."""
    if hasattr(image, "tag_v2"):  # Pillow read it already, and turns the image itself in versions that can
        return int(image.getexif().get(0x0112, 1) or 1)
    exif = image.info.get("exif")
    if exif is None and (text := image.info.get("Raw profile type exif")):
        exif = bytes.fromhex("".join(text.split("\n")[3:]))
    if exif and (found := orientation_of(exif)) != 1:
        return found
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    told = _XMP_ORIENTATION.search(xmp.encode() if isinstance(xmp, str) else xmp)
    return int(told[1]) if told else 1


def _upright(grey: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """An image as it is looked at, from the way that EXIF says it is stored."""
    if orientation >= 5:
        grey = grey.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        grey = grey[:, ::-1]
    if orientation in (3, 4, 7, 8):
        grey = grey[::-1]
    return np.ascontiguousarray(grey)


def _grey_from_levels(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Deep modes: the brightest level becomes white, since 12 bits come in 16 and floats define no white at all.

    Pillow's own conversion would clip 16 bits at 255. Preprocessing looks at contrast only, so the choice changes nothing else.
    """
    ends = [(np.min(levels), np.max(levels)) for levels in (np.asarray(strip) for _, strip in _strips(image))]
    low, high = float(min(low for low, _ in ends)), float(max(high for _, high in ends))
    if not np.isfinite([value for pair in ends for value in pair]).all():
        raise ImageError(f"{name} has values that are not finite (NaN or infinity)")
    low = min(low, 0.0)
    scale = 255.0 / (high - low) if high > low else 0.0
    return _by_strips(image, lambda strip: np.rint((np.asarray(strip, np.float64) - low) * scale).astype(np.uint8))


def _grey_from_alpha(image: Image.Image) -> NDArray[np.uint8]:
    """Lay what is visible on its own paper; ink that is alone on paper that shows it, white or, for light ink, black."""

    def levels(strip: Image.Image) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        full = strip.convert("RGBA")
        grey = np.asarray(full.convert("RGB").convert("L")).astype(np.uint32)
        return grey, np.asarray(full.getchannel("A")).astype(np.uint32)

    visible = Visible()
    for _, strip in _strips(image):
        visible.add(*levels(strip))
    paper, premultiplied = visible.paper(), visible.is_premultiplied()

    def laid(strip: Image.Image) -> NDArray[np.uint8]:
        grey, alpha = levels(strip)
        ink = 255 * grey if premultiplied else grey * alpha
        return ((ink + paper * (255 - alpha) + 127) // 255).astype(np.uint8)

    return _by_strips(image, laid)


def picture_of_array(array: NDArray[Any]) -> Picture:
    """What an array of `ImageSource` shows. Raises `ImageError` for another, an empty one and one that is too large."""
    if array.dtype == np.bool_:  # a mask; whether its ink is True or False is found out as for any picture
        array = array.view(np.uint8) * np.uint8(255)
    if array.dtype != np.uint8:
        example = "; values from 0 to 1: (255 * array).round().astype(numpy.uint8)" if array.dtype.kind == "f" else ""
        raise ImageError(
            f"expected a uint8 array with values 0 to 255, or bool, got {array.dtype} {array.shape}: convert it first, for "
            f"the scale is never guessed{example}"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        several = ""
        if array.ndim > 2:
            several = (
                "; of RGBA pass PIL.Image.fromarray(array)"
                if array.shape[-1] == 4
                else "; of a stack of images pass list(array)"
            )
        raise ImageError(f"expected an array of shape (H, W), (H, W, 1) or (H, W, 3) in RGB, got {array.shape}{several}")
    if array.size == 0:
        raise ImageError(f"the array is empty: shape {array.shape}")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise ImageError(f"the array has {array.shape[0]}x{array.shape[1]} pixels, more than {MAX_PIXELS}: scale it down")
    if array.ndim == 2:
        return Picture(np.ascontiguousarray(array))
    image = Image.fromarray(array)
    return Picture(np.asarray(image.convert("L")), lambda: _colours(image))

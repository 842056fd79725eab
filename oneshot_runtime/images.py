"""Decode whatever a user calls an image into one grey `uint8 (H, W)` array.

Paths, encoded bytes, Pillow images and numpy arrays come in; everything after this module is arithmetic on a grey array.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from oneshot_runtime.errors import ImageError

__all__ = ["MAX_PIXELS", "ImageSource", "as_image_list", "thumbnail", "to_grey"]

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8]"
"""A path, encoded bytes (PNG, JPEG, ...), a Pillow image, or a numpy uint8 array (H, W) or (H, W, 3) in RGB."""

MAX_PIXELS = 64_000_000
"""Images with more pixels are refused before they are decoded: a small file can claim billions."""

_THUMBNAIL_SIDE = 128
_MAX_FILE_BYTES = 256 * 1024 * 1024
_DEEP_GREY_MODES = ("I;16", "I;16L", "I;16B", "I;16N")


def as_image_list(images: ImageSource | Sequence[ImageSource]) -> list[ImageSource]:
    """One image or a list of them, as a list. A numpy array is one image; a stack is rejected later by its shape."""
    if isinstance(images, list | tuple):
        return list(images)
    return [images]  # type: ignore[list-item]


def to_grey(source: ImageSource) -> NDArray[np.uint8]:
    """Decode `source` into a grey image.

    Returns a `uint8 (H, W)` array, black 0 and white 255, turned upright by its EXIF orientation, with transparency
    laid on the paper that shows its ink.

    Raises `ImageError` for a file that is missing or no image, an array that is not `uint8 (H, W)` or `(H, W, 3)`, an
    empty image, a value that is not finite, or more than `MAX_PIXELS` pixels.
    """
    if isinstance(source, np.ndarray):
        return _grey_from_array(source)
    if isinstance(source, Image.Image):
        return _grey_from_pillow(source, "the Pillow image")
    if isinstance(source, bytes | bytearray | memoryview):
        return _grey_from_bytes(bytes(source), f"the image in {len(source)} bytes")
    if isinstance(source, str | os.PathLike):
        return _grey_from_bytes(_read_file(Path(source)), f"image '{os.fspath(source)}'")
    raise ImageError(
        f"cannot read an image from {type(source).__name__}: pass a path, bytes, a Pillow image, "
        "or a numpy uint8 array of shape (H, W) or (H, W, 3)"
    )


def _read_file(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _MAX_FILE_BYTES:
            raise ImageError(f"image '{path}' has {size} bytes, more than the {_MAX_FILE_BYTES} that are read")
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read image '{path}': {error.strerror or error}") from error


def _grey_from_bytes(data: bytes, name: str) -> NDArray[np.uint8]:
    if not data:
        raise ImageError(f"{name} is empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            # Pillow warns of sizes, which are checked below before anything is decoded, and of damaged metadata.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                return _grey_from_pillow(image, name)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} is refused as a decompression bomb: {error}") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is in no format that Pillow reads; PNG, JPEG, BMP, TIFF or WebP work") from error
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, IndexError, TypeError, KeyError) as error:
        # Pillow's decoders raise any of these on damaged files.
        raise ImageError(f"{name} is damaged or truncated: {error}") from error


def _grey_from_pillow(image: Image.Image, name: str) -> NDArray[np.uint8]:
    width, height = image.size
    if width == 0 or height == 0:
        raise ImageError(f"{name} is empty: {height}x{width} pixels")
    if width * height > MAX_PIXELS:
        raise ImageError(f"{name} has {height}x{width} pixels, more than the {MAX_PIXELS} that are decoded: scale it down")
    image = ImageOps.exif_transpose(image)
    if image.mode in ("L", "1"):
        return np.asarray(image.convert("L"))
    if image.mode in _DEEP_GREY_MODES:
        # Scaled before any conversion: Pillow's own convert("L") clips 16 bits at 255.
        return (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
    if image.mode in ("I", "F"):
        return _grey_from_levels(np.asarray(image, dtype=np.float64), name)
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        return _grey_from_alpha(image.convert("RGBA"))
    return np.asarray(image.convert("RGB").convert("L"))


def _grey_from_levels(levels: NDArray[np.float64], name: str) -> NDArray[np.uint8]:
    """32-bit modes define no white, so their own range is stretched; preprocessing ignores linear scale anyway."""
    low, high = float(levels.min()), float(levels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError(f"{name} has values that are not finite (NaN or infinity)")
    scale = 255.0 / (high - low) if high > low else 0.0
    return np.rint((levels - low) * scale).astype(np.uint8)


def _grey_from_alpha(image: Image.Image) -> NDArray[np.uint8]:
    """Lay a transparent drawing on white paper, or on black when what is visible of it is light."""
    grey = np.asarray(image.convert("RGB").convert("L")).astype(np.uint32)
    alpha = np.asarray(image.getchannel("A")).astype(np.uint32)
    visible = int(alpha.sum())
    opaque = visible == 255 * alpha.size
    light = visible > 0 and int((grey * alpha).sum()) > 127 * visible
    paper = 0 if light and not opaque else 255
    return ((grey * alpha + paper * (255 - alpha) + 127) // 255).astype(np.uint8)


def _grey_from_array(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if array.dtype != np.uint8:
        raise ImageError(
            f"expected a uint8 array with values 0 to 255, got {array.dtype} {array.shape}; "
            "scale and convert it first, the scale is never guessed"
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise ImageError(f"expected an array of shape (H, W) or (H, W, 3) in RGB, got {array.shape}")
    if array.size == 0:
        raise ImageError(f"the array is empty: shape {array.shape}")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise ImageError(f"the array has {array.shape[0]}x{array.shape[1]} pixels, more than {MAX_PIXELS}: scale it down")
    if array.ndim == 2:
        return array
    return np.asarray(Image.fromarray(array).convert("L"))


def thumbnail(grey: NDArray[np.uint8]) -> bytes:
    """A small PNG of a grey image uint8 (H, W), enough to embed it again with another model: its longer side is at most 128."""
    image = Image.fromarray(grey)
    image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()

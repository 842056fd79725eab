"""Decode whatever a user calls an image into one grey `uint8 (H, W)` array.

Paths, encoded bytes, Pillow images and numpy arrays come in; everything after this module is arithmetic on a grey array.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from oneshot_runtime.errors import ImageError

__all__ = ["FORMATS", "MAX_PIXELS", "ImageSource", "as_image_list", "name_of", "read_file", "resized", "thumbnail", "to_grey"]

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8]"
"""A path, encoded bytes in one of `FORMATS`, a Pillow image, or a numpy uint8 array (H, W) or (H, W, 3) in RGB."""

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
"""What Pillow may decode: of these it says the size before it decodes a pixel. Others decode at once, or start programs."""

MAX_PIXELS = 64_000_000
"""Images with more pixels are refused before they are decoded: a small file can claim billions."""

_THUMBNAIL_SIDE = 128
_MAX_FILE_BYTES = 256 * 1024 * 1024
_TURNED_BY = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}
"""Metadata that may say which side is up; looking for it in a picture that has none takes as long as decoding one."""

_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


def as_image_list(images: ImageSource | Sequence[ImageSource]) -> list[ImageSource]:
    """One image or a list of them, as a list. A numpy array is one image; a stack is rejected later by its shape."""
    if isinstance(images, list | tuple):
        return list(images)
    return [images]  # type: ignore[list-item]


def to_grey(source: ImageSource, name: str | None = None) -> NDArray[np.uint8]:
    """Decode `source` into a grey image; errors call it `name`, by default what `name_of` says.

    Returns a `uint8 (H, W)` array, black 0 and white 255, turned upright by its EXIF orientation, with transparency
    laid on the paper that shows its ink.

    Raises `ImageError` for a file that is missing or in none of `FORMATS`, an array that is not `uint8 (H, W)` or
    `(H, W, 3)`, an empty image, a value that is not finite, or more than `MAX_PIXELS` pixels.
    """
    name = name or name_of(source)
    if isinstance(source, np.ndarray):
        return _grey_from_array(np.asarray(source))
    if isinstance(source, Image.Image):
        with _decoding(name):
            return _grey_from_pillow(source, name)
    if isinstance(source, bytes | bytearray | memoryview):
        return _grey_from_bytes(bytes(source), name)
    if isinstance(source, str | os.PathLike):
        return _grey_from_bytes(read_file(source), name)
    raise ImageError(
        f"cannot read an image from {type(source).__name__}: pass a path, bytes, a Pillow image, "
        "or a numpy uint8 array of shape (H, W) or (H, W, 3)"
    )


def name_of(source: ImageSource) -> str:
    """How an error names an image."""
    if isinstance(source, str | os.PathLike):
        return f"image {os.fspath(source)!r}"
    if isinstance(source, bytes | bytearray | memoryview):
        return f"the image in {len(source)} bytes"
    return "the array" if isinstance(source, np.ndarray) else "the Pillow image"


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of an image's file. Raises `ImageError` for what cannot be read, is no regular file, or is too large."""
    try:
        with open(path, "rb", buffering=0, opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ImageError(f"cannot read {name_of(path)}: it is no regular file")
            if status.st_size > _MAX_FILE_BYTES:
                raise ImageError(f"{name_of(path)} has {status.st_size} bytes, more than the {_MAX_FILE_BYTES} that are read")
            return file.read()
    except OSError as error:
        raise ImageError(f"cannot read {name_of(path)}: {error.strerror or error}") from error
    except ImageError:
        raise
    except ValueError as error:  # a NUL or a lone surrogate in the path
        raise ImageError(f"cannot read {name_of(path)}: {error}") from error


def _open_at_once(path: str, flags: int) -> int:
    """For `open`: does not wait for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _grey_from_bytes(data: bytes, name: str) -> NDArray[np.uint8]:
    if not data:
        raise ImageError(f"{name} is empty (0 bytes)")
    with _decoding(name), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        return _grey_from_pillow(image, name)


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an `ImageError`: each format has its own, and damaged files raise all of them."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} is refused as a decompression bomb: {error}") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is in no format that is read: {', '.join(FORMATS[:-1])} or {FORMATS[-1]} work") from error
    except Exception as error:
        raise ImageError(f"{name} is damaged or truncated: {error!r}") from error


def _grey_from_pillow(image: Image.Image, name: str) -> NDArray[np.uint8]:
    width, height = image.size
    if width == 0 or height == 0:
        raise ImageError(f"{name} is empty: {height}x{width} pixels")
    if width * height > MAX_PIXELS:
        raise ImageError(f"{name} has {height}x{width} pixels, more than the {MAX_PIXELS} that are decoded: scale it down")
    image.load()
    if hasattr(image, "tag_v2") or not _TURNED_BY.isdisjoint(image.info):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of damaged metadata
            image = ImageOps.exif_transpose(image)
    if image.mode in ("L", "1"):
        return np.asarray(image.convert("L"))
    if image.mode in _DEEP_MODES:
        return _grey_from_levels(np.asarray(image, dtype=np.float64), name)
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        return _grey_from_alpha(image.convert("RGBA"))
    return np.asarray(image.convert("RGB").convert("L"))


def _grey_from_levels(levels: NDArray[np.float64], name: str) -> NDArray[np.uint8]:
    """Deep modes: the brightest level becomes white, since 12 bits come in 16 and floats define no white at all.

    Pillow's own conversion would clip 16 bits at 255. Preprocessing looks at contrast only, so the choice changes nothing else.
    """
    low, high = float(levels.min()), float(levels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError(f"{name} has values that are not finite (NaN or infinity)")
    low = min(low, 0.0)
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


def resized(image: Image.Image, width: int, height: int, resample: Image.Resampling) -> Image.Image:
    """The image in another size, its width changed first and then its height.

    From version 13 on Pillow takes the order that costs less, which rounds some pixels differently than earlier versions do.
    """
    return image.resize((width, image.height), resample).resize((width, height), resample)


def thumbnail(grey: NDArray[np.uint8]) -> bytes:
    """A small PNG of a grey image uint8 (H, W), enough to embed it again with another model: its longer side is at most 128."""
    image = Image.fromarray(grey)
    image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()

"""Decode whatever a user calls an image into one grey `uint8 (H, W)` array.

Paths, encoded bytes, Pillow images and numpy arrays come in; everything after this module is arithmetic on a grey array.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.claim import Claim
from oneshot_runtime.vision.decode_limits import claim_of
from oneshot_runtime.vision.heif import is_heif, open_heif
from oneshot_runtime.vision.image_source import ImageSource, PageOf, is_file, name_of, read_file, read_open
from oneshot_runtime.vision.pages import check_page, has_more, turn_to
from oneshot_runtime.vision.picture import Picture, picture_of_array, picture_of_image
from oneshot_runtime.vision.plain_png import plain_grey

__all__ = ["FORMATS", "claim_of_bytes", "decode", "to_grey"]

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
"""What every Pillow may decode: of these it says the size before it decodes a pixel. Others decode at once, or start programs.
HEIC is read, too, where pillow-heif is installed."""


def to_grey(source: ImageSource, name: str | None = None) -> NDArray[np.uint8]:
    """The grey image of `decode`."""
    return decode(source, name).grey


def decode(source: ImageSource, name: str | None = None) -> Picture:
    """Decode `source` into a grey image; errors call it `name`, by default what `name_of` says.

    Returns a `uint8 (H, W)` array, black 0 and white 255, turned upright by its EXIF orientation, with transparency
    laid on the paper that shows its ink.

    Raises `ImageError` for a file that is missing or in none of `FORMATS`, an array that is none of those that `ImageSource`
    names, an empty image, a value that is not finite, a page that it does not have, or more than `MAX_PIXELS` pixels;
    `OptionError` for a page that is no number from 1.
    """
    name = name or name_of(source)
    source, page = (source.source, check_page(source.page)) if isinstance(source, PageOf) else (source, 1)
    if page > 1 and isinstance(source, np.ndarray | Image.Image):
        raise ImageError(f"{name} has one page, so there is no page {page}: pages are those of a file")
    if isinstance(source, np.ndarray):
        return picture_of_array(np.asarray(source))
    if isinstance(source, Image.Image):
        with _decoding(name):
            return picture_of_image(source, name)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), name, page)
    if isinstance(source, str | os.PathLike):
        return _from_bytes(read_file(source), name, page)
    if is_file(source):
        return _from_bytes(read_open(source, name), name, page)
    several = "; several go to match_batch, embed or enroll" if isinstance(source, Iterable) else ""
    raise ImageError(
        f"cannot read an image from {type(source).__name__}: pass a path, bytes, a binary file, a Pillow image, "
        f"or a numpy uint8 array of shape (H, W) or (H, W, 3){several}"
    )


def _from_bytes(data: bytes, name: str, page: int) -> Picture:
    if not data:
        raise ImageError(f"{name} is empty (0 bytes)")
    claim = claim_of_bytes(data, name, page)
    if claim is not None and page == 1 and (plain := plain_grey(data)) is not None and plain.size <= claim.pixels:
        return Picture(plain)
    with _decoding(name), _opened(data, name) as image:
        more = has_more(image, data)
        turn_to(image, page, name)
        if claim is None or image.width * image.height > claim.pixels:
            raise ImageError(f"{name} is damaged: its headers contradict each other")
        picture = picture_of_image(image, name)
        return replace(picture, page=page, more=more) if more or page > 1 else picture


def _opened(data: bytes, name: str) -> Image.Image:
    return open_heif(data, name) if is_heif(data) else Image.open(io.BytesIO(data), formats=FORMATS)


def claim_of_bytes(data: bytes, name: str | None = None, page: int = 1) -> Claim | None:
    """What a page of an encoded image claims to be, found without decoding a pixel; None for what is in none of `FORMATS`.

    Raises `ImageError` for more than `MAX_PIXELS` pixels, or what would take too long or too much memory to decode.
    """
    try:
        return claim_of(data, page)
    except ImageError as error:
        raise ImageError(f"{name or name_of(data)} is refused: {error}") from None


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
        raise ImageError(f"unsupported image format: {name} is none of {', '.join(FORMATS)}") from error
    except Exception as error:
        raise ImageError(f"{name} is damaged or truncated: {error!r}") from error

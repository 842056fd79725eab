"""Decode whatever a user calls an image into one grey `uint8 (H, W)` array.

Paths, encoded bytes, Pillow images and numpy arrays come in; everything after this module is arithmetic on a grey array.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.claim import MAX_PIXELS, Claim
from oneshot_runtime.vision.decode_limits import claim_of
from oneshot_runtime.vision.grey_image import array_of
from oneshot_runtime.vision.grey_png import grey_png
from oneshot_runtime.vision.heif import is_heif, open_heif
from oneshot_runtime.vision.pages import check_page, has_more, turn_to
from oneshot_runtime.vision.plain_png import plain_grey
from oneshot_runtime.vision.regular_file import read_regular
from oneshot_runtime.vision.tiff_directory import orientation_of
from oneshot_runtime.vision.transparency import Visible

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "ImageFile",
    "ImageSource",
    "PageOf",
    "Picture",
    "as_image_list",
    "claim_of_bytes",
    "decode",
    "name_of",
    "read_file",
    "resized",
    "thumbnail",
    "to_grey",
]


class ImageFile(Protocol):
    """A binary file: `io.BytesIO`, what `open(path, "rb")` returns, an upload of a web framework."""

    def read(self, size: int = ..., /) -> bytes:
        """At most `size` bytes."""
        ...


@dataclass(frozen=True)
class PageOf:
    """A page of a file of several: a path, encoded bytes or a binary file, and the page's number, counted from 1."""

    source: ImageSource
    page: int


ImageSource: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | ImageFile | Image.Image | NDArray[np.uint8] | NDArray[np.bool_]"
    " | PageOf"
)
"""A path, encoded bytes in one of `FORMATS` or a binary file of them, a Pillow image, or a numpy array: uint8 or bool, (H, W)
or (H, W, 1) grey, uint8 (H, W, 3) in RGB. Of a file all is read, from its start where it can be wound back."""

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
"""What every Pillow may decode: of these it says the size before it decodes a pixel. Others decode at once, or start programs.
HEIC is read, too, where pillow-heif is installed."""

_THUMBNAIL_SIDE = 128
_MAX_FILE_BYTES = 256 * 1024 * 1024
_ADDRESS = re.compile(r"(?:https?|ftp|s3|gs|data):", re.IGNORECASE)
_STRIP_PIXELS = 1 << 20
"""Of a picture that is turned into grey piece by piece, where its whole would be copied several times."""

_COLOUR_SIDE = 1024
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


def as_image_list(images: ImageSource | Iterable[ImageSource]) -> list[ImageSource]:
    """One image, or any iterable of them, as a list. A numpy array is one image; a stack is rejected later by its shape."""
    if isinstance(images, str | os.PathLike | bytes | bytearray | memoryview | np.ndarray | Image.Image | PageOf):
        return [images]
    if _is_file(images):
        return [images]
    if isinstance(images, Mapping | set | frozenset):
        raise ImageError(f"expected images in order, such as a list of them, got a {type(images).__name__}")
    if isinstance(images, Iterable):
        return list(images)
    return [images]


@dataclass(frozen=True)
class Picture:
    """A decoded picture. grey: uint8 (H, W). colours: gives its colours uint8 (h, w, 3), no longer than 1,024 pixels, for one
    that has any. page: which one of its file it is, counted from 1. more: whether the file has others."""

    grey: NDArray[np.uint8]
    colours: Callable[[], NDArray[np.uint8]] | None = None
    page: int = 1
    more: bool = False


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
        return _from_array(np.asarray(source))
    if isinstance(source, Image.Image):
        with _decoding(name):
            return _from_pillow(source, name)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), name, page)
    if isinstance(source, str | os.PathLike):
        return _from_bytes(read_file(source), name, page)
    if _is_file(source):
        return _from_bytes(_read_open(source, name), name, page)
    several = "; several go to match_batch, embed or enroll" if isinstance(source, Iterable) else ""
    raise ImageError(
        f"cannot read an image from {type(source).__name__}: pass a path, bytes, a binary file, a Pillow image, "
        f"or a numpy uint8 array of shape (H, W) or (H, W, 3){several}"
    )


def name_of(source: ImageSource) -> str:
    """How an error names an image."""
    if isinstance(source, PageOf):
        return name_of(source.source)
    if isinstance(source, str | os.PathLike):
        return f"image {os.fspath(source)!r}"
    if isinstance(source, bytes | bytearray | memoryview):
        return f"the image in {len(source)} bytes" if source else "the image"
    if _is_file(source):
        name = getattr(source, "name", None) or getattr(source, "filename", None)
        return f"image {name!r}" if isinstance(name, str) else "the image in a file object"
    return "the array" if isinstance(source, np.ndarray) else "the Pillow image"


def _is_file(source: object) -> TypeGuard[ImageFile]:
    return callable(getattr(source, "read", None)) and not isinstance(source, os.PathLike)


def _read_open(file: ImageFile, name: str) -> bytes:
    """All bytes of an open file, which is left where it was where it can be wound back."""
    opened: Any = file
    try:
        seekable = bool(opened.seekable()) if hasattr(opened, "seekable") else hasattr(opened, "seek")
        if seekable:
            place = opened.tell()
            opened.seek(0)  # what was just written ends at its end
        data = file.read(_MAX_FILE_BYTES + 1)
        if seekable:
            opened.seek(place)
    except (OSError, ValueError) as error:  # ValueError: closed, or not open for reading
        raise ImageError(f"cannot read {name}: {error}") from error
    if not isinstance(data, bytes):
        kind = type(data).__name__
        raise ImageError(f"cannot read {name}: expected a file of bytes, reading it gave {kind}; open it with mode 'rb'")
    if len(data) > _MAX_FILE_BYTES:
        raise ImageError(f"{name} has more than the {_MAX_FILE_BYTES} bytes that are read")
    return data


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of an image's file. Raises `ImageError` for what cannot be read, is no regular file, or is too large."""
    if isinstance(path, str) and _ADDRESS.match(path):
        raise ImageError(
            f"cannot read {name_of(path)}: nothing is downloaded; fetch it first, and pass its bytes: "
            "urllib.request.urlopen(url).read()"
        )
    try:
        return read_regular(path, _MAX_FILE_BYTES)
    except OSError as error:
        raise ImageError(f"cannot read {name_of(path)}: {error.strerror or error}") from error
    except ValueError as error:
        raise ImageError(f"cannot read {name_of(path)}: {error}") from error


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
        picture = _from_pillow(image, name)
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


def _from_pillow(image: Image.Image, name: str) -> Picture:
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


def _from_array(array: NDArray[Any]) -> Picture:
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


def resized(image: Image.Image, width: int, height: int, resample: Image.Resampling) -> Image.Image:
    """The image in another size, its width changed first and then its height.

    From version 13 on Pillow takes the order that costs less, which rounds some pixels differently than earlier versions do.
    """
    return image.resize((width, image.height), resample).resize((width, height), resample)


def thumbnail(grey: NDArray[np.uint8]) -> bytes:
    """A small PNG of a grey image uint8 (H, W), enough to embed it again with another model: its longer side is at most 128."""
    if max(grey.shape) > _THUMBNAIL_SIDE:
        image = Image.fromarray(grey)
        image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.BILINEAR)
        grey = np.asarray(image)
    return grey_png(grey)

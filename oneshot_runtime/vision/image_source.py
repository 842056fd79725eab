"""What a user may call an image, how errors name it, and the bytes of what is a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.regular_file import read_regular

__all__ = ["ImageFile", "ImageSource", "PageOf", "as_image_list", "is_file", "name_of", "read_file", "read_open"]

_MAX_FILE_BYTES = 256 * 1024 * 1024
_ADDRESS = re.compile(r"(?:https?|ftp|s3|gs|data):", re.IGNORECASE)


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
"""A path, encoded bytes of one of `FORMATS` or a binary file of them, a Pillow image, or a numpy array: uint8 or bool, (H, W)
or (H, W, 1) grey, uint8 (H, W, 3) in RGB. Of a file all is read, from its start where it can be wound back."""


def as_image_list(images: ImageSource | Iterable[ImageSource]) -> list[ImageSource]:
    """One image, or any iterable of them, as a list. A numpy array is one image; a stack is rejected later by its shape."""
    if isinstance(images, str | os.PathLike | bytes | bytearray | memoryview | np.ndarray | Image.Image | PageOf):
        return [images]
    if is_file(images):
        return [images]
    if isinstance(images, Mapping | set | frozenset):
        raise ImageError(f"expected images in order, such as a list of them, got a {type(images).__name__}")
    if isinstance(images, Iterable):
        return list(images)
    return [images]


def name_of(source: ImageSource) -> str:
    """How an error names an image."""
    if isinstance(source, PageOf):
        return name_of(source.source)
    if isinstance(source, str | os.PathLike):
        return f"image {os.fspath(source)!r}"
    if isinstance(source, bytes | bytearray | memoryview):
        return f"the image in {len(source)} bytes" if source else "the image"
    if is_file(source):
        name = getattr(source, "name", None) or getattr(source, "filename", None)
        return f"image {name!r}" if isinstance(name, str) else "the image in a file object"
    return "the array" if isinstance(source, np.ndarray) else "the Pillow image"


def is_file(source: object) -> TypeGuard[ImageFile]:
    """Whether it can be read as a binary file."""
    return callable(getattr(source, "read", None)) and not isinstance(source, os.PathLike)


def read_open(file: ImageFile, name: str) -> bytes:
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

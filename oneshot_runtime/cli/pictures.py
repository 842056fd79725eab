"""The pictures that a command is given: files, folders of them, and `-` for the standard input."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from oneshot_runtime.cli.common import count
from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.image_source import ImageSource, PageOf

__all__ = ["add_page", "named_pictures"]

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif")


def add_page(parser: argparse.ArgumentParser) -> None:
    """Add the option `--page`."""
    text = "of a file of several pages or frames (TIFF, GIF, PNG, WebP), the one to look at (default: 1)"
    parser.add_argument("--page", type=count, default=1, metavar="N", help=text)


def named_pictures(words: Sequence[str], page: int = 1) -> list[tuple[str, ImageSource]]:
    """Each picture with its name: of a folder all pictures in it and below, sorted; `-` is read from the standard input.

    page: which one of each file, counted from 1.

    Raises `ImageError` for a folder without pictures. Other files are not looked at yet.
    """
    found: list[tuple[str, ImageSource]] = []
    for word in words:
        if word == "-":
            found.append(("standard input", sys.stdin.buffer.read()))
        elif os.path.isdir(word):  # noqa: PTH112  a word may be no path at all
            found += [(path, path) for path in _below(word)]
        else:
            found.append((word, word))
    return found if page == 1 else [(name, PageOf(picture, page)) for name, picture in found]


def _below(folder: str) -> list[str]:
    paths = sorted(
        str(path)
        for path in Path(folder).rglob("*")
        if path.suffix.lower() in _ENDINGS and not path.name.startswith(".") and path.is_file()
    )
    if not paths:
        raise ImageError(f"folder '{folder}' holds no pictures: none of its files ends in {', '.join(_ENDINGS)}")
    return paths

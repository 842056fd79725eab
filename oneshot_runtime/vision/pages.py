"""Files of several pages: TIFF, and animated GIF, PNG and WebP, whose frames are pages, too. Pages are counted from 1."""

from __future__ import annotations

from PIL import Image

from oneshot_runtime.errors import ImageError, OptionError
from oneshot_runtime.vision.claim import MAX_PIXELS
from oneshot_runtime.vision.decode_limits import is_tiff
from oneshot_runtime.vision.tiff_directory import has_more_pages

__all__ = ["ANIMATED", "check_page", "has_more", "turn_to"]

_MOST = 1000
ANIMATED = ("GIF", "PNG", "WEBP")
"""Formats whose frames are pages."""
_MOST_FRAME_PIXELS = 4 * MAX_PIXELS
"""Pixels of the frames before the one that is asked for, which are decoded, too."""


def check_page(page: int) -> int:
    """A page's number. Raises `OptionError` for one that can be none."""
    if isinstance(page, bool) or not isinstance(page, int) or not 1 <= page <= _MOST:
        raise OptionError(f"page must be a whole number from 1 to {_MOST}, got {page!r}")
    return page


def has_more(image: Image.Image, data: bytes) -> bool:
    """Whether an opened file has more than one page."""
    if is_tiff(data):
        return has_more_pages(data)
    return image.format in ANIMATED and bool(getattr(image, "is_animated", False))


def turn_to(image: Image.Image, page: int, name: str) -> None:
    """Make an opened file show a page. Raises `ImageError` where it has none of that number."""
    if page == 1:
        return
    if image.format in ANIMATED and page * image.width * image.height > _MOST_FRAME_PIXELS:
        raise ImageError(f"{name}: page {page} is not read: too many pixels come before it; save it alone")
    try:
        image.seek(page - 1)
    except EOFError:
        raise ImageError(f"{name} has no page {page}") from None

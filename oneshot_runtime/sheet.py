"""Contact sheets: results that people would rather look at than read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from oneshot_runtime.errors import ImageError

__all__ = ["Cell", "draw_sheet", "save_sheet"]

_PICTURE, _GAP, _TEXT = 84, 10, 40
_RIGHT, _WRONG, _INK, _QUIET = (22, 128, 61), (190, 30, 45), (30, 30, 30), (120, 120, 120)


@dataclass(frozen=True)
class Cell:
    """One answer: the enrolled picture, the query beside it, two lines of text, and whether the answer was right."""

    support: NDArray[np.uint8]
    query: NDArray[np.uint8]
    title: str
    detail: str
    right: bool


def draw_sheet(cells: Sequence[Cell], heading: str, columns: int = 5) -> Image.Image:
    """Cells in reading order under a heading, as an RGB image. Pictures are uint8 (H, W), dark ink on white."""
    width, height = 2 * _PICTURE + 3 * _GAP, _PICTURE + 2 * _GAP + _TEXT
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP + 36), (244, 244, 242))
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP + 2, 13), heading, fill=_INK, font=_font(17))
    for index, cell in enumerate(cells):
        x = _GAP + (index % columns) * (width + _GAP)
        y = 36 + _GAP + (index // columns) * (height + _GAP)
        colour = _RIGHT if cell.right else _WRONG
        pen.rounded_rectangle((x, y, x + width - 1, y + height - 1), 6, fill=(255, 255, 255), outline=colour, width=2)
        for offset, picture in enumerate((cell.support, cell.query)):
            image = Image.fromarray(picture).resize((_PICTURE, _PICTURE), Image.Resampling.LANCZOS)
            sheet.paste(image, (x + _GAP + offset * (_PICTURE + _GAP), y + _GAP))
        middle = x + _GAP + _PICTURE + _GAP // 2
        pen.line((middle, y + _GAP, middle, y + _GAP + _PICTURE), fill=(225, 225, 225))
        pen.text((x + _GAP, y + 2 * _GAP + _PICTURE - 4), cell.title, fill=colour, font=_font(15))
        pen.text((x + _GAP, y + 2 * _GAP + _PICTURE + 15), cell.detail, fill=_QUIET, font=_font(12))
    return sheet


def save_sheet(sheet: Image.Image, path: Path) -> None:
    """Write the sheet in the format that the path's ending names. Raises `ImageError` when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path)
    except (OSError, ValueError) as error:  # ValueError: an ending that names no format
        raise ImageError(f"cannot write the sheet '{path}': {error}") from error


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)

"""Contact sheets: results that people would rather look at than read."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from oneshot_runtime.errors import ImageError

__all__ = ["Cell", "Row", "draw_rows", "draw_sheet", "elide", "font", "place_picture", "save_sheet"]

_PICTURE, _GAP, _TEXT = 84, 10, 40
INK, QUIET = (30, 30, 30), (120, 120, 120)
_RIGHT, _WRONG = (22, 128, 61), (190, 30, 45)
_PAPER, _DESK = (255, 255, 255), (244, 244, 242)


@dataclass(frozen=True)
class Cell:
    """One answer: the enrolled picture, the query beside it, two lines of text, and whether the answer was right."""

    support: NDArray[np.uint8]
    query: NDArray[np.uint8]
    title: str
    detail: str
    right: bool


@dataclass(frozen=True)
class Row:
    """Two pictures to compare, None for one that was not kept, their names, a title, a text, and whether it is serious."""

    pictures: tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None]
    names: tuple[str, str]
    title: str
    detail: str
    serious: bool


def draw_sheet(cells: Sequence[Cell], heading: str, columns: int = 5) -> Image.Image:
    """Cells in reading order under a heading, as an RGB image. Pictures are uint8 (H, W), dark ink on white."""
    width, height = 2 * _PICTURE + 3 * _GAP, _PICTURE + 2 * _GAP + _TEXT
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP + 36), _DESK)
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP + 2, 13), heading, fill=INK, font=font(17))
    for index, cell in enumerate(cells):
        x = _GAP + (index % columns) * (width + _GAP)
        y = 36 + _GAP + (index // columns) * (height + _GAP)
        colour = _RIGHT if cell.right else _WRONG
        pen.rounded_rectangle((x, y, x + width - 1, y + height - 1), 6, fill=_PAPER, outline=colour, width=2)
        for offset, picture in enumerate((cell.support, cell.query)):
            place_picture(sheet, picture, (x + _GAP + offset * (_PICTURE + _GAP), y + _GAP), _PICTURE)
        middle = x + _GAP + _PICTURE + _GAP // 2
        pen.line((middle, y + _GAP, middle, y + _GAP + _PICTURE), fill=(225, 225, 225))
        pen.text((x + _GAP, y + 2 * _GAP + _PICTURE - 4), elide(cell.title, width - 2 * _GAP, 15), fill=colour, font=font(15))
        pen.text((x + _GAP, y + 2 * _GAP + _PICTURE + 15), elide(cell.detail, width - 2 * _GAP, 12), fill=QUIET, font=font(12))
    return sheet


def draw_rows(rows: Sequence[Row], heading: str) -> Image.Image:
    """One row for each comparison under a heading, as an RGB image. Pictures are uint8 (H, W), dark ink on white."""
    width, height, text = 860, _PICTURE + 2 * _GAP + 18, 2 * _PICTURE + 5 * _GAP
    sheet = Image.new("RGB", (width, len(rows) * (height + _GAP) + _GAP + 36), _DESK)
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP + 2, 13), elide(heading, width - 3 * _GAP, 17), fill=INK, font=font(17))
    for index, row in enumerate(rows):
        x, y = _GAP, 36 + _GAP + index * (height + _GAP)
        colour = _WRONG if row.serious else QUIET
        pen.rounded_rectangle((x, y, width - _GAP - 1, y + height - 1), 6, fill=_PAPER, outline=colour, width=2)
        for offset, (picture, name) in enumerate(zip(row.pictures, row.names, strict=True)):
            left = x + _GAP + offset * (_PICTURE + 2 * _GAP)
            place_picture(sheet, picture, (left, y + _GAP), _PICTURE)
            pen.rectangle((left - 1, y + _GAP - 1, left + _PICTURE, y + _GAP + _PICTURE), outline=(225, 225, 225))
            pen.text((left, y + _GAP + _PICTURE + 4), elide(name, _PICTURE + _GAP, 14), fill=INK, font=font(14))
        room = width - text - 4 * _GAP
        pen.text((x + text, y + 26), elide(row.title, room, 18), fill=colour, font=font(18))
        for line, words in enumerate(_lines(row.detail, room, 14)):
            pen.text((x + text, y + 54 + 20 * line), words, fill=INK, font=font(14))
    return sheet


def place_picture(sheet: Image.Image, picture: NDArray[np.uint8] | None, corner: tuple[int, int], side: int) -> None:
    """Paste a picture uint8 (H, W) into a square without distorting it; None leaves a note that none was kept."""
    if picture is None:
        pen = ImageDraw.Draw(sheet)
        pen.rectangle((*corner, corner[0] + side - 1, corner[1] + side - 1), fill=_DESK)
        middle = corner[0] + side / 2, corner[1] + side / 2
        pen.text(middle, "no picture\nwas kept", fill=QUIET, font=font(12), anchor="mm", align="center")
        return
    image = Image.fromarray(picture)
    scale = side / max(image.size)
    image = image.resize(tuple(max(1, round(length * scale)) for length in image.size), Image.Resampling.LANCZOS)  # type: ignore[arg-type]
    sheet.paste(image, (corner[0] + (side - image.width) // 2, corner[1] + (side - image.height) // 2))


def elide(text: str, width: float, size: int) -> str:
    """The text, cut with an ellipsis where it would be wider than `width` pixels in a font of `size`."""
    used = font(size)
    if used.getlength(text) <= width:
        return text
    kept = bisect.bisect_right(range(1, len(text)), width, key=lambda length: used.getlength(text[:length] + "…"))
    return text[:kept] + "…"


def _lines(text: str, width: float, size: int) -> list[str]:
    """The text broken into two lines at most, the second cut where it is too long."""
    words, used, kept = text.split(" "), font(size), 0
    while kept < len(words) and used.getlength(" ".join(words[: kept + 1])) <= width:
        kept += 1
    if kept in (0, len(words)):
        return [elide(text, width, size)]
    return [" ".join(words[:kept]), elide(" ".join(words[kept:]), width, size)]


def save_sheet(sheet: Image.Image, path: Path) -> None:
    """Write the sheet in the format that the path's ending names. Raises `ImageError` when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path)
    except (OSError, ValueError) as error:  # ValueError: an ending that names no format
        raise ImageError(f"cannot write the sheet '{path}': {error}") from error


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, the only one that is everywhere."""
    return ImageFont.load_default(size)

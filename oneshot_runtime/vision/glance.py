"""One look at a picture, or at a part of it: its symbols, in the camera's frames and in stills alike.

Ink is told from paper once, by parts (`ink_by_parts`). What is drawn around symbols is told from them, and parts are grouped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.vision.grouping import common_side, usual_side
from oneshot_runtime.vision.ink import Ink
from oneshot_runtime.vision.ink_by_parts import ink_by_parts, smoothed
from oneshot_runtime.vision.morphology import Parts
from oneshot_runtime.vision.outline import filled_in, is_carrier
from oneshot_runtime.vision.readings import Reading, reading_of
from oneshot_runtime.vision.rings import rings_of
from oneshot_runtime.vision.rows import are_row, group_symbols
from oneshot_runtime.vision.segment import Found, are_straight, found_of, is_on_paper
from oneshot_runtime.vision.sheet_on_desk import Sheet, find_sheet
from oneshot_runtime.vision.ways import is_dot

__all__ = ["Area", "Glance", "best_glance", "bold_row", "glance"]

Area = tuple[int, int, int, int]
"""Left, top, right and bottom of a part of a picture."""

_FRAME_PIXELS, _STILL_PIXELS = 640 * 480, 1024 * 768
"""Of the picture in which ink is looked for, at most, in a film and in a still; cut-outs are made from the picture itself."""

_BOLD_PIXELS, _BOLD_SHARE = 320 * 240, 5
"""The same of a picture in which a row of bold letters is looked for, and its shorter side over the width of their pen."""

_PEN_SHARE, _STRIP_SHARE, _THICKEST = 13, 18, 3
"""The shorter side of that picture over the width of the widest pen; in a long strip the side of a square as large is
compared, and the shorter side at least."""

_MOST_PARTS = 400
"""Parts that are looked at, largest first: a page of print must not stall a film."""

_LEAST = 16
"""Pixels of the picture that a symbol's longer side has at least: smaller ones are there, but too far away to be read."""

_SMALL = 0.25
"""Share of the usual symbol's side below which something beside the symbols is none."""

_FAR_SHEET, _AROUND = 3, 0.15
"""A sheet that takes less than one part in so many of the picture is looked at closely, with that share around it."""

_WIDEST, _FILLED, _BESIDE = 0.34, 0.45, 0.5
"""A part is no ink but a sheet, or what is lit of it: by its pen as a share of the widest, and the share of its box that it
fills. That share of its sides is looked at beside it."""

_SOLID, _MOST = 1.6, 2
"""A part whose box is no more than so many times its area is a blob, and no sign of how large symbols are; and parts that are
alike are most of a page's, if their sides make up so many times the largest's."""

_LONGER = 2
"""A rule is so many times as long as symbols are large."""

_UNEVEN = 8
"""Contrast of most of the picture that halves what its ink is worth."""

_CLOSE = 10
"""A close look shows as many symbols as the whole picture at least, and one part in so many of its ink."""

_ALIKE, _FEW = 1.6, 3
"""Bold letters are no more than so many times as large as each other, and more than so many."""

_OUTLINE = 128
"""Pixels of a part's longer side at which its outline is looked at."""

_MARKS, _FULL = 0.12, 4
"""Share of what is around something that is a mark, too, on a desk full of them; and a picture shows such a desk where one
thing of so many is among marks."""

_RING, _LIKE_OTHERS = 3, 1.3
"""A ring is part of a symbol at most so many times as large as the rest of it; and likely where it is no more than so many
times as large as symbols without one."""


@dataclass(frozen=True)
class Glance:
    """Symbols seen in a part of a picture. grey: uint8 (h, w), that part; left, top: where it is. factor: by how much the
    picture in which ink was looked for is smaller. light: whether ink is lighter than its paper. found: the symbols, each with
    the ways to read it, likeliest first: without the ring that is drawn around it, and with it. amount: how much ink there is,
    by its parts' longer sides in the picture; contrast counts more, as grain and seams are long and faint. sheet: where the
    largest thing is that is too wide for ink, and may be a sheet that is far away."""

    grey: NDArray[np.uint8]
    left: int
    top: int
    factor: int
    light: bool
    found: list[list[Found]]
    amount: int
    sheet: Area | None

    def readings(self, chosen: list[list[Found]]) -> list[list[Reading]]:
        """Symbols cut out, with their boxes in the picture."""
        return [[self._placed(reading_of(self.grey, one, self.factor)) for one in ways] for ways in chosen]

    def _placed(self, one: Reading) -> Reading:
        return replace(one, box=(one.box[0] + self.left, one.box[1] + self.top, *one.box[2:]))

    def readable(self) -> list[list[Found]]:
        """The symbols that are large enough to be read."""
        usual = float(np.median([ways[0].side for ways in self.found])) if self.found else 0.0
        least = max(_SMALL * usual, _LEAST / self.factor)
        return [ways for ways in self.found if ways[0].side >= least]

    def too_small(self) -> int:
        """How many symbols are too small to be read; dots are none."""
        return sum(ways[0].side * self.factor < _LEAST and not is_dot(ways[0]) for ways in self.found)


def best_glance(grey: NDArray[np.uint8], kinds: list[bool], *, still: bool = False) -> tuple[Glance, Area | None]:
    """The kind of ink, dark or light, that a picture uint8 (H, W) shows most of; of the whole picture, or close to its sheet.

    Args:
        grey: the picture.
        kinds: whether ink is lighter than its paper; of several kinds the one that there is more of.
        still: whether it is worth a longer look than a frame of a film: thin strokes are seen, and a sheet without its desk
            where that is full of marks.

    Returns:
        What was seen, and what was looked at closely; None for the whole picture.
    """
    pixels = _STILL_PIXELS if still else _FRAME_PIXELS
    glances = _of_kinds(grey, (0, 0, grey.shape[1], grey.shape[0]), kinds, pixels)
    seen = max(glances, key=_amount)
    sheet = find_sheet(grey)
    far = None if sheet is None else _far_sheet(grey, sheet)
    for area in (far, *(one.sheet for one in glances)):
        close = None if area is None else max(_of_kinds(grey, area, kinds, pixels), key=_amount)
        if close is not None and len(close.found) >= len(seen.found) and _CLOSE * close.amount >= seen.amount:
            return close, area
    if still and sheet is not None and far is None:
        marks = [_is_among_marks(ways[0]) for ways in seen.found]
        if _FULL * sum(marks) >= len(marks):
            close = max(_of_kinds(grey, sheet.box, kinds, pixels, sheet), key=_amount)
            clear = [one for one, mark in zip(seen.found, marks, strict=True) if not mark]
            if len(close.found) >= max(1, sum(_is_within(one[0].box * seen.factor, sheet.box) for one in clear)):
                return close, sheet.box
    return seen, None


def glance(grey: NDArray[np.uint8], area: Area, kinds: list[bool]) -> Glance:
    """What an area of a film's frame uint8 (H, W) shows in the kind of ink that it has most of."""
    return max(_of_kinds(grey, area, kinds, _FRAME_PIXELS), key=_amount)


def bold_row(grey: NDArray[np.uint8]) -> Glance | None:
    """The row of bold letters that a picture uint8 (H, W) shows from side to side, where it shows one."""
    glances = _of_kinds(grey, (0, 0, grey.shape[1], grey.shape[0]), [False, True], _BOLD_PIXELS, pen_share=_BOLD_SHARE)
    rows = [one for one in glances if one.found and are_row(np.stack([ways[0].box for ways in one.found]))]
    return max(rows, key=_amount, default=None)


def _amount(seen: Glance) -> int:
    return seen.amount


def _far_sheet(grey: NDArray[np.uint8], sheet: Sheet) -> Area | None:
    """Around a sheet, where it is small in the picture; what it has in a shadow may lie beside it."""
    left, top, right, bottom = sheet.box
    if _FAR_SHEET * (right - left) * (bottom - top) >= grey.size:
        return None
    return _around(np.array((left, top, right - left, bottom - top)), _AROUND, grey.shape)


def _is_within(box: NDArray[np.int64], area: Area) -> bool:
    x, y, width, height = (int(value) for value in box)
    return area[0] <= x and area[1] <= y and x + width <= area[2] and y + height <= area[3]


def _is_among_marks(one: Found) -> bool:
    """Whether a good part of what is around a symbol may be ink, too: marks of a desk are close to each other."""
    ink = one.ink
    height, width = ink.contrast.shape
    x, y, w, h = (int(value) for value in one.box)
    around = max(2, max(w, h) // 3)
    left, top, right, bottom = max(0, x - around), max(0, y - around), min(width, x + w + around), min(height, y + h + around)
    beside = ink.contrast[top:bottom, left:right] >= ink.limit
    beside[y - top : y - top + h, x - left : x - left + w] = False
    area = (right - left) * (bottom - top) - w * h
    return bool(np.count_nonzero(beside) >= _MARKS * area)


def _around(box: NDArray[np.int64], share: float, shape: tuple[int, ...]) -> Area:
    """A box x, y, width, height with that share of its sides around it, within a picture."""
    x, y, width, height = (int(value) for value in box)
    across, down = round(share * width), round(share * height)
    return max(0, x - across), max(0, y - down), min(shape[1], x + width + across), min(shape[0], y + height + down)


def _of_kinds(
    grey: NDArray[np.uint8],
    area: Area,
    kinds: list[bool],
    pixels: int,
    sheet: Sheet | None = None,
    pen_share: int = _PEN_SHARE,
) -> list[Glance]:
    """The ink in an area of a picture, of each kind; of the sheet that is there alone."""
    left, top, right, bottom = area
    part = np.ascontiguousarray(grey[top:bottom, left:right])
    factor = 1
    while part.size > pixels * factor**2:
        factor += 1
    small = part if factor == 1 else np.asarray(Image.fromarray(part).reduce(factor))
    smooth = smoothed(small if sheet is None else sheet.alone(small))
    narrow = min(smooth.shape)
    window = max(7, narrow // pen_share, min(math.isqrt(smooth.size) // _STRIP_SHARE, narrow // _THICKEST)) | 1
    glances = []
    for light in kinds:
        ink, usual = ink_by_parts(smooth, light, window) or (None, 0)
        found, amount, wide = ([], 0, None) if ink is None else _symbols_of(ink, window)
        amount = factor * amount * _UNEVEN // (_UNEVEN + usual)
        beside = None if wide is None else _around(wide * factor + (left, top, 0, 0), _BESIDE, grey.shape)
        glances.append(Glance(part, left, top, factor, light, found, amount, beside))
    return glances


def _symbols_of(ink: Ink, window: int) -> tuple[list[list[Found]], int, NDArray[np.int64] | None]:
    """The symbols that ink makes up, how much of it there is, and the box of the largest thing that is too wide for ink."""
    parts = ink.parts
    numbers = np.argsort(-parts.areas, kind="stable")[:_MOST_PARTS]
    numbers = numbers[[is_on_paper(ink, int(number)) for number in numbers]]
    sizes = parts.boxes[numbers, 2:]
    is_wide = (parts.pens[numbers] > 4 * _WIDEST * window) & (sizes.min(axis=1) >= window)
    is_wide &= parts.areas[numbers] >= _FILLED * sizes.prod(axis=1)
    is_wide[is_wide] = [_is_sheet(ink, number, numbers) for number in numbers[is_wide]]
    wide = parts.boxes[numbers[is_wide][0]] if is_wide.any() else None
    numbers = numbers[~is_wide]
    if not len(numbers):
        return [], 0, wide
    amount = int((parts.boxes[numbers, 2:].max(axis=1) * ink.peaks[numbers] ** 3).sum())
    rings = rings_of(ink, numbers)
    numbers = numbers[~np.isin(numbers, rings)]
    numbers = numbers[~_rules(parts, numbers)]
    groups = [found_of(ink, numbers[group]) for group in group_symbols(parts.boxes[numbers], _common(parts, numbers))]
    return _with_rings(groups, rings), amount, wide


def _common(parts: Parts, numbers: NDArray[np.int64]) -> float:
    """The side of most symbols of a page, by its parts; dots are none. 0 where that is not known: one large symbol has strokes
    that are alike, too."""
    sizes = parts.boxes[numbers, 2:]
    is_blob = _SOLID * parts.areas[numbers] >= sizes.prod(axis=1)
    return common_side(sizes[~is_blob].max(axis=1, initial=0), _MOST)


def _rules(parts: Parts, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which parts are straight lines, longer than anything else is large."""
    sides = parts.boxes[numbers, 2:].max(axis=1, initial=0)
    straight = are_straight(parts, numbers)
    if straight.all():
        return np.zeros(len(numbers), bool)
    return np.asarray(straight & (sides > _LONGER * usual_side(parts.boxes[numbers[~straight]])))


def _is_sheet(ink: Ink, number: np.int64, others: NDArray[np.int64]) -> bool:
    """Whether a wide part is a sheet or what is lit of it, and none of several bold letters, which are alike."""
    x, y, w, h = (int(value) for value in ink.parts.boxes[number])
    sides = ink.parts.boxes[others, 2:].max(axis=1)
    if np.count_nonzero((_ALIKE * sides >= max(w, h)) & (sides <= _ALIKE * max(w, h))) <= _FEW:
        return True
    step = 1 + max(w, h) // _OUTLINE
    mask = ink.parts.mask(np.array([number]), (x, y, x + w, y + h)) > 0
    mask = np.pad(mask[::step, ::step], 1)
    return is_carrier(mask, filled_in(mask), (1, 1, mask.shape[1] - 1, mask.shape[0] - 1))


def _with_rings(groups: list[Found], rings: NDArray[np.int64]) -> list[list[Found]]:
    """Each group with the ways to read it: a ring that encloses one group alone may be part of the symbol."""
    boxes = np.array([one.box for one in groups])
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    framed: dict[int, Found] = {}
    for ring in rings[::-1]:  # the smallest last
        outer = groups[0].ink.parts.boxes[ring]
        inside = np.flatnonzero(((low >= outer[:2]) & (high <= outer[:2] + outer[2:])).all(axis=1))
        if len(inside) == 1 and _RING * groups[inside[0]].side >= int(outer[2:].max()):
            framed[int(inside[0])] = found_of(groups[0].ink, np.append(groups[inside[0]].numbers, ring))
    bare = [one.side for at, one in enumerate(groups) if at not in framed]
    usual = float(np.median(bare)) if bare else 0.0
    ways = []
    for at, one in enumerate(groups):
        ring = framed.get(at)
        if ring is None:
            ways.append([one])
        else:
            ways.append([ring, one] if ring.side <= _LIKE_OTHERS * usual else [one, ring])
    return ways

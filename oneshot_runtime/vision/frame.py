"""Every symbol of a frame of a film, in one look: fast, and the same from frame to frame.

`page.py` looks at a picture for as long as it takes. Here ink is told from paper once, by parts: a pixel may be faint where its
part is strong somewhere, so that a stroke that fades, or lies half in a shadow, stays whole. What was found out about the light
and the sheet holds for the frames after it (`Focus`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.vision.grouping import group_parts
from oneshot_runtime.vision.ink import Ink, contrast_to_paper, floor_of, runs_from
from oneshot_runtime.vision.morphology import Parts, connected_parts
from oneshot_runtime.vision.readings import Reading, is_dot, reading_of
from oneshot_runtime.vision.segment import Found, found_of, frames_of, is_on_paper
from oneshot_runtime.vision.sheet_on_desk import view_of

__all__ = ["Focus", "FrameScene", "symbols_of_frame"]

_WORKING_SIDE = 640
"""Longer side of the picture in which ink is looked for; cut-outs are made from the frame itself."""

_PEN_SHARE = 13
"""The shorter side of that picture over the width of the widest pen."""

_FAINTEST, _PEAK = 12, 2
"""Contrast from which a pixel may be ink, whatever most of the frame has; a part of ink reaches so many times that."""

_STRONG, _STRONGEST = 0.45, 0.8
"""Share of the strongest ink's contrast that a part reaches, and share of all ink that is no stronger than the strongest."""

_SOFT = 0.2
"""Share of the strongest ink's contrast from which a pixel may be ink: rules and grain join strokes below it."""

_MOST_PARTS = 400
"""Parts that are looked at, largest first: a page of print must not stall a film."""

_MOST_RUNS = 12_000
"""Runs of pixels that are joined to parts; a mask of more is noise."""

_LONGEST = 0.85
"""Share of the shorter side that a part takes at most: longer things are edges of tables, and cables."""

_LEAST = 16
"""Pixels of the frame that a symbol's longer side has at least: smaller ones are there, but too far away to be read."""

_SMALL = 0.25
"""Share of the usual symbol's side below which something beside the symbols is none."""

_FAR_SHEET, _AROUND = 3, 0.15
"""A sheet that takes less than one part in so many of the frame is looked at closely, with that share around it."""

_WIDEST, _FILLED, _BESIDE = 0.34, 0.45, 0.5
"""A part is no ink but a sheet, or what is lit of it: by its pen as a share of the widest, and the share of its box that it
fills. That share of its sides is looked at beside it."""

_CLOSE = 0.1
"""A close look shows as many symbols as the whole frame at least, and so much ink, as a share of the frame's."""


@dataclass(frozen=True)
class Focus:
    """What holds from one frame to the next. light: whether ink is lighter than its paper. near: left, top, right and
    bottom of what is looked at closely, None for the whole frame. shape: of the frame, (H, W)."""

    shape: tuple[int, ...]
    light: bool
    near: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class FrameScene:
    """What a frame shows. symbols: topmost first. focus: for the frames after it. far: whether there are symbols, or a sheet,
    and most of them too small to be read."""

    symbols: list[Reading]
    focus: Focus
    far: bool


@dataclass(frozen=True)
class _Look:
    """Symbols seen in a part of the frame. grey: uint8 (h, w), that part; left, top: where it is. factor: by how much the
    picture in which ink was looked for is smaller. light: whether ink is lighter than its paper. amount: how much ink there is,
    by its parts' longer sides in the frame; contrast counts more, as grain and seams are long and faint. sheet: left, top,
    right and bottom in the frame of the largest thing that is too wide for ink, and may be a sheet that is far away."""

    grey: NDArray[np.uint8]
    left: int
    top: int
    factor: int
    light: bool
    found: list[Found]
    amount: float
    sheet: tuple[int, int, int, int] | None

    def symbols(self) -> list[Reading]:
        """The symbols that are large enough to be read, cut out, with their boxes in the frame, topmost first."""
        usual = float(np.median([one.side for one in self.found])) if self.found else 0.0
        least = max(_SMALL * usual, _LEAST / self.factor)
        cut = [reading_of(self.grey, one, self.factor) for one in self.found if one.side >= least]
        placed = [replace(one, box=(one.box[0] + self.left, one.box[1] + self.top, *one.box[2:])) for one in cut]
        return sorted(placed, key=lambda one: one.box[1])

    def too_small(self) -> int:
        """How many symbols are too small to be read; dots are none."""
        return sum(one.side * self.factor < _LEAST and not is_dot(one) for one in self.found)


def symbols_of_frame(grey: NDArray[np.uint8], ink: str = "auto", focus: Focus | None = None) -> FrameScene:
    """The symbols of a frame uint8 (H, W) that its border does not cut off.

    Args:
        grey: the frame.
        ink: "dark" on light paper, "light" on a dark board, or "auto" for what there is more of.
        focus: what an earlier frame of the film was found to be; None to find out. That of a frame of another size is none.
    """
    if focus is not None and focus.shape != grey.shape:
        focus = None
    kinds = [ink == "light"] if ink != "auto" else [False, True] if focus is None else [focus.light]
    if focus is not None and focus.near is not None:
        seen = max(_looks(grey, focus.near, kinds), key=_amount)
        return _shown(grey, seen, focus.near) if seen.found else symbols_of_frame(grey, ink)
    looks = _looks(grey, (0, 0, grey.shape[1], grey.shape[0]), kinds)
    seen = max(looks, key=_amount)
    if focus is None or not seen.found:
        for sheet in (_far_sheet(grey), *(one.sheet for one in looks)):
            close = None if sheet is None else max(_looks(grey, sheet, kinds), key=_amount)
            if close is not None and len(close.found) >= len(seen.found) and close.amount >= _CLOSE * seen.amount:
                return _shown(grey, close, sheet)
    return _shown(grey, seen, None)


def _shown(grey: NDArray[np.uint8], seen: _Look, near: tuple[int, int, int, int] | None) -> FrameScene:
    symbols = seen.symbols()
    far = seen.too_small() > len(symbols) if seen.found else near is not None
    return FrameScene(symbols, Focus(grey.shape, seen.light, near), far)


def _amount(seen: _Look) -> float:
    return seen.amount


def _far_sheet(grey: NDArray[np.uint8]) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom around a sheet that is small in the frame; what it has in a shadow may lie beside it."""
    view = view_of(grey)
    height, width = view.grey.shape
    if _FAR_SHEET * height * width >= grey.size:
        return None
    return _around(np.array((view.left, view.top, width, height)), _AROUND, grey.shape)


def _around(box: NDArray[np.int64], share: float, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a box x, y, width, height with that share of its sides around it, within a picture."""
    x, y, width, height = (int(value) for value in box)
    across, down = round(share * width), round(share * height)
    return max(0, x - across), max(0, y - down), min(shape[1], x + width + across), min(shape[0], y + height + down)


def _looks(grey: NDArray[np.uint8], box: tuple[int, int, int, int], kinds: list[bool]) -> list[_Look]:
    """The ink between left, top, right and bottom of a frame, of each kind."""
    left, top, right, bottom = box
    part = np.ascontiguousarray(grey[top:bottom, left:right])
    factor = -(-max(part.shape) // _WORKING_SIDE)
    small = part if factor == 1 else np.asarray(Image.fromarray(part).reduce(factor))
    smooth = _smoothed(small)
    window = max(7, min(smooth.shape) // _PEN_SHARE) | 1
    looks = []
    for light in kinds:
        ink = _find_ink(smooth, light, window)
        found, amount, wide = ([], 0.0, None) if ink is None else _symbols_of(ink, window)
        sheet = None if wide is None else _around(wide * factor + (left, top, 0, 0), _BESIDE, grey.shape)
        looks.append(_Look(part, left, top, factor, light, found, factor * amount, sheet))
    return looks


def _symbols_of(ink: Ink, window: int) -> tuple[list[Found], float, NDArray[np.int64] | None]:
    """The symbols that ink makes up, how much of it there is, and the box of the largest thing that is too wide for ink."""
    parts = ink.parts
    numbers = np.argsort(-parts.areas, kind="stable")[:_MOST_PARTS]
    numbers = numbers[[is_on_paper(ink, int(number)) for number in numbers]]
    sizes = parts.boxes[numbers, 2:]
    is_wide = (parts.pens[numbers] > 4 * _WIDEST * window) & (sizes.min(axis=1) >= window)
    is_wide &= parts.areas[numbers] >= _FILLED * sizes.prod(axis=1)
    wide = parts.boxes[numbers[is_wide][0]] if is_wide.any() else None
    numbers = numbers[~is_wide]
    if not len(numbers):
        return [], 0.0, wide
    sides = parts.boxes[numbers, 2:].max(axis=1)
    amount = float((sides * (ink.peaks[numbers] / 255.0) ** 3).sum())
    pen = max(1.0, int(parts.pens[numbers[np.argmax(sides)]]) / 4)
    numbers = numbers[~np.isin(numbers, frames_of(ink, numbers, pen))]
    return [found_of(ink, numbers[group]) for group in group_parts(parts.boxes[numbers])], amount, wide


def _smoothed(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each pixel with a quarter of each neighbour's level in both directions: the paper's would be the brightest noise's."""
    for axis in (0, 1):
        wide = np.pad(grey, [(1, 1) if at == axis else (0, 0) for at in (0, 1)], mode="edge").astype(np.uint16)
        before, middle, after = (
            wide[at : wide.shape[0] - 2 + at] if axis == 0 else wide[:, at : wide.shape[1] - 2 + at] for at in range(3)
        )
        grey = ((before + 2 * middle + after + 2) >> 2).astype(np.uint8)
    return grey


def _find_ink(grey: NDArray[np.uint8], light: bool, window: int) -> Ink | None:
    """The ink of one kind, by parts that are strong enough somewhere; None where there is none."""
    paper, contrast = contrast_to_paper(grey, light, window)
    faintest = min(_FAINTEST, floor_of(contrast))
    while runs_from(contrast, faintest) > _MOST_RUNS:
        faintest += faintest // 4
    strongest = 0
    for _ in range(2):
        limit = max(faintest, round(_SOFT * strongest))
        parts = connected_parts(contrast >= limit)
        peaks, means = parts.levels(contrast)
        may_be = np.flatnonzero(_sane(parts, contrast.shape) & (peaks >= _PEAK * limit))
        if not len(may_be):
            return None
        strongest = _strongest(parts.areas[may_be], peaks[may_be])
    kept = may_be[peaks[may_be] >= _STRONG * strongest]
    return Ink(light, grey, paper, contrast, limit, parts.only(kept), peaks[kept], means[kept], False)


def _sane(parts: Parts, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which parts of a picture (h, w) its border does not cut off, and are neither specks nor too long."""
    height, width = shape
    x, y, w, h = parts.boxes.T
    inside = (x > 0) & (y > 0) & (x + w < width) & (y + h < height)
    return np.asarray(inside & (parts.areas >= 4) & (np.maximum(w, h) <= _LONGEST * min(height, width)))


def _strongest(areas: NDArray[np.int64], peaks: NDArray[np.int64]) -> int:
    order = np.argsort(peaks, kind="stable")
    weights = np.cumsum((areas * peaks)[order])
    return int(peaks[order[np.searchsorted(weights, _STRONGEST * weights[-1])]])

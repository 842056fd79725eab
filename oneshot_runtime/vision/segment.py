"""From a picture to its symbols: ink is found, what is no symbol left out, parts are grouped, and each group is cut out.

A cut-out is what a clean drawing is: dark ink on white, free of shadow, of rules and of neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.errors import counted
from oneshot_runtime.vision.grey_image import resized
from oneshot_runtime.vision.grouping import union
from oneshot_runtime.vision.ink import Ink, find_ink
from oneshot_runtime.vision.morphology import Parts, spread
from oneshot_runtime.vision.rings import frames_of, rings_of
from oneshot_runtime.vision.rows import group_symbols

__all__ = [
    "Box",
    "Found",
    "Scene",
    "are_straight",
    "cut",
    "found_of",
    "gap",
    "is_on_paper",
    "look",
    "scene_of",
    "working",
    "worth",
]

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels of the picture."""

_WORKING_SIDE = 1024
"""Longer side of the picture in which ink is looked for; cut-outs are made from the picture itself."""

_MARGIN = 0.1
"""White around a cut-out, as a share of the ink's longer side."""

_CUT_SIDE = 160
"""Longer side of the ink in a cut-out at most: three times what the model's canvas shows."""

_CUT_LEAST = 96
"""Cut-outs of less than half of that are made so large, before their soft edges are cut off."""

_SPILL = 2
"""Pixels of the working picture around a part that still belong to its soft edge."""

_MOST_PARTS = 400
"""Parts that are looked at, largest first: a page of print must not stall a reader."""

_SPECK = 0.5
"""Share of the pen's width below which a part is a speck, when it is both as wide and as high."""

_PEN_SHARES = (18, 6)
"""The shorter side of a picture over the width of the widest pen: pens as they usually are, and wide ones."""

_PLAIN = 20
"""A symbol that takes one part in so many of the shorter side is there: wider pens need not be looked for."""

_POINT, _POINT_REACH, _MOST_POINTS = 1.3, 0.5, 8
"""Pen widths of a point, the dot of an i or a speck; how far from the symbol it is one of its own, as a share of the longer
side; and more of them are specks."""

_FAR_POINT = 0.8
"""Pen widths of a point that belongs to a symbol from afar, where the paper is even."""

_THIN = 6
"""Pen widths that a symbol's longer side has usually; of wider pens it is less sure that they are any."""

_WIDEST = 0.75
"""Share of the window that strokes are wide at most; of wider ones only bits are seen."""

_FILLED, _DETAIL = 10, 2
"""The longer side of a filled shape over the width of a pen as wide, at most; and pixels of a detail of it, at least."""

_LONG, _STRAIGHT = 12, 1.4
"""A straight thing is so many pens long at least; the square of its area is at most so many times that of what a pen draws
from one end to the other."""

_FACE = 3
"""So many things in a round ring, and it is the outline of a face or a clock; one or two are a symbol in a circle."""

_SMALLEST = 4
"""Pixels of the working picture that a symbol's longer side has at least."""


@dataclass(frozen=True, eq=False)
class Found:
    """Parts of ink that make up one symbol. numbers: int64, of the ink's parts. box: x, y, width, height in pixels of the
    working picture, int64 (4,)."""

    ink: Ink
    numbers: NDArray[np.int64]
    box: NDArray[np.int64]

    @property
    def side(self) -> int:
        """The longer side of the box."""
        return int(self.box[2:].max())


@dataclass(frozen=True)
class Scene:
    """What a picture shows in one kind of ink at one strength.

    symbols: largest first. framed: with the frame that is drawn around them, where there is one; is_face: whether that is
    round, and several things are in it, as in faces and clocks. bare: without the ring that may be drawn around them, or part
    of the symbol. points: parts no larger than the pen, near the largest, that belong to it or are specks. pen: about its
    width. dropped: what was left out, for people.
    """

    ink: Ink
    symbols: list[Found]
    framed: Found | None
    is_face: bool
    bare: Found | None
    points: Found | None
    pen: float
    dropped: list[str]


def working(grey: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """The picture in which ink is looked for, and by how much it is smaller."""
    factor = -(-max(grey.shape) // _WORKING_SIDE)
    return (grey, 1) if factor == 1 else (np.asarray(Image.fromarray(grey).reduce(factor)), factor)


def look(grey: NDArray[np.uint8]) -> list[Scene]:
    """What the working picture may show, likeliest first."""
    scenes: list[Scene] = []
    for share in _PEN_SHARES:
        window = max(7, min(grey.shape) // share) | 1
        scenes += [scene_of(ink, window) for light in (False, True) for ink in find_ink(grey, light, window)]
        scenes = sorted([scene for scene in scenes if scene.symbols], key=worth, reverse=True)
        if scenes and scenes[0].symbols[0].side * _PLAIN >= min(grey.shape):
            break
    return scenes


def worth(scene: Scene) -> float:
    """How much a scene looks as if it showed a symbol: large, strong, and thin, as gaps between strokes are not."""
    largest = scene.symbols[0]
    strength = float(scene.ink.means[largest.numbers].max())
    pen = _pen(scene.ink, largest.numbers[np.argmax(scene.ink.parts.areas[largest.numbers])])
    return largest.side * (strength / 255.0) ** 2 * min(1.0, largest.side / (_THIN * pen))


def scene_of(ink: Ink, window: int | None) -> Scene:
    """What ink shows. window: that it was found with; parts not much narrower are no ink. None where the paper is even."""
    parts = ink.parts
    sides = parts.boxes[:, 2:].max(axis=1, initial=0)
    dropped: list[str] = []
    nothing = Scene(ink, [], None, False, None, None, 0.0, dropped)
    keep, details, pen = _kept(ink, sides, window, dropped)
    if not len(keep):
        return nothing
    rings = rings_of(ink, np.sort(keep))
    frames, is_round = frames_of(ink, rings, pen)
    rest = keep[~np.isin(keep, frames)]
    is_point = (sides[rest] < _POINT * pen) & ~np.isin(rest, details)
    points, rest = (rest[is_point], rest[~is_point]) if not is_point.all() else (rest[:0], rest)
    groups = [found_of(ink, rest[group]) for group in group_symbols(parts.boxes[rest])]
    groups = sorted([group for group in groups if group.side >= _SMALLEST], key=lambda group: -group.side)
    if not groups:
        return nothing
    near = _near(parts, points, groups[0], sides, pen, window)
    specks = len(parts.areas) - len(frames) - sum(len(group.numbers) for group in groups) - len(near)
    if specks:
        dropped.append(counted(specks, "speck"))
    framed = found_of(ink, np.concatenate((frames, rest, near))) if len(frames) else None
    inner = rest[~np.isin(rest, rings)]
    bare = found_of(ink, inner) if not len(frames) and 0 < len(inner) < len(rest) else None
    is_face = is_round and len(groups) >= _FACE
    return Scene(ink, groups, framed, is_face, bare, found_of(ink, near) if len(near) else None, pen, dropped)


def _kept(
    ink: Ink, sides: NDArray[np.int64], window: int | None, dropped: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64], float]:
    """The parts that are neither specks nor cut off, largest first; which of them are details of a filled shape; the pen."""
    height, width = ink.contrast.shape
    parts = ink.parts
    x, y, w, h = parts.boxes.T
    inside = (x > 0) & (y > 0) & (x + w < width) & (y + h < height)
    if window is None or not (inside & (sides >= _SMALLEST)).any():
        inside[:] = True
    elif not inside.all():
        dropped.append("what the picture's border cuts off")
    keep = np.flatnonzero(inside & ((parts.areas >= 2) | (window is None)))
    keep = keep[np.argsort(-parts.areas[keep], kind="stable")][:_MOST_PARTS]
    if not len(keep):
        return keep, keep, 0.0
    pen = _pen(ink, keep[np.argmax(sides[keep])])
    large = sides[keep] >= _SPECK * pen
    if window is None:
        if (~large).sum() == 1 and parts.areas[keep[~large]][0] == 1:
            large[:] = True  # one pixel in a drawing is nothing
        details = keep[_are_details(parts, keep, sides)]
        return keep[large | np.isin(keep, details)], details, pen
    large[large] = [is_on_paper(ink, int(number)) for number in keep[large]]
    keep = keep[large]
    pen = _pen(ink, keep[np.argmax(sides[keep])]) if len(keep) else pen
    return (keep if pen <= _WIDEST * window else keep[:0]), keep[:0], pen


def _near(
    parts: Parts, points: NDArray[np.int64], largest: Found, sides: NDArray[np.int64], pen: float, window: int | None
) -> NDArray[np.int64]:
    """The points that belong to the largest group."""
    far = np.array([gap(parts.boxes[point], largest.box) > _POINT_REACH * largest.side for point in points], bool)
    near = points[~far] if window is not None else points[~(far & (sides[points] < _FAR_POINT * pen))]
    return near if len(near) <= _MOST_POINTS else near[:0]


def _are_details(parts: Parts, numbers: NDArray[np.int64], sides: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which parts lie within the box of a filled shape, the largest: dots of a telephone's dial are no specks."""
    x, y, w, h = (int(value) for value in parts.boxes[numbers[0]])
    if 4 * max(w, h) > _FILLED * int(parts.pens[numbers[0]]):
        return np.zeros(len(numbers), bool)
    left, top, wide, high = parts.boxes[numbers].T
    within = (left > x) & (top > y) & (left + wide < x + w) & (top + high < y + h)
    return np.asarray(within & (sides[numbers] >= _DETAIL))


def found_of(ink: Ink, numbers: NDArray[np.int64]) -> Found:
    """These parts of ink as one symbol."""
    return Found(ink, numbers, union(ink.parts.boxes[numbers]))


def gap(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """The distance between two boxes int64 (4,), 0 where they overlap."""
    apart = np.maximum(0, np.maximum(other[:2] - one[:2] - one[2:], one[:2] - other[:2] - other[2:]))
    return float(np.hypot(*apart))


def are_straight(parts: Parts, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which parts are straight and long, as rules and pencils are: bool (n,)."""
    sizes, pens = parts.boxes[numbers, 2:], parts.pens[numbers]
    is_long = 4 * sizes.max(axis=1, initial=0) >= _LONG * pens
    return np.asarray(is_long & (16 * parts.areas[numbers] ** 2 <= _STRAIGHT * (sizes**2).sum(axis=1) * pens**2))


def is_on_paper(ink: Ink, number: int) -> bool:
    """Whether paper surrounds a part on all sides: a gap between strokes, or the tip of something wide, borders on its like."""
    height, width = ink.contrast.shape
    x, y, w, h = (int(value) for value in ink.parts.boxes[number])
    around = 4 + max(w, h) // 8
    left, top, right, bottom = max(0, x - around), max(0, y - around), min(width, x + w + around), min(height, y + h + around)
    step = 1 + (right - left) * (bottom - top) // 16384
    own = ink.parts.mask(np.array([number]), (left, top, right, bottom))[::step, ::step] > 0
    grey, paper = ink.grey[top:bottom:step, left:right:step], ink.paper[top:bottom:step, left:right:step]
    levels = np.sort(grey[own])
    if not len(levels):
        return True
    level = int(levels[-1 - len(levels) // 10 if ink.light else len(levels) // 10])
    limit = level + (int(paper.mean()) - level) // 4
    return bool((paper > limit if ink.light else paper < limit).mean() < 0.12)


def _pen(ink: Ink, number: np.int64) -> float:
    """About the width of the pen that drew a part."""
    return max(1.0, int(ink.parts.pens[number]) / 4)


def cut(grey: NDArray[np.uint8], factor: int, found: Found) -> NDArray[np.uint8]:
    """A symbol cut out of a picture uint8 (H, W) whose working picture is `factor` times smaller: dark ink on white."""
    ink, box = found.ink, found.box
    height, width = ink.contrast.shape
    left, top = (int(max(0, value - _SPILL)) for value in box[:2])
    right, bottom = min(width, int(box[0] + box[2]) + _SPILL), min(height, int(box[1] + box[3]) + _SPILL)
    own = ink.parts.mask(found.numbers, (left, top, right, bottom))
    if ink.lined:
        depth, rank = ink.contrast[top:bottom, left:right], 9
    else:
        piece = Image.fromarray(grey[top * factor : bottom * factor, left * factor : right * factor])
        rank = 9
        piece = piece.reduce(max(1, -(-max(piece.size) // _CUT_SIDE)))
        if max(piece.size) * 2 < _CUT_LEAST:
            times = -(-_CUT_LEAST // max(piece.size))
            piece = resized(piece, piece.width * times, piece.height * times, Image.Resampling.BICUBIC)
            rank = 6
        paper = resized(Image.fromarray(ink.paper[top:bottom, left:right]), *piece.size, Image.Resampling.BILINEAR)
        own = np.asarray(Image.fromarray(own).resize(piece.size, Image.Resampling.NEAREST))
        depth = _depth(np.asarray(piece), np.asarray(paper), ink.light)
    depth = np.where(spread(own, max(1, round(_SPILL * depth.shape[1] / (right - left)))) > 0, depth, 0)
    levels = np.sort(depth[own > 0])
    full = max(1, int(levels[len(levels) * rank // 10])) if len(levels) else 1
    margin = max(2, round(_MARGIN * max(depth.shape)))
    crop = np.full((depth.shape[0] + 2 * margin, depth.shape[1] + 2 * margin), 255, np.uint8)
    crop[margin:-margin, margin:-margin] = 255 - np.minimum(depth.astype(np.int32) * 255 // full, 255)
    return crop


def _depth(grey: NDArray[np.uint8], paper: NDArray[np.uint8], light: bool) -> NDArray[np.uint8]:
    """How much of each pixel ink covers: by the share of the paper's light that is missing, or by how much lighter it is."""
    if light:
        return np.where(grey > paper, grey - paper, 0).astype(np.uint8)
    missing = np.where(paper > grey, paper - grey, 0).astype(np.int32)
    return np.asarray(missing * 255 // np.maximum(paper, 1), np.uint8)

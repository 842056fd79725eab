"""Wide ink: bold letters and filled shapes, of which a search for strokes sees the holes, or bits.

A small picture is looked at with a pen as wide as it allows, dark and light. What that shows lies inside each other: a letter
on a tile on a sheet, a hole in a letter. From outside inwards, a sheet or a tile carries the symbol, and anything else is it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.vision.ink import Ink, contrast_to_paper, logarithm
from oneshot_runtime.vision.morphology import connected_parts, spread
from oneshot_runtime.vision.outline import filled_in, is_carrier
from oneshot_runtime.vision.segment import Scene, gap, scene_of, working
from oneshot_runtime.vision.sheet_on_desk import View

__all__ = ["wider"]

_SIDE = 128
"""Longer side of the small picture at most."""

_SURROUNDINGS = 8
"""Longer side of the surroundings, in sides of what was found; the whole picture where that is not twice as large."""

_WINDOW = 0.7
"""The widest pen, as a share of the small picture's shorter side."""

_LEAST = 24
"""Contrast of wide ink at least."""

_STRONGEST = 200
"""One pixel of so many is as strong as ink, at least."""

_LARGE = 10
"""The small picture's shorter side over the longer side of things that are looked at."""

_DEPTH = 4
"""Things that enclose each other: a sheet, a tile, a letter."""

_PEN = 30
"""The small picture's shorter side over the width of pens that are wide."""

_SMALL = 3
"""The small picture's shorter side over the side of things whose surroundings are looked at again, larger."""

_SAME_AREA = 0.85
"""Share of the wide ink that was found before, from which on it is the same."""

_ALIKE = 0.35
"""Share of the contrast that two things of one level differ by at most."""

_MOST_PARTS, _SPECK = 60, 4
"""Parts above which they are noise, and pixels of a usual one at most."""

_FAINT, _BIT = 3, 4
"""The contrast of wide ink over that of shades in it, and its area over that of bits of it, at least."""

_BESIDE, _LENGTH = 0.35, 3
"""How far thin strokes are from wide ones of the same symbol, as a share of the wide one's longer side; and that over theirs
at most."""

_RIM = 2
"""Pixels along the edge of a sheet or a tile that are soft."""

_TINY = 40
"""The shorter side of the picture over the longer side of what may be noise, too."""


def wider(grey: NDArray[np.uint8], view: View, scene: Scene | None) -> tuple[View, Scene] | None:
    """The wide ink in a picture uint8 (H, W) that the largest symbol of a scene in its `view` is a hole in, or a bit of.

    None where it is neither.
    """
    places = list(_surroundings(grey, view, scene))
    if view.grey is not grey and len(places) > 1 and _is_bit(view, places[1]):
        del places[0]
    for near in places:
        own = None if scene is None else _seen(near, view, scene)
        thing, carrier = _outermost(near.working, own)
        ink = thing.ink if thing is not None else None if own is None else _ink(near.working, own.light)
        if ink is None:
            continue
        if own is None or not _is_thin_part(own, ink):
            if thing is None or not thing.is_wide():
                continue
            if own is not None and not _explains(thing, near.working, own, carrier is not None):
                if _SMALL * thing.side < min(near.working.shape):
                    continue
                return None
        around = own if own is not None and thing is not None and own.is_around(thing) else None
        seen = _scene(ink, carrier, around)
        return None if seen is None else (near, seen)
    return None


def _is_bit(sheet: View, whole: View) -> bool:
    """Whether what seemed a sheet is a part of wide ink, such as the bar of a letter that its holes are in."""
    thing, _ = _outermost(whole.working, None)
    if thing is None or not thing.is_wide() or is_carrier(thing.mask, thing.filled, thing.box):
        return False
    left, top, right, bottom = (value * whole.factor for value in thing.box)
    x, y = sheet.left - whole.left, sheet.top - whole.top
    height, width = sheet.grey.shape
    soft = _RIM * whole.factor
    return bool(left <= x + soft and top <= y + soft and right >= x + width - soft and bottom >= y + height - soft)


def _is_thin_part(own: _Seen, ink: Ink) -> bool:
    """Whether what was found is a thin stroke in wide ink, with wide ones beside it, or within: those of one symbol.

    Of noise, whether there is any such stroke.
    """
    if own.is_noise:
        things = list(_things(ink))
        thin = [_xywh(thing.box) for thing in things if not thing.is_wide()]
    elif own.light == ink.light and 2 * np.count_nonzero(own.mask & (ink.contrast >= ink.limit)) >= np.count_nonzero(own.mask):
        things = [thing for thing in _things(ink) if thing.pen >= 2 * own.pen and not (thing.mask & own.mask).any()]
        thin = [_xywh(own.box)]
    else:
        return False
    wide = [(_xywh(thing.box), thing.side) for thing in things if thing.is_wide()]
    return any(gap(box, one) <= _BESIDE * side and _LENGTH * int(one[2:].max()) >= side for one in thin for box, side in wide)


def _xywh(box: tuple[int, int, int, int]) -> NDArray[np.int64]:
    left, top, right, bottom = box
    return np.array((left, top, right - left, bottom - top), np.int64)


def _surroundings(grey: NDArray[np.uint8], view: View, scene: Scene | None) -> Iterator[View]:
    """The sheet in the picture, the whole picture, and what is near the largest symbol of a scene, all small."""
    if view.grey is not grey:
        yield _small(view.grey, view.left, view.top, view.working, view.factor)
    boxes = [(0, 0, grey.shape[1], grey.shape[0])]
    picture, at = (view.working, view.factor) if view.grey is grey else working(grey)
    if scene is not None:
        x, y, w, h = (int(value) * view.factor for value in scene.symbols[0].box)
        reach = _SURROUNDINGS * max(w, h) // 2
        middle_x, middle_y = view.left + x + w // 2, view.top + y + h // 2
        box = (
            max(0, middle_x - reach),
            max(0, middle_y - reach),
            min(grey.shape[1], middle_x + reach),
            min(grey.shape[0], middle_y + reach),
        )
        if 4 * max(box[2] - box[0], box[3] - box[1]) <= 3 * max(grey.shape):
            boxes.append(box)
    for box in boxes:
        left, top, right, bottom = box[0] // at, box[1] // at, -(-box[2] // at), -(-box[3] // at)
        part = grey[top * at : bottom * at, left * at : right * at]
        near = _small(part, left * at, top * at, picture[top:bottom, left:right], at)
        if min(near.working.shape) >= 16:
            yield near


def _small(grey: NDArray[np.uint8], left: int, top: int, working: NDArray[np.uint8], at: int) -> View:
    """A part of the picture with a small working picture, made from one that is `at` times smaller."""
    factor = -(-max(working.shape) // _SIDE)
    small = working if factor == 1 else np.asarray(Image.fromarray(working).reduce(factor))
    return View(grey, left, top, np.ascontiguousarray(small), factor * at)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What was found before. mask: bool (h, w), where its largest part is in the small picture. light: its kind. contrast: of
    that part. area: of all parts, in pixels of the small picture. is_noise: whether it may be nothing."""

    mask: NDArray[np.bool_]
    light: bool
    contrast: int
    area: int
    pen: int
    is_noise: bool

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of where it is."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    def touches(self, thing: _Thing) -> bool:
        """Whether some of it is in a thing's box."""
        left, top, right, bottom = thing.box
        return bool(self.mask[top:bottom, left:right].any())

    def is_around(self, thing: _Thing) -> bool:
        """Whether it is drawn around a wide thing, clear of it."""
        if not thing.is_wide() or 2 * self.pen > thing.pen or self.touches(thing):
            return False
        left, top, right, bottom = self.box
        return left < thing.box[0] and top < thing.box[1] and right > thing.box[2] and bottom > thing.box[3]


def _seen(near: View, view: View, scene: Scene) -> _Seen:
    """The largest symbol of a scene, in the small picture."""
    ink, numbers = scene.ink, scene.symbols[0].numbers
    height, width = ink.contrast.shape
    largest = numbers[ink.parts.areas[numbers].argmax()]
    mask = ink.parts.mask(np.array([largest]), (0, 0, width, height)) > 0
    rows, columns = (
        (start + np.arange(length) * near.factor + near.factor // 2) // view.factor
        for start, length in zip((near.top - view.top, near.left - view.left), near.working.shape, strict=True)
    )
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    found = mask[np.clip(rows, 0, height - 1)[:, None], np.clip(columns, 0, width - 1)] & inside
    if not found.any():
        x, y, w, h = (int(value) * view.factor for value in scene.symbols[0].box)
        found[(view.top + y + h // 2 - near.top) // near.factor, (view.left + x + w // 2 - near.left) // near.factor] = True
    area = int(ink.parts.areas[numbers].sum()) * view.factor**2 // near.factor**2
    specks = np.sort(ink.parts.areas)
    is_noise = len(specks) > _MOST_PARTS and int(specks[len(specks) // 2]) <= _SPECK
    is_tiny = scene.symbols[0].side * _TINY < min(height, width)
    pen = int(ink.parts.pens[largest]) * view.factor // near.factor
    return _Seen(found, ink.light, int(ink.means[largest]), area, pen, is_noise or is_tiny)


@dataclass(frozen=True, eq=False)
class _Thing:
    """A part of the ink of a small picture (h, w). mask: bool, where it is. filled: bool, with its holes and bays that are
    closed to two sides. box: left, top, right, bottom. pen: about the width of its strokes in 1/4 pixel."""

    ink: Ink
    mask: NDArray[np.bool_]
    filled: NDArray[np.bool_]
    box: tuple[int, int, int, int]
    pen: int

    @property
    def side(self) -> int:
        """The longer side of its box."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

    def is_wide(self) -> bool:
        """Whether its strokes are wide for the picture."""
        return bool(self.pen * _PEN >= 4 * min(self.mask.shape))

    def encloses(self, other: _Thing) -> bool:
        """Whether another thing is inside this one's box."""
        return (
            self.box[0] < other.box[0]
            and self.box[1] < other.box[1]
            and self.box[2] > other.box[2]
            and self.box[3] > other.box[3]
        )


def _outermost(grey: NDArray[np.uint8], own: _Seen | None) -> tuple[_Thing | None, _Thing | None]:
    """The outermost thing in a small picture that is no sheet or tile, around what was found; and what it lies on."""
    inks = [ink for ink in (_ink(grey, light) for light in (False, True)) if ink is not None]
    here = [thing for ink in inks for thing in _things(ink)]
    here = [one for one in here if not _is_ring(one, here)]
    carrier = thing = None
    for _ in range(_DEPTH):
        outer = [one for one in here if not any(other.encloses(one) for other in here)]
        if carrier is None and own is not None:
            outer = [one for one in outer if own.touches(one) or own.is_around(one)]
        if not outer:
            break
        thing = max(outer, key=lambda one: np.count_nonzero(one.mask))
        here = [
            one for one in here if one.ink is not thing.ink and thing.encloses(one) and not (one.mask & ~thing.filled).any()
        ]
        if not here or not is_carrier(thing.mask, thing.filled, thing.box):
            break
        carrier = thing
    return thing, carrier


def _is_ring(thing: _Thing, others: list[_Thing]) -> bool:
    """Whether a thing is drawn around a wide one, clear of it."""
    inside = thing.filled & ~thing.mask
    return any(other.is_wide() and thing.ink is other.ink and not (other.filled & ~inside).any() for other in others)


def _ink(grey: NDArray[np.uint8], light: bool) -> Ink | None:
    """The wide ink of a small picture; None where it has none."""
    paper, contrast = contrast_to_paper(grey, light, int(_WINDOW * min(grey.shape)) | 1)
    strong = int(np.sort(contrast, axis=None)[-1 - contrast.size // _STRONGEST])
    if strong < _LEAST:
        return None
    parts = connected_parts(contrast >= strong // 2)
    return Ink(light, grey, paper, contrast, strong // 2, parts, *parts.levels(contrast), False)


def _things(ink: Ink) -> Iterator[_Thing]:
    """The large parts that the small picture's border does not cut off."""
    height, width = ink.contrast.shape
    for number, (x, y, w, h) in enumerate(ink.parts.boxes.tolist()):
        inside = x > 0 and y > 0 and x + w < width and y + h < height
        if inside and _LARGE * max(w, h) >= min(height, width):
            mask = ink.parts.mask(np.array([number]), (0, 0, width, height)) > 0
            yield _Thing(ink, mask, filled_in(mask), (x, y, x + w, y + h), int(ink.parts.pens[number]))


def _explains(thing: _Thing, grey: NDArray[np.uint8], own: _Seen, is_carried: bool) -> bool:
    """Whether what was found is a hole in a thing, a bay or a bit of it, as its level tells, or noise on it.

    is_carried: whether the thing lies on a sheet or a tile.
    """
    if own.is_around(thing):
        return True
    levels = logarithm(grey)
    filled = thing.filled.view(np.uint8)
    around = spread(filled, 3) > spread(filled, 1)
    inside, outside = (int(levels[part].mean()) if part.any() else 0 for part in (thing.mask, around))
    contrast = abs(inside - outside)
    if own.contrast > 2 * contrast:
        return False
    if own.area * _BIT <= np.count_nonzero(thing.mask) and own.contrast * _FAINT <= contrast:
        return True
    if own.is_noise and 3 * own.contrast < 2 * contrast:
        return True
    left, top, right, bottom = thing.box
    if 2 * np.count_nonzero(own.mask[top:bottom, left:right]) < np.count_nonzero(own.mask):
        return False
    if own.light == thing.ink.light and own.area >= _SAME_AREA * np.count_nonzero(thing.mask):
        return False
    if own.light != thing.ink.light and is_carrier(thing.mask, thing.filled, thing.box):
        return False
    if is_carried and own.light != thing.ink.light and own.area * _BIT <= np.count_nonzero(thing.mask):
        return True
    ranked = np.sort(levels[own.mask])
    found = int(ranked[len(ranked) * (3 if own.light else 1) // 4])
    near = inside if own.light == thing.ink.light else outside
    return abs(found - near) <= _ALIKE * contrast


def _scene(ink: Ink, carrier: _Thing | None, around: _Seen | None) -> Scene | None:
    """What there is of a kind of wide ink on a carrier, or in the whole small picture, without the ring around it."""
    height, width = ink.contrast.shape
    if carrier is None:
        x, y, w, h = ink.parts.boxes.T
        whole = np.flatnonzero((x > 0) & (y > 0) & (x + w < width) & (y + h < height))
        area = ink.parts.mask(whole, (0, 0, width, height)) > 0
    else:
        area = spread(255 - 255 * carrier.filled.astype(np.uint8), _RIM) == 0
    if around is not None:
        area &= spread(255 * around.mask.astype(np.uint8), _RIM) == 0
    contrast = np.where(area, ink.contrast, np.uint8(0))
    parts = connected_parts(contrast >= ink.limit)
    scene = scene_of(Ink(ink.light, ink.grey, ink.paper, contrast, ink.limit, parts, *parts.levels(contrast), False), None)
    return scene if scene.symbols else None

"""What a picture may be a picture of: the few ways to read it, each as a clean drawing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.background import flatten_paper
from oneshot_runtime.vision.clean import EvenInk, border_levels, even_ink, even_paper, reduced, stretch
from oneshot_runtime.vision.colours import colour_plane
from oneshot_runtime.vision.even_scene import carries, even_scene, is_raster
from oneshot_runtime.vision.grey_image import resized
from oneshot_runtime.vision.level_ink import level_scene
from oneshot_runtime.vision.loose_crop import middle_symbol
from oneshot_runtime.vision.picture import Picture
from oneshot_runtime.vision.segment import Box, Found, Scene, are_straight, cut, look
from oneshot_runtime.vision.sheet_on_desk import View, view_of
from oneshot_runtime.vision.tile import Tile, find_tile
from oneshot_runtime.vision.ways import DRAWING, count_symbols, edges_reached, is_dot, ways_of
from oneshot_runtime.vision.wide_ink import wider

__all__ = ["Reading", "reading_of", "readings", "whole_picture"]

_LARGE, _SMALLEST = 8, 16
"""Ink that takes less than one part in so many of the longer side is cut out, if it has so many pixels."""

_WEAK = 48
"""Grey levels of contrast below which colours may say more."""

_ICON = 48
"""Pixels of the longer side below which a picture is all symbol, and twice of the shorter one that a raster has at least."""

_PART_OF = 23
"""What a tile is part of is larger: the longer side, in 1/20 of the tile's."""

_MOST_TILES = 3
"""Tiles, signs and cards that lie on each other."""

_LIKE, _LOOK, _APART = 24, 32, 16
"""Two readings are of the same ink where their boxes differ by one part in so many of the longer side at most, and, seen so
many pixels wide and high, their ink by so much of 255 on average."""

_CUT_OFF, _DIFFERENT = "what the picture's border cuts off", 10
"""What is left out around the symbol in the middle; it is another reading where one part in so many of its side differs."""


@dataclass(frozen=True, eq=False)
class Reading:
    """One way to read a picture.

    drawing: uint8 (h, w), what is read, as a clean drawing. ink: uint8 (h, w), its ink, 255 where full. box: of the ink in the
    picture. whole: whether nothing was left out. framed: whether a frame is taken as part of the symbol. dropped: what was
    left out, for people. symbols: how many the picture shows. bounds: left, top, right and bottom of what is more ink than
    paper in `ink`, where that is known already. page: which one was read, of a file that has several.
    """

    drawing: NDArray[np.uint8]
    ink: NDArray[np.uint8]
    box: Box
    whole: bool = True
    framed: bool = False
    dropped: tuple[str, ...] = ()
    symbols: int = 1
    bounds: tuple[int, int, int, int] | None = None
    page: int | None = None


def readings(picture: Picture, tiles: int = 0) -> list[Reading]:
    """The ways to read a picture, likeliest first; `tiles` are off it already. Raises `ImageError` where it shows no ink."""
    grey = picture.grey
    small = reduced(grey)
    border = border_levels(small)
    paper = even_paper(border)
    even = even_ink(small, paper) if paper is not None else None
    clean = even is not None and (even.is_clean() or (max(grey.shape) < _ICON and not even.may_be_tile()))
    if even is not None and clean and (even.contrast >= _WEAK or picture.colours is None):
        return [_whole(small, even.ink, even, grey)]
    if even is None or even.contrast < _WEAK:
        plane = None if picture.colours is None else colour_plane(picture.colours(), None if even is None else even.contrast)
        if plane is not None:
            return _scaled(readings(Picture(plane)), max(grey.shape), max(plane.shape))
    found = _grey_readings(picture, small, even, tiles) or [whole_picture(picture)]
    return found if tiles else _with_middle(grey, found, even is not None)


def _with_middle(grey: NDArray[np.uint8], found: list[Reading], even: bool) -> list[Reading]:
    """Readings with that of the symbol in the middle, where the picture's edges cut its neighbours off; on even paper, or in a
    drawing, these may be strokes of it. What lies in a symbol that no edge cuts off is a hole of that."""
    seen = middle_symbol(grey)
    if seen is None:
        return found
    one = reading_of(grey, *seen, dropped=(_CUT_OFF,), symbols=found[0].symbols)
    frame = (0, 0, grey.shape[1], grey.shape[0])
    for other in found:
        is_hole = _is_within(one.box, other.box) and _is_within(other.box, frame)
        if not other.whole and (is_hole or _is_same(one.box, other.box, max(one.box[2:]) // _DIFFERENT)):
            return found
    return [*found, one] if even or max(grey.shape) < DRAWING else [one, *found]


def whole_picture(picture: Picture) -> Reading:
    """A picture read as it is, nothing left out. Raises `ImageError` where it shows no ink."""
    small = reduced(picture.grey)
    paper = even_paper(border_levels(small))
    ink = stretch(small, paper) if paper is not None else stretch(flatten_paper(small), 0)
    return Reading(small, ink, (0, 0, picture.grey.shape[1], picture.grey.shape[0]))


def _scaled(found: list[Reading], to: int, of: int) -> list[Reading]:
    """Readings of a picture of another size, `to` over `of` times as large."""
    boxes = [tuple((2 * value * to + of) // (2 * of) for value in one.box) for one in found]
    return [replace(one, box=box) for one, box in zip(found, boxes, strict=True)]  # type: ignore[arg-type]


def _grey_readings(picture: Picture, small: NDArray[np.uint8], even: EvenInk | None, tiles: int) -> list[Reading]:
    grey = picture.grey
    if max(grey.shape) < _ICON:
        whole = [] if even is None else [_whole(small, even.ink, even, grey)]
        return whole if tiles else [*_on_tile(picture, even, None, tiles), *whole]
    found: list[Reading] = []
    scene, calm, likely = None, False, False
    if even is not None:
        scene, calm, trusted, likely = even_scene(small, even)
        if is_raster(scene.ink) and min(small.shape) >= _ICON * 2:
            halved = np.asarray(Image.fromarray(grey).reduce(2))
            return _scaled(readings(Picture(halved)), 2, 1)
        found = _of_scene(grey, scene, -(-max(grey.shape) // max(small.shape)), _whole(small, even.ink, even, grey), likely)
        if found and trusted:
            return found
    on_tile = _on_tile(picture, even, scene, tiles)
    if on_tile:
        return [*on_tile, *found[:1]]
    view = view_of(grey)
    strokes = next(iter(look(view.working)), None)
    wide = wider(grey, view, strokes)
    near, seen = (view, strokes) if wide is None else wide
    if seen is not None:
        searched = _moved(_of_scene(near.grey, seen, near.factor, None, False), near.left, near.top)
        same = [at for at, one in enumerate(found) if _is_same(one.box, searched[0].box, 2 * near.factor)]
        if same and (wide is not None or calm):
            return found[: same[0] + 1]
        if (
            scene is not None
            and wide is None
            and calm
            and likely
            and not any(_holds(one, searched[0].box, grey) for one in scene.symbols)
        ):
            return found
        # Wide ink of the paper's kind is on a sheet or a tile, or it is the holes of a bold letter.
        is_hole = wide is not None and calm and scene is not None and seen.ink.light != scene.ink.light and not carries(scene)
        is_second = found and (is_hole or (likely and wide is None))
        found = [*found[:1], *searched] if is_second else [*searched, *found[:1]]
    if not likely:
        found = _with_level(grey, view, found)
    # Wide ink is looked for clear of the edges; one of them may cut off a stroke of a drawing, but two a neighbour in a crop.
    is_unseen = scene is not None and likely and [edges_reached(one) for one in scene.symbols[:1]] == [1]
    if max(grey.shape) < DRAWING and (wide is None or is_unseen):
        whole = [one for one in found if one.whole] or _drawings(grey)
        return [*whole, *(one for one in found if not one.whole)]
    return found


def _on_tile(picture: Picture, even: EvenInk | None, scene: Scene | None, tiles: int) -> list[Reading]:
    """The ways to read what is on a tile in a picture, if there is one. scene: what is on even paper."""
    central = tiles > 0 or even is not None
    tile = find_tile(picture, central=central, alone=tiles == 0) if tiles < _MOST_TILES else None
    if tile is None or (scene is not None and any(_has_part(one, tile, picture.grey) for one in scene.symbols)):
        return []
    try:
        found = readings(tile.alone, tiles + 1)
    except ImageError:  # what is on it is too faint
        return []
    placed = _moved(_scaled(found, tile.scale, 1), tile.left, tile.top)
    return [replace(one, whole=False) for one in placed]


def _has_part(one: Found, tile: Tile, grey: NDArray[np.uint8]) -> bool:
    """Whether what seems a tile is part of something larger that was found, as the body of a telephone is."""
    factor = _smaller(one, grey)
    x, y, width, height = (int(value) * factor for value in one.box)
    high, wide = (side * tile.scale for side in tile.alone.grey.shape)
    within = x < tile.left + wide // 2 < x + width and y < tile.top + high // 2 < y + height
    return bool(within and 20 * max(width, height) > _PART_OF * max(wide, high))


def _with_level(grey: NDArray[np.uint8], view: View, found: list[Reading]) -> list[Reading]:
    """The readings of a picture, with that of the ink that one level tells from its paper, where that is another symbol.

    It goes first, unless it may be a hole of what was found, or is one line: the edge of a sheet or a card.
    """
    level = level_scene(grey, view)
    if level is None:
        return found
    near, seen = level
    told = _moved(_of_scene(near.grey, seen, near.factor, None, False)[:1], near.left, near.top)
    if found and ((told[0].symbols > 1 and found[0].symbols > 1) or _is_like(told[0], found[0])):
        return found
    is_line = len(seen.symbols[0].numbers) == 1 and bool(are_straight(seen.ink.parts, seen.symbols[0].numbers)[0])
    if found and (is_line or _is_within(told[0].box, found[0].box)):
        return [*found[:1], *told]
    return [*told, *found[:1]]


def _is_within(one: Box, other: Box) -> bool:
    """Whether a box is clear of the other's sides, as holes of a letter are."""
    x, y, w, h = one
    left, top, width, height = other
    return min(x - left, y - top, left + width - x - w, top + height - y - h) > max(width, height) // _LIKE


def _is_same(one: Box, other: Box, most: int) -> bool:
    """Whether two boxes differ by so many pixels at most, on each side."""
    corners = ((x, y, x + w, y + h) for x, y, w, h in (one, other))
    return all(abs(here - there) <= most for here, there in zip(*corners, strict=True))


def _holds(one: Found, box: Box, grey: NDArray[np.uint8]) -> bool:
    """Whether a box of the picture lies within what was found in a smaller one."""
    factor = _smaller(one, grey)
    left, top, width, height = (int(value) * factor for value in one.box)
    x, y, w, h = box
    return left + factor < x and top + factor < y and x + w < left + width - factor and y + h < top + height - factor


def _smaller(one: Found, grey: NDArray[np.uint8]) -> int:
    """By how much the picture is smaller in which something was found."""
    return int(-(-max(grey.shape) // max(one.ink.grey.shape)))


def _is_like(one: Reading, other: Reading) -> bool:
    """Whether two readings are of the same ink: in about the same box, and the same there."""
    most = max(*one.box[2:], *other.box[2:]) // _LIKE
    drawn = []
    for ink in (one.ink, other.ink):
        box = Image.fromarray(ink).crop(Image.fromarray(ink > 127).getbbox())
        drawn.append(np.asarray(resized(box, _LOOK, _LOOK, Image.Resampling.BILINEAR)).astype(np.int32))
    apart = int(np.abs(drawn[0] - drawn[1]).sum())
    return _is_same(one.box, other.box, most) and apart <= _APART * _LOOK**2


def _drawings(grey: NDArray[np.uint8]) -> list[Reading]:
    """The whole picture as one, if it shows ink."""
    try:
        return [whole_picture(Picture(grey))]
    except ImageError:
        return []


def _moved(found: list[Reading], left: int, top: int) -> list[Reading]:
    """Readings of a part of the picture, with their boxes in the picture."""
    if not left and not top:
        return found
    boxes = [(one.box[0] + left, one.box[1] + top, *one.box[2:]) for one in found]
    return [replace(one, box=box) for one, box in zip(found, boxes, strict=True)]


def _whole(small: NDArray[np.uint8], ink: NDArray[np.uint8], even: EvenInk, grey: NDArray[np.uint8]) -> Reading:
    left, top, right, bottom = even.box
    factor = -(-max(grey.shape) // max(small.shape))
    box = (left * factor, top * factor, (right - left) * factor, (bottom - top) * factor)
    return Reading(small, ink, box, bounds=even.box)


def _of_scene(grey: NDArray[np.uint8], scene: Scene, factor: int, whole: Reading | None, even: bool) -> list[Reading]:
    """The ways to read a scene; `whole` is that of the whole picture, to be taken where nothing is left out."""
    everything = len(scene.ink.parts.areas)
    symbols = count_symbols(scene, even)
    has_ring = scene.framed is not None or scene.bare is not None
    found: list[Reading] = []
    for one in ways_of(scene, even):
        framed = one is scene.framed or (scene.bare is not None and one is not scene.bare)
        is_all = whole is not None and len(one.numbers) == everything
        is_large = _is_large(one.side * factor, grey)
        if not is_all or not (is_large or (is_dot(one) and not even)):
            dropped = [*scene.dropped, "the frame around it"] if has_ring and not framed else scene.dropped
            found.append(reading_of(grey, one, factor, framed=framed, dropped=tuple(dropped), symbols=symbols))
        if whole is not None and is_all and (is_large or is_dot(one)):  # a small one may be a dot, or a shape that is filled
            found.append(replace(whole, framed=framed, symbols=symbols))
    return found


def reading_of(
    grey: NDArray[np.uint8], one: Found, factor: int, *, framed: bool = False, dropped: tuple[str, ...] = (), symbols: int = 1
) -> Reading:
    """A symbol cut out of the picture uint8 (H, W) whose working picture is `factor` times smaller."""
    drawing = cut(grey, factor, one)
    x, y, width, height = (int(value) * factor for value in one.box)
    return Reading(drawing, stretch(drawing, 255), (x, y, width, height), False, framed, dropped, symbols)


def _is_large(side: int, grey: NDArray[np.uint8]) -> bool:
    """Whether nothing is gained by cutting ink of that side out of a picture."""
    return side * _LARGE >= max(grey.shape) or side < _SMALLEST

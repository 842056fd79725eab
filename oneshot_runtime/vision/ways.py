"""The ways to take what a scene shows as one symbol: with and without what lies beside it, or is drawn around it."""

from __future__ import annotations

import numpy as np

from oneshot_runtime.vision.grouping import union
from oneshot_runtime.vision.rows import are_row
from oneshot_runtime.vision.segment import Found, Scene, are_straight, gap

__all__ = ["DRAWING", "FEW_GROUPS", "count_symbols", "edges_reached", "is_dot", "ways_of"]

_REACH = 0.8
"""Strokes belong to one symbol up to this gap, as a share of the longer side of its largest group."""

_PUNCHED, _PUNCHED_SHARE = 2.2, 0.25
"""Pen widths from which a dot may be a hole, and its share of the largest symbol's side at most."""

_ALIGNED_GAP, _ALIGNED_SHARE = 0.2, 0.35
"""How far dots in a line are from the symbol that they don't belong to, and how large, as shares of its longer side."""

_DOT_REACH = 0.5
"""Dots belong to a symbol up to this gap, as a share of its longer side."""

_SHARE = 0.25
"""Share of the largest group's side that another has at least, to be part of the same symbol."""

_BIT, _FAR, _CLIPPED = 0.4, 0.6, 0.2
"""What may lie beside a symbol, as shares of its longer side: how large it is at most; how far away, hardly a stroke of it, and
where only it is cut off by the picture's edge."""

_LONGER, _LONGEST, _WIDER = 1.2, 3, 1.5
"""A straight thing may be a pencil beside the symbol when it is so many times as long, and hardly a stroke when it is so many
times as wide as strokes are."""

_BAYS = 1.25
"""The outline of a dot over that of its box, at most: bays make it longer."""

DRAWING = 128
"""Pixels of the longer side below which a picture in doubt is a drawing, whose strokes may run out of it, and no scene."""

FEW_GROUPS = 4
"""Groups of more than so many are several symbols."""

_MOST_RAYS, _RAYS, _OFF = 16, 4, 8
"""Groups around a middle that are one symbol, at most; and its longer side over that of the largest at most, and over the
distance between their middles at least."""


def count_symbols(scene: Scene, even: bool) -> int:
    """How many symbols a scene shows: all of a row; one where strokes are near each other, or few on even paper."""
    strokes = [one for one in scene.symbols if not is_dot(one)]
    if not strokes:
        return 1
    if are_row(np.stack([one.box for one in strokes])):
        return len(strokes)
    if len(strokes) > FEW_GROUPS:
        return 1 if not even and _is_radial(scene.symbols) else len(strokes)
    return 1 if even else 1 + len(strokes) - len(_members(strokes))


def _members(symbols: list[Found]) -> list[Found]:
    """The largest group of strokes, with those that are near enough and large enough to be of the same symbol."""
    largest = symbols[0]
    members = [largest]
    for one in symbols[1:]:
        near = min(gap(one.box, other.box) for other in members) <= _REACH * largest.side
        if near and one.side >= _SHARE * largest.side:
            members.append(one)
    return members


def _is_radial(symbols: list[Found]) -> bool:
    """Whether groups lie around the largest and near it, as the rays of a sun: one symbol, and no page of them."""
    if not FEW_GROUPS < len(symbols) <= _MOST_RAYS or len(_members(symbols)) < len(symbols):
        return False
    largest, box = symbols[0].box, union(np.stack([one.box for one in symbols]))
    off = np.abs(2 * largest[:2] + largest[2:] - 2 * box[:2] - box[2:])
    side = int(box[2:].max())
    middle, *rays = (int(one.ink.parts.areas[one.numbers].sum()) for one in symbols)
    return bool(side <= _RAYS * symbols[0].side and off.max() * _OFF <= 2 * side and middle >= 2 * max(rays))


def ways_of(scene: Scene, even: bool) -> list[Found]:
    """The ways to read a scene as one symbol; where the paper is even, all ink is one before it is not."""
    sides = [one.side for one in scene.symbols]
    dots = [one for one in scene.symbols if _PUNCHED * scene.pen <= one.side <= _PUNCHED_SHARE * max(sides) and is_dot(one)]
    holes = _aligned_dots(scene.symbols)
    dots = [dot for dot in dots if all(dot is not hole for hole in holes)]
    symbols = [one for one in scene.symbols if all(one is not dot for dot in [*dots, *holes])]
    if not symbols:
        symbols, dots = dots, []
    if not symbols:
        return []
    others = _beside(symbols, even)
    kept = [one for one in symbols if all(one is not other for other in others)]
    far = all(_is_far(one, kept) for one in others)
    taken = symbols if even else kept
    largest = kept[0]
    beside = [dot for dot in dots if gap(dot.box, largest.box) <= _DOT_REACH * largest.side]
    points = [scene.points] if scene.points is not None else []
    ways: list[list[Found]] = []
    if even or _is_radial(scene.symbols):
        ways.append([*taken, *beside, *points])
    if even and others:
        ways.insert(0 if far else 1, [*kept, *beside, *points])
    elif not even or points or holes or len(beside) < len(dots) or len(symbols) > FEW_GROUPS:
        members = _members(kept)
        if len(kept) <= FEW_GROUPS:
            ways.append([*members, *beside, *points])
        if len(kept) > 1 or points:
            ways.append([*members, *beside] if len(kept) <= FEW_GROUPS and points else [largest])
    if not ways:
        ways.append([largest])
    if holes:
        ways.insert(len(ways) if all(_is_at_border(hole, largest) for hole in holes) else 0, [*ways[0], *holes])
    found: list[Found] = []
    for way in ways:
        one = _together(way)
        if all(len(one.numbers) != len(other.numbers) for other in found):
            found.append(one)
    if scene.framed is not None:
        found.insert(0 if scene.is_face else len(found), scene.framed)
    return found if scene.bare is None else [*found, scene.bare]


def _beside(symbols: list[Found], even: bool) -> list[Found]:
    """What may lie beside a symbol and be none of its strokes: a pencil; on even paper a staple or a clip, too."""
    bars = [one for one in symbols if len(one.numbers) == 1 and are_straight(one.ink.parts, one.numbers)[0]]
    largest = next((one for one in symbols if all(one is not bar for bar in bars)), symbols[0])
    pencils = [bar for bar in bars if _LONGER * largest.side < bar.side <= _LONGEST * largest.side]
    largest = largest if pencils else symbols[0]
    if is_dot(largest) or not even:
        return pencils
    rest = [one for one in symbols if one is not largest and all(one is not pencil for pencil in pencils)]
    small = [one for one in rest if one.side <= _BIT * largest.side or (_is_cut_off(one) and not _is_cut_off(largest))]
    return pencils + small


def _is_far(one: Found, symbols: list[Found]) -> bool:
    """Whether what lies beside a symbol is far, and a pencil, wider than its strokes, or small and no dot; or a clip."""
    side = symbols[0].side
    apart = min(gap(one.box, other.box) for other in symbols)
    is_scene = max(one.ink.contrast.shape) >= DRAWING
    if is_scene and _is_cut_off(one) and not any(_is_cut_off(other) for other in symbols):
        return apart > _CLIPPED * side
    is_pencil = one.side > side and _pen(one) >= _WIDER * _pen(symbols[0])
    kind = is_pencil or (one.side <= _BIT * side and not is_dot(one))
    return kind and apart > _FAR * side


def _pen(one: Found) -> int:
    return int(one.ink.parts.pens[one.numbers].max())


def _is_cut_off(one: Found) -> bool:
    return edges_reached(one) > 0


def edges_reached(one: Found) -> int:
    """How many of the picture's edges it reaches."""
    height, width = one.ink.contrast.shape
    x, y, w, h = (int(value) for value in one.box)
    return [x == 0, y == 0, x + w == width, y + h == height].count(True)


def _aligned_dots(symbols: list[Found]) -> list[Found]:
    """Dots of one size in a row or a column beside the largest symbol, some way off: punched holes."""
    if not symbols or is_dot(symbols[0]):
        return []
    small = [one for one in symbols[1:] if one.side <= _ALIGNED_SHARE * symbols[0].side and is_dot(one)]
    far = [one for one in small if gap(one.box, symbols[0].box) > _ALIGNED_GAP * symbols[0].side]
    found = []
    for one in far:
        like = [other for other in far if other is not one and 5 * abs(other.side - one.side) <= one.side]
        middle = 2 * one.box[:2] + one.box[2:]
        if any(np.abs(2 * other.box[:2] + other.box[2:] - middle).min() <= one.side for other in like):
            found.append(one)
    return found


def _is_at_border(one: Found, other: Found) -> bool:
    """Whether something is nearer to the picture's border than to another thing."""
    height, width = one.ink.contrast.shape
    x, y, w, h = (int(value) for value in one.box)
    return bool(min(x, y, width - x - w, height - y - h) < gap(one.box, other.box))


def is_dot(found: Found) -> bool:
    """Whether it is a blob, about as wide as high, that a pen or a punch leaves."""
    width, height = (int(value) for value in found.box[2:])
    area, pen = int(found.ink.parts.areas[found.numbers].sum()), int(found.ink.parts.pens[found.numbers[0]])
    if len(found.numbers) > 1 or 5 * area < 3 * width * height or 4 * max(width, height) > 6 * min(width, height):
        return False
    return 5 * area <= _BAYS * (width + height) * (pen + 1)  # a letter's outline is longer than that of its box


def _together(members: list[Found]) -> Found:
    numbers = np.concatenate([one.numbers for one in members])
    return Found(members[0].ink, numbers, union(np.stack([one.box for one in members])))

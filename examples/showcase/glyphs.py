"""Runes, digits, letters, notes and rests as strokes of a pen, drawn by the project."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.synthetic import Symbol

__all__ = ["CHESS", "DIGITS", "MUSIC", "RUNES"]

_POINTS = 40


def _symbols(text: str) -> dict[str, Symbol]:
    """Lines `name: stroke; stroke`. A stroke is points x,y within -10 to 10, y downwards; after `~` they lie on a curve."""
    lines = [line.partition(":") for line in text.strip().splitlines()]
    return {name.strip(): Symbol(tuple(_stroke(stroke) for stroke in strokes.split(";"))) for name, _, strokes in lines}


def _stroke(text: str) -> NDArray[np.float64]:
    words = text.replace("~", "").split()
    points = np.array([[float(value) for value in word.split(",")] for word in words]) / 10
    if "~" in text:
        points = _curve(points)
    along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))))
    places = np.unique(np.concatenate((np.linspace(0, along[-1], _POINTS), along)))
    return np.stack([np.interp(places, along, points[:, axis]) for axis in (0, 1)], axis=1)


def _curve(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """A Catmull-Rom spline through the points."""
    ends = np.concatenate((points[:1], points, points[-1:]))
    t = np.linspace(0, 1, 12)[:, None]
    parts = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        parts.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate(parts)


RUNES = _symbols("""
    fehu: -5,-10 -5,10; -5,-1 6,-9; -5,5 6,-3
    uruz: -6,10 -6,-10 6,-3 6,10
    thurisaz: -4,-10 -4,10; -4,-5 5,0 -4,5
    ansuz: -4,-10 -4,10; -4,-10 6,-4; -4,-4 6,2
    raidho: -5,-10 -5,10; -5,-10 5,-5 -5,0 6,10
    kenaz: 5,-8 -5,0 5,8
    gebo: -7,-8 7,8; 7,-8 -7,8
    wunjo: -4,-10 -4,10; -4,-10 6,-5 -4,0
    hagalaz: -6,-10 -6,10; 6,-10 6,10; -6,-4 6,4
    naudiz: 0,-10 0,10; -6,-4 6,3
    jera: 1,-9 -6,-3 1,3; -1,-3 6,3 -1,9
    algiz: 0,-10 0,10; 0,0 -7,-8; 0,0 7,-8
    sowilo: 5,-10 -4,-3 5,3 -4,10
    tiwaz: 0,-10 0,10; -7,-4 0,-10 7,-4
    berkano: -5,-10 -5,10; -5,-10 5,-5 -5,0 5,5 -5,10
    ehwaz: -7,10 -7,-10 0,-3 7,-10 7,10
    laguz: -4,-10 -4,10; -4,-10 6,-3
    ingwaz: 0,-8 7,0 0,8 -7,0 0,-8
    dagaz: -7,-9 -7,9 7,-9 7,9 -7,-9
    othala: -7,10 6,-3 0,-10 -6,-3 7,10
""")

DIGITS = _symbols("""
    1: -4,-5 1,-10 1,10
    2: ~-6,-5 -4,-9 1,-10 5,-7 4,-2 -1,4 -6,9; -6,9 7,9
    3: ~-5,-8 0,-10 5,-7 4,-3 -1,-1 5,1 6,6 1,10 -6,7
    4: 2,-10 -7,4 8,4; 3,-2 3,10
    5: 6,-10 -4,-10 -5,-1; ~-5,-1 1,-3 6,1 5,7 0,10 -6,8
    6: ~5,-10 -2,-5 -6,3 -3,9 2,10 6,6 4,1 -1,0 -5,4
    7: -6,-9 6,-9 -2,10; -4,0 5,0
    8: ~1,0 -4,-4 -3,-9 2,-10 5,-6 1,-1 -5,4 -4,9 1,10 5,7 4,3 1,0
    9: ~5,-5 1,-10 -4,-8 -5,-3 -1,0 4,-3 5,-6 4,3 2,10
""")

_LETTERS = _symbols("""
    a: ~5,-3 1,-6 -5,-3 -6,4 -1,8 4,4 5,-3; ~5,-6 5,3 8,8
    b: -5,-10 -5,9; ~-5,2 0,-3 5,0 5,6 0,9 -5,7
    c: ~6,-5 1,-8 -5,-4 -6,3 -2,8 6,6
    d: ~5,0 0,-3 -5,0 -6,5 -2,9 4,6 5,3; 5,-10 5,10
    e: ~-5,1 5,0 4,-6 -1,-8 -6,-2 -5,5 0,8 6,6
    f: ~6,-8 3,-10 0,-8 -1,0 -1,10; -6,-2 5,-2
    g: ~5,-5 0,-9 -5,-6 -5,-1 0,1 5,-3; ~5,-8 5,5 1,10 -5,8
    h: -5,-10 -5,10; ~-5,1 0,-4 4,-1 5,10
    N: -6,10 -6,-10 6,10 6,-10
    B: -5,-10 -5,10; ~-5,-10 3,-9 4,-3 -5,-1; ~-5,-1 5,0 5,8 -5,10
    R: -5,-10 -5,10; ~-5,-10 3,-10 5,-5 2,-1 -5,0; -1,0 6,10
    Q: ~0,-10 -7,-5 -7,4 0,9 7,4 7,-5 0,-10; 2,4 9,11
    K: -5,-10 -5,10; 6,-10 -5,1; -2,-1 6,10
    x: -6,-6 6,6; 6,-6 -6,6
    +: 0,-7 0,7; -7,0 7,0
""")

CHESS = {**_LETTERS, **{name: symbol for name, symbol in DIGITS.items() if name != "9"}}
"""What the score of a game of chess is written with."""

MUSIC = _symbols("""
    treble clef: ~1,5 -3,4 -2,0 3,0 5,5 0,9 -6,5 -4,-1 3,-7 2,-13 -1,-8 1,4 2,14 -2,16 -4,13
    bass clef: ~-5,-4 -7,-6 -3,-9 3,-8 5,-2 1,5 -6,10; 8,-6 9,-5; 8,-1 9,0
    half note: ~-1,5 3,4 4,7 0,9 -4,8 -4,6 -1,5; 4,6 4,-10
    quarter note: ~-1,5 3,4 4,7 0,9 -4,8 -4,6 -1,5; ~-3,7 3,6; ~-2,8 3,5; ~-3,6 2,8; 4,6 4,-10
    eighth note: ~-1,5 3,4 4,7 0,9 -4,8 -4,6 -1,5; ~-3,7 3,6; ~-2,8 3,5; ~-3,6 2,8; 4,6 4,-10; ~4,-10 6,-6 10,-2 9,3
    whole note: ~0,-4 6,-3 7,2 0,5 -7,3 -6,-2 0,-4
    quarter rest: ~-2,-10 3,-5 -1,-1 3,4; ~3,4 -3,3 -3,6 1,10
    eighth rest: ~-5,-6 -3,-4 1,-5 4,-8; 4,-8 -1,10
    sharp: -3,-8 -3,9; 3,-9 3,8; -7,-2 7,-4; -7,4 7,2
    flat: -4,-10 -4,8; ~-4,2 1,-1 4,2 0,6 -4,8
    natural: -4,-10 -4,4; -4,4 4,2; 4,-5 4,10; -4,-3 4,-5
    fermata: ~-8,4 -6,-4 0,-8 6,-4 8,4; ~0,1 1,2 0,3 -1,2 0,1
""")

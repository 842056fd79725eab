"""A symbol in a crop by hand: in the middle, on paper of one level, with halves of its neighbours at the edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.vision.ink import Ink, runs_from
from oneshot_runtime.vision.morphology import Parts, connected_parts
from oneshot_runtime.vision.rows import group_symbols
from oneshot_runtime.vision.segment import Found, found_of

__all__ = ["middle_symbol"]

_LARGEST, _SIDE, _LEAST = 2048, 256, 24
"""Longer side of a crop at most, in pixels: larger ones are whole photographs. Of the small picture that is looked at;
and grey levels between ink and paper, at least."""

_LARGE, _NEIGHBOUR = 0.8, 0.25
"""Longer side of what is paper or a frame and no symbol, as a share of the picture's shorter side; and that of a neighbour, as
a share of the symbol's, whose strokes are about as wide."""

_SMALL = 0.2
"""The symbol's longer side as a share of the picture's shorter side, at least."""

_MOST, _MOST_RUNS = 60, 3_000
"""Parts of a picture of few symbols, at most, and runs of pixels; more are noise."""


def middle_symbol(grey: NDArray[np.uint8]) -> tuple[Found, int] | None:
    """The symbol in the middle of a picture uint8 (H, W) whose edges cut others off, and by how much smaller it was looked at.

    None where nothing is cut off that is as dark, or as light, as the symbol.
    """
    if max(grey.shape) > _LARGEST:
        return None
    factor = -(-max(grey.shape) // _SIDE)
    small = grey if factor == 1 else np.asarray(Image.fromarray(grey).reduce(factor))
    counts = np.array(Image.fromarray(small).histogram(), np.int64)
    level = _level_between(counts)
    tones = _middle_tone(counts[: level + 1]), level + 1 + _middle_tone(counts[level + 1 :])
    if tones[1] - tones[0] < _LEAST:
        return None
    if runs_from(small, level + 1) > _MOST_RUNS:
        return None
    kinds = [_middle(_ink(small, mask, light, tones)) for light, mask in ((False, small <= level), (True, small > level))]
    found = [one for one in kinds if one is not None]
    return (max(found, key=lambda one: one.side), factor) if found else None


def _level_between(counts: NDArray[np.int64]) -> int:
    """The level that parts a picture's pixels best in two (Otsu, 1979), by how many have each of 256 levels."""
    below, sums = np.cumsum(counts), np.cumsum(counts * np.arange(256))
    apart = (below[-1] * sums - sums[-1] * below).astype(np.float64)
    weights = below * (below[-1] - below)
    return int(np.argmax(np.where(weights > 0, apart * apart / np.maximum(weights, 1), 0.0)))


def _middle_tone(counts: NDArray[np.int64]) -> int:
    """The level that half of the pixels exceed; of none, 0."""
    total = np.cumsum(counts)
    return int(np.searchsorted(total, total[-1] // 2, side="right")) % len(counts)


def _ink(grey: NDArray[np.uint8], mask: NDArray[np.bool_], light: bool, tones: tuple[int, int]) -> Ink:
    parts = connected_parts(mask)
    paper = np.full(grey.shape, tones[0] if light else tones[1], np.uint8)
    contrast = np.where(mask, np.uint8(255), np.uint8(0))
    return Ink(light, grey, paper, contrast, 128, parts, *parts.levels(contrast), False)


def _middle(ink: Ink) -> Found | None:
    """The symbol that is nearest to the middle; None where none of its neighbours is cut off."""
    height, width = ink.grey.shape
    parts = ink.parts
    sides = parts.boxes[:, 2:].max(axis=1)
    cut = _are_cut_off(parts, height, width)
    numbers = np.flatnonzero((parts.areas >= 4) & ~(cut & (sides >= _LARGE * min(height, width))))
    if not cut[numbers].any() or len(numbers) > _MOST:
        return None
    groups = [numbers[group] for group in group_symbols(parts.boxes[numbers])]
    whole = [found_of(ink, group[~cut[group]]) for group in groups if not cut[group].all()]
    whole = [one for one in whole if one.side >= _SMALL * min(height, width)]
    if not whole:
        return None
    middle = np.array((width, height))
    nearest = min(whole, key=lambda one: int(np.abs(2 * one.box[:2] + one.box[2:] - middle).max()))
    pen = int(parts.pens[nearest.numbers].max())
    others = numbers[cut[numbers]]
    others = others[
        (sides[others] >= _NEIGHBOUR * nearest.side) & (parts.pens[others] <= 2 * pen) & (pen <= 2 * parts.pens[others])
    ]
    return nearest if len(others) else None


def _are_cut_off(parts: Parts, height: int, width: int) -> NDArray[np.bool_]:
    x, y, w, h = parts.boxes.T
    return np.asarray((x == 0) | (y == 0) | (x + w == width) | (y + h == height))

"""The lines of ruled and squared paper: found in a plane of contrast, and taken out of it, crossing strokes left whole."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

__all__ = ["count_lines", "without_lines"]

_BLOCKS = 32
"""Strips across a line, within which a slanted one is as good as straight."""

_SLANT = 24
"""Pixels that a line rises or falls at most, from one side of the picture to the other."""

_WHOLE, _SEVERAL = 0.9, 0.35
"""A line alone crosses that share of the picture; of several at even distances, each may cross less."""

_FULL = 0.8
"""A strip's share that a line takes in at least one row."""

_APART = 2
"""Several lines are longer than so many times the distance from one to the next: strokes of symbols in a strip are not."""

_STRONGER = 1.3
"""What has so many times a line's contrast is ink that lies on it."""

_THICK = 24
"""The shorter side of a picture over the width of the widest line."""


def without_lines(contrast: NDArray[np.uint8], faintest: int) -> tuple[NDArray[np.uint8], bool]:
    """A plane of contrast uint8 (h, w) without its horizontal and vertical lines, and whether it had any.

    Where a stroke crosses a line, the contrast above and below it is kept between them.
    """
    found = False
    for turned in (False, True):
        plane = contrast.T if turned else contrast
        lines, slant = _lines(plane >= faintest)
        if lines:
            found = True
            plane = _erased(plane.copy(), lines, slant)
            contrast = plane.T if turned else plane
    return np.ascontiguousarray(contrast), found


def count_lines(mask: NDArray[np.bool_]) -> int:
    """How many horizontal lines a mask bool (h, w) has."""
    return len(_lines(np.ascontiguousarray(mask))[0])


def _lines(mask: NDArray[np.bool_]) -> tuple[list[tuple[int, int]], int]:
    """Top and bottom (exclusive) of each line at the picture's middle, and by how much they fall from left to right."""
    height, width = mask.shape
    if min(height, width) < _BLOCKS:
        return [], 0
    step = width // _BLOCKS
    blocks = mask[:, : step * _BLOCKS].view(np.uint8).reshape(height, _BLOCKS, step).sum(axis=2, dtype=np.int32)
    if (blocks.max(axis=0) >= _FULL * step).sum() < _SEVERAL * _BLOCKS:
        return [], 0
    if _most_along(blocks) < _SEVERAL * step * _BLOCKS:  # most pictures have no lines, and end here
        return [], 0
    slant, profile, ends = _straightest(blocks)
    ends = ends >= _FULL * step
    thickest = max(2, height // _THICK)
    whole = [line for line in _runs((profile >= _WHOLE * step * _BLOCKS) & ends) if line[1] - line[0] <= thickest]
    several = [line for line in _runs(profile >= _SEVERAL * step * _BLOCKS) if line[1] - line[0] <= thickest]
    if _evenly_spaced(several, width // _APART):
        return several, slant
    return whole, slant


def _straightest(blocks: NDArray[np.int32]) -> tuple[int, NDArray[np.int32], NDArray[np.int32]]:
    """The fall whose rows differ most, of strips int32 (h, strips).

    Returns:
        The fall, and of each row along it int32 (h,) how many pixels are set, and how many at least in the first and the last
        strip.
    """
    height, reach = blocks.shape[0], _SLANT // 2
    strips = np.ascontiguousarray(np.pad(blocks, ((reach, reach), (0, 0)), mode="wrap").T)
    best, score = (0, blocks[:, 0], blocks[:, 0]), -1
    for fall in sorted(range(-_SLANT, _SLANT + 1), key=abs):
        starts = [reach + fall * (2 * block + 1 - _BLOCKS) // (2 * _BLOCKS) for block in range(_BLOCKS)]
        along = [strip[start : start + height] for strip, start in zip(strips, starts, strict=True)]
        profile = functools.reduce(np.add, along)
        differing = int((profile.astype(np.int64) ** 2).sum())
        if differing > score:
            best, score = (fall, profile, np.minimum(along[0], along[-1])), differing
    return best


def _most_along(blocks: NDArray[np.int32]) -> int:
    """A bound of how many pixels any line takes: of each strip int32 (h, strips) the most within a slant's reach."""
    reach = _SLANT // 2
    most = np.pad(blocks, ((reach, reach), (0, 0)), mode="wrap")
    seen = 1
    while seen <= 2 * reach:
        ahead = min(seen, 2 * reach + 1 - seen)
        most = np.maximum(most[:-ahead], most[ahead:])
        seen += ahead
    return int(most.sum(axis=1).max())


def _evenly_spaced(lines: list[tuple[int, int]], most: int) -> bool:
    """Whether there are four lines at least, as far from each other everywhere, `most` pixels; some may be missing."""
    if len(lines) < 4:
        return False
    gaps = np.diff([top + bottom for top, bottom in lines])
    step = int(np.sort(gaps)[len(gaps) // 2])
    off = np.abs(gaps - step * np.maximum(1, (2 * gaps + step) // (2 * step)))
    return bool(step <= 2 * most and (4 * off <= step).mean() >= 0.75)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    change = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return list(zip(change[::2].tolist(), change[1::2].tolist(), strict=True))


def _erased(plane: NDArray[np.uint8], lines: list[tuple[int, int]], slant: int) -> NDArray[np.uint8]:
    height, width = plane.shape
    columns = np.arange(width)
    falls = (slant * (2 * columns + 1 - width)) // (2 * width)
    for top, bottom in lines:
        first, last = top - 2, bottom + 1  # a soft edge, and a pixel for the slant within a strip
        beside = [plane[np.clip(row + falls, 0, height - 1), columns] for row in (first - 1, last + 1)]
        kept = np.minimum(*beside)
        own = np.sort(plane[np.clip((top + bottom - 1) // 2 + falls, 0, height - 1), columns])[width // 2]
        for row in range(first, last + 1):
            at = np.clip(row + falls, 0, height - 1)
            levels = plane[at, columns]
            plane[at, columns] = np.where(levels > _STRONGER * own, levels, np.minimum(levels, kept))
    return plane

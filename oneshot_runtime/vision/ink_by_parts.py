"""Ink by its parts: a pixel may be faint where its part is strong somewhere, so that a stroke that fades, or lies half in a
shadow, stays whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.vision.ink import Ink, contrast_to_paper, floor_of, runs_from, usual_of
from oneshot_runtime.vision.lines import without_lines
from oneshot_runtime.vision.morphology import Parts, connected_parts

__all__ = ["ink_by_parts", "smoothed"]

_FAINTEST, _PEAK = 12, 2
"""Contrast from which a pixel may be ink, whatever most of the picture has; a part of ink reaches so many times that."""

_STRONG, _STRONGEST = 0.45, 0.8
"""Share of the strongest ink's contrast that a part reaches, and share of all ink that is no stronger than the strongest."""

_SOFT = 0.2
"""Share of the strongest ink's contrast from which a pixel may be ink: rules and grain join strokes below it."""

_MOST_RUNS = 12_000
"""Runs of pixels that are joined to parts; a mask of more is noise."""

_PRINT, _MOST_OF_PRINT = 64, 60_000
"""On paper without noise, ink of that contrast is print, which has more runs."""

_LONGEST = 0.85
"""Share of the shorter side that a part takes at most: longer things are edges of tables, and cables."""


def smoothed(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each pixel with a quarter of each neighbour's level in both directions: the paper's would be the brightest noise's."""
    for axis in (0, 1):
        wide = np.pad(grey, [(1, 1) if at == axis else (0, 0) for at in (0, 1)], mode="edge").astype(np.uint16)
        before, middle, after = (
            wide[at : wide.shape[0] - 2 + at] if axis == 0 else wide[:, at : wide.shape[1] - 2 + at] for at in range(3)
        )
        grey = ((before + 2 * middle + after + 2) >> 2).astype(np.uint8)
    return grey


def ink_by_parts(grey: NDArray[np.uint8], light: bool, window: int) -> tuple[Ink, int] | None:
    """The ink of one kind in a smooth picture, by parts that are strong enough somewhere.

    Args:
        grey: the picture, uint8 (h, w).
        light: whether ink is lighter than its paper.
        window: pixels, odd; what is wider is paper.

    Returns:
        The ink, and the contrast that most of the picture has: little, unless what was taken for paper is ink of the other
        kind. None where there is no ink.
    """
    paper, contrast = contrast_to_paper(grey, light, window)
    usual = usual_of(contrast)
    faintest = min(_FAINTEST, floor_of(contrast))
    while runs_from(contrast, faintest) > (_MOST_OF_PRINT if usual < _FAINTEST and faintest >= _PRINT else _MOST_RUNS):
        faintest += faintest // 4
    strongest = 0
    lined = False
    for _ in range(2):
        limit = max(faintest, round(_SOFT * strongest))
        if not lined:
            contrast, lined = without_lines(contrast, limit)
        parts = connected_parts(contrast >= limit)
        peaks, means = parts.levels(contrast)
        may_be = np.flatnonzero(_sane(parts, contrast.shape) & (peaks >= _PEAK * limit))
        if not len(may_be):
            return None
        strongest = _strongest(parts.areas[may_be], peaks[may_be])
    kept = may_be[peaks[may_be] >= _STRONG * strongest]
    return Ink(light, grey, paper, contrast, limit, parts.only(kept), peaks[kept], means[kept], lined), usual


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

"""Ink in a picture: darker than the paper around it, or lighter, and narrower than the widest pen, whatever the light.

A morphological closing fills in what is narrow and dark. It shows the paper's level, to which the ink has its contrast; the
border of a shadow, of the sheet or of the desk is a step and leaves nothing, however strong it is. An opening does the same for
light ink. Contrast is a difference of logarithms: light falls on ink and paper alike, so it is the same in a shadow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.vision.lines import count_lines, without_lines
from oneshot_runtime.vision.morphology import Parts, closing, connected_parts, opening

__all__ = ["Ink", "contrast_to_paper", "find_ink", "floor_of", "logarithm", "runs_from", "usual_of"]

_DARK = 32
"""Grey levels added before the logarithm, so that noise in the dark is no contrast."""

_CONTRAST = bytes(round(255 * math.log((level + _DARK) / _DARK) / math.log((255 + _DARK) / _DARK)) for level in range(256))
"""A grey level's logarithm, from 0 for black to 255 for white."""

_FAINTEST = 10
"""Contrast of the faintest ink, above that of what most of the picture has."""

_NOISE = 5
"""Ink stands out from the paper by so many times its unevenness."""

_STRONG = 0.45
"""Share of the strongest contrast that ink has: half-covered pixels and strokes that fade."""

_LEVELS = 3
"""How often ink is looked for that is fainter than the faintest so far: holes and frames may be darker than pencil."""

_MOST_RUNS = 40_000
"""Runs of pixels that are joined to parts; a mask of more is noise."""


@dataclass(frozen=True)
class Ink:
    """Ink of one kind in a picture (h, w), at one strength.

    light: whether it is lighter than its paper. grey: uint8 (h, w), the picture. paper: uint8 (h, w), the paper's grey level
    everywhere. contrast: uint8 (h, w), that of each pixel to it. limit: the contrast from which a pixel is ink. parts: of it.
    peaks, means: int64 (n,), the strongest
    and the mean contrast of each part. lined: whether rules were taken out of `contrast`.
    """

    light: bool
    grey: NDArray[np.uint8]
    paper: NDArray[np.uint8]
    contrast: NDArray[np.uint8]
    limit: int
    parts: Parts
    peaks: NDArray[np.int64]
    means: NDArray[np.int64]
    lined: bool


def find_ink(grey: NDArray[np.uint8], light: bool, window: int) -> list[Ink]:
    """The ink of a picture uint8 (h, w) that is darker, or `light`er, than its paper; strongest first, then what is fainter.

    window: pixels, odd; what is wider is paper.
    """
    paper, contrast = contrast_to_paper(grey, light, window)
    faintest = floor_of(contrast)
    while runs_from(contrast, faintest) > _MOST_RUNS:
        faintest += faintest // 2
    cleaned, lined = without_lines(contrast, faintest)
    found: list[Ink] = []
    if lined:
        strong = _above_lines(contrast, faintest)
        if strong:
            parts = connected_parts(contrast >= strong)
            found.append(Ink(light, grey, paper, contrast, strong, parts, *parts.levels(contrast), False))
    peaks = _peaks(cleaned, faintest)
    while peaks and len(found) < _LEVELS:
        limit = max(faintest, round(_STRONG * peaks[0]))
        parts = connected_parts(cleaned >= limit)
        found.append(Ink(light, grey, paper, cleaned, limit, parts, *parts.levels(cleaned), lined))
        peaks = [peak for peak in peaks if peak < limit]
    return found


def contrast_to_paper(grey: NDArray[np.uint8], light: bool, window: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The paper's level around each pixel of a picture uint8 (h, w), and the pixel's contrast to it: uint8 (h, w) each."""
    paper = (opening if light else closing)(grey, window)
    levels = logarithm(grey), logarithm(paper)
    return paper, levels[0] - levels[1] if light else levels[1] - levels[0]


def _above_lines(contrast: NDArray[np.uint8], faintest: int) -> int:
    """The limit of ink that is so much stronger than the lines that they need not be taken out; 0 where it is not."""
    peaks = _peaks(contrast, faintest)
    limit = max(faintest, round(_STRONG * peaks[0])) if peaks else 0
    return limit if limit and not (count_lines(contrast >= limit) or count_lines((contrast >= limit).T)) else 0


def runs_from(contrast: NDArray[np.uint8], limit: int) -> int:
    """How many runs of pixels of a plane uint8 (h, w) reach that limit."""
    mask = contrast >= limit
    return int(np.count_nonzero(mask[:, 1:] > mask[:, :-1]))


def logarithm(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The logarithm of each level of a picture uint8 (h, w), from 0 for black to 255 for white."""
    return np.frombuffer(grey.tobytes().translate(_CONTRAST), np.uint8).reshape(grey.shape)


def floor_of(contrast: NDArray[np.uint8]) -> int:
    """The faintest contrast that may be ink: above what most of the picture has, and how uneven that is."""
    middle, quarter = _quarters(contrast, 2, 3)
    return min(255, middle + max(_FAINTEST, _NOISE * (quarter - middle)))


def usual_of(contrast: NDArray[np.uint8]) -> int:
    """The contrast that no more than half of a picture exceeds."""
    return _quarters(contrast, 2)[0]


def _quarters(contrast: NDArray[np.uint8], *quarters: int) -> list[int]:
    counts = np.cumsum(Image.fromarray(contrast).histogram())
    return [int(np.searchsorted(counts, contrast.size * share // 4, side="right")) for share in quarters]


def _peaks(contrast: NDArray[np.uint8], faintest: int) -> list[int]:
    """The strongest contrast of each thing that is large enough to be a symbol, highest first."""
    parts = connected_parts(contrast >= faintest)
    height, width = contrast.shape
    x, y, w, h = parts.boxes.T
    inside = (x > 0) & (y > 0) & (x + w < width) & (y + h < height)
    large = np.maximum(w, h) >= max(3, min(height, width) // 64)
    peaks, _ = parts.levels(contrast)
    return sorted(set(peaks[inside & large].tolist() or peaks[large].tolist()), reverse=True)

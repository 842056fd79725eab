"""Ink in a frame: dark, or on a board light, and narrower than the widest pen, whatever the light.

A morphological closing fills in what is narrow and dark: it shows the paper's level, to which the ink has its contrast. The
border of a shadow, of the sheet or of the table is a step and not narrow: it leaves nothing, however strong it is. An opening
does the same for chalk on a dark board.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.camera.optional_opencv import cv2

__all__ = ["INKS", "Ink", "find_ink"]

INKS = ("auto", "dark", "light")

_PEN = 27
"""Pixels that no stroke is wider than."""

_CONTRAST = 24
"""Of 255: contrast above which a pixel may be ink. A part of ink reaches twice this somewhere."""

_NOISE = 16
"""Grey levels added to the sum that contrast is a share of, so that noise in the dark is none."""

_FAINT = 0.45
"""Parts fainter than this share of the picture's strongest ink are wrinkles, grain, or print from the other side."""

_MIN_AREA = 4
"""Pixels of the smallest dot."""

_MAX_SIDE = 0.85
"""Share of the picture's shorter side that a part may take; longer things are table edges and cables."""

_MAX_PARTS = 400
"""Parts that are looked at, largest first: a page of print must not stall a live picture."""

_SURROUND, _SURROUND_SHARE = 4, 0.12
"""Around a part, this many pixels and this share of its longer side must be paper."""


@dataclass(frozen=True)
class Ink:
    """The ink of a picture (h, w).

    labels: int32 (h, w), the number of the part each pixel belongs to. numbers: int64 (n,), those parts that are ink. boxes:
    int64 (n, 4), their x, y, width, height. paper: uint8 (h, w), the paper's level everywhere. light: whether the ink is the
    lighter of the two. amount: how much ink there is, by its parts' longer sides, as what strokes enclose has
    more area than they; contrast counts more, as grain and seams are long and faint.
    """

    labels: NDArray[np.int32]
    numbers: NDArray[np.int64]
    boxes: NDArray[np.int64]
    paper: NDArray[np.uint8]
    light: bool
    amount: float


def find_ink(grey: NDArray[np.uint8], ink: str = "auto") -> Ink:
    """The ink of a picture uint8 (h, w). `ink` is "dark", "light", or "auto" for what the picture has more of."""
    grey = cv2.GaussianBlur(grey, (3, 3), 0)  # the paper's level would otherwise be that of the brightest noise
    found = [_find(grey, light) for light in (False, True) if ink in ("auto", ("dark", "light")[light])]
    return max(found, key=lambda one: one.amount)


def _find(grey: NDArray[np.uint8], light: bool) -> Ink:
    paper, contrast = _narrow(grey, light)
    mask = cv2.threshold(contrast, _CONTRAST, 255, cv2.THRESH_BINARY)[1]
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    numbers = _plausible(stats, grey.shape)
    peaks = _peaks(labels, contrast, stats, numbers)
    numbers, peaks = _strong(numbers, peaks, stats)
    on_paper = np.array([_is_on_paper(grey, paper, labels, stats[number], int(number), light) for number in numbers], bool)
    amount = float((stats[numbers, 2:4].max(axis=1) * (peaks / 255.0) ** 3)[on_paper].sum())
    numbers = numbers[on_paper]
    return Ink(labels, numbers, stats[numbers, :4].astype(np.int64), paper, light, amount)


def _narrow(grey: NDArray[np.uint8], light: bool) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The paper's level, and the contrast of each pixel to it: 255 times their difference over their sum.

    Light falls on ink and paper alike, so their contrast is the same in a shadow.
    """
    square = cv2.getStructuringElement(cv2.MORPH_RECT, (_PEN, _PEN))
    paper = cv2.morphologyEx(grey, cv2.MORPH_OPEN if light else cv2.MORPH_CLOSE, square, borderType=cv2.BORDER_REPLICATE)
    half_sum = cv2.addWeighted(grey, 0.5, paper, 0.5, _NOISE / 2)
    return paper, cv2.divide(cv2.absdiff(paper, grey), half_sum, scale=127.5)


def _plausible(stats: NDArray[np.int32], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Parts of a sane size that the picture's border does not cut off, largest first."""
    x, y, width, height, area = stats.T
    inside = (x > 0) & (y > 0) & (x + width < shape[1]) & (y + height < shape[0])
    keep = inside & (area >= _MIN_AREA) & (np.maximum(width, height) <= _MAX_SIDE * min(shape))
    keep[0] = False  # everything that is no ink
    numbers = np.flatnonzero(keep)
    return numbers[np.argsort(-area[numbers], kind="stable")][:_MAX_PARTS]


def _peaks(
    labels: NDArray[np.int32], contrast: NDArray[np.uint8], stats: NDArray[np.int32], numbers: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The strongest contrast of each part, 0 where it is below what ink reaches."""
    at = np.flatnonzero(contrast >= 2 * _CONTRAST)
    peaks = np.zeros(len(stats), np.int64)
    np.maximum.at(peaks, labels.ravel()[at], contrast.ravel()[at])
    return peaks[numbers]


def _strong(
    numbers: NDArray[np.int64], peaks: NDArray[np.int64], stats: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Those parts, with their peaks, that have about the contrast of the picture's strongest ink."""
    if not peaks.any():
        return numbers[:0], peaks[:0]
    order = np.argsort(peaks)
    weights = np.cumsum((stats[numbers, 4] * peaks)[order])
    strongest = float(peaks[order[np.searchsorted(weights, 0.8 * weights[-1])]])
    keep = peaks >= max(2 * _CONTRAST, _FAINT * strongest)
    return numbers[keep], peaks[keep]


def _is_on_paper(
    grey: NDArray[np.uint8],
    paper: NDArray[np.uint8],
    labels: NDArray[np.int32],
    stat: NDArray[np.int32],
    number: int,
    light: bool,
) -> bool:
    """Whether paper surrounds a part on all sides: a seam, or the tip of something dark, borders on what is as dark."""
    x, y, width, height = (int(value) for value in stat[:4])
    around = _SURROUND + round(_SURROUND_SHARE * max(width, height))
    area = np.s_[max(0, y - around) : y + height + around, max(0, x - around) : x + width + around]
    level, own = paper[area], labels[area] == number
    levels = np.sort(grey[area][own])  # the ink's darkest tenth: in a half-shadow its mean is no darker than shaded paper
    ink = float(levels[-1 - len(levels) // 10 if light else len(levels) // 10])
    limit = ink + 0.2 * (float(level.mean()) - ink)
    return float((level > limit if light else level < limit).mean()) < 0.1

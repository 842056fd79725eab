"""Clean drawings: evenly lit paper, and ink that stands out from it everywhere alike. What needs no search for ink.

A drawing is clean when nothing in it calls for a closer look: no ink at the picture's edges, nothing far from the rest, no
frame, nothing wide and filled. Then its ink is the symbol, all of it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.lazy_property import lazy_property
from oneshot_runtime.vision.outline import is_convex

__all__ = ["EvenInk", "border_levels", "even_ink", "even_paper", "reduced", "stretch"]

_MIN_CONTRAST = 24
"""Grey levels between ink and paper below which an image counts as blank: above sensor noise, below pencil."""

_EVEN_PAPER = 8
"""Spread between the border's quartiles up to which the paper counts as evenly lit."""

_MAX_SIDE = 512
"""Longer sides are reduced first: no canvas needs more."""

_LARGE = 8
"""The ink's longer side is one part in so many of the picture's, at least, or it is cut from the picture itself."""

_FILLED, _TURNED, _CONVEX = 0.5, 0.4, 0.75
"""Share of its box that ink takes at most; what takes more may be a sheet, a tile, or a blot. One that is turned takes less of
its box, and that share of its hull at least."""

_HAZE = 4
"""How many times the ink's area its faint edges take at most."""

_FRAMED, _AROUND, _LINES, _STROKES = 0.85, 0.5, 7, 3
"""Share of each side of its box that a frame runs along, and a ring; how many rows and columns are looked at for ink within a
ring; and how many strokes one of them meets."""

_GAP, _PIECE = 0.35, 0.25
"""Shares of the ink's longer side: the widest gap, and the least piece beside a gap, that belong to a symbol without a look."""


@dataclass(frozen=True)
class EvenInk:
    """Ink on evenly lit paper. ink: uint8 (h, w), 0 paper, 255 full ink. paper: its level. dark: whether ink is darker.

    contrast: grey levels between them. other: how far the picture departs from the paper to the other side.
    """

    ink: NDArray[np.uint8]
    paper: int
    dark: bool
    contrast: int
    other: int

    @lazy_property
    def _mask(self) -> NDArray[np.bool_]:
        """The pixels that are more ink than paper."""
        return self.ink > 127

    @lazy_property
    def _inked(self) -> int:
        return int(np.count_nonzero(self._mask))

    @lazy_property
    def _columns(self) -> bytes:
        """Which columns have such pixels, 1 for those; `_rows` says it of the rows."""
        return self._mask.any(axis=0).tobytes()

    @lazy_property
    def _rows(self) -> bytes:
        return self._mask.any(axis=1).tobytes()

    @lazy_property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the pixels that are more ink than paper; never empty after a stretch."""
        left, top = self._columns.find(1), self._rows.find(1)
        if left < 0:
            return 0, 0, len(self._columns), len(self._rows)
        return left, top, self._columns.rfind(1) + 1, self._rows.rfind(1) + 1

    def is_clean(self) -> bool:
        """Whether nothing in the picture calls for a closer look."""
        height, width = self.ink.shape
        left, top, right, bottom = self.box
        side = max(right - left, bottom - top)
        if left == 0 or top == 0 or right == width or bottom == height or 2 * self.other > self.contrast:
            return False
        if side * _LARGE < max(height, width):
            return False
        if self.is_hazy():
            return False
        if not (_is_whole(self._columns[left:right], side) and _is_whole(self._rows[top:bottom], side)):
            return False
        return not (self._is_filled() or self._may_be_framed())

    def may_be_tile(self) -> bool:
        """Whether a picture of few pixels may show a tile with a symbol on it: it is filled, or has cut corners."""
        return bool(self._mask[[0, 0, -1, -1], [0, -1, 0, -1]].any()) or self._is_filled()

    def is_hazy(self) -> bool:
        """Whether far more of the picture is faint than ink, more than soft edges are: a tile or a shadow behind the symbol."""
        return bool(np.count_nonzero(self.ink) > _HAZE * self._inked)

    def _is_filled(self) -> bool:
        left, top, right, bottom = self.box
        wide = min(right - left, bottom - top) * 5 > max(self.ink.shape)
        area = (right - left) * (bottom - top)
        if not wide or self._inked <= _TURNED * area:
            return False
        if self._inked > _FILLED * area:
            return True
        return is_convex(self._mask, _CONVEX)

    def _may_be_framed(self) -> bool:
        """Whether ink runs all along the four sides; or along most of them, with other ink in between, as in a ring."""
        left, top, right, bottom = self.box
        band = max(3, max(right - left, bottom - top) // 10)
        box = self._mask[top:bottom, left:right]
        bands = (box[:band], 0), (box[-band:], 0), (box[:, :band], 1), (box[:, -band:], 1)
        along = min(np.count_nonzero(part.any(axis)) / box.shape[1 - axis] for part, axis in bands)
        return bool(along >= _FRAMED or (along >= _AROUND and _meets_strokes(box) and _meets_strokes(box.T)))


def _meets_strokes(mask: NDArray[np.bool_]) -> bool:
    """Whether a row of a mask bool (h, w), of some at even distances, meets several strokes."""
    rows = mask[[len(mask) * number // (_LINES + 1) for number in range(1, _LINES + 1)]]
    starts = rows[:, 0] + np.count_nonzero(rows[:, 1:] > rows[:, :-1], axis=1)
    return bool(starts.max() >= _STROKES)


def _is_whole(inked: bytes, side: int) -> bool:
    """Whether a projection has no gaps, or only such as any symbol may have."""
    if 0 not in inked:
        return True
    pieces = [len(piece) for piece in inked.split(b"\0")]
    gaps = [len(gap) for gap in inked.split(b"\1")]
    return max(gaps) <= _GAP * side and min(piece for piece in pieces if piece) >= _PIECE * side


def reduced(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image uint8 (H, W) as large as clean drawings are looked at."""
    longer = max(grey.shape)
    if longer <= _MAX_SIDE:
        return grey
    return np.asarray(Image.fromarray(grey).reduce(-(-longer // _MAX_SIDE)))


def border_levels(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The levels along the border of an image uint8 (H, W), sorted."""
    border = np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1]))
    border.sort()
    return border


def even_paper(border: NDArray[np.uint8]) -> int | None:
    """The paper's level where the border (`border_levels`) is evenly lit."""
    quarter = border.size // 4
    if int(border[-1 - quarter]) - int(border[quarter]) > _EVEN_PAPER:
        return None
    return int(border[border.size // 2])


def even_ink(grey: NDArray[np.uint8], paper: int) -> EvenInk | None:
    """The ink of an image uint8 (H, W) on paper of that level, on the side that departs furthest; None where it is blank."""
    low, high = int(grey.min()), int(grey.max())
    contrast = max(paper - low, high - paper)
    if contrast < _MIN_CONTRAST:
        return None
    dark = paper - low >= high - paper
    # Translating bytes is the fastest way to map 256 levels that numpy and Python have.
    ink = np.frombuffer(grey.tobytes().translate(_stretch_table(paper, contrast, dark)), np.uint8).reshape(grey.shape)
    return EvenInk(ink, paper, dark, contrast, min(paper - low, high - paper))


def stretch(grey: NDArray[np.uint8], paper: int) -> NDArray[np.uint8]:
    """The ink of a drawing: the paper's level becomes 0 and the ink's 255. Raises `ImageError` for one that is blank."""
    even = even_ink(grey, paper)
    if even is None:
        contrast = max(paper - int(grey.min()), int(grey.max()) - paper)
        raise ImageError(
            f"no symbol found: the picture is blank (its {grey.shape[0]}x{grey.shape[1]} pixels stay within {contrast} of 255 "
            f"grey levels of the paper, and ink needs {_MIN_CONTRAST})"
        )
    return even.ink


@functools.lru_cache(maxsize=256)
def _stretch_table(paper: int, contrast: int, dark_ink: bool) -> bytes:
    """The levels, with a soft threshold between 1/4 and 3/4 of the contrast."""
    levels = np.arange(256, dtype=np.int32)
    depth = paper - levels if dark_ink else levels - paper
    return np.clip((depth * 4 - contrast) * 255 // (2 * contrast), 0, 255).astype(np.uint8).tobytes()

"""What lies behind a transparent picture: the paper of a card whose corners are cut off, or what shows ink that is alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Visible"]

_OPAQUE = 128
"""Alpha from which a pixel counts as visible."""

_ONE_COLOUR = 48
"""Grey levels between the twentieth and the nineteen twentieth of what is visible, up to which it is ink of one colour."""

_SOLID = 0.9
"""Share of each row, between its first and last visible pixel, that is visible in a card."""


class Visible:
    """What is visible of a picture that comes in strips of rows."""

    def __init__(self) -> None:
        self._counts = np.zeros((2, 256), np.int64)  # as they are, and divided by alpha
        self._spans = 0
        self._weight = self._alpha = 0
        self._pixels = self._partial = self._beyond = 0

    def add(self, grey: NDArray[np.uint32], alpha: NDArray[np.uint32]) -> None:
        """Grey levels and alpha of the next rows, uint32 (h, w) each."""
        seen = alpha >= _OPAQUE
        divided = np.minimum(255, 255 * grey[seen] // alpha[seen])
        self._counts += [np.bincount(levels, minlength=256) for levels in (grey[seen], divided)]
        rows = seen[seen.any(axis=1)]
        self._spans += int((rows.shape[1] - rows[:, ::-1].argmax(axis=1) - rows.argmax(axis=1)).sum()) if len(rows) else 0
        self._weight += int((grey * alpha).sum(dtype=np.uint64))
        self._alpha += int(alpha.sum(dtype=np.uint64))
        self._pixels += alpha.size
        self._partial += int(np.count_nonzero((alpha > 0) & (alpha < 255)))
        self._beyond += int(np.count_nonzero(grey > alpha))

    def paper(self) -> int:
        """The level of what lies behind: the usual one of a card; black behind light ink, else white."""
        counts = self._counts[int(self.is_premultiplied())]
        count = int(counts.sum())
        if self._alpha == 255 * self._pixels or not count:
            return 255
        ranks = np.cumsum(counts)
        low, middle, high = (int(np.searchsorted(ranks, count * share // 20, side="right")) for share in (1, 10, 19))
        if (high - low > _ONE_COLOUR or _holds_ink(counts, middle)) and count >= _SOLID * self._spans:
            return middle
        return 0 if self._weight > 127 * self._alpha else 255

    def is_premultiplied(self) -> bool:
        """Whether colours were multiplied by alpha already: none is lighter than its alpha allows."""
        return self._partial > 0 and self._beyond == 0


def _holds_ink(counts: NDArray[np.int64], paper: int) -> bool:
    """Whether something of another level is on the card, though it is less than a twentieth of it."""
    far = counts[: max(0, paper - _ONE_COLOUR)].sum() + counts[paper + _ONE_COLOUR :].sum()
    return bool(500 * far >= counts.sum())

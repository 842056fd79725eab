"""Which frame to teach a symbol from: one that a person would choose, not the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.camera.aim import aimed_at
from oneshot_runtime.camera.frame_reader import Sighting
from oneshot_runtime.camera.frame_symbols import Box

if TYPE_CHECKING:
    from oneshot_runtime.camera.sources import Frame

__all__ = ["Take", "Teacher"]

_SETTLING = 0.5
"""Seconds in which a live camera still adjusts to the light."""

_HELD = 0.7
"""Seconds for which a symbol must be held still."""

_DRIFT = 0.15
"""How far it may move meanwhile, as a share of its longer side."""

_SHARP = 0.15
"""Least sharpness: an edge from ink to paper is at most seven pixels of the crop wide."""

_EVEN, _DARK = 0.6, 20
"""Least share of the brightest quarter's level that the darkest one has, and the least level: grey levels of 255."""


@dataclass(frozen=True)
class Take:
    """What to teach. symbol: as it was in frame `number`, `seconds` from the start. frames: that it is the sharpest of."""

    symbol: Sighting
    number: int
    seconds: float
    sharpness: float
    frames: int


class Teacher:
    """Watches a source until one symbol alone was held still, sharp and evenly lit between the corners for 0.7 s.

    live: take the first such stretch, else the best of the whole source. still: every picture is a stretch of its own. problem:
    why there is none yet.
    """

    def __init__(self, *, live: bool, still: bool) -> None:
        self.problem = "no symbol was between the corners in the middle of the picture"
        self.best: Take | None = None
        self._live, self._still = live, still
        self._start: tuple[Sighting, float] | None = None
        self._sharpest: Take | None = None

    def watch(self, frame: Frame, symbols: tuple[Sighting, ...]) -> Take | None:
        """Look at another frame and what was read in it; what to teach now, None to go on."""
        if self._live and frame.seconds < _SETTLING:
            return None
        symbol = self._candidate(frame.image, symbols)
        if symbol is None:
            self._start = None
            return None
        if self._still or self._start is None or not _same(self._start[0], symbol):
            self._start, self._sharpest = (symbol, frame.seconds), None
        take = Take(symbol, frame.number, frame.seconds, _sharpness(symbol.crop), 1)
        if self._sharpest is not None:
            sharper = max(self._sharpest, take, key=lambda one: one.sharpness)
            take = Take(sharper.symbol, sharper.number, sharper.seconds, sharper.sharpness, self._sharpest.frames + 1)
        self._sharpest = take
        if not self._still and frame.seconds - self._start[1] < _HELD - 1e-6:
            self.problem = f"no symbol was held still and sharp between the corners for {_HELD} s"
            return None
        if self.best is None or take.sharpness > self.best.sharpness:
            self.best = take
        return take if self._live else None

    def _candidate(self, image: NDArray[np.uint8], symbols: tuple[Sighting, ...]) -> Sighting | None:
        """The one symbol between the corners, if it can be taught from this frame."""
        inside = aimed_at(symbols, image.shape[1], image.shape[0])
        if len(inside) != 1:
            if inside:
                self.problem = f"{len(inside)} symbols were between the corners: show one alone there, or come closer"
            return None
        if _sharpness(inside[0].crop) < _SHARP:
            self.problem = "the symbol between the corners was not sharp: hold it still, and not too close"
            return None
        if not _evenly_lit(image, inside[0].box):
            self.problem = "the symbol between the corners was too dark, or partly in a shadow"
            return None
        return inside[0]


def _same(first: Sighting, now: Sighting) -> bool:
    """Whether it is the same symbol, and has hardly moved."""
    (x, y, width, height), (left, top, *size) = first.box, now.box
    moved = np.hypot(x + width / 2 - left - size[0] / 2, y + height / 2 - top - size[1] / 2)
    return first.track == now.track and bool(moved <= _DRIFT * max(width, height))


def _sharpness(crop: NDArray[np.uint8]) -> float:
    """The steepest step from pixel to pixel of a crop, as a share of the whole range; a few in a hundred may be steeper."""
    levels = crop.astype(np.int16)
    across, down = np.abs(np.diff(levels, axis=1))[:-1], np.abs(np.diff(levels, axis=0))[:, :-1]
    steps = np.maximum(across, down)
    steps = steps[steps > 8]
    return float(np.percentile(steps, 95)) / 255 if steps.size else 0.0


def _evenly_lit(image: NDArray[np.uint8], box: Box) -> bool:
    """Whether the paper around a symbol has about the same level in each quarter of its box."""
    x, y, width, height = box
    margin = max(4, max(width, height) // 4)
    area = image[max(0, y - margin) : y + height + margin, max(0, x - margin) : x + width + margin]
    grey = area[..., 1] if area.ndim == 3 else area
    middle = grey.shape[0] // 2, grey.shape[1] // 2
    quarters = [grey[: middle[0], : middle[1]], grey[: middle[0], middle[1] :], grey[middle[0] :, : middle[1]]]
    levels = [float(np.median(quarter)) for quarter in [*quarters, grey[middle[0] :, middle[1] :]] if quarter.size]
    return min(levels) >= max(_DARK, _EVEN * max(levels))

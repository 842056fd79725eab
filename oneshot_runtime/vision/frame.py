"""Every symbol of a frame of a film, the same from frame to frame.

What was found out about the light and the sheet holds for the frames after it (`Focus`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.vision.glance import Area, Glance, best_glance, glance
from oneshot_runtime.vision.readings import Reading

__all__ = ["Focus", "FrameScene", "symbols_of_frame"]


@dataclass(frozen=True)
class Focus:
    """What holds from one frame to the next. light: whether ink is lighter than its paper. near: what is looked at closely,
    None for the whole frame. shape: of the frame, (H, W)."""

    shape: tuple[int, ...]
    light: bool
    near: Area | None


@dataclass(frozen=True)
class FrameScene:
    """What a frame shows. symbols: topmost first. focus: for the frames after it. far: whether there are symbols, or a sheet,
    and most of them too small to be read."""

    symbols: list[Reading]
    focus: Focus
    far: bool


def symbols_of_frame(grey: NDArray[np.uint8], ink: str = "auto", focus: Focus | None = None) -> FrameScene:
    """The symbols of a frame uint8 (H, W) that its border does not cut off.

    Args:
        grey: the frame.
        ink: "dark" on light paper, "light" on a dark board, or "auto" for what there is more of.
        focus: what an earlier frame of the film was found to be; None to find out. That of a frame of another size is none.
    """
    kinds = [ink == "light"] if ink != "auto" else [False, True]
    if focus is not None and focus.shape == grey.shape:
        seen = glance(grey, focus.near or (0, 0, grey.shape[1], grey.shape[0]), [focus.light] if ink == "auto" else kinds)
        if seen.found:
            return _shown(grey, seen, focus.near)
    return _shown(grey, *best_glance(grey, kinds))


def _shown(grey: NDArray[np.uint8], seen: Glance, near: Area | None) -> FrameScene:
    symbols = sorted([ways[0] for ways in seen.readings([ways[:1] for ways in seen.readable()])], key=lambda one: one.box[1])
    far = seen.too_small() > len(symbols) if seen.found else near is not None
    return FrameScene(symbols, Focus(grey.shape, seen.light, near), far)

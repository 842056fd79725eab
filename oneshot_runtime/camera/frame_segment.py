"""From a frame to its symbols: parts of ink are grouped, and each group is cropped clean.

The step before `preprocess`: crops are dark ink on white, free of shadow and of neighbours, as that expects them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.camera.frame_ink import INKS, Ink, find_ink
from oneshot_runtime.camera.optional_opencv import cv2
from oneshot_runtime.errors import ImageError, OptionError
from oneshot_runtime.vision.grouping import group_parts, union

__all__ = ["Box", "Found", "dominant_ink", "find_symbols"]

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels of the frame."""

_WORKING_SIDE = 640
"""Longer side of the picture in which ink is looked for; crops are cut from the frame itself."""

_MIN_SIDE = 9
"""Pixels of the working picture that a symbol's longer side has at least: dots alone are no symbols."""

_MARGIN = 0.1
"""White around a crop, as a share of the ink's longer side."""

_CROP_SIDE = 128
"""Longer side of the ink in a crop at most: about twice what the model's canvas shows."""

_SPILL = 2
"""Pixels of the working picture around a part that still belong to its soft edge."""


@dataclass(frozen=True, eq=False)
class Found:
    """A symbol in a frame. box: of its ink. crop: uint8 (h, w), its ink dark on white and nothing else."""

    box: Box
    crop: NDArray[np.uint8] = field(repr=False)


def find_symbols(frame: NDArray[np.uint8], ink: str = "auto") -> list[Found]:
    """The symbols in a frame uint8 (H, W) grey or (H, W, 3) in OpenCV's order blue, green, red; topmost first.

    ink: "dark" on light paper, "light" on a dark board, or "auto" for what the frame has more of. Symbols that the frame's
    border cuts off are left out. Raises `ImageError` for any other array, `OptionError` for any other ink.
    """
    if ink not in INKS:
        raise OptionError(f"ink must be one of {', '.join(INKS)}, got {ink!r}")
    grey = _grey(frame)
    small, scale = _working(grey)
    found = find_ink(small, ink)
    boxes = [(group, union(found.boxes[group])) for group in group_parts(found.boxes)]
    symbols = [_cut(grey, found, group, box, scale) for group, box in boxes if box[2:].max() >= _MIN_SIDE]
    return sorted(symbols, key=lambda symbol: symbol.box[1])


def dominant_ink(frame: NDArray[np.uint8]) -> str:
    """Whether a frame, as `find_symbols` takes it, shows rather "dark" or "light" ink. Finding one kind takes half the time."""
    return "light" if find_ink(_working(_grey(frame))[0]).light else "dark"


def _working(grey: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    scale = min(1.0, _WORKING_SIDE / max(grey.shape))
    if scale == 1:
        return grey, scale
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA), scale


def _grey(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim not in (2, 3) or not frame.size:
        kind = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ImageError(f"a frame is uint8 (H, W) or (H, W, 3), got {kind}")
    if frame.ndim == 2:
        return frame
    if frame.shape[2] != 3:
        raise ImageError(f"a frame has one channel or three, got {frame.shape[2]}")
    grey: NDArray[np.uint8] = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    return grey


def _cut(grey: NDArray[np.uint8], ink: Ink, group: list[int], box: NDArray[np.int64], scale: float) -> Found:
    """Crop a group of parts: only its own pixels, each as dark as it lies below its paper, the darkest as black as ink gets."""
    height, width = ink.labels.shape
    x, y = (int(value) for value in np.maximum(box[:2] - _SPILL, 0))
    right, bottom = min(width, int(box[0] + box[2]) + _SPILL), min(height, int(box[1] + box[3]) + _SPILL)
    small = np.s_[y:bottom, x:right]
    own = np.isin(ink.labels[small], ink.numbers[group]).astype(np.uint8)
    own = cv2.dilate(own, np.ones((2 * _SPILL + 1, 2 * _SPILL + 1), np.uint8))

    left, top = round(x / scale), round(y / scale)
    cut = grey[top : round(bottom / scale), left : round(right / scale)]
    side = max(cut.shape)
    size = (cut.shape[1], cut.shape[0])
    if side > _CROP_SIDE:
        size = (max(1, size[0] * _CROP_SIDE // side), max(1, size[1] * _CROP_SIDE // side))
        cut = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
    paper = cv2.resize(ink.paper[small], size, interpolation=cv2.INTER_LINEAR)
    depth = cv2.subtract(cut, paper) if ink.light else cv2.subtract(paper, cut)
    depth = cv2.bitwise_and(depth, depth, mask=cv2.resize(own, size, interpolation=cv2.INTER_NEAREST))
    full = max(1.0, float(np.percentile(depth[depth > 0], 90)) if depth.any() else 1.0)
    margin = max(2, round(_MARGIN * max(size)))
    crop = np.full((size[1] + 2 * margin, size[0] + 2 * margin), 255, np.uint8)
    crop[margin:-margin, margin:-margin] = 255 - cv2.convertScaleAbs(depth, alpha=255 / full)
    bx, by, bw, bh = (round(int(value) / scale) for value in box)
    return Found((bx, by, bw, bh), crop)

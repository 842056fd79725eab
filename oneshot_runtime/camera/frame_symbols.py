"""The symbols of a camera's frame, each with its box and a clean crop: dark ink on white, free of shadow and of neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime.errors import ImageError, OptionError
from oneshot_runtime.vision.frame import symbols_of_frame
from oneshot_runtime.vision.readings import Reading
from oneshot_runtime.vision.segment import Box

__all__ = ["INKS", "Box", "Found", "as_found", "checked_ink", "find_symbols", "grey_of_frame"]

INKS = ("auto", "dark", "light")


@dataclass(frozen=True, eq=False)
class Found:
    """A symbol in a frame. box: of its ink. crop: uint8 (h, w), its ink dark on white and nothing else."""

    box: Box
    crop: NDArray[np.uint8] = field(repr=False)


def find_symbols(frame: NDArray[np.uint8], ink: str = "auto") -> list[Found]:
    """The symbols in a frame; those that its border cuts off are left out.

    Args:
        frame: uint8 (H, W) grey, or (H, W, 3) in OpenCV's order blue, green, red.
        ink: "dark" on light paper, "light" on a dark board, or "auto" for what the frame has more of.

    Returns:
        The symbols, topmost first.

    Raises:
        ImageError: For any other array.
        OptionError: For any other ink.
    """
    return as_found(symbols_of_frame(grey_of_frame(frame), checked_ink(ink)).symbols)


def checked_ink(ink: str) -> str:
    """The kind of ink. Raises `OptionError` for one that there is not."""
    if ink not in INKS:
        raise OptionError(f"ink must be one of {', '.join(INKS)}, got {ink!r}")
    return ink


def as_found(symbols: list[Reading]) -> list[Found]:
    """What a frame shows, as the camera follows it."""
    return [Found(one.box, one.drawing) for one in symbols]


def grey_of_frame(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame, as `find_symbols` takes it, in grey: uint8 (H, W). Raises `ImageError` for any other array."""
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim not in (2, 3) or not frame.size:
        kind = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ImageError(f"a frame is uint8 (H, W) or (H, W, 3), got {kind}")
    if frame.ndim == 2:
        return frame
    if frame.shape[2] != 3:
        raise ImageError(f"a frame has one channel or three, got {frame.shape[2]}")
    size = (frame.shape[1], frame.shape[0])
    return np.asarray(Image.frombuffer("RGB", size, np.ascontiguousarray(frame), "raw", "BGR", 0, 1).convert("L"))

"""A window, where the installed OpenCV has one: shows frames and takes keys."""

from __future__ import annotations

import os
import sys

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.camera.optional_opencv import cv2
from oneshot_runtime.errors import DependencyError

__all__ = ["Prompt", "Window", "window_problem"]

_TITLE = "oneshot"
_ESCAPE, _ENTER, _BACKSPACE = (27,), (10, 13), (8, 127)
_MAX_NAME = 64


def window_problem() -> str | None:
    """Why no window can be shown here, None when one can."""
    if not cv2.currentUIFramework():
        return "the installed OpenCV is a headless build without windows (opencv-python has them)"
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "this session has no display"
    return None


class Window:
    """Shows frames until it is closed. Raises `DependencyError` where none can be shown."""

    def __init__(self) -> None:
        problem = window_problem()
        if problem is not None:
            raise DependencyError(f"cannot open a window: {problem}. Without one, pass --output FILE.mp4, --json, or both")
        cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)

    def show(self, image: NDArray[np.uint8]) -> int | None:
        """Show a picture; the code of the key that was pressed, None for none, and Escape's once the window is closed."""
        cv2.imshow(_TITLE, image)
        key = int(cv2.waitKey(1))
        if cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1:
            return _ESCAPE[0]
        return None if key < 0 else key & 0xFF

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()


class Prompt:
    """A line of text typed into the window. text: so far. done: it was entered. cancelled: it was given up."""

    def __init__(self) -> None:
        self.text = ""
        self.done = False
        self.cancelled = False

    def press(self, key: int | None) -> None:
        """Take a key: printable ones add to the text, Backspace takes back, Enter ends it, Escape gives it up."""
        if key is None:
            return
        if key in _ESCAPE:
            self.cancelled = True
        elif key in _ENTER:
            self.done = bool(self.text.strip())
        elif key in _BACKSPACE:
            self.text = self.text[:-1]
        elif 32 <= key < 127 and len(self.text) < _MAX_NAME:
            self.text += chr(key)

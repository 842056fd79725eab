"""A window, where the installed OpenCV has one: shows frames and takes keys."""

from __future__ import annotations

import os
import sys

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.camera.optional_opencv import cv2

__all__ = ["Prompt", "Window", "window_problem"]

_TITLE = "oneshot"
_ESCAPE, _ENTER, _BACKSPACE = (27,), (10, 13), (8, 127)
_MAX_NAME = 64


def window_problem() -> str | None:
    """Why no window can be shown here, None when one can."""
    if not cv2.currentUIFramework():
        return (
            "the installed OpenCV is a headless build without windows (pip uninstall opencv-python-headless, then "
            "pip install 'oneshot-runtime[window]')"
        )
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "this session has no display"
    return None


class Window:
    """Shows frames until it is closed, where `window_problem` names none."""

    def __init__(self) -> None:
        cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)  # without a toolbar
        cv2.setMouseCallback(_TITLE, self._mouse)
        self._sized = False
        self._click: tuple[int, int] | None = None

    def show(self, image: NDArray[np.uint8]) -> int | None:
        """Show a picture; the code of the key that was pressed, None for none, and Escape's once the window is closed."""
        if not self._sized:
            cv2.resizeWindow(_TITLE, *_fitting(image.shape[1], image.shape[0]))
            self._sized = True
        cv2.imshow(_TITLE, image)
        key = int(cv2.waitKey(1))
        if cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1:
            return _ESCAPE[0]
        return None if key < 0 else key & 0xFF

    def clicked(self) -> tuple[int, int] | None:
        """Where the picture was clicked since the last call, x and y in its pixels."""
        click, self._click = self._click, None
        return click

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()

    def _mouse(self, event: int, x: int, y: int, *_: object) -> None:
        if event == cv2.EVENT_LBUTTONDOWN:
            self._click = x, y


def _fitting(width: int, height: int) -> tuple[int, int]:
    """A window as large as the frame, or as the screen has room for."""
    try:
        import tkinter

        root = tkinter.Tk()
        room = root.winfo_screenwidth() * 0.95, root.winfo_screenheight() * 0.85
        root.destroy()
    except Exception:  # no tkinter, or no screen that it can ask
        room = 1280.0, 720.0
    scale = min(1.0, room[0] / width, room[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


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

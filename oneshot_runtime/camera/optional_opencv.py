"""OpenCV, which everything in this package needs."""

from __future__ import annotations

import importlib
from typing import Any

from oneshot_runtime.errors import DependencyError

cv2: Any  # its own type hints know arrays of no particular dtype
try:
    cv2 = importlib.import_module("cv2")
except ImportError as error:
    raise DependencyError(
        f"the camera needs OpenCV ({error}): pip install 'oneshot-runtime[camera]', or opencv-python where a window is wanted"
    ) from error

__all__ = ["cv2"]

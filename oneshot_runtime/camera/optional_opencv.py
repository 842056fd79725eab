"""OpenCV, which everything in this package needs."""

from __future__ import annotations

import importlib
import re
from typing import Any

from oneshot_runtime.errors import DependencyError

cv2: Any  # its own type hints know arrays of no particular dtype
try:
    cv2 = importlib.import_module("cv2")
except ImportError as error:
    library = re.match(r"(lib\S+): cannot open shared object file", str(error))
    if library is not None:  # opencv-python draws windows with libraries that servers lack
        raise DependencyError(
            f"OpenCV is installed, but this system lacks {library[1]}: install it (Debian, Ubuntu: apt install libgl1 "
            "libglib2.0-0), or use opencv-python-headless, which needs none"
        ) from error
    raise DependencyError(
        f"the camera needs OpenCV ({error}): pip install 'oneshot-runtime[camera]', or the extra window where one is wanted"
    ) from error

__all__ = ["cv2"]

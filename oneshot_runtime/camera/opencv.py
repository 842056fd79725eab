"""OpenCV, which everything in this package needs."""

from __future__ import annotations

from oneshot_runtime.errors import DependencyError

try:
    import cv2
except ImportError as error:
    raise DependencyError(
        f"the camera needs OpenCV ({error}): pip install 'oneshot-runtime[camera]', or opencv-python where a window is wanted"
    ) from error

__all__ = ["cv2"]

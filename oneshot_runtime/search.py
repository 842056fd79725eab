"""Exact L1 distances of one code to many: OpenCV where the gallery is large enough to repay its import, else numpy."""

from __future__ import annotations

import functools
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.codes import sum_absolute_differences

__all__ = ["distances"]

_OPENCV_FROM_BYTES = 1 << 20
"""Matrices below this size are scanned by numpy in well under a millisecond; importing OpenCV takes a quarter second."""


def distances(codes: NDArray[np.uint8], query: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Sums of absolute differences int32 (S,) of a code uint8 (D,) to codes uint8 (S, D); the same from either engine."""
    opencv = _opencv() if codes.nbytes >= _OPENCV_FROM_BYTES else None
    if opencv is not None:
        # K=1: the nearest of the one query to each support, which is its distance.
        found, _ = opencv.batchDistance(codes, query[None], opencv.CV_32S, normType=opencv.NORM_L1, K=1)
        return np.ascontiguousarray(found[:, 0])
    return sum_absolute_differences(codes, query)


@functools.cache
def _opencv() -> ModuleType | None:
    """OpenCV of the `search` extra, None where it is not installed: numpy then gives the same answers, slower."""
    try:
        import cv2
    except ImportError:
        return None
    return cv2

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

_BLOCK_BYTES = 1 << 20
"""Numpy scans in blocks whose temporaries stay in the processor's cache."""


def distances(codes: NDArray[np.uint8], query: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sums of absolute differences int64 (S,) of a code uint8 (D,) to codes uint8 (S, D); the same from either engine."""
    opencv = _opencv() if codes.nbytes >= _OPENCV_FROM_BYTES else None
    if opencv is not None:
        # K=1: the nearest of the one query to each support, which is its distance.
        found, _ = opencv.batchDistance(codes, query[None], opencv.CV_32S, normType=opencv.NORM_L1, K=1)
        return np.asarray(found[:, 0], np.int64)
    block = max(1, _BLOCK_BYTES // max(1, codes.shape[1]))
    if len(codes) <= block:
        return sum_absolute_differences(codes, query)
    return np.concatenate([sum_absolute_differences(codes[i : i + block], query) for i in range(0, len(codes), block)])


@functools.cache
def _opencv() -> ModuleType | None:
    """OpenCV of the `search` extra, None where it is not installed: numpy then gives the same answers, slower."""
    try:
        import cv2
    except ImportError:
        return None
    return cv2

"""Codes: embeddings scaled by the head's weights and rounded to bytes, the form in which every store keeps a support.

`round(scale * w * e)` is clipped to 0..255; the L1 distance of two codes is a sum of absolute differences (SAD) of bytes, an
integer that is the same on every machine, and `bias - SAD / scale` is the head's logit on the decoded codes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.bundle import Head

__all__ = ["encode", "logits", "probabilities", "sum_absolute_differences"]


def encode(embeddings: NDArray[np.float32], head: Head) -> NDArray[np.uint8]:
    """Codes uint8 (N, D) of embeddings float32 (N, D)."""
    scaled = embeddings * (head.weights * np.float32(head.code_scale))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def sum_absolute_differences(codes: NDArray[np.uint8], query: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Exact L1 distances int64 (S,) of one code uint8 (D,) to codes uint8 (S, D).

    Bytes are added eight at a time inside 64-bit words: `|a - b| = max - min` never leaves a byte, even and odd bytes are
    spread to four 16-bit lanes, and up to 128 words fit a lane before it could overflow.
    """
    rows, dim = codes.shape
    differences = np.maximum(codes, query)
    differences -= np.minimum(codes, query)
    if dim % 8:
        padded = np.zeros((rows, dim + 8 - dim % 8), np.uint8)
        padded[:, :dim] = differences
        differences = padded
    words = np.ascontiguousarray(differences).view(np.uint64)
    total = np.zeros(rows, np.int64)
    for start in range(0, words.shape[1], _WORDS):
        lanes = _add_lanes(words[:, start : start + _WORDS])
        for shift in (0, 16, 32, 48):
            total += ((lanes >> np.uint64(shift)) & _LANE).astype(np.int64)
    return total


def logits(distances: NDArray[np.int64], head: Head) -> NDArray[np.float64]:
    """The head's logits of SADs, any shape."""
    return head.bias - distances / head.code_scale


def probabilities(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logistic function, without overflow at either end."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logit)))


_WORDS = 128
_EVEN = np.uint64(0x00FF00FF00FF00FF)
_LANE = np.uint64(0xFFFF)


def _add_lanes(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    even = np.bitwise_and(words, _EVEN)
    even += (words >> np.uint64(8)) & _EVEN
    lanes: NDArray[np.uint64] = np.add.reduce(even, axis=1)
    return lanes

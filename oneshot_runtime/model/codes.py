"""Codes: embeddings scaled by the head's weights and rounded to bytes, the form in which every store keeps a support.

`round(scale * w * e)` is clipped to 0..255; the L1 distance of two codes is a sum of absolute differences (SAD) of bytes, an
integer that is the same on every machine, and `bias - SAD / scale` is the head's logit on the decoded codes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.bundle import Head

__all__ = ["encode", "logits", "probabilities", "probability", "sum_absolute_differences"]


def encode(embeddings: NDArray[np.float32], head: Head) -> NDArray[np.uint8]:
    """Codes uint8 (N, D) of embeddings float32 (N, D)."""
    scaled = embeddings * head.code_weights
    np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled)
    return scaled.astype(np.uint8)


def sum_absolute_differences(codes: NDArray[np.uint8], query: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Exact L1 distances int32 (S,) of one code uint8 (D,) to codes uint8 (S, D), by numpy alone.

    `|a - b| = max - min` never leaves a byte; bytes are then added eight at a time inside 64-bit words, whose even and odd
    bytes spread to four 16-bit lanes. Rows are taken in blocks whose temporaries stay in the cache and are allocated once.
    """
    rows, dim = codes.shape
    if rows <= _FEW_ROWS:  # one pass of plain arithmetic is over before the blocks below are allocated
        difference = np.subtract(codes, query, dtype=np.int16)
        return np.asarray(np.abs(difference, out=difference).sum(axis=1, dtype=np.int32))
    width = -(-dim // 8) * 8
    block = max(1, min(rows, _BLOCK_BYTES // width))
    high, low = np.zeros((block, width), np.uint8), np.zeros((block, width), np.uint8)
    total = np.empty(rows, np.int32)
    for start in range(0, rows, block):
        part = codes[start : start + block]
        larger, smaller = high[: len(part)], low[: len(part)]
        np.maximum(part, query, out=larger[:, :dim])
        np.minimum(part, query, out=smaller[:, :dim])
        np.subtract(larger, smaller, out=larger)
        total[start : start + block] = _byte_sums(larger.view(np.uint64), smaller.view(np.uint64))
    return total


def logits(distances: NDArray[np.integer] | NDArray[np.float64], head: Head) -> NDArray[np.float64]:
    """The head's logits of SADs or means of them, any shape."""
    return np.asarray(head.bias - distances / head.code_scale)


def probabilities(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logistic function, without overflow at either end."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logit)))


def probability(distance: float, head: Head) -> float:
    """The head's probability at one SAD, or a mean of them; for a few of them faster than arrays are."""
    return 0.5 * (1 + math.tanh(0.5 * (head.bias - distance / head.code_scale)))


_FEW_ROWS = 128
_BLOCK_BYTES = 1 << 19
_LANE_WORDS = 128
"""Words that a 16-bit lane can add up: each brings two bytes, 510 at most."""
_EVEN = np.uint64(0x00FF00FF00FF00FF)
_LANE = np.uint64(0xFFFF)
_BYTE = np.uint64(8)


def _byte_sums(words: NDArray[np.uint64], scratch: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The sum of all bytes of each row of words (S, W), which are overwritten, as is `scratch`."""
    np.right_shift(words, _BYTE, out=scratch)
    np.bitwise_and(scratch, _EVEN, out=scratch)
    np.bitwise_and(words, _EVEN, out=words)
    np.add(words, scratch, out=words)
    total = np.zeros(len(words), np.uint64)
    for start in range(0, words.shape[1], _LANE_WORDS):
        lanes = np.einsum("ij->i", words[:, start : start + _LANE_WORDS])  # faster here than a sum over an axis
        for shift in (0, 16, 32, 48):
            total += (lanes >> np.uint64(shift)) & _LANE
    return total

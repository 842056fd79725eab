"""Canvases drawn by the project: the golden images, and what int8 is calibrated on. None of them is Omniglot's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_hand
from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess

__all__ = ["calibration_canvases", "golden_canvases"]


def golden_canvases(spec: PreprocessSpec) -> NDArray[np.uint8]:
    """32 symbols, each drawn by two hands, the two drawings adjacent: uint8 (64, H, W)."""
    rng = np.random.default_rng(11)
    symbols = invent_alphabet(32, seed=11)
    hands = (random_hand(rng), random_hand(rng))
    return np.stack([preprocess(draw(symbol, hand, rng), spec) for symbol in symbols for hand in hands])


def calibration_canvases(spec: PreprocessSpec) -> NDArray[np.uint8]:
    """256 drawings, each of another symbol by another hand: uint8 (256, H, W)."""
    rng = np.random.default_rng(12)
    symbols = [symbol for seed in range(16) for symbol in invent_alphabet(16, seed=100 + seed)]
    return np.stack([preprocess(draw(symbol, random_hand(rng), rng), spec) for symbol in symbols])

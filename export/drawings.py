"""Canvases drawn by the project: the golden images, and what int8 is calibrated on. None of them is Omniglot's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess

__all__ = ["calibration_canvases", "golden_canvases"]


def golden_canvases(spec: PreprocessSpec) -> NDArray[np.uint8]:
    """32 symbols, each drawn by two writers, the two drawings adjacent: uint8 (64, H, W)."""
    rng = np.random.default_rng(11)
    symbols = invent_alphabet(32, seed=11)
    writers = (random_writer(rng), random_writer(rng))
    return np.stack([preprocess(draw(symbol, writer, rng), spec) for symbol in symbols for writer in writers])


def calibration_canvases(spec: PreprocessSpec) -> NDArray[np.uint8]:
    """256 drawings, each of another symbol by another writer: uint8 (256, H, W)."""
    rng = np.random.default_rng(12)
    symbols = [symbol for seed in range(16) for symbol in invent_alphabet(16, seed=100 + seed)]
    return np.stack([preprocess(draw(symbol, random_writer(rng), rng), spec) for symbol in symbols])

"""Codes as galleries hold them: of the drawings that training makes from fonts, embedded by the shipped model.

A search that skips what a bound rules out depends on how codes lie; those of noise are all equally far, real ones are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.codes import encode
from oneshot_runtime.model.processor import available_cpus
from oneshot_runtime.model.session import open_embedder
from train.glyphs import glyph_sets

__all__ = ["real_codes"]

_BATCH = 512


def real_codes(
    size: int, queries: int, fonts: Sequence[Path], seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int]:
    """Codes uint8 (size, D) of scripts and pictograms, and queries uint8 (queries, D) of scripts that the model never saw.

    Returns both, and how many codes are of one drawing each; others take half of their components from another drawing.

    fonts: folders. Raises `train.omniglot.DatasetError` where they hold no usable font.
    """
    bundle = Bundle.open()
    sets, unseen = glyph_sets(fonts, bundle.spec, ("scripts", "pictograms"), progress=True)
    if unseen is None:
        raise SystemExit("the fonts have none of the held-out scripts, from which queries are taken: install fonts-noto-core")
    rng = np.random.default_rng(seed)
    canvases = np.concatenate([each.canvases.images for each in sets])
    chosen = rng.permutation(len(canvases))[:size]
    drawn = _codes(bundle, canvases[chosen])
    asked = _codes(bundle, unseen.images[rng.permutation(len(unseen.images))[:queries]])
    codes = np.empty((size, bundle.dim), np.uint8)
    codes[: len(drawn)] = drawn
    for start in range(len(drawn), size, len(drawn)):
        block = codes[start : start + len(drawn)]
        one, other = rng.permutation(drawn)[: len(block)], rng.permutation(drawn)[: len(block)]
        block[:] = np.where(rng.random((1, bundle.dim)) < 0.5, one, other)
    return codes, asked, len(drawn)


def _codes(bundle: Bundle, canvases: NDArray[np.uint8]) -> NDArray[np.uint8]:
    embedder = open_embedder(bundle, "cpu", "auto", available_cpus())
    batches = tqdm(range(0, len(canvases), _BATCH), desc="embedded", unit="batch", disable=None, leave=False)
    return np.concatenate([encode(embedder(canvases[at : at + _BATCH]), bundle.head) for at in batches])

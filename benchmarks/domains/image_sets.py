"""Sets of symbols to measure with: `NAME.npz` files, and whether their script is among what the model learned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.omniglot import DatasetError

__all__ = ["SymbolSet", "load_sets"]

_SEEN = {
    "chars74k": "Latin: in Omniglot, by other hands; print of other fonts",
    "opencv_digits": "digits: print of other fonts",
    "tifinagh": "in Omniglot, by other hands, and of fonts",
    "hiragana": "in Omniglot, by other hands, and of fonts",
    "hebrew": "in Omniglot, by other hands, and of fonts",
    "baybayin": "Tagalog in Omniglot, by other hands; syllables of fonts without vowel marks",
}
"""By the beginning of a set's name; every other set's script was not learned from."""


@dataclass(frozen=True)
class SymbolSet:
    """images: uint8 arrays (h, w) as their source has them. labels: int64 (N,). groups: int64 (N,), the deck, set or font that
    an image is of, or -1 where a set has none. seen: what was learned of this kind, "" for nothing.
    """

    name: str
    images: list[NDArray[np.uint8]]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    seen: str


def load_sets(folder: Path) -> list[SymbolSet]:
    """Every `NAME.npz` of a folder with `images` (N, H, W), `labels` and perhaps `groups`.

    Raises:
        DatasetError: the folder has none, or one is damaged.
    """
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise DatasetError(f"'{folder}' holds no sets: expected files NAME.npz with images and labels")
    return [_load(file) for file in files]


def _load(file: Path) -> SymbolSet:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            images, names = arrays["images"], arrays["labels"]
            groups = (
                np.unique(arrays["groups"], return_inverse=True)[1] if "groups" in arrays.files else np.full(len(names), -1)
            )
    except (OSError, KeyError, ValueError) as error:
        raise DatasetError(f"'{file}' is no set of images and labels: {error}") from error
    if images.dtype != np.uint8 or images.ndim != 3 or len(images) != len(names):
        raise DatasetError(f"'{file}': expected images uint8 (N, H, W) and N labels, got {images.dtype} {images.shape}")
    labels = np.unique(names, return_inverse=True)[1]
    seen = next((said for start, said in _SEEN.items() if file.stem.startswith(start)), "")
    return SymbolSet(file.stem, list(images), labels.astype(np.int64), groups.astype(np.int64), seen)

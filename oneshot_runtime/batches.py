"""From many images to embeddings: on a CPU a batch for each core, on a GPU in padded batches of a few sizes."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.bundle import Bundle
from oneshot_runtime.images import ImageSource
from oneshot_runtime.preprocess import preprocess
from oneshot_runtime.sessions import Embedder, open_embedder
from oneshot_runtime.workers import Workers

__all__ = ["BatchEmbedder"]

_BATCH = 16
"""Images embedded at once on a CPU: their maps stay in a core's cache."""

_BUCKETS = (1, 4, 16, 64, 256)
"""Batch sizes on a GPU, where each new shape stalls: batches are padded to one of these."""


class BatchEmbedder:
    """Embeds any number of images with at most `threads` threads; safe to share between threads."""

    def __init__(self, bundle: Bundle, embedder: Embedder, threads: int) -> None:
        self._bundle = bundle
        self._embedder = embedder
        self._workers = Workers(threads)
        self._threads = threads
        self._lock = threading.Lock()
        self._single: Embedder | None = embedder if embedder.threads == 1 else None

    def embed_images(self, images: Sequence[ImageSource]) -> NDArray[np.float32]:
        """Embeddings float32 (N, D); raises `ImageError` for an image that cannot be used."""
        spec = self._bundle.spec

        def canvases(part: slice) -> NDArray[np.uint8]:
            return np.stack([preprocess(image, spec) for image in images[part]])

        parts = _slices(len(images))
        if not parts:
            return np.empty((0, self._bundle.dim), np.float32)
        if self._embedder.device != "cpu":
            return self._padded(np.concatenate(self._workers.map(canvases, parts)))
        # Preprocessing beside another batch's embedding keeps the cores busier than both in turn with all threads.
        embedder = self._embedder if len(parts) == 1 else self._one_thread()
        return np.concatenate(self._workers.map(lambda part: embedder(canvases(part)), parts))

    def embed_canvases(self, canvases: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embeddings float32 (N, D) of canvases uint8 (H, W), one at least."""
        stack = np.stack(canvases)
        if self._embedder.device != "cpu":
            return self._padded(stack)
        parts = _slices(len(stack))
        embedder = self._embedder if len(parts) == 1 else self._one_thread()
        return np.concatenate(self._workers.map(lambda part: embedder(stack[part]), parts))

    def warmup(self) -> None:
        """Run every batch size once that can occur later, so that no later call has to set it up."""
        spec = self._bundle.spec
        if self._embedder.device == "cpu":
            self._embedder(np.zeros((1, spec.height, spec.width), np.uint8))
            self._one_thread()(np.zeros((_BATCH, spec.height, spec.width), np.uint8))
            return
        for size in _BUCKETS:
            self._embedder(np.zeros((size, spec.height, spec.width), np.uint8))

    def _padded(self, stack: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = []
        for start in range(0, len(stack), _BUCKETS[-1]):
            part = stack[start : start + _BUCKETS[-1]]
            size = next(bucket for bucket in _BUCKETS if bucket >= len(part))
            padded = np.zeros((size, *part.shape[1:]), np.uint8)
            padded[: len(part)] = part
            found.append(self._embedder(padded)[: len(part)])
        return np.concatenate(found)

    def _one_thread(self) -> Embedder:
        """A session of one thread, of which several threads may each run a batch; opened when it is first needed."""
        with self._lock:
            if self._single is None:
                self._single = open_embedder(self._bundle, "cpu", self._embedder.precision, 1)
            return self._single


def _slices(count: int) -> list[slice]:
    return [slice(start, start + _BATCH) for start in range(0, count, _BATCH)]

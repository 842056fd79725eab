"""From many images to embeddings: on a CPU a batch for each core, on a GPU in padded batches of a few sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import ImageError
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.fork_lock import ForkLock
from oneshot_runtime.model.session import Embedder, open_embedder
from oneshot_runtime.model.thread_pool import Workers
from oneshot_runtime.vision.decode import decode
from oneshot_runtime.vision.image_source import ImageSource, name_of
from oneshot_runtime.vision.picture import Picture
from oneshot_runtime.vision.preprocess import canvas_of, ways_to_read
from oneshot_runtime.vision.readings import Reading

__all__ = ["BatchEmbedder", "in_batch"]

_Answer = TypeVar("_Answer")

_BATCH, _LEAST = 32, 8
"""Images embedded at once on a CPU, so many that threads take turns rarely; fewer where each thread would not get as many, but
no fewer than are worth waking a thread for."""

_BUCKETS = (1, 4, 16, 64, 256)
"""Batch sizes on a GPU, where each new shape stalls: batches are padded to one of these."""


class BatchEmbedder:
    """Embeds any number of images with at most `threads` threads; safe to share between threads."""

    def __init__(self, bundle: Bundle, embedder: Embedder, threads: int) -> None:
        self._bundle = bundle
        self._embedder = embedder
        self._workers = Workers(threads)
        self._threads = threads
        self._lock = ForkLock()
        # Two threads in short numpy calls hand Python's lock to and fro thousands of times; one at a time, beside another
        # batch's decoding and embedding, is twice as fast.
        self._turn = ForkLock()
        self._single: Embedder | None = embedder if embedder.threads == 1 else None

    def embed_images(self, images: Sequence[ImageSource]) -> NDArray[np.float32]:
        """Embeddings float32 (N, D) of images, each read the likeliest way.

        Raises `ImageError` for an image that cannot be used, naming its place in a batch.
        """
        parts = self._parts(images, lambda embeddings, _: embeddings, None, every=False)
        return np.concatenate(parts) if parts else np.empty((0, self._bundle.dim), np.float32)

    def answers(
        self,
        images: Sequence[ImageSource],
        answer: Callable[[NDArray[np.float32], list[list[Reading]]], list[_Answer]],
        failures: dict[int, ImageError] | None = None,
    ) -> list[_Answer | ImageError]:
        """What `answer` makes of each batch, for all images in order: of the embeddings float32 (m, D) of all ways to read
        its images, one after another, and of those ways for each image.

        One `answer` runs at a time. failures: gets the error of each image that cannot be used, by its place, and the result
        has it in the place of the answer; without it the first one is raised.
        """
        found = chain.from_iterable(self._parts(images, answer, failures, every=True))
        if not failures:
            return list(found)
        return [failures[place] if place in failures else next(found) for place in range(len(images))]

    def _parts(
        self,
        images: Sequence[ImageSource],
        answer: Callable[[NDArray[np.float32], list[list[Reading]]], _Answer],
        failures: dict[int, ImageError] | None,
        *,
        every: bool,
    ) -> list[_Answer]:
        parts = self._slices(len(images))
        if not parts:
            return []
        if self._embedder.device != "cpu":
            stacks = self._workers.map(lambda part: self._canvases(images, part, failures, every), parts)
            canvases = np.concatenate([stack for stack, _ in stacks])
            return [answer(self._padded(canvases), [one for _, ways in stacks for one in ways])] if len(canvases) else []
        embedder = self._embedder if len(parts) == 1 else self._one_thread()

        def answered(part: slice) -> list[_Answer]:
            canvases, ways = self._canvases(images, part, failures, every)
            if not len(canvases):
                return []
            embeddings = embedder(canvases)
            with self._turn:
                return [answer(embeddings, ways)]

        return list(chain.from_iterable(self._workers.map(answered, parts)))

    def _canvases(
        self, images: Sequence[ImageSource], part: slice, failures: dict[int, ImageError] | None, every: bool
    ) -> tuple[NDArray[np.uint8], list[list[Reading]]]:
        """Canvases uint8 (m, H, W) of the ways to read the images that can be used, every way or the likeliest, and those."""
        spec, bad = self._bundle.spec, dict[int, ImageError]()
        pictures: dict[int, Picture] = {}
        for place, image in enumerate(images[part], part.start):
            try:
                pictures[place] = decode(image)
            except ImageError as error:
                bad[place] = in_batch(error, place, len(images))
        found: list[list[Reading]] = []
        with self._turn:
            for place, picture in pictures.items():
                try:
                    ways = ways_to_read(picture, spec, name_of(images[place]))
                    found.append(ways if every else ways[:1])
                except ImageError as error:
                    bad[place] = in_batch(error, place, len(images))
            canvases = [canvas_of(one, spec) for ways in found for one in ways]
        if bad:
            if failures is None:
                raise bad[min(bad)]
            failures.update(bad)
        return np.stack(canvases) if canvases else np.empty((0, spec.height, spec.width), np.uint8), found

    def embed_canvases(self, canvases: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embeddings float32 (N, D) of canvases uint8 (H, W), one at least."""
        stack = np.stack(canvases)
        if self._embedder.device != "cpu":
            return self._padded(stack)
        parts = self._slices(len(stack))
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

    def _slices(self, count: int) -> list[slice]:
        size = min(_BATCH, max(_LEAST, -(-count // self._threads)))
        return [slice(start, start + size) for start in range(0, count, size)]

    def _one_thread(self) -> Embedder:
        """A session of one thread, of which several threads may each run a batch; opened when it is first needed."""
        with self._lock:
            if self._single is None:
                self._single = open_embedder(self._bundle, "cpu", self._embedder.precision, 1)
            return self._single


def in_batch(error: ImageError, place: int, count: int) -> ImageError:
    """The error of the image at a place, counted from 0, of a batch of `count`; of a single image it is as it was."""
    if count == 1:
        return error
    named = ImageError(f"images[{place}]: {error}")
    named.__cause__ = error
    return named

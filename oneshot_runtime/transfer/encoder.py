"""From the bytes of pictures to what a store keeps of them: many at a time, a bad one among them harming none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import ImageError
from oneshot_runtime.model import codes
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.embedder import BatchEmbedder
from oneshot_runtime.model.fork_lock import ForkLock
from oneshot_runtime.model.processor import available_cpus
from oneshot_runtime.model.session import open_embedder
from oneshot_runtime.model.thread_pool import Workers
from oneshot_runtime.vision.decode import decode
from oneshot_runtime.vision.grey_png import thumbnail
from oneshot_runtime.vision.picture import Picture
from oneshot_runtime.vision.preprocess import canvas_of, ways_to_read

__all__ = ["EncodedImage", "ImageEncoder"]

_PART, _GPU_PART = 16, 256
"""Pictures that one thread decodes and embeds before it takes the next: what a core's cache holds, or a GPU is worth."""

_Decoded = tuple[str, Picture]
"""A picture's name, and the picture."""


@dataclass(frozen=True)
class EncodedImage:
    """A picture's code, D bytes, and its thumbnail, a PNG."""

    code: bytes
    thumbnail: bytes


class ImageEncoder:
    """Codes pictures with a bundle's embedding.

    Args:
        bundle: The model.
        device: As in `OneShotMatcher.load`, like the next three.
        precision: "fp32", "int8" or "auto".
        threads: The most threads it uses, by default one for each available processor.
        provider_options: Of the execution provider.

    Raises:
        BundleError: As `OneShotMatcher.load` does, like the next two.
        DeviceError: When the device does not run.
        DependencyError: When ONNX Runtime is missing.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        provider_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.bundle = bundle
        self.threads = threads or available_cpus()
        embedder = open_embedder(bundle, device, precision, self.threads, provider_options)
        self.precision = embedder.precision
        self._embedder = BatchEmbedder(bundle, embedder, threads=1)  # in each of this encoder's threads
        self._workers = Workers(self.threads)
        self._turn = ForkLock()  # as in `BatchEmbedder`
        self._part = _PART if embedder.device == "cpu" else _GPU_PART

    def __repr__(self) -> str:
        return f"ImageEncoder({self.bundle!r}, {self.precision}, threads={self.threads})"

    def encode(self, pictures: Sequence[tuple[str, bytes | str]]) -> list[EncodedImage | str]:
        """What becomes of each picture.

        Args:
            pictures: The path and the file's bytes of each; a text in the place of the bytes says why they could not be read.

        Returns:
            For each picture its code and thumbnail, or why it cannot be used.
        """
        parts = [pictures[start : start + self._part] for start in range(0, len(pictures), self._part)]
        return [outcome for part in self._workers.map(self._encode_part, parts) for outcome in part]

    def _encode_part(self, pictures: Sequence[tuple[str, bytes | str]]) -> list[EncodedImage | str]:
        decoded = [self._decode(picture) for picture in pictures]
        with self._turn:
            outcomes = [item if isinstance(item, str) else self._canvas(item) for item in decoded]
        usable = [item for item in outcomes if not isinstance(item, str)]
        if not usable:
            return [item for item in outcomes if isinstance(item, str)]
        thumbnails = map(thumbnail, [drawing for _, drawing in usable])  # packing runs beside other threads
        found = codes.encode(self._embedder.embed_canvases([canvas for canvas, _ in usable]), self.bundle.head)
        encoded = (EncodedImage(code.tobytes(), picture) for code, picture in zip(found, thumbnails, strict=True))
        return [item if isinstance(item, str) else next(encoded) for item in outcomes]

    def _decode(self, picture: tuple[str, bytes | str]) -> _Decoded | str:
        path, data = picture
        if isinstance(data, str):
            return data
        name = f"image {path!r}"
        try:
            return name, decode(data, name)
        except ImageError as error:
            return str(error)

    def _canvas(self, decoded: _Decoded) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | str:
        name, picture = decoded
        try:
            reading = ways_to_read(picture, self.bundle.spec, name)[0]
        except ImageError as error:
            return str(error)
        return canvas_of(reading, self.bundle.spec), reading.drawing

"""Bulk enrollment with the embedding on a Ray cluster: this process reads files and writes, actors decode and embed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from oneshot_runtime.cluster.fleet import RayFleet
from oneshot_runtime.errors import GalleryError, OneShotError
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.transfer.bulk import Encoding, Picture
from oneshot_runtime.transfer.encoder import EncodedImage, ImageEncoder

__all__ = ["encode_on_cluster"]

_AHEAD = 2
"""Chunks that an actor has before it: one to work on, one to go on with."""

_RETRIES = 3
"""Workers that may die over the same pictures before these are taken for the reason."""

_AGAIN = "what was written stays, run it again"


def encode_on_cluster(bundle: Bundle, workers: int, precision: str = "int8", seconds: float = 300.0) -> Encoding:
    """Encoding by `workers` actors of one processor each, for `enroll_folder`; at most two chunks of pictures wait for each.

    The bundle's folder must be there on every node. precision: one for all, since "auto" may differ between machines. A chunk
    that a dead actor had is coded again, three times at most. Raises `GalleryError` when no actor answers for so many seconds,
    or when they die over the same pictures, and what an actor raises about the model.
    """
    ray = RayFleet.require_cluster()

    def encode(chunks: Iterable[list[Picture]]) -> Iterator[tuple[list[Picture], list[EncodedImage | str]]]:
        options = {"num_cpus": 1, "max_restarts": -1, "max_task_retries": _RETRIES, "scheduling_strategy": "SPREAD"}
        actor = ray.remote(_Worker).options(**options)
        actors = [actor.remote(bundle, precision) for _ in range(workers)]
        waiting: deque[tuple[list[Picture], Any]] = deque()

        def first() -> tuple[list[Picture], list[EncodedImage | str]]:
            chunk, reference = waiting.popleft()
            try:
                return chunk, ray.get(reference, timeout=seconds)
            except ray.exceptions.GetTimeoutError as error:
                raise GalleryError(
                    f"no worker coded {len(chunk)} pictures within {seconds:.0f} s: the cluster has no {workers} free CPUs, or "
                    f"its workers die before they start (`ray status` tells); {_AGAIN}"
                ) from error
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, OneShotError):
                    raise error.cause from None
                raise GalleryError(f"a worker failed: {error.cause!r}; {_AGAIN}") from error
            except ray.exceptions.RayError as error:
                raise GalleryError(
                    f"workers died {_RETRIES + 1} times over the pictures '{chunk[0].path}' to '{chunk[-1].path}': one of them "
                    f"does it, or their nodes lack memory ({' '.join(str(error).split()):.300}); {_AGAIN}"
                ) from error

        try:
            for number, chunk in enumerate(chunks):
                pictures = [(picture.path, picture.data) for picture in chunk]
                waiting.append((chunk, actors[number % workers].encode.remote(pictures)))
                if len(waiting) >= _AHEAD * workers:
                    yield first()
            while waiting:
                yield first()
        finally:
            for one in actors:
                ray.kill(one)

    return encode


class _Worker:
    """An `ImageEncoder` made by the first question, so that what is wrong with the model is an answer like any other."""

    def __init__(self, bundle: Bundle, precision: str) -> None:
        self._bundle, self._precision = bundle, precision
        self._encoder: ImageEncoder | None = None

    def encode(self, pictures: Sequence[tuple[str, bytes | str]]) -> list[EncodedImage | str]:
        """What becomes of each picture."""
        if self._encoder is None:
            self._encoder = ImageEncoder(self._bundle, "cpu", self._precision, 1)
        return self._encoder.encode(pictures)

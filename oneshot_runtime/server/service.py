"""What the routes share: the matcher, its gallery's file, threads to work in, and reading images from requests."""

from __future__ import annotations

import asyncio
import io
import logging
import os
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import anyio
import anyio.to_thread
from fastapi import Depends, Request
from PIL import Image
from starlette.datastructures import UploadFile

from oneshot_runtime.errors import ImageError
from oneshot_runtime.matcher import OneShotMatcher
from oneshot_runtime.model.session import available_cpus
from oneshot_runtime.server.metrics import Metrics
from oneshot_runtime.server.microbatches import Answer, MatchQueue
from oneshot_runtime.server.problems import ProblemError
from oneshot_runtime.server.server_options import ServerOptions
from oneshot_runtime.vision.decode import FORMATS, MAX_PIXELS

__all__ = ["IMAGES_BODY", "Images", "Service", "TheService", "afterwards", "service_of"]

_LOG = logging.getLogger(__name__)
_Result = TypeVar("_Result")
_WAITING = 512
"""Requests that may wait for a thread before others are turned away."""

IMAGES_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One image as the body, or any number as files of a form.",
        "content": {
            "image/png": {"schema": {"type": "string", "format": "binary"}},
            "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
        },
    }
}


class Service:
    """A matcher at work for many requests. gallery: its file or address, None when it is in memory."""

    def __init__(self, matcher: OneShotMatcher, options: ServerOptions, gallery: str | os.PathLike[str] | None) -> None:
        self.matcher, self.options, self.gallery = matcher, options, gallery
        self.metrics = Metrics()
        self._matches = MatchQueue(matcher, options.batch)
        self._threads = anyio.CapacityLimiter(max(4, available_cpus()))

    async def read(self, work: Callable[[], _Result]) -> _Result:
        """The result of work that changes nothing, in a thread; given up after the time-out with a 503."""
        self._turn_away()
        with anyio.move_on_after(self.options.timeout):
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
        raise self._busy()

    async def match(self, image: bytes, top_k: int) -> Answer:
        """The match of one image, together with those that others ask about meanwhile; given up as `read` does."""
        if len(self._matches) >= _WAITING:
            raise _too_many()
        with anyio.move_on_after(self.options.timeout):
            answer: Answer = await asyncio.wrap_future(self._matches.ask(image, top_k))
            return answer
        raise self._busy()

    async def write(self, work: Callable[[], _Result]) -> _Result:
        """The result of work that changes the gallery: it is waited for, so that the answer tells what happened."""
        self._turn_away()
        return await anyio.to_thread.run_sync(work, limiter=self._threads)

    def _turn_away(self) -> None:
        if self._threads.statistics().tasks_waiting >= _WAITING:
            raise _too_many()

    def _busy(self) -> ProblemError:
        return ProblemError(503, f"no answer within {self.options.timeout:g} s: the server is busy")


def _too_many() -> ProblemError:
    return ProblemError(503, f"{_WAITING} requests are waiting already")


def afterwards(work: Callable[[], _Result]) -> _Result | None:
    """What an answer says beside a write that is done; None, and a line in the log, when it cannot be found out.

    An error would have the client write again what is written.
    """
    try:
        return work()
    except Exception:
        _LOG.warning("a write is done, but what its answer adds to that could not be found out", exc_info=True)
        return None


def service_of(request: Request) -> Service:
    """The service of the app that a request came to."""
    service: Service = request.app.state.service
    return service


TheService = Annotated[Service, Depends(service_of)]


async def _images(request: Request, service: TheService) -> list[bytes]:
    """The images of a request. Raises `ImageError` when there are none, or more pixels than one image may have."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=service.options.max_images, max_fields=0) as form:
            images = [await part.read() for _, part in form.multi_items() if isinstance(part, UploadFile)]
    else:
        images = [await request.body()]
    if not images:
        raise ImageError("the form holds no files: add one for each image, or send one image as the body")
    # Of a single image, decoding looks at the pixels.
    pixels = await service.read(lambda: sum(map(_pixels, images))) if len(images) > 1 else 0
    if pixels > MAX_PIXELS:
        raise ImageError(f"{len(images)} image(s) with {pixels} pixels together, more than {MAX_PIXELS}: scale them down")
    return images


Images = Annotated[list[bytes], Depends(_images)]


def _pixels(data: bytes) -> int:
    """Pixels that a header claims; 0 for what is no image, which decoding then says with its reason."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return image.width * image.height
    except Exception:
        return 0

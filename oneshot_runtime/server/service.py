"""What the routes share: the matcher, its gallery's file, threads to work in, and reading images from requests."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Annotated, Any, Literal, TypeVar

import anyio
from fastapi import Depends, Request
from starlette.datastructures import UploadFile

from oneshot_runtime.errors import ImageError, counted
from oneshot_runtime.matcher import OneShotMatcher
from oneshot_runtime.model.processor import available_cpus
from oneshot_runtime.server.lanes import WAITING, Lane, Room, too_many
from oneshot_runtime.server.metrics import Metrics
from oneshot_runtime.server.microbatches import Answer, MatchQueue
from oneshot_runtime.server.problems import ProblemError, folders_of, problem_of
from oneshot_runtime.server.request_body import BodyRoom
from oneshot_runtime.server.server_options import ServerOptions
from oneshot_runtime.vision.claim import MAX_PIXELS
from oneshot_runtime.vision.decode import claim_of_bytes

__all__ = ["IMAGES_BODY", "Far", "Images", "Service", "TheService", "afterwards", "images_of", "service_of"]

_LOG = logging.getLogger(__name__)
_Result = TypeVar("_Result")

_BODY_BYTES = 64 << 20
"""Of bodies in memory over all requests."""

_PICTURE_BYTES = 256 << 20
"""Of memory for large pictures while they are decoded, over all requests."""

_SMALL_PICTURE, _SMALL_FILE = 8 << 20, 256 << 10
"""Bytes of memory and of file up to which a picture is decoded in some milliseconds: it takes no turn."""

Far = float | Literal["none"]
"""A false accept rate; "none" refuses nothing."""

_RATES = 16
"""False accept rates other than the matcher's own that are kept at hand."""


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
    """A matcher at work for many requests. gallery: its file or address, None when it is in memory.

    Work goes in lanes of threads: what is quick (health, lists, metrics), single small pictures, others, live cameras, and
    writes. Large pictures take turns, so that memory stays bounded.
    """

    def __init__(self, matcher: OneShotMatcher, options: ServerOptions, gallery: str | os.PathLike[str] | None) -> None:
        self.matcher, self.options, self.gallery = matcher, options, gallery
        self.metrics = Metrics()
        self.bodies = BodyRoom(max(_BODY_BYTES, 2 * options.max_bytes))
        self.folders = folders_of(gallery, matcher.bundle.path / "manifest.json")
        self._at: dict[Far, OneShotMatcher] = {}
        self._matches = MatchQueue(matcher, options.batch)
        self._room = Room(_PICTURE_BYTES)
        cores = available_cpus()
        self._quick, self._pictures = Lane("quick", max(4, cores)), Lane("pictures", max(2, cores))
        self._live, self._writes = Lane("live", max(2, cores)), Lane("writes", max(4, cores))

    def at(self, far: Far | None) -> OneShotMatcher:
        """The matcher at a false accept rate, None for its own. Raises `OptionError`."""
        if far is None:
            return self.matcher
        if far not in self._at:
            if len(self._at) >= _RATES:
                self._at.clear()
            self._at[far] = self.matcher.with_far(None if far == "none" else far)
        return self._at[far]

    async def read(self, work: Callable[[], _Result], images: Sequence[bytes] = ()) -> _Result:
        """The result of work that changes nothing, in a thread; given up after the time-out with a 503.

        images: that the work decodes; it then waits for room beside other pictures.
        """
        with anyio.move_on_after(self.options.timeout):
            if images:
                return await asyncio.wrap_future(await self._with_room(self._pictures, work, await self._cost(images)))
            return await asyncio.wrap_future(self._quick.submit(work))
        raise self._busy()

    async def match(self, image: bytes, top_k: int) -> Answer:
        """The match of one image, together with those that others ask about meanwhile; given up as `read` does."""
        if len(image) > _SMALL_FILE or (claim := claim_of_bytes(image)) is None or claim.memory > _SMALL_PICTURE:
            start = time.perf_counter()
            match = await self.read(lambda: self.matcher.match(image, top_k), (image,))
            return Answer(match, time.perf_counter() - start)
        if len(self._matches) >= WAITING:
            raise too_many()
        with anyio.move_on_after(self.options.timeout):
            answer: Answer = await asyncio.wrap_future(self._matches.ask(image, top_k))
            return answer
        raise self._busy()

    async def write(self, work: Callable[[], _Result], images: Sequence[bytes] = ()) -> _Result:
        """The result of work that changes the gallery: it is waited for, so that the answer tells what happened.

        images: that the work decodes.
        """
        future = await self._with_room(self._writes, work, await self._cost(images) if images else 0)
        return await asyncio.shield(asyncio.wrap_future(future))

    async def live(self, work: Callable[[], _Result]) -> _Result:
        """The result of work on a camera's frame, which is waited for: a session is for one thread at a time."""
        return await asyncio.shield(asyncio.wrap_future(self._live.submit(work)))

    def shown(self, error: Exception) -> str:
        """What a client is told about an error."""
        return problem_of(error).shown(self.folders)

    async def _with_room(self, lane: Lane, work: Callable[[], _Result], size: int) -> Future[_Result]:
        """Work that has begun, or waits for a thread, with room that it keeps until it ends, whoever waits for it."""
        entered = await self._room.enter(size) if size else 0
        try:
            future = lane.submit(work)
        except BaseException:
            self._room.leave(entered)
            raise
        if entered:
            loop = asyncio.get_running_loop()

            def leave(_: object) -> None:
                with suppress(RuntimeError):  # the loop is closed: the server has stopped
                    loop.call_soon_threadsafe(self._room.leave, entered)

            future.add_done_callback(leave)
        return future

    async def _cost(self, images: Sequence[bytes]) -> int:
        """Bytes of memory that decoding takes; 0 for what is small. Raises `ImageError`."""

        def cost() -> int:
            claims = [claim_of_bytes(image) for image in images]
            pixels = sum(claim.pixels for claim in claims if claim is not None)
            if pixels > MAX_PIXELS:
                raise ImageError(
                    f"{counted(len(images), 'image')} with {pixels} pixels together, more than {MAX_PIXELS}: scale them down"
                )
            return sum(claim.memory for claim in claims if claim is not None)

        if sum(map(len, images)) <= _SMALL_FILE:
            total = cost()
        else:
            total = await asyncio.wrap_future(self._pictures.submit(cost))
        return 0 if total <= _SMALL_PICTURE else total

    def _busy(self) -> ProblemError:
        return ProblemError(503, f"no answer within {self.options.timeout:g} s: the server is busy")


def afterwards(work: Callable[[], _Result]) -> _Result | None:
    """What an answer says beside a write that is done; None, and a line in the log, when it cannot be found out.

    An error would have the client write again what is written.
    """
    try:
        return work()
    except Exception:
        _LOG.warning("a write is done, but what its answer adds to that could not be found out", exc_info=True)
        return None


async def service_of(request: Request) -> Service:
    """The service of the app that a request came to. Asynchronous, since FastAPI calls others in a thread."""
    service: Service = request.app.state.service
    return service


TheService = Annotated[Service, Depends(service_of)]


async def images_of(request: Request, service: TheService) -> list[bytes]:
    """The images of a request. Raises `ImageError` when there are none."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=service.options.max_images, max_fields=0) as form:
            images = [await part.read() for _, part in form.multi_items() if isinstance(part, UploadFile)]
    else:
        images = [await request.body()]
    if not images:
        raise ImageError("the form holds no files: add one for each image, or send one image as the body")
    return images


Images = Annotated[list[bytes], Depends(images_of)]

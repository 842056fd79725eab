"""The body of a request while it arrives: bounded in bytes and time, and over all requests together."""

from __future__ import annotations

import time

import anyio
from starlette.types import Message, Receive

from oneshot_runtime.server.problems import ProblemError

__all__ = ["BodyRoom", "RequestBody", "too_large"]

_EACH = 64 << 10
"""Bytes that every request may send without asking for room: a drawing always gets in."""


class BodyRoom:
    """Bytes of bodies that are kept in memory over all requests."""

    def __init__(self, size: int) -> None:
        self.free = size


class RequestBody:
    """`receive` of a request that raises `ProblemError` for a body that is too large, comes too slowly, or finds no room.

    limit: bytes. seconds: until all of it has to be there. room: None for a body that is not kept.
    """

    def __init__(self, receive: Receive, limit: int, seconds: float, room: BodyRoom | None) -> None:
        self._receive, self.limit, self._seconds, self._room = receive, limit, seconds, room
        self._deadline = time.monotonic() + seconds
        self._received = self._held = 0
        self._complete = False
        self.problem: ProblemError | None = None
        """What was raised: a framework may turn it into an error of its own."""

    async def __call__(self) -> Message:
        """The next message of the server."""
        if self._complete:  # what comes now is only the news that the client has gone
            return await self._receive()
        try:
            with anyio.fail_after(max(0.0, self._deadline - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise self._refuse(408, f"the request's body did not arrive within {self._seconds:g} s") from None
        self._received += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._received > self.limit:
            self.problem = too_large(self.limit)
            raise self.problem
        if self._room is not None and (more := self._received - _EACH - self._held) > 0:
            if more > self._room.free:
                raise self._refuse(503, "the bodies of other requests take all the memory there is for them")
            self._room.free -= more
            self._held += more
        return message

    def close(self) -> None:
        """Give the room back."""
        if self._room is not None:
            self._room.free += self._held
        self._held = 0

    def _refuse(self, status: int, text: str) -> ProblemError:
        self.problem = ProblemError(status, text)
        return self.problem


def too_large(limit: int) -> ProblemError:
    """The answer to a body of more than `limit` bytes."""
    return ProblemError(413, f"the request's body has more than the {limit} bytes that are read")

"""Threads for the work of requests, in lanes: what is quick never waits behind pictures, and no lane grows without bounds."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from oneshot_runtime.errors import OneShotError
from oneshot_runtime.server.problems import ProblemError

__all__ = ["WAITING", "Lane", "Room", "light_errors", "too_many"]

_Result = TypeVar("_Result")

WAITING = 512
"""Requests that may wait in a lane before others are turned away."""


class Lane:
    """Some threads and a bounded queue before them. Work that nobody waits for any more keeps its thread until it ends."""

    def __init__(self, name: str, threads: int) -> None:
        self._threads, self._pool = threads, ThreadPoolExecutor(threads, name)
        self._lock, self._pending = threading.Lock(), 0

    def submit(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Start work as soon as a thread is free. Raises `ProblemError` when too much waits already."""
        with self._lock:
            if self._pending >= WAITING + self._threads:
                raise too_many()
            self._pending += 1
        future = self._pool.submit(light_errors, work)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: object) -> None:
        with self._lock:
            self._pending -= 1


class Room:
    """Bytes of memory that pictures may take while they are decoded, over all requests; those that come first go first.

    For one event loop. A picture that is larger than the room goes alone.
    """

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def enter(self, size: int) -> int:
        """Wait for room; gives what `leave` is to be called with."""
        size = min(size, self._size)
        if self._waiting or size > self._free:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.cancelled():
                    with suppress(ValueError):  # its turn came in between, and went to the next
                        self._waiting.remove((size, turn))
                    self._call_next()
                else:
                    self.leave(size)
                raise
        else:
            self._free -= size
        return size

    def leave(self, size: int) -> None:
        """Give back what `enter` gave."""
        self._free += size
        self._call_next()

    def _call_next(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._free -= size
                turn.set_result(None)


def light_errors(work: Callable[[], _Result]) -> _Result:
    """The result of work; an error of the library's comes without the frames that it went through.

    They hold pictures, in a circle with the error that waits for the next garbage collection.
    """
    try:
        return work()
    except OneShotError as error:
        error.__context__ = error.__cause__ = None
        raise error.with_traceback(None) from None


def too_many() -> ProblemError:
    """The answer to a request that finds too many before it."""
    return ProblemError(503, f"{WAITING} requests are waiting already")

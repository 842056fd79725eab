"""Micro-batches: single images that several clients ask about at once are matched together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from oneshot_runtime.errors import ImageError
from oneshot_runtime.matcher import OneShotMatcher
from oneshot_runtime.results import Match
from oneshot_runtime.server.lanes import light_errors

__all__ = ["Answer", "MatchQueue"]

_THREADS = 2
"""Of matching: one goes on while the other decodes. More would only wait for each other's turn in Python."""


@dataclass(frozen=True)
class Answer:
    """A match and the seconds of work on it and on those that were matched with it."""

    match: Match
    seconds: float


@dataclass(frozen=True)
class _Asked:
    image: bytes
    top_k: int
    answer: Future[Answer] = field(default_factory=Future)


class MatchQueue:
    """Single images waiting for their match. None waits for others: what came while a thread was busy is the next batch.

    batch: images that are matched together at most. Only those that ask for equally many candidates are, so that an answer does
    not depend on who else asks.
    """

    def __init__(self, matcher: OneShotMatcher, batch: int) -> None:
        self._matcher, self._batch = matcher, batch
        self._waiting: deque[_Asked] = deque()
        self._taking = threading.Lock()
        self._threads = ThreadPoolExecutor(_THREADS, "match")

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, image: bytes, top_k: int) -> Future[Answer]:
        """The match of an encoded image; cancelling it takes the image out of the queue."""
        asked = _Asked(image, top_k)
        self._waiting.append(asked)
        self._threads.submit(self._next)  # finds nothing to do where an earlier one took this image along
        return asked.answer

    def _next(self) -> None:
        batch = self._take()
        if len(batch) > 1:
            try:
                self._together(batch)
            except BaseException as error:  # of all: a gallery that is away would be waited for once for each
                for asked in batch:
                    asked.answer.set_exception(error)
        elif batch:
            self._alone(batch[0])

    def _take(self) -> list[_Asked]:
        """The images to match next; for those that are left there are at least as many later calls."""
        batch: list[_Asked] = []
        with self._taking:
            while self._waiting and len(batch) < self._batch:
                if batch and self._waiting[0].top_k != batch[0].top_k:
                    break
                asked = self._waiting.popleft()
                if asked.answer.set_running_or_notify_cancel():
                    batch.append(asked)
        return batch

    def _together(self, batch: Sequence[_Asked]) -> None:
        start = time.perf_counter()
        matches = self._matcher.match_batch([asked.image for asked in batch], batch[0].top_k, on_error="return")
        seconds = time.perf_counter() - start
        for asked, match in zip(batch, matches, strict=True):
            if isinstance(match, ImageError):
                # As it is of the image alone: its place is among those of other clients.
                asked.answer.set_exception(match.__cause__ if isinstance(match.__cause__, ImageError) else match)
            else:
                asked.answer.set_result(Answer(match, seconds))

    def _alone(self, asked: _Asked) -> None:
        start = time.perf_counter()
        try:
            match = light_errors(lambda: self._matcher.match(asked.image, asked.top_k))
        except BaseException as error:
            asked.answer.set_exception(error)
        else:
            asked.answer.set_result(Answer(match, time.perf_counter() - start))

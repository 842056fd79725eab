"""Threads for work that numpy, OpenCV and ONNX Runtime do outside Python's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor  # now: a process forked while another thread imports it would wait for ever
from typing import TypeVar

from oneshot_runtime.model.fork_lock import ForkLock

__all__ = ["Workers"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Workers:
    """At most `count` threads, started when they are first needed; between calls they sleep."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = ForkLock()
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def map(self, function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """`function` of every item, in order; the first error is raised. One item, or one worker, stays on this thread."""
        if self._count == 1 or len(items) < 2:
            return [function(item) for item in items]
        return list(self._executor().map(function, items))

    def _executor(self) -> ThreadPoolExecutor:
        with self._lock:
            # A forked process has the pool, but not its threads.
            if self._pool is None or self._process != os.getpid():
                self._pool = ThreadPoolExecutor(self._count, thread_name_prefix="oneshot")
                self._process = os.getpid()
            return self._pool

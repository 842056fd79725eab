"""A lock that a forked process finds free, whichever thread of its parent held it."""

from __future__ import annotations

import os
import threading
from functools import cache
from types import TracebackType
from weakref import WeakSet

__all__ = ["ForkLock"]

_locks: WeakSet[ForkLock] = WeakSet()


class ForkLock:
    """A reentrant lock. Use it where what it guards can be read whenever a fork happens, such as a published snapshot."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)
        _renew_after_forks()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Make it free."""
        self._lock = threading.RLock()


@cache
def _renew_after_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_renew)


def _renew() -> None:
    for lock in list(_locks):
        lock.renew()

"""Forks and transactions take turns.

SQLite's knowledge of who has locked a file is copied into a child, where nobody ever gives the locks back: a child made in the
middle of another thread's transaction could not open the file again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ForkPause"]

_PATIENCE = 10.0
"""Seconds that a fork waits for transactions at most; the child of one that did not end finds the file locked."""


class ForkPause:
    """Counts the threads in a transaction."""

    def __init__(self) -> None:
        self._mine = threading.local()
        self.renew()

    def renew(self) -> None:
        """What a child begins with: it has none of its parent's other threads."""
        self._changed = threading.Condition()
        self._inside = self._forks = 0
        self._mine.forks = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """No fork happens inside the block, but by its own thread. Blocks of one thread may be nested."""
        depth = getattr(self._mine, "depth", 0)
        if not depth:
            with self._changed:
                if not getattr(self._mine, "forks", False):  # a handler of a signal may come in the middle of a fork
                    self._changed.wait_for(lambda: not self._forks, 2 * _PATIENCE)
                self._inside += 1
        self._mine.depth = depth + 1
        try:
            yield
        finally:
            self._mine.depth = depth
            if not depth:
                with self._changed:
                    self._inside = max(0, self._inside - 1)  # a child begins with none, also in the middle of a block
                    self._changed.notify_all()

    def before_fork(self) -> None:
        """Wait for the transactions that are open, and hold up others."""
        own = int(getattr(self._mine, "depth", 0) > 0)
        self._mine.forks = True
        with self._changed:
            self._forks += 1
            self._changed.wait_for(lambda: self._inside <= own, _PATIENCE)

    def after_fork(self) -> None:
        """Let them go on."""
        self._mine.forks = False
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()

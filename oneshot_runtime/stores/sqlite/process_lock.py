"""Taking turns with other processes by a lock that nothing else in this process takes away.

SQLite's own locks are POSIX locks: whenever anything in the process closes the file, as `shutil.copy` does, they are gone. So
who writes or reads takes a lock of the open file as well (`flock`), by handles that are closed after the last connection only.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from weakref import WeakSet

from oneshot_runtime.errors import GalleryError

try:
    import fcntl
except ImportError:  # Windows, whose locks are no one else's
    fcntl = None  # type: ignore[assignment]

__all__ = ["FileLock", "drop_lock", "take_lock"]

_PAUSE = 0.0005
_registry_lock = threading.Lock()
_locks: dict[tuple[int, int], FileLock] = {}
_connections: WeakSet[sqlite3.Connection] = WeakSet()


class FileLock:
    """The lock of one file, for all who have it open in this process. Others wait as long as SQLite would."""

    def __init__(self, path: Path) -> None:
        self.users = 0
        self._path = path
        self._writer, self._reader = (os.open(path, os.O_RDONLY | os.O_CLOEXEC) for _ in range(2))
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self._readers = 0
        self._writing = False

    @contextmanager
    def writing(self, seconds: float) -> Iterator[None]:
        """Nobody else reads or writes, but who reads in this process."""
        if not self._write_lock.acquire(timeout=seconds):
            raise self._busy(seconds)
        try:
            self._wait(self._writer, exclusive=True, seconds=seconds)
            self._writing = True
            try:
                yield
            finally:
                self._writing = False
                self._unlock(self._writer)
        finally:
            self._write_lock.release()

    @contextmanager
    def reading(self, seconds: float) -> Iterator[None]:
        """No other process writes."""
        with self._read_lock:
            if not self._readers and not self._writing:  # else this process keeps the others out already
                self._wait(self._reader, exclusive=False, seconds=seconds)
            self._readers += 1
        try:
            yield
        finally:
            with self._read_lock:
                self._readers -= 1
                if not self._readers:
                    self._unlock(self._reader)

    def close(self) -> None:
        """Close the handles, once no connection is open any more."""
        for handle in (self._writer, self._reader):
            os.close(handle)

    def _wait(self, handle: int, *, exclusive: bool, seconds: float) -> None:
        give_up = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise self._busy(seconds) from None
                time.sleep(_PAUSE)
            except OSError:  # a file system without such locks
                return
            else:
                return

    def _unlock(self, handle: int) -> None:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)

    def _busy(self, seconds: float) -> GalleryError:
        return GalleryError(
            f"gallery '{self._path}' cannot be used: another process has kept it locked for {seconds:.0f} s: wait for it, or "
            "end it"
        )


def take_lock(path: Path, connection: sqlite3.Connection) -> tuple[tuple[int, int], FileLock | None]:
    """The lock of the file that a connection has opened, to be given back by `drop_lock`."""
    _follow_forks()
    status = path.stat()
    key = status.st_dev, status.st_ino
    with _registry_lock:
        _connections.add(connection)
        if fcntl is None:
            return key, None
        if key not in _locks:
            _locks[key] = FileLock(path)
        _locks[key].users += 1
        return key, _locks[key]


def drop_lock(key: tuple[int, int]) -> None:
    """One connection less; the last one closes the handles."""
    with _registry_lock:
        found = _locks.get(key)
        if found is not None:
            found.users -= 1
            if not found.users:
                _locks.pop(key).close()


@cache
def _follow_forks() -> None:
    """A child that a fork makes must not hold on to locks of its parent, nor roll its transactions back."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_registry_lock.acquire, after_in_parent=_registry_lock.release, after_in_child=_forget)


def _forget() -> None:
    for lock in _locks.values():
        with suppress(OSError):
            lock.close()
    _locks.clear()
    for connection in list(_connections):
        # Never closed here, not even when the child ends: SQLite would undo what the parent is writing.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
    _registry_lock.release()

"""Taking turns with other processes by a lock that nothing else in this process takes away.

SQLite's own locks are POSIX locks: whenever anything in the process closes the file, as `shutil.copy` does, they are gone. So
who writes or reads takes a lock of the open file as well (`flock`), by handles that are closed after the last connection only.

That lock is free only while nobody reads, and among many readers it never is. Whoever comes therefore waits at a gate first, a
lock of one byte of the open file: who writes keeps it shut until those who read are done, who reads until the writer is.
Threads of one process share the readers' lock, so there it is asked before whether a writer of this process waits.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from weakref import WeakSet

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.stores.sqlite.fork_pause import ForkPause

try:
    import fcntl
except ImportError:  # Windows, whose locks are no one else's
    fcntl = None  # type: ignore[assignment]

__all__ = ["FileLock", "drop_lock", "follow_forks", "take_lock", "transactions"]

_PAUSE = 0.0005
_SET_GATE = getattr(fcntl, "F_OFD_SETLK", None)
"""Linux has locks of bytes that belong to the open file; elsewhere there is no gate."""

_GATE = 1 << 62
"""The byte: far behind those of SQLite's locks."""

_registry_lock = threading.Lock()
transactions = ForkPause()
"""Of all files in this process."""

_locks: dict[tuple[int, int], FileLock] = {}
_connections: WeakSet[sqlite3.Connection] = WeakSet()


class FileLock:
    """The lock of one file, for all who have it open in this process. Others wait as long as SQLite would."""

    def __init__(self, path: Path) -> None:
        self.users = 0
        self._path = path
        self._writer, self._reader = _open(path, os.O_RDWR), _open(path, os.O_RDONLY)
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self._mine = threading.local()
        self._readers = 0
        self._waits = self._writing = False

    @contextmanager
    def writing(self, seconds: float) -> Iterator[None]:
        """Nobody else reads or writes, but who reads in this process."""
        with transactions.transaction():
            yield from self._write(seconds)

    def _write(self, seconds: float) -> Iterator[None]:
        give_up = time.monotonic() + seconds
        if not self._write_lock.acquire(timeout=seconds):
            raise self._busy(seconds)
        try:
            self._waits = True  # whoever comes from now on to read in this process comes after it
            try:
                self._wait(lambda: _shut_gate(self._writer, fcntl.F_WRLCK), give_up, seconds)
                self._wait(lambda: _take(self._writer, fcntl.LOCK_EX), give_up, seconds)
                self._writing = True
            finally:
                self._waits = False
                _open_gate(self._writer)
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
        depth = getattr(self._mine, "depth", 0)
        with transactions.transaction():
            if not depth:
                self._wait(lambda: not self._waits, time.monotonic() + seconds, seconds)
            self._mine.depth = depth + 1
            try:
                yield from self._read(seconds)
            finally:
                self._mine.depth = depth

    def _read(self, seconds: float) -> Iterator[None]:
        with self._read_lock:
            if not self._readers:
                give_up = time.monotonic() + seconds
                try:
                    self._wait(lambda: self._writing or _shut_gate(self._reader, fcntl.F_RDLCK), give_up, seconds)
                    self._wait(lambda: self._writing or _take(self._reader, fcntl.LOCK_SH), give_up, seconds)
                finally:
                    _open_gate(self._reader)
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

    def _wait(self, attempt: Callable[[], bool], give_up: float, seconds: float) -> None:
        while not attempt():
            if time.monotonic() > give_up:
                raise self._busy(seconds)
            time.sleep(_PAUSE)

    def _unlock(self, handle: int) -> None:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)

    def _busy(self, seconds: float) -> GalleryError:
        return GalleryError(
            f"gallery '{self._path}' cannot be used: another process has kept it locked for {seconds:.0f} s: wait for it, or "
            "end it"
        )


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except OSError:
        if flags == os.O_RDONLY:
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # of who may only read, and will not write


def _take(handle: int, kind: int) -> bool:
    """Whether the lock of the file could be had, or there is none on this file system."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _shut_gate(handle: int, kind: int) -> bool:
    """Whether the gate could be had, or there is none."""
    if _SET_GATE is None:
        return True
    try:
        fcntl.fcntl(handle, _SET_GATE, struct.pack("hhqqi", kind, os.SEEK_SET, _GATE, 1, 0))
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


def _open_gate(handle: int) -> None:
    _shut_gate(handle, fcntl.F_UNLCK)


def take_lock(path: Path, connection: sqlite3.Connection) -> tuple[tuple[int, int], FileLock | None]:
    """The lock of the file that a connection has opened, to be given back by `drop_lock`."""
    follow_forks()
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
def follow_forks() -> None:
    """A child that a fork makes must not hold on to locks of its parent, nor roll its transactions back."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_forget)


def _before_fork() -> None:
    transactions.before_fork()
    _registry_lock.acquire()


def _after_fork() -> None:
    _registry_lock.release()
    transactions.after_fork()


def _forget() -> None:
    transactions.renew()
    for lock in _locks.values():
        with suppress(OSError):
            lock.close()
    _locks.clear()
    for connection in list(_connections):
        # Never closed here, not even when the child ends: SQLite would undo what the parent is writing.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
    _registry_lock.release()

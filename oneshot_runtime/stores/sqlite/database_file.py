"""The gallery's file on the disk: opening it safely, creating it whole, and noticing when it goes away."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from pathlib import Path

from oneshot_runtime.errors import GalleryError, OneShotError
from oneshot_runtime.stores.sqlite.process_lock import FileLock, drop_lock, follow_forks, take_lock, transactions

__all__ = ["BUSY_SECONDS", "UNREADABLE", "GalleryFile", "sync_folder", "transaction"]

BUSY_SECONDS = 30.0

UNREADABLE = (sqlite3.DatabaseError, MemoryError)
"""What reading a damaged page raises: an impossible length on one makes SQLite ask for more memory than there is."""

_LINK_SECONDS = 1.0
"""How long a file that is being created may have two names."""

_LIMITS = {"SQLITE_LIMIT_LENGTH": 1 << 27, "SQLITE_LIMIT_SQL_LENGTH": 1 << 16, "SQLITE_LIMIT_EXPR_DEPTH": 50}


class GalleryFile:
    """A path that must stay the same file while it is open. Every error is a `GalleryError` that names it.

    The file is opened by SQLite only: whoever closes it in this process takes SQLite's locks away, as POSIX has it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not isinstance(path, str | os.PathLike):
            raise GalleryError(f"a gallery is the path of a file, got {type(path).__name__}: {path!r:.80}")
        self.path = Path(path)
        self._process = os.getpid()
        self._bound: tuple[int, int] | None = None
        self._lock: FileLock | None = None
        self._least_size = 0
        with self.errors():
            # SQLite names its journal after the target of a link; an absolute path is never one of its special names.
            self.real = self.path.resolve()
            self._beside = [f"{self.real}{ending}" for ending in ("-journal", "-wal")]
            self._status()

    @property
    def repair(self) -> str:
        """What every error about a damaged gallery ends with."""
        return f"restore it from a backup, or save what is intact with `oneshot gallery check --repair --gallery '{self.path}'`"

    def exists(self) -> bool:
        """Whether there is a file. Raises for a directory, a device, a file with a second name, and one that was emptied."""
        return self._status() is not None

    def connect(self) -> sqlite3.Connection:
        """A connection to the file that is there, for threads that lock it themselves; it may be one that can only be read."""
        self.guard()
        with self.errors():
            self.require_files_beside()
            uri = f"{self.real.as_uri()}?mode=rw"
            connection = sqlite3.connect(
                uri, timeout=BUSY_SECONDS, uri=True, isolation_level=None, check_same_thread=False, factory=_Connection
            )
            connection.key, self._lock = take_lock(self.real, connection)
            for name, most in _LIMITS.items():
                if hasattr(connection, "setlimit"):  # since Python 3.11
                    connection.setlimit(getattr(sqlite3, name), most)
        return connection

    def reading(self) -> AbstractContextManager[None]:
        """No other process writes meanwhile."""
        return nullcontext() if self._lock is None else self._lock.reading(BUSY_SECONDS)

    def writing(self, seconds: float | None = None) -> AbstractContextManager[None]:
        """No other process reads or writes meanwhile. seconds: to wait for those who do."""
        return nullcontext() if self._lock is None else self._lock.writing(BUSY_SECONDS if seconds is None else seconds)

    def bind(self, connection: sqlite3.Connection) -> None:
        """Remember which file this is, inside a transaction of a connection that has read from it."""
        with self.errors():
            status = self.real.stat()
            if self._bound not in (None, _identity(status)):
                raise self._gone("replaced by another file")
            self._bound = _identity(status)
            self.require_size(connection)

    def is_ours(self) -> bool:
        """Whether this is the process that the file was opened in, not one forked from it."""
        return os.getpid() == self._process

    def guard(self) -> None:
        """Raise when the file was removed, replaced or cut off, or the process forked: what is written would be lost."""
        if not self.is_ours():
            raise GalleryError(f"gallery '{self.path}' was opened before this process forked: open it again after the fork")
        if self._bound is None:
            return
        least = self._least_size  # before the size, for another thread may write meanwhile
        try:
            status = self.real.stat()
        except OSError:
            raise self._gone("removed") from None
        if _identity(status) != self._bound:
            raise self._gone("replaced by another file")
        if status.st_size < least:
            raise self._gone(f"cut off from {least} to {status.st_size} bytes")

    def require_files_beside(self) -> None:
        """Raise for what SQLite would open as its journal and never come back from, such as a FIFO."""
        for name in self._beside:
            try:
                mode = os.lstat(name).st_mode
            except OSError:
                continue
            if not stat.S_ISREG(mode):
                raise GalleryError(f"'{name}' is where SQLite keeps a journal of gallery '{self.path}', and no file: remove it")

    def require_size(self, connection: sqlite3.Connection) -> None:
        """Raise unless the file has all pages that it must have, inside a transaction, which keeps them."""
        pages, page = connection.execute("SELECT * FROM pragma_page_count, pragma_page_size").fetchone()
        size = self.real.stat().st_size
        if size < pages * page:
            raise self._gone(f"cut off from {pages * page} to {size} bytes")
        self._least_size = pages * page

    def create(self, fill: Callable[[sqlite3.Connection], None]) -> None:
        """Make the file with what `fill` writes, whole or not at all; one that another process made meanwhile stays."""
        follow_forks()
        with self.errors(), transactions.transaction():
            fresh = self.real.with_name(f".{self.real.name}.new-{uuid.uuid4().hex}")
            os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
            try:
                with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
                    connection.execute("PRAGMA synchronous = EXTRA")
                    with transaction(connection):
                        fill(connection)
                _place(fresh, self.real)
            finally:
                fresh.unlink(missing_ok=True)
            sync_folder(self.real.parent)

    def require_creatable(self) -> None:
        """Raise unless a file could be made here."""
        if not os.access(self.real.parent, os.W_OK | os.X_OK):
            raise GalleryError(f"gallery '{self.path}' does not exist, and the folder '{self.real.parent}' is not writable")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what SQLite and the system raise into `GalleryError`s with a remedy."""
        try:
            yield
        except OneShotError:
            raise
        # A damaged file also gives values of any type; a NUL in the path is a ValueError.
        except (sqlite3.Error, OSError, ValueError, TypeError, RuntimeError, MemoryError) as error:
            said = str(error) or "out of memory"
            raise GalleryError(f"gallery '{self.path}' cannot be used: {said}; {self._remedy(said)}") from error

    def _status(self) -> os.stat_result | None:
        give_up = time.monotonic() + _LINK_SECONDS
        while True:
            try:
                status = self.real.stat()
            except FileNotFoundError:
                if not self.real.parent.is_dir():
                    raise GalleryError(f"gallery '{self.path}': the folder '{self.real.parent}' does not exist") from None
                return None
            if not stat.S_ISREG(status.st_mode):
                kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
                raise GalleryError(f"gallery '{self.path}' is {kind}: pass the path of a file")
            if not status.st_size:
                raise GalleryError(
                    f"gallery '{self.path}' is empty, 0 bytes: restore it from a backup, or remove it to begin a new one"
                )
            if status.st_nlink == 1 or os.name == "nt":
                return status
            if time.monotonic() > give_up:
                self._drop_second_name(status)
                give_up += _LINK_SECONDS
            time.sleep(0.01)

    def _drop_second_name(self, status: os.stat_result) -> None:
        """Remove the name that a process left which was killed while it created the file; any other is the user's."""
        for name in self.real.parent.glob(f".{self.real.name}.new-*"):
            with suppress(OSError):
                if _identity(name.lstat()) == _identity(status):
                    name.unlink()
                    return
        raise GalleryError(
            f"gallery '{self.path}' has {status.st_nlink} names (hard links), and SQLite's journal follows one of them: copy it"
        )

    def _gone(self, what: str) -> GalleryError:
        return GalleryError(
            f"gallery '{self.path}' was {what} while it was open; nothing more is read from or written to it: put the file "
            "back, or open the gallery again"
        )

    def _remedy(self, message: str) -> str:
        lower = message.lower()
        if "locked" in lower:
            return f"another process has kept it locked for {BUSY_SECONDS:.0f} s: wait for it, or end it"
        if "full" in lower or "disk i/o" in lower:
            return "nothing was changed: make room on the disk and try again"
        if "closed database" in lower:
            return "it was closed: open it again"
        if "readonly" in lower or "read-only" in lower or "unable to open" in lower or "permission" in lower:
            return (
                "nothing was changed. To write, the file and its folder must be writable, for SQLite keeps its journal beside "
                "the file while it writes; matching, listing and exporting need neither, unless a writer was killed just before"
            )
        if "malformed" in lower or "corrupt" in lower or "not a database" in lower or "unsupported file format" in lower:
            return f"the file is damaged, or no gallery: {self.repair}"
        if "memory" in lower or "too big" in lower:
            return f"if there is enough, the file is damaged: {self.repair}"
        return "check that the folder exists and is writable, that the disk has room, and that the file is a gallery"


class _Connection(sqlite3.Connection):
    """A connection that gives its share of the file's lock back when it is closed."""

    key: tuple[int, int] | None = None

    def close(self) -> None:
        """Close the connection."""
        super().close()
        if self.key is not None:
            drop_lock(self.key)
            self.key = None


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """All statements inside are on the disk after the block, or none is."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _place(fresh: Path, real: Path) -> None:
    """Give a file its name unless there is one of it."""
    try:
        os.link(fresh, real)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if not real.exists():
            fresh.rename(real)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino

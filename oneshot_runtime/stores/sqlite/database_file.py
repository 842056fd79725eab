"""The gallery's file on the disk: opening it safely, noticing when it goes away, and remembering what was acknowledged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oneshot_runtime.errors import GalleryError, OneShotError

__all__ = ["BUSY_SECONDS", "REPAIR", "UNREADABLE", "GalleryFile", "transaction"]

BUSY_SECONDS = 30.0
REPAIR = "restore it from a copy, or save what is intact with `oneshot gallery check --repair`"
"""What every error about a damaged gallery ends with."""

UNREADABLE = (sqlite3.DatabaseError, MemoryError)
"""What reading a damaged page raises: an impossible length on one makes SQLite ask for more memory than there is."""

_KEPT_WAL_BYTES = 1 << 26


class GalleryFile:
    """A path that must stay the same file while it is open. Every error is a `GalleryError` that names it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not isinstance(path, str | os.PathLike):
            raise GalleryError(f"a gallery is the path of a file, got {type(path).__name__}: {path!r:.80}")
        self.path = Path(path)
        self._process = os.getpid()
        self._bound: list[tuple[Path, tuple[int, int]]] = []
        with self.errors():
            # SQLite names its -wal file after the target of a link; an absolute path is never one of its special names.
            self.real = self.path.resolve()
            self._status()

    @property
    def acknowledgement(self) -> Path:
        """The small file that holds the revision of the last write that returned."""
        return self.real.with_name(self.real.name + "-ack")

    def exists(self) -> bool:
        """Whether there is a file. Raises for a directory, a device, or a file with a second name."""
        return self._status() is not None

    def connect(self) -> sqlite3.Connection:
        """A connection for threads that lock it themselves, creating the file when it is missing."""
        with self.errors():
            return sqlite3.connect(self.real, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    def use_wal(self, connection: sqlite3.Connection) -> None:
        """Switch to the write-ahead log, in which readers and a writer don't wait for each other."""
        give_up = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                # SQLite does not wait here by itself when two processes create the same file.
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)
        if mode != "wal":
            raise GalleryError(f"gallery '{self.path}' cannot use SQLite's write-ahead log here: put it on a local disk")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {_KEPT_WAL_BYTES}")

    def bind(self) -> None:
        """Remember which files these are, once a connection has read from them."""
        log = self.real.with_name(self.real.name + "-wal")
        with self.errors():
            self._bound = [(path, _identity(path.stat())) for path in (self.real, log)]

    def guard(self) -> None:
        """Raise when the file was removed or replaced, or the process forked: writing on would lose what is written."""
        if os.getpid() != self._process:
            raise GalleryError(f"gallery '{self.path}' was opened before this process forked: open it again after the fork")
        for path, bound in self._bound:
            try:
                found = _identity(path.stat())
            except OSError:
                found = None
            if found != bound:
                what = "removed" if found is None else "replaced by another file"
                raise GalleryError(
                    f"gallery '{self.path}': {path.name} was {what} while it was open; nothing more is read from or written "
                    "to it: put the file back, or open the gallery again"
                )

    def acknowledge(self, identity: str, revision: int) -> None:
        """Note that a write is on the disk. Not synced: after a power loss the note may lag behind, never run ahead."""
        noted = self.acknowledged(identity)
        if noted is not None and noted >= revision:
            return
        text = f"{identity} {revision:020d}"
        # The write itself is safe whether it can be noted or not.
        with contextlib.suppress(OSError):
            handle = os.open(self.acknowledgement, os.O_WRONLY | os.O_CREAT, 0o666)
            try:
                os.write(handle, f"{text} {_check(text)}\n".encode())
            finally:
                os.close(handle)

    def acknowledged(self, identity: str | None = None) -> int | None:
        """The revision last noted for the gallery `identity`, or for any; None when there is no readable note."""
        try:
            text = self.acknowledgement.read_bytes()[:256].decode("ascii")
        except (OSError, ValueError):
            return None
        parts = text.split()
        if len(parts) != 3 or parts[2] != _check(f"{parts[0]} {parts[1]}") or identity not in (None, parts[0]):
            return None
        return int(parts[1])

    def forget_acknowledged(self) -> None:
        """Drop the note, for a new gallery in the place of a deleted one."""
        with contextlib.suppress(OSError):
            self.acknowledgement.unlink(missing_ok=True)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what SQLite and the system raise into `GalleryError`s with a remedy."""
        try:
            yield
        except OneShotError:
            raise
        # A damaged file also gives texts that are no UTF-8 and values of any type; a NUL in the path is a ValueError.
        except (sqlite3.Error, OSError, ValueError, TypeError, RuntimeError, MemoryError) as error:
            said = str(error) or "out of memory"
            raise GalleryError(f"gallery '{self.path}' cannot be used: {said}; {_remedy(said)}") from error

    def _status(self) -> os.stat_result | None:
        try:
            status = self.real.stat()
        except FileNotFoundError:
            if not self.real.parent.is_dir():
                raise GalleryError(f"gallery '{self.path}': the folder '{self.real.parent}' does not exist") from None
            return None
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise GalleryError(f"gallery '{self.path}' is {kind}: pass the path of a file")
        if status.st_nlink > 1:
            raise GalleryError(
                f"gallery '{self.path}' has {status.st_nlink} names (hard links), and SQLite's log follows one of them: copy it"
            )
        return status


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


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _check(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _remedy(message: str) -> str:
    lower = message.lower()
    if "locked" in lower:
        return f"another process has kept it locked for {BUSY_SECONDS:.0f} s: wait for it, or end it"
    if "full" in lower:
        return "nothing was changed: make room on the disk and try again"
    if "readonly" in lower or "read-only" in lower or "unable to open" in lower or "permission" in lower:
        return "the file and its folder must be writable, for SQLite keeps its log beside the file"
    if "malformed" in lower or "corrupt" in lower:
        return f"the file is damaged: {REPAIR}"
    if "memory" in lower:
        return f"if there is enough, the file is damaged: {REPAIR}"
    return "check that the folder exists and is writable, that the disk has room, and that the file is a gallery"

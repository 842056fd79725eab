"""The durable gallery: one SQLite file in WAL mode that several processes may read and write."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import GalleryError

__all__ = ["Changes", "SqliteStore"]

_APPLICATION_ID = 0x4F53_5631  # "OSV1"
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE supports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    label TEXT NOT NULL,
    code BLOB NOT NULL,
    created REAL NOT NULL,
    thumbnail BLOB,
    metadata TEXT,
    checksum BLOB NOT NULL
);
CREATE INDEX supports_by_label ON supports (label);
CREATE TABLE removals (id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL);
"""
_BUSY_SECONDS = 30.0


@dataclass(frozen=True)
class Changes:
    """What happened to the file since it was last read: labels removed first, then supports added."""

    removed: list[str]
    labels: list[str]
    codes: NDArray[np.uint8]


class SqliteStore:
    """Supports as rows `label, code, created, thumbnail, metadata`, each with a checksum.

    A write that returned is on the disk (`synchronous=FULL`). The file is bound to one model by its fingerprint.
    """

    def __init__(self, path: str | os.PathLike[str], fingerprint: str, dim: int) -> None:
        if not isinstance(path, str | os.PathLike):
            raise GalleryError(f"a gallery is the path of a file, got {type(path).__name__}: {path!r:.80}")
        self.path = Path(path)
        self._dim = dim
        self._lock = threading.RLock()
        self._seen_version = (-1, -1)
        self._last_support = 0
        self._last_removal = 0
        with self._errors():
            self._connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                self._open(fingerprint)
            except BaseException:
                self._connection.close()
                raise

    def _open(self, fingerprint: str) -> None:
        execute = self._connection.execute
        (application,) = execute("PRAGMA application_id").fetchone()
        (tables,) = execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != _APPLICATION_ID and tables:
            raise GalleryError(f"'{self.path}' is an SQLite file of another program, not a gallery; choose another path")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        with self._transaction():
            # Looked up again inside the transaction: two processes may create the same file.
            (tables,) = execute("SELECT count(*) FROM sqlite_master").fetchone()
            if not tables:
                self._create(fingerprint)
        (version,) = execute("PRAGMA user_version").fetchone()
        if version != _SCHEMA_VERSION:
            raise GalleryError(f"gallery '{self.path}' has schema version {version}, this runtime reads {_SCHEMA_VERSION}")
        meta = dict(execute("SELECT key, value FROM meta").fetchall())
        if meta.get("fingerprint") != fingerprint or meta.get("dim") != str(self._dim):
            raise GalleryError(
                f"gallery '{self.path}' was made with model {meta.get('fingerprint')} (D={meta.get('dim')}), the loaded model "
                f"is {fingerprint} (D={self._dim}): load the bundle it was made with, or enrol the symbols into a new gallery"
            )

    def _create(self, fingerprint: str) -> None:
        for statement in _SCHEMA.split(";"):
            self._connection.execute(statement)
        rows = [("fingerprint", fingerprint), ("dim", str(self._dim))]
        self._connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)
        self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        self._connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def add(self, labels: Sequence[str], codes: NDArray[np.uint8], thumbnails: Sequence[bytes | None]) -> None:
        """Append supports in one transaction: all of them are on the disk when this returns, or none."""
        now = time.time()
        rows = [
            (label, code.tobytes(), now, thumbnail, None, _checksum(label, code.tobytes(), now, thumbnail))
            for label, code, thumbnail in zip(labels, codes, thumbnails, strict=True)
        ]
        columns = "label, code, created, thumbnail, metadata, checksum"
        with self._errors(), self._lock, self._transaction():
            self._connection.executemany(f"INSERT INTO supports ({columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)

    def remove(self, label: str) -> int:
        """Delete a label's supports in one transaction; returns how many there were."""
        with self._errors(), self._lock, self._transaction():
            removed = self._connection.execute("DELETE FROM supports WHERE label = ?", (label,)).rowcount
            if removed:
                self._connection.execute("INSERT INTO removals (label) VALUES (?)", (label,))
            return removed

    def sync(self, apply: Callable[[Changes], None]) -> None:
        """Hand everything that is new since the last call, by whichever process, to `apply`; cheap when nothing is.

        Raises `GalleryError` for a row that is damaged.
        """
        with self._errors(), self._lock:
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            own = self._connection.total_changes
            if (version, own) == self._seen_version:
                return
            changes = self._changes()
            apply(changes)
            self._seen_version = (version, own)

    def close(self) -> None:
        """Close the file; later calls raise `GalleryError`."""
        with self._lock:
            self._connection.close()

    def _changes(self) -> Changes:
        with self._transaction("DEFERRED"):
            removals = self._connection.execute(
                "SELECT id, label FROM removals WHERE id > ? ORDER BY id", (self._last_removal,)
            ).fetchall()
            cursor = self._connection.execute(
                "SELECT id, label, code, created, thumbnail, checksum FROM supports WHERE id > ? ORDER BY id",
                (self._last_support,),
            )
            labels, codes, last = [], [], self._last_support
            for row, label, code, created, thumbnail, checksum in cursor:
                if not _intact(label, code, created, thumbnail, checksum, self._dim):
                    raise GalleryError(
                        f"gallery '{self.path}': support {row} of {label!r:.80} is damaged (its checksum does not match); "
                        "restore the file from a copy"
                    )
                last = row
                labels.append(label)
                codes.append(np.frombuffer(code, np.uint8))
        if removals:
            self._last_removal = removals[-1][0]
        self._last_support = last
        matrix = np.stack(codes) if codes else np.empty((0, self._dim), np.uint8)
        return Changes([label for _, label in removals], labels, matrix)

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        self._connection.execute(f"BEGIN {kind}")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except GalleryError:
            raise
        # A damaged file also gives texts that are no UTF-8 and values of any type; a NUL in the path is a ValueError.
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise GalleryError(
                f"gallery '{self.path}' cannot be used: {error}; check that the folder exists and is writable, that the disk "
                "has room, and that the file is a gallery"
            ) from error


def _intact(label: object, code: object, created: object, thumbnail: object, checksum: object, dim: int) -> bool:
    """Whether a row has the types, the length and the checksum that it was written with."""
    if not (isinstance(label, str) and isinstance(code, bytes) and isinstance(created, float) and len(code) == dim):
        return False
    if not (thumbnail is None or isinstance(thumbnail, bytes)):
        return False
    return checksum == _checksum(label, code, created, thumbnail)


def _checksum(label: str, code: bytes, created: float, thumbnail: bytes | None) -> bytes:
    """Eight bytes over a row: SQLite's own pages carry none."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (label.encode(), code, repr(created).encode(), thumbnail or b""):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()

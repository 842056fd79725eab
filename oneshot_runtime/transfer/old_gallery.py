"""Galleries of versions 1 and 2, a row a support in write-ahead mode: read once, to be written as they are now."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from oneshot_runtime.errors import DamageError, GalleryError
from oneshot_runtime.stores.base import Block
from oneshot_runtime.stores.labels import check_label
from oneshot_runtime.stores.records import BLOCK, MAX_METADATA_BYTES, MAX_THUMBNAIL_BYTES, Row, State, row_from
from oneshot_runtime.stores.sqlite.database_file import BUSY_SECONDS, GalleryFile
from oneshot_runtime.stores.sqlite.repair import set_aside
from oneshot_runtime.stores.sqlite.sqlite_store import SqliteStore

__all__ = ["convert_old", "is_old"]

_APPLICATION_ID = 0x4F53_5631
_COLUMNS = "id, label, code, created, thumbnail, metadata, checksum"
_MOST = MAX_THUMBNAIL_BYTES + MAX_METADATA_BYTES


def is_old(path: str | os.PathLike[str]) -> bool:
    """Whether the file is a gallery of version 1 or 2."""
    file = GalleryFile(path)
    if not file.exists():
        return False
    with file.errors(), closing(file.connect()) as connection:
        return _version(connection) is not None


def convert_old(path: str | os.PathLike[str]) -> tuple[int, Path]:
    """Write a gallery of version 1 or 2 as the current one, in its place, with the model and the supports that it has.

    Returns how many supports it has, and where the old file is now. Raises `GalleryError` when it is no such file, is damaged,
    or another process has it open; nothing is changed then.
    """
    file = GalleryFile(path)
    if not file.exists():
        raise GalleryError(f"gallery '{path}' does not exist")
    good = file.real.with_name(f".{file.real.name}.migrated-{uuid.uuid4().hex}")
    with file.errors(), closing(file.connect()) as connection:
        version = _version(connection)
        if version is None:
            raise GalleryError(f"gallery '{path}' is not of an older version")
        _take_alone(connection, file)
        state = _old_state(connection, file, version)
        try:
            store = SqliteStore(good, state.fingerprint, state.dim)
            store.add(_blocks(connection, file, version, state))
            store.write_note("format", None)  # makes the file of an empty gallery
            store.close()
            shutil.copymode(file.real, good)
            old = set_aside(file, f"version{version}", good, connection)
        finally:
            good.unlink(missing_ok=True)
        _drop_note(file)
    return state.supports, old


def _version(connection: sqlite3.Connection) -> int | None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' LIMIT 10")}
    return version if application == _APPLICATION_ID and version in (1, 2) and "supports" in tables else None


def _take_alone(connection: sqlite3.Connection, file: GalleryFile) -> None:
    """Bring what is in the write-ahead log into the file, and keep everyone else out."""
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        mode = "locked"
    if mode != "delete":
        raise GalleryError(
            f"gallery '{file.path}' is open in another process, or was for {BUSY_SECONDS:.0f} s: end it, then migrate again"
        )
    connection.execute("BEGIN EXCLUSIVE")


def _old_state(connection: sqlite3.Connection, file: GalleryFile, version: int) -> State:
    if version == 1:
        meta = dict(connection.execute("SELECT key, value FROM meta WHERE length(value) < 1000").fetchall())
        (supports,) = connection.execute("SELECT count(*) FROM supports").fetchone()
        return State(uuid.uuid4().hex, str(meta["fingerprint"]), int(meta["dim"]), supports=supports)
    values = connection.execute("SELECT state, checksum FROM state").fetchone()
    state = None if values is None else State.from_values(*values)
    if state is None:
        raise DamageError(f"gallery '{file.path}' is damaged, its state does not match its checksum: restore it from a backup")
    return state


def _blocks(connection: sqlite3.Connection, file: GalleryFile, version: int, state: State) -> Iterator[Block]:
    found = State("", "", state.dim)
    query = f"SELECT {_COLUMNS} FROM supports WHERE coalesce(length(thumbnail), 0) + length(code) <= ? ORDER BY id"
    cursor = connection.execute(query, (_MOST,))
    while values := cursor.fetchmany(BLOCK // 32):
        rows = [_intact(row, file, version, state.dim) for row in values]
        found = found.with_rows([row.checksum for row in rows], 0)
        codes = np.frombuffer(b"".join(row.code for row in rows), np.uint8).reshape(len(rows), state.dim)
        labels = [check_label(row.label) for row in rows]
        pictures, texts = [row.thumbnail for row in rows], [row.metadata for row in rows]
        yield Block(labels, codes, pictures, texts, [row.created for row in rows])
    if found.supports != state.supports or (version == 2 and found.digest != state.digest):
        raise DamageError(
            f"gallery '{file.path}' is damaged: it holds {found.supports} supports, but not the {state.supports} that were "
            "written; restore it from a backup"
        )


def _intact(values: tuple[Any, ...], file: GalleryFile, version: int, dim: int) -> Row:
    row = row_from(values, dim) if version == 2 else _first_version_row(values)
    if row is None or len(row.code) != dim:
        raise DamageError(f"gallery '{file.path}': support {values[0]} of {values[1]!r:.80} is damaged, so it is not migrated")
    return row


def _first_version_row(values: tuple[Any, ...]) -> Row | None:
    """Checksums were over fewer columns."""
    row, checksum = Row(*values[:-1]), values[-1]
    digest = hashlib.blake2b(digest_size=8)
    for part in (row.label.encode(), row.code, repr(row.created).encode(), row.thumbnail or b""):
        digest.update(len(part).to_bytes(8, "little") + part)
    known = row.metadata is None or isinstance(json.loads(row.metadata), dict)
    return row if digest.digest() == checksum and known else None


def _drop_note(file: GalleryFile) -> None:
    """The old version's note of what was acknowledged."""
    note = file.real.with_name(file.real.name + "-ack")
    if note.is_file() and not note.is_symlink():
        note.unlink()

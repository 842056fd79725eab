"""The gallery file's tables: creating them, telling another program's file apart, and upgrading the first version."""

from __future__ import annotations

import hashlib
import sqlite3
import uuid

from oneshot_runtime.dbfile import GalleryFile, transaction
from oneshot_runtime.errors import GalleryError
from oneshot_runtime.rows import Row, State

__all__ = ["COLUMNS", "create", "insert_rows", "prepare", "read_state", "write_state"]

_APPLICATION_ID = 0x4F53_5631  # "OSV1"
_VERSION = 2
_STATE = "CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), state TEXT NOT NULL, checksum TEXT NOT NULL)"
_SCHEMA = (
    _STATE,
    """CREATE TABLE supports (
        id INTEGER PRIMARY KEY,
        label TEXT NOT NULL,
        code BLOB NOT NULL,
        created REAL NOT NULL,
        thumbnail BLOB,
        metadata TEXT,
        checksum BLOB NOT NULL
    )""",
    "CREATE INDEX supports_by_label ON supports (label)",
    "CREATE TABLE removals (id INTEGER PRIMARY KEY, label TEXT NOT NULL)",
)
COLUMNS = "id, label, code, created, thumbnail, metadata, checksum"


def prepare(connection: sqlite3.Connection, file: GalleryFile, model: tuple[str, int] | None) -> None:
    """Make `connection` one to a gallery of this version, creating or upgrading it in one transaction.

    model: fingerprint and dimension that a new gallery gets; None creates none. Raises `GalleryError` for another program's
    file, a newer version, or a file that lost its content.
    """
    # In this order: who finds the tables of a file that another process creates just now finds its application id as well.
    tables = _tables(connection)
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION_ID and tables:
        raise GalleryError(f"'{file.path}' is an SQLite file of another program, not a gallery; choose another path")
    file.use_wal(connection)
    if not tables:
        _create_new(connection, file, model)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 1:
        with transaction(connection):
            if connection.execute("PRAGMA user_version").fetchone() == (1,):
                _upgrade_first_version(connection, file)
    elif version != _VERSION:
        raise GalleryError(f"gallery '{file.path}' has schema version {version}, this runtime reads {_VERSION}")


def _create_new(connection: sqlite3.Connection, file: GalleryFile, model: tuple[str, int] | None) -> None:
    noted = file.acknowledged()
    with transaction(connection):
        # Looked up again inside the transaction: two processes may create the same file.
        if _tables(connection):
            return
        if noted is not None:
            raise GalleryError(
                f"gallery '{file.path}' is empty, but it held {noted} acknowledged writes: restore it from a copy, or "
                f"remove it and '{file.acknowledgement.name}' to start anew"
            )
        if model is None:
            raise GalleryError(f"gallery '{file.path}' is empty: `oneshot enroll` makes a gallery of it")
        create(connection, State(uuid.uuid4().hex, *model))


def create(connection: sqlite3.Connection, state: State) -> None:
    """Create the tables, inside the caller's transaction."""
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    write_state(connection, state)


def read_state(connection: sqlite3.Connection) -> State | None:
    """The state, None when it is damaged."""
    values = connection.execute("SELECT state, checksum FROM state").fetchone()
    return None if values is None else State.from_values(*values)


def write_state(connection: sqlite3.Connection, state: State) -> None:
    """Replace the state, inside the caller's transaction."""
    connection.execute("INSERT OR REPLACE INTO state VALUES (1, ?, ?)", state.values())


def insert_rows(connection: sqlite3.Connection, rows: list[Row], state: State) -> State:
    """Insert rows, inside the caller's transaction; returns the state that follows, which the caller writes."""
    checksums = [row.checksum for row in rows]
    values = [
        (row.id, row.label, row.code, row.created, row.thumbnail, row.metadata, checksum)
        for row, checksum in zip(rows, checksums, strict=True)
    ]
    connection.executemany(f"INSERT INTO supports ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    return state.with_rows(checksums, rows[-1].id) if rows else state


def _tables(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def _upgrade_first_version(connection: sqlite3.Connection, file: GalleryFile) -> None:
    """Version 1 had no state, and checksums over fewer columns."""
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    state = State(uuid.uuid4().hex, str(meta["fingerprint"]), int(meta["dim"]))
    rows = []
    for *values, checksum in connection.execute(f"SELECT {COLUMNS} FROM supports ORDER BY id"):
        row = Row(*values)
        digest = hashlib.blake2b(digest_size=8)
        for part in (row.label.encode(), row.code, repr(row.created).encode(), row.thumbnail or b""):
            digest.update(len(part).to_bytes(8, "little") + part)
        if digest.digest() != checksum:
            raise GalleryError(
                f"gallery '{file.path}': support {row.id} of {row.label!r:.80} is damaged, so it is not upgraded"
            )
        rows.append(row)
    for table in ("supports", "removals", "meta"):
        connection.execute(f"DROP TABLE {table}")
    create(connection, state)
    write_state(connection, insert_rows(connection, rows, state))

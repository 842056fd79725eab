"""The gallery file's tables: creating them, telling another program's file apart, and upgrading the first version."""

from __future__ import annotations

import hashlib
import sqlite3
import uuid

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.stores.records import Row, State
from oneshot_runtime.stores.sqlite.database_file import REPAIR, UNREADABLE, GalleryFile, transaction

__all__ = [
    "COLUMNS",
    "create",
    "insert_rows",
    "prepare",
    "read_state",
    "refuse_newer",
    "state_or_none",
    "unchanged",
    "write_state",
]

_APPLICATION_ID = 0x4F53_5631  # "OSV1"
_VERSION = 2
_DAMAGED_FROM = 1000
"""No runtime will write versions from here on: such a number is damage."""

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
    empty = _is_empty(connection, file)
    file.use_wal(connection)
    if empty:
        _create_new(connection, file, model)
    if _known_version(connection, file) == 1:
        with transaction(connection):
            _upgrade_first_version(connection, file)


def unchanged(connection: sqlite3.Connection, file: GalleryFile) -> sqlite3.Connection:
    """A connection to read a gallery of this version by, for a file that stays as it is: of one of version 1, a copy's.

    Raises like `prepare`, which creates none.
    """
    if _is_empty(connection, file):
        raise _empty(file, file.acknowledged())
    if _known_version(connection, file) != 1:
        return connection
    copy = sqlite3.connect("", isolation_level=None)  # a temporary file of SQLite's own
    try:
        connection.backup(copy)
        with transaction(copy):
            _upgrade_first_version(copy, file)
    except BaseException:
        copy.close()
        raise
    return copy


def refuse_newer(connection: sqlite3.Connection, file: GalleryFile) -> None:
    """Raise `GalleryError` for a file that a newer version wrote, with what this one knows nothing of."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if _VERSION < version < _DAMAGED_FROM:
        raise GalleryError(
            f"gallery '{file.path}' has schema version {version}, this runtime reads {_VERSION}: "
            "install a newer oneshot-runtime"
        )


def _is_empty(connection: sqlite3.Connection, file: GalleryFile) -> bool:
    """Whether a file has no tables. Raises for those of another program."""
    # In this order: who finds the tables of a file that another process creates just now finds its application id as well.
    tables = _tables(connection)
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION_ID and tables:
        if state_or_none(connection) is not None:
            raise GalleryError(f"gallery '{file.path}' is damaged, its header has the application id {application}: {REPAIR}")
        raise GalleryError(f"'{file.path}' is an SQLite file of another program, not a gallery; choose another path")
    return not tables


def _known_version(connection: sqlite3.Connection, file: GalleryFile) -> int:
    refuse_newer(connection, file)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (1, _VERSION):
        raise GalleryError(f"gallery '{file.path}' is damaged, its header has the schema version {version}: {REPAIR}")
    return int(version)


def _empty(file: GalleryFile, noted: int | None) -> GalleryError:
    if noted is None:
        return GalleryError(f"gallery '{file.path}' is empty: `oneshot enroll` makes a gallery of it")
    return GalleryError(
        f"gallery '{file.path}' is empty, but it held {noted} acknowledged writes: restore it from a copy, or "
        f"remove it and '{file.acknowledgement.name}' to start anew"
    )


def _create_new(connection: sqlite3.Connection, file: GalleryFile, model: tuple[str, int] | None) -> None:
    noted = file.acknowledged()
    with transaction(connection):
        # Looked up again inside the transaction: two processes may create the same file.
        if _tables(connection):
            return
        if noted is not None or model is None:
            raise _empty(file, noted)
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


def state_or_none(connection: sqlite3.Connection) -> State | None:
    """The state, None when it is damaged or cannot be read."""
    try:
        return read_state(connection)
    except UNREADABLE:
        return None


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
    """Version 1 had no state, and checksums over fewer columns. Another process may have done it before this transaction."""
    if connection.execute("PRAGMA user_version").fetchone() != (1,):
        return
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

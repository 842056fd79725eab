"""The one table of a gallery file: rows of bytes by number, each with its checksum, and what tells the file from any other.

| id | content |
|---|---|
| 0 | the state: what the file must hold |
| 1 | enrollments that are not in the blocks yet, where a process enrolls again and again (`enrollment_log.py`) |
| 2^48 + n | removal n, for processes that follow; the last 1,000 are there |
| 2 * 2^48 + n | a block of supports, the first of which had number n when the block was begun |
| 3 * 2^48 + n | picture and metadata of support n |

State, removals and blocks begin with eight bytes of checksum over id and content. The checksum of a picture is in the support's
block, so that whoever has verified the blocks knows what every picture must be.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator
from contextlib import suppress
from typing import Any

from oneshot_runtime.errors import DamageError, GalleryError
from oneshot_runtime.stores.labels import check_label
from oneshot_runtime.stores.records import MAX_STATE_BYTES, Removal, State
from oneshot_runtime.stores.sqlite.block import MAX_EXTRAS_BYTES, checksum_of, unpack_extras
from oneshot_runtime.stores.sqlite.database_file import UNREADABLE, GalleryFile
from oneshot_runtime.stores.sqlite.enrollment_log import LOG, LOG_BYTES, EnrollmentLog, blank_log

__all__ = [
    "BLOCKS",
    "CHECKSUM_BYTES",
    "END",
    "EXTRAS",
    "FIRST_BLOCK",
    "REMOVALS",
    "clear_log",
    "create_table",
    "damaged_row",
    "find_log",
    "opened_row",
    "pack_removal",
    "pragmas",
    "read_extras",
    "read_removals",
    "read_state",
    "read_state_and_log",
    "require_gallery",
    "require_structure",
    "says_logged",
    "scan",
    "seal",
    "sealed_checksum",
    "set_up",
    "structure_problems",
    "write_state",
]

_APPLICATION_ID = 0x4F53_5631  # "OSV1"
_VERSION, _LOGGED_VERSION = 3, 4
"""Of a file without a log of enrollments, as it is when it was closed, and with one."""

_DAMAGED_FROM = 1000
"""No runtime will write versions from here on: such a number is damage."""

_TABLE = "CREATE TABLE gallery (id INTEGER PRIMARY KEY, content BLOB NOT NULL)"
_SCHEMA = [("table", "gallery", "gallery", 2, _TABLE)]

STATE, REMOVALS, BLOCKS, EXTRAS = (kind << 48 for kind in range(4))
FIRST_BLOCK = BLOCKS + 1
_LAST = (1 << 48) - 1
END = BLOCKS + _LAST
CHECKSUM_BYTES = 8
_SHOWN_PROBLEMS = 10
_SETTINGS = (
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "secure_delete = ON",
    "synchronous = FULL",
    "temp_store = MEMORY",
    "journal_size_limit = 1048576",
)


def create_table(connection: sqlite3.Connection, state: State) -> None:
    """Make a new file a gallery's, inside the caller's transaction."""
    connection.execute(_TABLE)
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    write_state(connection, state)


def require_gallery(connection: sqlite3.Connection, file: GalleryFile) -> None:
    """Set a connection up and raise `GalleryError` unless its file is a gallery of this version, inside a transaction.

    The description of the tables must be one's own to the letter: no view, trigger or index of someone else is ever used.
    """
    header = pragmas(connection, "application_id", "user_version", "encoding", "auto_vacuum")
    query = "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master WHERE length(sql) < 1000 OR sql IS NULL LIMIT 10"
    schema = connection.execute(query).fetchall()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    version = header["user_version"]
    if header["application_id"] == _APPLICATION_ID and _LOGGED_VERSION < version < _DAMAGED_FROM:
        raise GalleryError(
            f"gallery '{file.path}' has version {version}, this runtime reads {_LOGGED_VERSION}: install a newer one"
        )
    if header["application_id"] == _APPLICATION_ID and ("table", "supports") in [row[:2] for row in schema]:
        raise GalleryError(
            f"gallery '{file.path}' is of an older version ({version}): run once "
            f"`oneshot gallery migrate --gallery '{file.path}'`"
        )
    if (schema, tables) != (_SCHEMA, 1):
        if header["application_id"] == _APPLICATION_ID or ("table", "gallery") in [row[:2] for row in schema]:
            raise DamageError(f"gallery '{file.path}' is damaged, its tables are not a gallery's: {file.repair}")
        raise GalleryError(f"'{file.path}' is an SQLite file of another program, not a gallery; choose another path")
    versions: set[object] = {_VERSION, _LOGGED_VERSION}
    expected: dict[str, set[object]] = {
        "application_id": {_APPLICATION_ID},
        "user_version": versions,
        "encoding": {"UTF-8"},
        "auto_vacuum": {0},
    }
    for name, values in expected.items():
        if header[name] not in values:
            raise DamageError(f"gallery '{file.path}' is damaged, its header has the {name} {header[name]}: {file.repair}")


def set_up(connection: sqlite3.Connection, file: GalleryFile) -> None:
    """Settings of a connection that was just opened."""
    for setting in _SETTINGS:
        connection.execute(f"PRAGMA {setting}")
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode == "wal":
        raise GalleryError(
            f"gallery '{file.path}' is in SQLite's write-ahead mode, which this version does not use: if it is a gallery of an "
            f"older version, run `oneshot gallery migrate --gallery '{file.path}'` once"
        )
    # With `synchronous = FULL` a commit is on the disk: the journal's end is synced too, which deleting it would not be.
    connection.execute("PRAGMA journal_mode = TRUNCATE")


def structure_problems(connection: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong with the file's pages: lost ones, ones used twice, and entries in the wrong order."""
    try:
        found = [str(line) for (line,) in connection.execute(f"PRAGMA integrity_check({_SHOWN_PROBLEMS})")]
    except UNREADABLE as error:
        found = [str(error) or "out of memory, for the length that a damaged page gives"]
    return [] if found == ["ok"] else [f"SQLite: {line}" for line in found]


def require_structure(connection: sqlite3.Connection, file: GalleryFile) -> None:
    """Raise `DamageError` unless the file's pages are sound: rows that were verified can be read, but a write needs more."""
    problems = structure_problems(connection)
    if problems:
        raise DamageError(f"gallery '{file.path}' is damaged ({problems[0]}): {file.repair}")


def pragmas(connection: sqlite3.Connection, *names: str) -> dict[str, Any]:
    """Values of SQLite's, by one statement: each lets go of the interpreter, and busy threads give it back late."""
    tables = ", ".join(f"pragma_{name}" for name in names)
    values = connection.execute(f"SELECT * FROM {tables}").fetchone()
    return dict(zip(names, values, strict=True))


def seal(number: int, content: bytes) -> bytes:
    """A row's content with its checksum."""
    return checksum_of(content, number).to_bytes(CHECKSUM_BYTES, "little") + content


def sealed_checksum(content: bytes) -> int:
    """The checksum that a row's content begins with."""
    return int.from_bytes(content[:CHECKSUM_BYTES], "little")


def write_state(connection: sqlite3.Connection, state: State) -> None:
    """Replace the state, inside the caller's transaction."""
    text, checksum = state.values()
    connection.execute("INSERT OR REPLACE INTO gallery VALUES (?, ?)", (STATE, f"{checksum}{text}".encode()))


def read_state(connection: sqlite3.Connection, file: GalleryFile) -> State:
    """The state. Raises `DamageError` when it is damaged."""
    return _state(dict(scan(connection, STATE, STATE, MAX_STATE_BYTES)), file)


def _state(rows: dict[int, bytes | None], file: GalleryFile) -> State:
    content = rows.get(STATE)
    with suppress(UnicodeDecodeError):
        text = content.decode() if content else ""
        state = State.from_values(text[32:], text[:32])
        if state is not None:
            return state
    raise DamageError(f"gallery '{file.path}' is damaged, the state that says what it must hold cannot be read: {file.repair}")


def read_state_and_log(
    connection: sqlite3.Connection, file: GalleryFile, known: EnrollmentLog | None = None
) -> tuple[State, EnrollmentLog | None]:
    """The state, and the enrollments that follow on it, None where the file has no log. Raises `DamageError`.

    known: what was read of the log before.
    """
    rows, logged = dict(scan(connection, STATE, LOG, LOG_BYTES)), says_logged(connection)
    state = _state(rows, file)
    if LOG not in rows and not logged:
        return state, None
    log = EnrollmentLog.read(rows.get(LOG) or b"", state, known) if logged else None
    if log is None:
        raise DamageError(f"gallery '{file.path}' is damaged, its last enrollments cannot be read: {file.repair}")
    return state, log


def find_log(connection: sqlite3.Connection) -> bytes | None:
    """The row of the log, None where there is none; of another size where it is damaged."""
    for _, content in scan(connection, LOG, LOG, LOG_BYTES):
        return content or b""
    return None


def says_logged(connection: sqlite3.Connection) -> bool:
    """Whether the file must have a log."""
    return bool(connection.execute("PRAGMA user_version").fetchone() == (_LOGGED_VERSION,))


def clear_log(connection: sqlite3.Connection, state: State | None) -> None:
    """Make a log without enrollments behind a state, or none for None, inside the caller's transaction."""
    if state is None:
        connection.execute("DELETE FROM gallery WHERE id = ?", (LOG,))
    else:
        connection.execute("INSERT OR REPLACE INTO gallery VALUES (?, ?)", (LOG, blank_log(state)))
    connection.execute(f"PRAGMA user_version = {_VERSION if state is None else _LOGGED_VERSION}")


def read_removals(connection: sqlite3.Connection, file: GalleryFile, after: int) -> list[Removal]:
    """The listed removals behind number `after`, in order."""
    found = []
    for number, content in scan(connection, REMOVALS + after + 1, REMOVALS + _LAST, MAX_STATE_BYTES):
        removal, _ = opened_row(number, content, file)
        label, support = json.loads(bytes(removal))
        if not (support is None or type(support) is int):
            raise damaged_row(number, file)
        found.append(Removal(number - REMOVALS, check_label(label), support))
    return found


def pack_removal(removal: Removal) -> tuple[int, bytes]:
    """The row of a removal."""
    number = REMOVALS + removal.number
    return number, seal(number, json.dumps([removal.label, removal.support]).encode())


def read_extras(
    connection: sqlite3.Connection, file: GalleryFile, support: int, checksum: int
) -> tuple[bytes | None, str | None]:
    """Thumbnail and metadata of a support, by its number and the checksum in its block. Raises `DamageError`."""
    if not checksum:
        return None, None
    for _, content in scan(connection, EXTRAS + support, EXTRAS + support, MAX_EXTRAS_BYTES):
        if content is not None and checksum_of(content) == checksum:
            found = unpack_extras(content)
            if found is not None:
                return found
    raise DamageError(
        f"gallery '{file.path}' is damaged, picture and metadata of support {support} cannot be read: {file.repair}"
    )


def scan(connection: sqlite3.Connection, first: int, last: int, most: int) -> Generator[tuple[int, bytes | None], None, None]:
    """The rows of a range of numbers, growing; None for a content that has more than `most` bytes, or is none.

    Raises `sqlite3.DatabaseError` where damaged pages lead in circles.
    """
    query = (
        "SELECT id, CASE WHEN typeof(content) = 'blob' AND length(content) <= ? THEN content END FROM gallery "
        "WHERE id BETWEEN ? AND ? ORDER BY id"
    )
    before = first - 1
    cursor = connection.execute(query, (most, first, last))
    try:
        for number, content in cursor:
            if not before < number <= last:
                raise sqlite3.DatabaseError("database disk image is malformed: its pages lead in circles")
            before = number
            yield number, content
    finally:
        cursor.close()


def opened_row(number: int, content: bytes | None, file: GalleryFile) -> tuple[memoryview, int]:
    """The content of a row behind its checksum, which must be right, and the checksum."""
    if content is None or len(content) < CHECKSUM_BYTES:
        raise damaged_row(number, file)
    data, checksum = memoryview(content)[CHECKSUM_BYTES:], sealed_checksum(content)
    if checksum_of(data, number) != checksum:
        raise damaged_row(number, file)
    return data, checksum


def damaged_row(number: int, file: GalleryFile) -> DamageError:
    """The error for the row of that number."""
    kind = {0: "the state", 1: "removal", 2: "the block of supports from", 3: "picture"}[number >> 48]
    return DamageError(f"gallery '{file.path}' is damaged: {kind} {number & _LAST} does not match its checksum; {file.repair}")

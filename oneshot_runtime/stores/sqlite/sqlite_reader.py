"""Reading a gallery file row by row, as one unchanging state, without the model that it was made with."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from types import TracebackType
from typing import Any

from oneshot_runtime.errors import DamageError, GalleryError
from oneshot_runtime.stores.records import BLOCK, BLOCK_BYTES, Row, State, row_from
from oneshot_runtime.stores.sqlite.database_file import REPAIR, GalleryFile
from oneshot_runtime.stores.sqlite.sqlite_schema import COLUMNS, prepare, read_state

__all__ = ["GalleryReader", "fetch_block", "intact", "read_blocks", "require_rows"]


class GalleryReader:
    """A context manager: inside it, `state` and `rows` show what the file held when it was entered, whoever writes meanwhile.

    Raises `GalleryError` for a file that is missing, no gallery, or damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.file = GalleryFile(path)
        if not self.file.exists():
            raise GalleryError(f"gallery '{path}' does not exist; `oneshot enroll` creates it")

    def __enter__(self) -> GalleryReader:
        self._connection = self.file.connect()
        try:
            with self.file.errors():
                prepare(self._connection, self.file, None)
                self._connection.execute("BEGIN DEFERRED")
                state = read_state(self._connection)
            if state is None:
                raise GalleryError(f"gallery '{self.file.path}' is damaged: {REPAIR}")
        except BaseException:
            self._connection.close()
            raise
        self.state = state
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    def longest_label(self) -> int:
        """Characters of the longest label, 0 when there is none."""
        with self.file.errors():
            return int(self._connection.execute("SELECT coalesce(max(length(label)), 0) FROM supports").fetchone()[0])

    def rows(self) -> Iterator[list[Row]]:
        """All rows in the order of their enrollment, in blocks; after the last one it is sure that none is missing."""
        with self.file.errors():
            found = State("", "", self.state.dim)
            for rows in read_blocks(self._connection, self.file, self.state.dim):
                found = found.with_rows([row.checksum for row in rows], 0)
                yield rows
            require_rows(self.file, found, self.state)


def read_blocks(
    connection: sqlite3.Connection, file: GalleryFile, dim: int, after: int = 0, condition: str = "true"
) -> Iterator[list[Row]]:
    """The rows behind number `after`, in blocks and in order; raises `DamageError` for a damaged one.

    condition: on a row, in SQL.
    """
    query = f"SELECT {COLUMNS} FROM supports WHERE id > ? AND {condition} ORDER BY id LIMIT {BLOCK}"
    with file.errors():
        while values := fetch_block(connection.execute(query, (after,))):
            rows = [intact(row, dim, file) for row in values]
            for row in rows:
                if row.id <= after:
                    raise DamageError(f"gallery '{file.path}' is damaged, its pages lead in circles: {REPAIR}")
                after = row.id
            yield rows


def fetch_block(cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
    """The rows of a query, those behind `BLOCK_BYTES` left out."""
    rows: list[tuple[Any, ...]] = []
    held = 0
    with closing(cursor):
        for values in cursor:
            rows.append(values)
            held += sum(len(value) for value in values if isinstance(value, bytes | str))
            if held >= BLOCK_BYTES:
                break
    return rows


def intact(values: tuple[Any, ...], dim: int, file: GalleryFile) -> Row:
    """The row of the columns `COLUMNS`; raises `DamageError` when it is damaged."""
    row = row_from(values, dim)
    if row is None:
        raise DamageError(
            f"gallery '{file.path}': support {values[0]} of {values[1]!r:.80} is damaged (its checksum does not "
            f"match): {REPAIR}"
        )
    return row


def require_rows(file: GalleryFile, found: State, expected: State) -> None:
    """Raise `DamageError` unless the rows found are those that were written, none missing and none twice."""
    if (found.supports, found.digest) != (expected.supports, expected.digest):
        raise DamageError(
            f"gallery '{file.path}' holds {found.supports} supports, but not the {expected.supports} that were written "
            f"(the checksum over all differs): {REPAIR}"
        )

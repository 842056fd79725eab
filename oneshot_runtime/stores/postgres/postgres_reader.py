"""Reading a gallery's rows from the server, in blocks, each compared with its checksum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from oneshot_runtime.errors import DamageError
from oneshot_runtime.stores.follower import require_complete
from oneshot_runtime.stores.partition import Partition
from oneshot_runtime.stores.postgres.connection_options import Options
from oneshot_runtime.stores.postgres.postgres_schema import Connection, Connector, prepare, query, read_state
from oneshot_runtime.stores.records import BLOCK, BLOCK_BYTES, Row, State, row_from

__all__ = ["COLUMNS", "RESTORE", "PostgresReader", "intact", "read_blocks", "read_partition"]

COLUMNS = "id, label, code, created, thumbnail, metadata, checksum"
RESTORE = "restore it from a backup"
_LARGE = "coalesce(octet_length(thumbnail), 0) + coalesce(octet_length(metadata), 0)"


class PostgresReader:
    """A context manager: inside it, `state` and `rows` show what the gallery held at its start, whoever writes meanwhile.

    Raises `GalleryError` for a gallery that is missing or damaged, or a server that is away.
    """

    def __init__(self, address: str) -> None:
        self._connector = Connector(Options.of(address))

    def __enter__(self) -> PostgresReader:
        with self._connector.errors():
            self._connection = self._connector.connect()
            try:
                prepare(self._connection, self._connector.options, None)
                self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                self.state, self.classes = read_state(self._connection, self._connector.options)
            except BaseException:
                self._connection.close()
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    @property
    def connection(self) -> Connection:
        """The connection, inside its transaction."""
        return self._connection

    def errors(self) -> AbstractContextManager[None]:
        """Turns what the server raises into `GalleryError`s, for questions asked of `connection`."""
        return self._connector.errors()

    def longest_label(self) -> int:
        """Characters of the longest label, 0 when there is none."""
        with self._connector.errors():
            found = self._connection.execute("SELECT coalesce(max(length(label)), 0) FROM classes").fetchone()
        return 0 if found is None else int(found[0])

    def rows(self) -> Iterator[list[Row]]:
        """All rows in the order of their enrollment, in blocks; after the last one it is sure that none is missing."""
        place = self._connector.options.place
        with self._connector.errors():
            found = State("", "", self.state.dim)
            for rows in read_blocks(self._connection, place, self.state.dim):
                found = found.with_rows([row.checksum for row in rows], 0)
                yield rows
            require_complete(place, found, self.state, RESTORE)


def read_blocks(connection: Connection, place: str, dim: int, after: int = 0) -> Iterator[list[Row]]:
    """The rows behind number `after`, in blocks and in order; raises `DamageError` for a damaged one."""
    return _read(connection, place, dim, "id > %(after)s", [(after, None)])


def read_partition(
    connection: Connection, place: str, dim: int, after: int, last: int, partition: Partition
) -> Iterator[list[Row]]:
    """Those rows of a partition that are behind number `after` and up to `last`, in blocks; the server passes over the rest.

    Asked for in ranges of numbers: with a limit alone the planner, which cannot know how many rows a partition has, might sort
    the table for every block.
    """
    ranges = ((start, min(start + BLOCK, last)) for start in range(after, last, BLOCK))
    return _read(connection, place, dim, f"id > %(after)s AND id <= %(until)s AND {partition.in_postgres()}", ranges)


def _read(
    connection: Connection, place: str, dim: int, condition: str, ranges: Iterable[tuple[int, int | None]]
) -> Iterator[list[Row]]:
    """The rows of each range, `BLOCK` at a time, fewer where those before a row hold `BLOCK_BYTES`: an answer comes at once."""
    text = query(f"""
        SELECT {COLUMNS} FROM (
            SELECT {COLUMNS}, sum({_LARGE}) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - ({_LARGE}) AS before
            FROM supports WHERE {condition} ORDER BY id LIMIT {BLOCK}
        ) AS block WHERE before < {BLOCK_BYTES} ORDER BY id
    """)
    with connection.cursor(binary=True) as cursor:
        for after, until in ranges:
            full = True
            while full and (values := cursor.execute(text, {"after": after, "until": until}).fetchall()):
                rows = [intact(row, dim, place) for row in values]
                after = rows[-1].id
                full = len(rows) == BLOCK or sum(map(_large_bytes, rows)) >= BLOCK_BYTES
                yield rows


def _large_bytes(row: Row) -> int:
    return len(row.thumbnail or b"") + len((row.metadata or "").encode())


def intact(values: tuple[Any, ...], dim: int, place: str) -> Row:
    """The row of the columns `COLUMNS`; raises `DamageError` when it is damaged."""
    row = row_from(values, dim)
    if row is None:
        raise DamageError(
            f"gallery '{place}': support {values[0]} of {values[1]!r:.80} is damaged (its checksum does not match): {RESTORE}"
        )
    return row

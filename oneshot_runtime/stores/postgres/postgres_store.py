"""The gallery store in PostgreSQL: the same rows, checksums and order as in a SQLite file, shared by many machines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from oneshot_runtime.errors import LabelError
from oneshot_runtime.model.fork_lock import ForkLock
from oneshot_runtime.stores.base import Block, Changes
from oneshot_runtime.stores.follower import Follower
from oneshot_runtime.stores.partition import Partition
from oneshot_runtime.stores.postgres.connection_options import Options
from oneshot_runtime.stores.postgres.database_search import DatabaseEngine
from oneshot_runtime.stores.postgres.postgres_reader import COLUMNS, RESTORE, intact
from oneshot_runtime.stores.postgres.postgres_schema import Connection, query, transaction
from oneshot_runtime.stores.postgres.postgres_snapshot import PostgresSnapshot
from oneshot_runtime.stores.postgres.transactions import Database, Draft
from oneshot_runtime.stores.postgres.wire import copy_rows
from oneshot_runtime.stores.records import BLOCK, Row, Support

__all__ = ["PostgresStore"]

_SNAPSHOT = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
_COUNT_CLASSES = """
    WITH counted AS (
        INSERT INTO classes SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[])
        ON CONFLICT (label) DO UPDATE SET supports = classes.supports + excluded.supports
        RETURNING xmax = 0 AS fresh
    ) SELECT count(*) FILTER (WHERE fresh) FROM counted
"""


class PostgresStore:
    """Supports as rows with checksums, bound to one model by its fingerprint.

    A write that returned is committed (`synchronous_commit` is never off). Writers take turns, so that the order of rows is
    that of the commits. With `oneshot_search=exact` or `hnsw` in the address the database searches, else the gallery keeps the
    codes in memory and follows by `sync`. partition: the classes that `sync` hands over, None for all.
    """

    def __init__(self, address: str, fingerprint: str, dim: int, partition: Partition | None = None) -> None:
        self._partition = partition
        self._options = Options.of(address)
        self._database = Database(self._options, fingerprint, dim)
        self.fingerprint, self.dim = fingerprint, dim
        self._read_lock = ForkLock()
        self._seen: tuple[object, ...] | None = None
        self._follower = Follower(self._options.place, RESTORE)
        self._engine = None if self._options.search == "memory" else DatabaseEngine(self._database)

    @property
    def engine(self) -> DatabaseEngine | None:
        """The search in the database, where the address asks for it."""
        return self._engine

    def add(self, blocks: Iterable[Block]) -> None:
        """Append supports in one transaction: all of them are committed when this returns, or none."""
        with self._database.writing() as draft:
            for block in blocks:
                block.require_dim(self.dim)
                for start in range(0, len(block.labels), BLOCK):
                    rows = _rows(block, draft.state.last_support + 1 - start, start)
                    with self._database.errors():
                        self._insert(draft, rows)

    def remove(self, label: str) -> int:
        """Delete a label's supports in one transaction; returns how many there were."""
        with self._database.writing() as draft, self._database.errors():
            return self._delete(draft, label)

    def remove_support(self, label: str, place: int) -> bool:
        """Delete one of a label's supports in one transaction, by its place from 0; whether there was one."""
        with self._database.writing() as draft, self._database.errors():
            rows = self._labelled(draft.connection, label)
            if not 0 <= place < len(rows):
                return False
            if len(rows) == 1:
                self._delete(draft, label)
                return True
            draft.connection.execute("DELETE FROM supports WHERE id = %s", (rows[place].id,))
            first = rows[0 if place else 1].id
            text = "UPDATE classes SET supports = supports - 1, first = %s WHERE label = %s"
            draft.connection.execute(text, (first, label))
            draft.state = draft.state.without_rows([rows[place].checksum])
            _list_removal(draft, label, rows[place].id)
            return True

    def counts(self) -> dict[str, int]:
        """How many supports each label has, in the order of the first that they have."""
        text = "SELECT label, supports FROM classes ORDER BY first"
        found = self._database.read(lambda connection: connection.execute(text).fetchall())
        return {str(label): int(count) for label, count in found}

    def rename(self, old: str, new: str) -> int:
        """Give a label's supports another name, in one transaction; they count as enrolled last. Returns how many there were.

        Raises `LabelError` when `new` is there already.
        """
        with self._database.writing() as draft, self._database.errors():
            if draft.connection.execute("SELECT 1 FROM classes WHERE label = %s", (new,)).fetchone():
                raise LabelError(f"label {new!r} is in the gallery already: remove it first, or choose another name")
            rows = self._labelled(draft.connection, old)
            if rows:
                self._delete(draft, old)
                first = draft.state.last_support + 1
                self._insert(draft, [replace(row, id=first + place, label=new) for place, row in enumerate(rows)])
            return len(rows)

    def sync(self, apply: Callable[[Changes], int]) -> None:
        """Hand everything that is new since the last call, by whichever process, to `apply`; one question when nothing is.

        `apply` returns how many supports there are afterwards. Raises `GalleryError` for a server that stays away and a damaged
        gallery; the next call then starts anew.
        """
        with self._read_lock:
            self._database.read(lambda connection: self._catch_up(connection, apply))

    def supports(self, label: str) -> list[Support]:
        """A label's supports in the order of their enrollment."""

        def find(connection: Connection) -> list[Row]:
            self._database.state(connection)
            return self._labelled(connection, label)

        return [row.support() for row in self._database.read(find)]

    def notes(self) -> dict[str, str]:
        """Small texts that are kept with the gallery by name."""
        return dict(self._database.read(self._database.state)[0].notes)

    def write_note(self, name: str, text: str | None) -> None:
        """Keep a text with the gallery under a name, or none under it any more."""
        with self._database.writing() as draft:
            draft.state = draft.state.with_note(name, text)

    def holds(self, label: str, code: bytes) -> bool:
        """Whether a label has a support of exactly this code."""
        text = "SELECT 1 FROM supports WHERE label = %s AND code = %s LIMIT 1"
        return self._database.read(lambda connection: connection.execute(text, (label, code)).fetchone()) is not None

    def close(self) -> None:
        """Close all connections; later calls raise `GalleryError`."""
        self._database.close()

    def _catch_up(self, connection: Connection, apply: Callable[[Changes], int]) -> None:
        found = connection.execute("SELECT state, checksum FROM state").fetchone()
        if found is not None and found == self._seen and self._follower.position is not None:
            return
        with transaction(connection, _SNAPSHOT):
            state, _ = self._database.state(connection)
            snapshot = PostgresSnapshot(connection, self._options.place, state, self._partition)
            self._follower.follow(snapshot, apply)
        self._seen = state.values()

    def _labelled(self, connection: Connection, label: str) -> list[Row]:
        text = query(f"SELECT {COLUMNS} FROM supports WHERE label = %s ORDER BY id")
        with connection.cursor(binary=True) as cursor:
            values = cursor.execute(text, (label,)).fetchall()
        return [intact(row, self.dim, self._options.place) for row in values]

    def _insert(self, draft: Draft, rows: list[Row]) -> None:
        if not rows:
            return
        counts: dict[str, list[int]] = {}
        for row in rows:
            counts.setdefault(row.label, [0, row.id])[0] += 1
        copy_rows(draft.connection, rows)
        with draft.connection.cursor() as cursor:
            columns = [list(counts), [count for count, _ in counts.values()], [first for _, first in counts.values()]]
            fresh = cursor.execute(_COUNT_CLASSES, columns).fetchone()
        draft.classes += 0 if fresh is None else int(fresh[0])
        draft.state = draft.state.with_rows([row.checksum for row in rows], rows[-1].id)

    def _delete(self, draft: Draft, label: str) -> int:
        connection = draft.connection
        gone = connection.execute("DELETE FROM supports WHERE label = %s RETURNING checksum", (label,)).fetchall()
        if not gone:
            return 0
        connection.execute("DELETE FROM classes WHERE label = %s", (label,))
        draft.state = draft.state.without_rows(bytes(checksum) for (checksum,) in gone)
        _list_removal(draft, label)
        draft.classes -= 1
        return len(gone)


def _list_removal(draft: Draft, label: str, support: int | None = None) -> None:
    """Let those who follow know."""
    draft.state, removal = draft.state.with_removal(label, support)
    values = (removal.number, removal.label, removal.support)
    draft.connection.execute("INSERT INTO removals (id, label, support) VALUES (%s, %s, %s)", values)
    draft.connection.execute("DELETE FROM removals WHERE id <= %s", (draft.state.forgotten,))


def _rows(block: Block, first: int, start: int) -> list[Row]:
    """Up to `BLOCK` rows of a block from number `start` on; the row at place p gets the number first + p."""
    part = slice(start, start + BLOCK)
    created = [time.time()] * len(block.labels) if block.created is None else block.created
    columns = zip(
        block.labels[part], block.codes[part], created[part], block.thumbnails[part], block.metadata[part], strict=True
    )
    return [
        Row(first + place, label, code.tobytes(), when, picture, text)
        for place, (label, code, when, picture, text) in enumerate(columns, start)
    ]

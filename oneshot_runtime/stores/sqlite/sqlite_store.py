"""The durable gallery: one SQLite file in WAL mode that several processes may read and write."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np

from oneshot_runtime.errors import GalleryError, LabelError
from oneshot_runtime.stores.base import Added, Block, Changes, Position
from oneshot_runtime.stores.partition import Partition
from oneshot_runtime.stores.records import Row, State, Support
from oneshot_runtime.stores.sqlite.database_file import REPAIR, GalleryFile, transaction
from oneshot_runtime.stores.sqlite.sqlite_reader import intact, read_blocks, require_rows
from oneshot_runtime.stores.sqlite.sqlite_schema import COLUMNS, insert_rows, prepare, read_state, write_state

__all__ = ["SqliteStore"]

_LISTED_REMOVALS = 1000
"""A process that missed more removals than are listed reads the file anew."""


class SqliteStore:
    """Supports as rows with checksums, bound to one model by its fingerprint.

    A write that returned is on the disk (`synchronous=FULL`). Reads and writes have a connection each, so that a match never
    waits for another thread's disk sync. partition: the classes that `sync` hands over, None for all.
    """

    def __init__(self, path: str | os.PathLike[str], fingerprint: str, dim: int, partition: Partition | None = None) -> None:
        self._file = GalleryFile(path)
        self._partition = partition
        self.fingerprint, self.dim = fingerprint, dim
        self._read_lock, self._write_lock = threading.RLock(), threading.RLock()
        self._identity: str | None = None
        self._position: State | None = None
        self._seen_version = -1
        if not self._file.exists():
            self._file.forget_acknowledged()
        self._writer = self._file.connect()
        self._reader = self._writer
        try:
            with self._file.errors():
                prepare(self._writer, self._file, (fingerprint, dim))
                self._reader = self._file.connect()
                self._file.use_wal(self._reader)
                if partition is not None:
                    self._reader.create_function("owned", 1, partial(_owned, partition), deterministic=True)
                self._bind()
        except BaseException:
            self.close()
            raise

    @property
    def engine(self) -> None:
        """None: the gallery keeps the codes in memory."""
        return

    def _bind(self) -> None:
        with transaction(self._reader, "DEFERRED"):
            state = self._state(self._reader)
            self._file.bind()
        noted = self._file.acknowledged(state.identity)
        if noted is not None and noted > state.revision:
            raise GalleryError(
                f"gallery '{self._file.path}' holds {state.revision} writes, but {noted} were acknowledged: it is an older "
                "copy, or its -wal file is missing or damaged: restore a newer copy, or remove "
                f"'{self._file.acknowledgement.name}' to go on with this one"
            )
        self._identity = state.identity

    def add(self, blocks: Iterable[Block]) -> None:
        """Append supports in one transaction: all of them are on the disk when this returns, or none."""
        with self._writing() as draft:
            for block in blocks:
                with self._file.errors():
                    self._insert(draft, block)

    def remove(self, label: str) -> int:
        """Delete a label's supports in one transaction; returns how many there were."""
        with self._writing() as draft, self._file.errors():
            return len(self._delete(draft, label))

    def remove_support(self, label: str, place: int) -> bool:
        """Delete one of a label's supports in one transaction, by its place from 0; whether there was one."""
        with self._writing() as draft, self._file.errors():
            rows = self._labelled(self._writer, label)
            if not 0 <= place < len(rows):
                return False
            self._writer.execute("DELETE FROM supports WHERE id = ?", (rows[place].id,))
            state = draft.state.without_rows([rows[place].checksum])
            # Listed removals are of whole labels: all who follow read anew.
            draft.state = replace(state, last_removal=state.last_removal + 1, forgotten=state.last_removal + 1)
            return True

    def counts(self) -> dict[str, int]:
        """How many supports each label has, in the order of the first that they have."""
        with self._file.errors(), self._read_lock:
            self._file.guard()
            query = "SELECT label, count(*) FROM supports GROUP BY label ORDER BY min(id)"
            return {str(label): int(count) for label, count in self._reader.execute(query)}

    def rename(self, old: str, new: str) -> int:
        """Give a label's supports another name, in one transaction; they count as enrolled last. Returns how many there were.

        Raises `LabelError` when `new` is there already.
        """
        with self._writing() as draft, self._file.errors():
            if self._writer.execute("SELECT 1 FROM supports WHERE label = ?", (new,)).fetchone():
                raise LabelError(f"label {new!r} is in the gallery already: remove it first, or choose another name")
            rows = self._delete(draft, old)
            first = draft.state.last_support + 1
            moved = [replace(row, id=first + place, label=new) for place, row in enumerate(rows)]
            draft.state = insert_rows(self._writer, moved, draft.state)
            return len(rows)

    def recode(self, fingerprint: str, dim: int, code_of: Callable[[Row], bytes]) -> int:
        """Bind the gallery to another model in one transaction, with the code that `code_of` gives for each row.

        Returns how many rows there are. This store, opened for the old model, refuses the gallery afterwards.
        """
        with self._writing() as draft:
            state = found = replace(draft.state, supports=0, digest=0)
            for rows in read_blocks(self._writer, self._file, self.dim):
                found = found.with_rows([row.checksum for row in rows], 0)
                fresh = [replace(row, code=code_of(row)) for row in rows]
                updates = [(row.code, row.checksum, row.id) for row in fresh]
                with self._file.errors():
                    self._writer.executemany("UPDATE supports SET code = ?, checksum = ? WHERE id = ?", updates)
                state = state.with_rows([checksum for _, checksum, _ in updates], rows[-1].id)
            require_rows(self._file, found, draft.state)
            draft.state = replace(state, fingerprint=fingerprint, dim=dim)
            return state.supports

    def sync(self, apply: Callable[[Changes], int]) -> None:
        """Hand everything that is new since the last call, by whichever process, to `apply`; cheap when nothing is.

        `apply` returns how many supports there are afterwards. Raises `GalleryError` for a damaged or replaced file; the next
        call then starts anew.
        """
        with self._file.errors(), self._read_lock:
            self._file.guard()
            (version,) = self._reader.execute("PRAGMA data_version").fetchone()
            if version == self._seen_version:
                return
            with transaction(self._reader, "DEFERRED"):
                state = self._state(self._reader)
                if self._position is None or state.revision != self._position.revision:
                    self._follow(apply, state)
            self._seen_version = version

    def supports(self, label: str) -> list[Support]:
        """A label's supports in the order of their enrollment."""
        with self._file.errors(), self._read_lock:
            self._file.guard()
            with transaction(self._reader, "DEFERRED"):
                self._state(self._reader)
                return [row.support() for row in self._labelled(self._reader, label)]

    def holds(self, label: str, code: bytes) -> bool:
        """Whether a label has a support of exactly this code."""
        with self._file.errors(), self._read_lock:
            query = "SELECT 1 FROM supports WHERE label = ? AND code = ?"
            return self._reader.execute(query, (label, code)).fetchone() is not None

    def close(self) -> None:
        """Close the file; later calls raise `GalleryError`."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()

    def _follow(self, apply: Callable[[Changes], int], state: State) -> None:
        before, self._position = self._position, None
        position = Position(state.identity, state.revision, state.supports)
        if before is not None and state.revision < before.revision:
            raise GalleryError(
                f"gallery '{self._file.path}' went back from {before.revision} to {state.revision} writes: its -wal file was "
                "damaged or the file replaced by an older copy; open the gallery again"
            )
        if before is not None and before.last_removal >= state.forgotten:
            query = "SELECT label FROM removals WHERE id > ? ORDER BY id"
            removed = [label for (label,) in self._reader.execute(query, (before.last_removal,))]
            added = self._codes(before.last_support)
            if apply(Changes(False, removed, added, position)) == state.supports:
                self._position = state
                return
        # A reader of a partition cannot tell what others lack: whoever puts the partitions together counts them.
        apply(Changes(True, [], self._codes(0, state if self._partition is None else None), position))
        self._position = state

    def _codes(self, after: int, expected: State | None = None) -> Iterator[Added]:
        """The rows of the partition after number `after`; all rows together must be those of `expected`."""
        condition = "true" if self._partition is None else "owned(label)"
        found = State("", "", self.dim)
        for rows in read_blocks(self._reader, self._file, self.dim, after, condition):
            if expected is not None:
                found = found.with_rows([row.checksum for row in rows], 0)
            codes = np.frombuffer(b"".join(row.code for row in rows), np.uint8).reshape(len(rows), self.dim)
            yield Added([row.label for row in rows], codes, [row.id for row in rows])
        if expected is not None:
            require_rows(self._file, found, expected)

    def _labelled(self, connection: sqlite3.Connection, label: str) -> list[Row]:
        cursor = connection.execute(f"SELECT {COLUMNS} FROM supports WHERE label = ? ORDER BY id", (label,))
        return [intact(values, self.dim, self._file) for values in cursor.fetchall()]

    def _insert(self, draft: _Draft, block: Block) -> None:
        block.require_dim(self.dim)
        first = draft.state.last_support + 1
        created = [time.time()] * len(block.labels) if block.created is None else block.created
        columns = zip(block.labels, block.codes, created, block.thumbnails, block.metadata, strict=True)
        rows = [
            Row(first + place, label, code.tobytes(), when, picture, text)
            for place, (label, code, when, picture, text) in enumerate(columns)
        ]
        draft.state = insert_rows(self._writer, rows, draft.state)

    def _delete(self, draft: _Draft, label: str) -> list[Row]:
        rows = self._labelled(self._writer, label)
        if not rows:
            return rows
        self._writer.executemany("DELETE FROM supports WHERE id = ?", [(row.id,) for row in rows])
        state = draft.state.without_rows(row.checksum for row in rows)
        number = state.last_removal + 1
        forgotten = max(state.forgotten, number - _LISTED_REMOVALS)
        self._writer.execute("INSERT INTO removals VALUES (?, ?)", (number, label))
        self._writer.execute("DELETE FROM removals WHERE id <= ?", (forgotten,))
        draft.state = replace(state, last_removal=number, forgotten=forgotten)
        return rows

    @contextmanager
    def _writing(self) -> Iterator[_Draft]:
        """A transaction that ends with the draft's state written, and noted as acknowledged.

        What is raised inside the block goes on as it is, for the caller's own iterator runs there.
        """
        with self._write_lock:
            with self._file.errors():
                self._file.guard()
                self._writer.execute("BEGIN IMMEDIATE")
            try:
                with self._file.errors():
                    self._file.guard()  # again, for the lock may have been long in coming
                    before = self._state(self._writer)
                draft = _Draft(before)
                yield draft
                with self._file.errors():
                    after = draft.state
                    if after is not before:
                        after = replace(after, revision=before.revision + 1)
                        write_state(self._writer, after)
                    self._writer.execute("COMMIT")
            except BaseException:
                with self._file.errors():
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                raise
            with self._file.errors():
                self._file.guard()
                if after is not before:
                    self._file.acknowledge(after.identity, after.revision)

    def _state(self, connection: sqlite3.Connection) -> State:
        state = read_state(connection)
        path = self._file.path
        if state is None:
            raise GalleryError(f"gallery '{path}' is damaged: {REPAIR}")
        if self._identity not in (None, state.identity):
            raise GalleryError(f"gallery '{path}' was replaced by another while it was open: open it again")
        if (state.fingerprint, state.dim) != (self.fingerprint, self.dim):
            raise GalleryError(
                f"gallery '{path}' was made with model {state.fingerprint} (D={state.dim}), the loaded model is "
                f"{self.fingerprint} (D={self.dim}): load the bundle it was made with, re-embed it with "
                "`oneshot gallery migrate`, or enroll the symbols into a new gallery"
            )
        return state


def _owned(partition: Partition, label: object) -> bool:
    """Whether a partition has a row; one whose label is no text is in every partition, to be found damaged."""
    return not isinstance(label, str) or partition.owns(label)


class _Draft:
    """The state that a write is working out."""

    def __init__(self, state: State) -> None:
        self.state = state

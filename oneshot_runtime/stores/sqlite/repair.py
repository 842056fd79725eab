"""Checking a gallery file for damage, and saving what is intact into a good file."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.stores.health import Health
from oneshot_runtime.stores.records import BLOCK, Row, State, row_from
from oneshot_runtime.stores.sqlite.database_file import UNREADABLE, GalleryFile, transaction
from oneshot_runtime.stores.sqlite.sqlite_reader import fetch_block
from oneshot_runtime.stores.sqlite.sqlite_schema import (
    COLUMNS,
    create,
    insert_rows,
    refuse_newer,
    state_or_none,
    unchanged,
    write_state,
)

__all__ = ["Repair", "check_file", "repair_file"]

_SHOWN_PROBLEMS = 10
_BLIND_PROBES = 1 << 14
"""Numbers looked up behind an unreadable page when nothing says how many there are."""


@dataclass(frozen=True)
class Repair:
    """What a repair did. damaged: where the damaged file is now. lost: what could not be saved, in words."""

    damaged: Path
    supports: int
    lost: list[str]


def check_file(path: str | os.PathLike[str], fingerprint: str | None = None) -> Health:
    """Read all of a gallery file and say what is wrong with it; what it holds stays as it is, its version too.

    fingerprint: of the model that it should belong to. Raises `GalleryError` when the file is missing or no database, or its
    header is not a gallery's, which a repair may mend.
    """
    file = _existing(path)
    with file.errors(), ExitStack() as stack:
        found_file = stack.enter_context(closing(file.connect()))
        connection = stack.enter_context(closing(unchanged(found_file, file)))
        connection.execute("BEGIN DEFERRED")  # never committed: on a damaged file that fails too
        problems = _page_problems(connection)
        state = state_or_none(connection)
        dim = state.dim if state is not None else _usual_dim(connection)
        found, rows = State("", "", dim), _Salvage(connection, dim)
        labels: set[str] = set()
        for block in rows:
            found = found.with_rows([row.checksum for row in block], 0)
            labels.update(row.label for row in block)
    problems += rows.lost
    if state is None:
        problems.append("the state that says what the file must hold is damaged")
    else:
        problems += _state_problems(file, state, found)
    damaged = bool(problems)
    if state is not None and fingerprint not in (None, state.fingerprint):
        problems.append(f"made with model {state.fingerprint}, the loaded model is {fingerprint}: `oneshot gallery migrate`")
    return Health(problems, damaged, found.supports, len(labels), None if state is None else state.fingerprint)


def repair_file(path: str | os.PathLike[str], model: tuple[str, int]) -> Repair:
    """Write the intact supports of a damaged gallery to a new file in its place, keeping the damaged one beside it.

    model: fingerprint and dimension to use where the file no longer says its own. Other processes that have the file open get a
    `GalleryError` from then on. Raises `GalleryError`, and leaves the file as it is, when no support can be read of a gallery
    that is not known to be empty.
    """
    file = _existing(path)
    with file.errors(), closing(file.connect()) as connection:
        refuse_newer(connection, file)
        # Holding the write lock: who waits for it finds the file replaced, so no write gets lost in the old one.
        connection.execute("BEGIN IMMEDIATE")
        state = state_or_none(connection)
        fresh = State(uuid.uuid4().hex, *model) if state is None else replace(state, identity=uuid.uuid4().hex)
        fresh = replace(fresh, supports=0, digest=0, forgotten=fresh.last_removal)
        rows = _Salvage(connection, fresh.dim)
        good = file.real.with_name(f"{file.real.name}.repair-{os.getpid()}")
        try:
            fresh = _write(good, fresh, rows)
            if not fresh.supports and (state is None or state.supports):
                raise GalleryError(
                    f"gallery '{file.path}': no support can be read, so it was left as it is: restore it from a copy, or "
                    f"remove it and '{file.acknowledgement.name}' to start anew"
                )
            lost = list(rows.lost)
            if state is not None:
                lost += _state_problems(file, state, fresh)
            shutil.copymode(file.real, good)
            damaged = _set_aside(file)
            os.replace(good, file.real)
        finally:
            good.unlink(missing_ok=True)
        file.forget_acknowledged()
        _sync_folder(file.real.parent)
    return Repair(damaged, fresh.supports, lost)


class _Salvage:
    """Blocks of intact rows, whatever can be read of a table; `lost` says what could not be."""

    def __init__(self, connection: sqlite3.Connection, dim: int) -> None:
        self._connection = connection
        self._dim = dim
        self.lost: list[str] = []

    def __iter__(self) -> Iterator[list[Row]]:
        after = 0
        while True:
            query = f"SELECT {COLUMNS} FROM supports WHERE id > ? ORDER BY id LIMIT {BLOCK}"
            try:
                values = fetch_block(self._connection.execute(query, (after,)))
            except UNREADABLE:
                values = None
            if values is None or not _in_order(values, after):
                yield from self._one_by_one(after)
                return
            if not values:
                return
            yield self._intact(values)
            after = values[-1][0]

    def _one_by_one(self, after: int) -> Iterator[list[Row]]:
        """Past unreadable pages: every number that may have been given out is looked up by itself."""
        unreadable = 0
        for number in range(after + 1, self._highest(after) + 1):
            try:
                values = self._connection.execute(f"SELECT {COLUMNS} FROM supports WHERE id = ?", (number,)).fetchall()
            except UNREADABLE:
                unreadable += 1
                continue
            if values:
                yield self._intact(values)
        if unreadable:
            self.lost.append(f"supports could not be read at {unreadable} of the numbers after {after}")

    def _highest(self, after: int) -> int:
        state = state_or_none(self._connection)
        if state is not None:
            return state.last_support
        try:
            return int(self._connection.execute("SELECT max(id) FROM supports").fetchone()[0] or 0)
        except (*UNREADABLE, ValueError):
            return after + _BLIND_PROBES

    def _intact(self, values: list[tuple[Any, ...]]) -> list[Row]:
        rows = [(row_from(columns, self._dim), columns) for columns in values]
        self.lost += [f"support {columns[0]} of {columns[1]!r:.80} is damaged" for row, columns in rows if row is None]
        return [row for row, _ in rows if row is not None]


def _in_order(values: list[tuple[Any, ...]], after: int) -> bool:
    """Whether row numbers grow: damaged pages can lead in circles."""
    numbers = [after, *(columns[0] for columns in values)]
    return all(first < second for first, second in itertools.pairwise(numbers))


def _existing(path: str | os.PathLike[str]) -> GalleryFile:
    file = GalleryFile(path)
    if not file.exists():
        raise GalleryError(f"gallery '{path}' does not exist")
    return file


def _page_problems(connection: sqlite3.Connection) -> list[str]:
    try:
        found = [str(line) for (line,) in connection.execute(f"PRAGMA integrity_check({_SHOWN_PROBLEMS})")]
        connection.execute("SELECT max(id) FROM removals").fetchone()
    except UNREADABLE as error:
        found = [str(error) or "out of memory, for the length that a damaged page gives"]
    return [] if found == ["ok"] else [f"SQLite: {line}" for line in found]


def _usual_dim(connection: sqlite3.Connection) -> int:
    """The dimension of most codes, where the file no longer says it."""
    query = "SELECT length(code) FROM supports GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
    try:
        row = connection.execute(query).fetchone()
    except UNREADABLE:
        row = None
    return int(row[0] or 0) if row else 0


def _state_problems(file: GalleryFile, state: State, found: State) -> list[str]:
    problems = []
    if found.supports != state.supports:
        problems.append(f"{found.supports} intact supports, but {state.supports} were written")
    elif found.digest != state.digest:
        problems.append("the checksum over all supports differs: some are not those that were written")
    noted = file.acknowledged(state.identity)
    if noted is not None and noted > state.revision:
        problems.append(
            f"{state.revision} writes, but {noted} were acknowledged: the last {noted - state.revision} are missing"
        )
    return problems


def _write(path: Path, state: State, rows: _Salvage) -> State:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, transaction(connection):
        create(connection, state)
        for block in rows:
            state = insert_rows(connection, block, state)
        write_state(connection, state)
    return state


def _set_aside(file: GalleryFile) -> Path:
    """Copy the file and its log beside it, then remove the log: it must not be replayed onto the file that follows."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    damaged = file.real.with_name(f"{file.real.name}.damaged-{stamp}-{os.getpid()}")
    log = file.real.with_name(file.real.name + "-wal")
    for source, target in ((file.real, damaged), (log, damaged.with_name(damaged.name + "-wal"))):
        if source.exists():
            shutil.copyfile(source, target)
            with target.open("rb+") as copy:
                os.fsync(copy.fileno())
    for suffix in ("-wal", "-shm"):
        file.real.with_name(file.real.name + suffix).unlink(missing_ok=True)
    return damaged


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

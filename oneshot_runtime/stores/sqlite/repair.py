"""Saving what is intact of a damaged gallery file into a good one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
import uuid
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from oneshot_runtime.errors import DamageError, GalleryError
from oneshot_runtime.stores.records import State
from oneshot_runtime.stores.sqlite.block import pack_extras
from oneshot_runtime.stores.sqlite.database_file import GalleryFile, sync_folder, transaction
from oneshot_runtime.stores.sqlite.file_check import Salvage, existing, look, state_or_none, state_problems
from oneshot_runtime.stores.sqlite.gallery_table import (
    BLOCKS,
    EXTRAS,
    create_table,
    require_gallery,
    seal,
    sealed_checksum,
    set_up,
    write_state,
)

__all__ = ["Repair", "repair_file", "set_aside"]


@dataclass(frozen=True)
class Repair:
    """What a repair did. damaged: where the damaged file is now, None when nothing was wrong. lost: what could not be saved."""

    damaged: Path | None
    supports: int
    lost: list[str]


def repair_file(path: str | os.PathLike[str], model: tuple[str, int]) -> Repair:
    """Write the intact supports of a damaged gallery to a new file in its place, keeping the damaged one beside it.

    It looks again under the write lock: a gallery that is sound then is left alone. model: fingerprint and dimension to use
    where the file no longer says its own. Other processes that have the file open get a `GalleryError` from then on. Raises
    `GalleryError`, and leaves the file as it is, when no support can be read of a gallery that is not known to be empty.
    """
    file = existing(path)
    with file.errors(), closing(file.connect()) as connection, file.writing():
        set_up(connection, file)
        connection.execute("BEGIN IMMEDIATE")  # who waits for it finds the file replaced, so no write gets lost in the old one
        if _is_gallery(connection, file):
            health = look(connection, file)
            if not health.damaged:
                return Repair(None, health.supports, [])
        state = state_or_none(connection, file)
        rows = Salvage(connection, file, state, model[1])
        fresh = State(uuid.uuid4().hex, *model) if state is None else replace(state, identity=uuid.uuid4().hex)
        good = file.real.with_name(f".{file.real.name}.repair-{uuid.uuid4().hex}")
        try:
            fresh, lost = _write(good, replace(fresh, supports=0, digest=0, forgotten=fresh.last_removal), rows)
            if not fresh.supports and (state is None or state.supports):
                raise GalleryError(
                    f"gallery '{file.path}': no support can be read, so it was left as it is: restore it from a backup, or "
                    "remove it to begin a new one"
                )
            lost += rows.lost
            if state is not None:
                lost += state_problems(replace(state, digest=0), fresh.supports, 0)
            shutil.copymode(file.real, good)
            damaged = set_aside(file, "damaged", good, connection)
        finally:
            good.unlink(missing_ok=True)
    return Repair(damaged, fresh.supports, lost)


def set_aside(file: GalleryFile, kind: str, good: Path, connection: sqlite3.Connection) -> Path:
    """Put a good file in the gallery's place; returns where the old one is now.

    connection: what keeps others from writing meanwhile. Windows replaces no file that is open: it is closed there, and who
    has the file open besides makes this a `GalleryError`, so that no write gets lost in the old one.
    """
    aside = file.real.with_name(f"{file.real.name}.{kind}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
    try:
        _exchange(file.real, aside, good)
    except PermissionError:
        connection.close()
        try:
            _exchange(file.real, aside, good)
        except PermissionError as error:
            raise GalleryError(
                f"gallery '{file.path}' cannot be replaced, and was left as it is: another process has it open, or its folder "
                "is not writable: close it there and try again"
            ) from error
    sync_folder(file.real.parent)
    return aside


def _exchange(real: Path, aside: Path, good: Path) -> None:
    try:
        os.link(real, aside)
    except OSError:  # a file system without hard links
        os.replace(real, aside)
        os.replace(good, real)
        return
    try:
        os.replace(good, real)
    except OSError:
        aside.unlink()
        raise


def _is_gallery(connection: sqlite3.Connection, file: GalleryFile) -> bool:
    """Whether the header and the tables are a gallery's. Raises for another program's file and one of another version."""
    try:
        require_gallery(connection, file)
        file.require_size(connection)
    except DamageError:
        return False
    return True


def _write(path: Path, state: State, rows: Salvage) -> tuple[State, list[str]]:
    """Write a new file with the rows; returns its state, and which pictures are lost."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    lost: list[str] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as target, transaction(target):
        create_table(target, state)
        state = replace(state, dim=rows.dim)
        for block in rows:
            extras = block.extras.copy()
            for place in np.flatnonzero(extras).tolist():
                number = int(block.numbers[place])
                try:
                    packed = pack_extras(*rows.extras(block, place))
                except (DamageError, sqlite3.DatabaseError, MemoryError):
                    extras[place] = 0
                    lost.append(f"picture and metadata of support {number} of {block.labels[place]!r:.80}")
                else:
                    target.execute("INSERT INTO gallery VALUES (?, ?)", (EXTRAS + number, packed))
            first = int(block.numbers[0])
            content = seal(BLOCKS + first, replace(block, extras=extras).pack())
            target.execute("INSERT INTO gallery VALUES (?, ?)", (BLOCKS + first, content))
            state = state.with_block(len(block), sealed_checksum(content), int(block.numbers[-1]))
        write_state(target, state)
    return state, lost

"""Reading all of a gallery file, whatever is wrong with it: what is damaged, and what is intact."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress

import numpy as np

from oneshot_runtime.errors import DamageError, GalleryError, counted
from oneshot_runtime.stores.health import Health
from oneshot_runtime.stores.records import State
from oneshot_runtime.stores.sqlite.block import Block, checksum_of, max_block_bytes
from oneshot_runtime.stores.sqlite.database_file import UNREADABLE, GalleryFile
from oneshot_runtime.stores.sqlite.enrollment_log import LOG, EnrollmentLog, Record
from oneshot_runtime.stores.sqlite.gallery_table import (
    BLOCKS,
    CHECKSUM_BYTES,
    END,
    EXTRAS,
    FIRST_BLOCK,
    REMOVALS,
    find_log,
    read_extras,
    read_removals,
    read_state,
    require_gallery,
    says_logged,
    scan,
    sealed_checksum,
    set_up,
    structure_problems,
)

__all__ = ["Salvage", "check_file", "existing", "look"]

_BLIND_PROBES = 1 << 14
"""Numbers looked up behind an unreadable page when nothing says how many there are."""

_NAMED = 10


def check_file(path: str | os.PathLike[str], fingerprint: str | None = None) -> Health:
    """Read all of a gallery file, as one state of it, and say what is wrong; nothing is changed.

    fingerprint: of the model that it should belong to. Raises `GalleryError` when the file is missing or no database, or its
    header is not a gallery's, which a repair may mend.
    """
    file = existing(path)
    with file.errors(), closing(file.connect()) as connection, file.reading():
        set_up(connection, file)
        connection.execute("BEGIN DEFERRED")
        require_gallery(connection, file)
        file.require_size(connection)
        return look(connection, file, fingerprint)


def existing(path: str | os.PathLike[str]) -> GalleryFile:
    """The file at a path. Raises `GalleryError` when there is none."""
    file = GalleryFile(path)
    if not file.exists():
        raise GalleryError(f"gallery '{path}' does not exist")
    return file


def look(connection: sqlite3.Connection, file: GalleryFile, fingerprint: str | None = None) -> Health:
    """What is wrong with the file, inside a transaction."""
    problems = structure_problems(connection)
    state = state_or_none(connection, file)
    rows = Salvage(connection, file, state)
    labels: set[str] = set()
    supports, referenced = 0, 0
    for block in rows:
        labels.update(block.labels)
        supports += len(block)
        if not rows.is_logged(block):
            referenced += int(np.count_nonzero(block.extras))
            problems += rows.lost_extras(block)
    problems += rows.lost
    if state is None:
        problems.append("the state that says what the file must hold is damaged")
    else:
        problems += state_problems(state, supports - rows.logged, rows.digest) + _other_rows(
            connection, file, state, referenced
        )
    damaged = bool(problems)
    if state is not None and fingerprint not in (None, state.fingerprint):
        problems.append(f"made with model {state.fingerprint}, the loaded model is {fingerprint}: `oneshot gallery migrate`")
    return Health(problems, damaged, supports, len(labels), None if state is None else state.fingerprint)


def state_or_none(connection: sqlite3.Connection, file: GalleryFile) -> State | None:
    """The state, None when it is damaged or cannot be read."""
    try:
        return read_state(connection, file)
    except (*UNREADABLE, DamageError):
        return None


def state_problems(state: State, supports: int, digest: int) -> list[str]:
    """How what was found differs from what was written."""
    if supports != state.supports:
        return [f"{supports} intact supports, but {state.supports} were written"]
    if digest != state.digest:
        return ["the checksum over all supports differs: some are not those that were written"]
    return []


class Salvage:
    """Blocks of intact supports, whatever can be read of a file; `lost` says what could not be."""

    def __init__(self, connection: sqlite3.Connection, file: GalleryFile, state: State | None, dim: int = 0) -> None:
        self._connection, self._file, self._state = connection, file, state
        self._dim = state.dim if state is not None else dim or self._usual_dim()
        self.dim = self._dim
        self.lost: list[str] = []
        self.digest = 0
        self._records = self._logged()
        self.logged = sum(len(record.block) for record in self._records)

    def __iter__(self) -> Iterator[Block]:
        last = 0
        for number, content in self._rows():
            block = self._intact(number, content)
            if block is None:
                continue
            if block.numbers[0] <= last:
                self.lost.append(f"the block of supports from {number - BLOCKS} holds numbers that come before")
                continue
            last = int(block.numbers[-1])
            yield block
        for record in self._records:
            yield record.block

    def is_logged(self, block: Block) -> bool:
        """Whether a block is of the log of enrollments, where it is kept with its pictures."""
        return any(block is record.block for record in self._records)

    def extras(self, block: Block, place: int) -> tuple[bytes | None, str | None]:
        """Thumbnail and metadata of a support. Raises what `read_extras` raises."""
        number = int(block.numbers[place])
        for record in self._records:
            if block is record.block:
                return record.extras_of(number)
        return read_extras(self._connection, self._file, number, int(block.extras[place]))

    def _logged(self) -> list[Record]:
        found = None
        with suppress(*UNREADABLE):
            found = find_log(self._connection)
        if found is None or self._state is None:
            self.lost += ["the last enrollments are gone"] if says_logged(self._connection) else []
            return []
        log = EnrollmentLog.read(found, self._state)
        if log is None or not says_logged(self._connection):
            self.lost.append("the last enrollments do not fit what was there before")
        return [] if log is None else log.records

    def lost_extras(self, block: Block) -> list[str]:
        """Which pictures and metadata of a block are damaged."""
        lost = []
        for place in np.flatnonzero(block.extras).tolist():
            try:
                self.extras(block, place)
            except (*UNREADABLE, DamageError):
                lost.append(
                    f"picture and metadata of support {block.numbers[place]} of {block.labels[place]!r:.80} are damaged"
                )
        return lost

    def _rows(self) -> Iterator[tuple[int, bytes | None]]:
        most = max_block_bytes(self._dim) + CHECKSUM_BYTES
        number = FIRST_BLOCK - 1
        try:
            for number, content in scan(self._connection, FIRST_BLOCK, END, most):
                yield number, content
        except UNREADABLE:
            yield from self._one_by_one(number + 1, most)

    def _one_by_one(self, first: int, most: int) -> Iterator[tuple[int, bytes | None]]:
        """Past unreadable pages: every number that a block may begin with is looked up by itself."""
        unreadable = 0
        last = self._state.last_support if self._state is not None else first - BLOCKS + _BLIND_PROBES
        for number in range(first, BLOCKS + last + 1):
            try:
                yield from scan(self._connection, number, number, most)
            except UNREADABLE:
                unreadable += 1
        if unreadable:
            self.lost.append(f"blocks of supports could not be read at {unreadable} of the numbers from {first - BLOCKS} on")

    def _intact(self, number: int, content: bytes | None) -> Block | None:
        if content is None or len(content) <= CHECKSUM_BYTES:
            self.lost.append(f"the block of supports from {number - BLOCKS} is damaged")
            return None
        data = content[CHECKSUM_BYTES:]
        if checksum_of(data, number) == sealed_checksum(content) and (block := Block.unpack(data, dim=self._dim)) is not None:
            self.digest = (self.digest + sealed_checksum(content)) % (1 << 64)
            return block
        block, lost = Block.salvage(data, self._dim)
        self.lost.append(f"damage to {counted(lost, 'support')} in the block from {number - BLOCKS}")
        return block

    def _usual_dim(self) -> int:
        """The dimension of the codes, where the file no longer says it: the one at which the first block can be read."""
        for _, content in scan(self._connection, FIRST_BLOCK, END, 1 << 25):
            if content is not None and (dim := Block.dim_of(content[CHECKSUM_BYTES:])):
                return dim
        return 1


def _other_rows(connection: sqlite3.Connection, file: GalleryFile, state: State, referenced: int) -> list[str]:
    """What is wrong with the list of removals, and whether there are pictures of no support."""
    problems = []
    try:
        listed = [removal.number for removal in read_removals(connection, file, 0)]
        if listed != list(range(state.forgotten + 1, state.last_removal + 1)):
            problems.append("the list of removals has gaps")
        (kept,) = connection.execute("SELECT count(*) FROM gallery WHERE id > ?", (EXTRAS,)).fetchone()
        if kept > referenced:
            problems.append(f"{kept - referenced} pictures belong to no support")
        (strange,) = connection.execute(
            f"SELECT count(*) FROM gallery WHERE id NOT IN (0, {LOG}) AND id <= {REMOVALS}"
        ).fetchone()
        if strange:
            problems.append(f"{strange} rows are none of a gallery")
    except (*UNREADABLE, GalleryError, ValueError, TypeError) as error:
        problems.append(f"the list of removals is damaged ({error})")
    return problems

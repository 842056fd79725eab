"""A write to a gallery file while its transaction is open: rows are changed at once, the state is worked out on the way.

Most writes move what is in the log of enrollments into the blocks first; an enrollment may be put into the log instead.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import DamageError
from oneshot_runtime.stores.follower import require_complete
from oneshot_runtime.stores.records import Row, State
from oneshot_runtime.stores.sqlite.block import Block, block_size, checksum_of
from oneshot_runtime.stores.sqlite.block_rows import block_starts, last_block, read_block
from oneshot_runtime.stores.sqlite.database_file import GalleryFile
from oneshot_runtime.stores.sqlite.gallery_table import (
    BLOCKS,
    EXTRAS,
    REMOVALS,
    clear_log,
    pack_removal,
    seal,
    sealed_checksum,
    write_state,
)
from oneshot_runtime.stores.sqlite.sqlite_snapshot import CatalogKeeper, Contents, Found, SqliteSnapshot

__all__ = ["Draft", "LogDraft", "SqliteDraft"]

_INSERT = "INSERT OR REPLACE INTO gallery VALUES (?, ?)"
_DELETE = "DELETE FROM gallery WHERE id = ?"


class Draft(Protocol):
    """What a transaction does.

    before: the state that it began with. state: what it is working out. written: the checksum of each block that was written,
    by its start, None where the block is gone.
    """

    before: State
    state: State
    written: dict[int, int | None]

    def finish(self) -> None:
        """Write the state, if anything was changed."""


@dataclass
class LogDraft:
    """An enrollment that goes into the log of the file, and changes nothing else."""

    connection: sqlite3.Connection
    contents: Contents
    written: dict[int, int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.before = self.state = self.contents.state

    def put(
        self, labels: Sequence[str], codes: NDArray[np.uint8], created: Sequence[float], extras: Sequence[bytes | None]
    ) -> bool:
        """Add supports; whether the file has a log, with room for them."""
        log = self.contents.log
        record = None if log is None else log.put(self.connection, _block(self.state, labels, codes, created, extras), extras)
        if record is not None:
            self.state = record.follows(self.state)
        return record is not None

    def finish(self) -> None:
        """Nothing is left to be written."""


@dataclass
class SqliteDraft:
    """A change of the blocks.

    logs: whether the file shall have a log of enrollments afterwards. `snapshot` is of all that is there, in blocks.
    """

    connection: sqlite3.Connection
    file: GalleryFile
    contents: Contents
    keeper: CatalogKeeper
    logs: bool
    written: dict[int, int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.before = self.contents.state
        self.state = self.contents.blocks
        for record in self.contents.records:
            block = record.block
            self.append(block.labels, block.codes, block.created.tolist(), record.extras)
        # Older than what follows, so that a catalog of the blocks before can be brought up to it.
        self.state = replace(self.state, revision=self.before.revision)
        self.snapshot = SqliteSnapshot(self.connection, self.file, Contents(self.state), self.keeper)

    def append(
        self, labels: Sequence[str], codes: NDArray[np.uint8], created: Sequence[float], extras: Sequence[bytes | None]
    ) -> None:
        """Add supports behind all others; codes uint8 (n, D). The last block is filled up first."""
        block = _block(self.state, labels, codes, created, extras)
        self._insert(block)
        rows = [(EXTRAS + int(number), part) for number, part in zip(block.numbers, extras, strict=True) if part is not None]
        self.connection.executemany(_INSERT, rows)

    def take_out(self, parts: Sequence[Found], drop_extras: bool = True) -> Block:
        """Delete supports from their blocks; returns them."""
        taken = []
        for part in parts:
            out = set(part.places)
            taken.append(part.block.part(part.places))
            self._replace(part, part.block.part([place for place in range(len(part.block)) if place not in out]))
        gone = Block.join(taken)
        if drop_extras:
            rows = [(EXTRAS + number,) for number in gone.numbers[gone.extras > 0].tolist()]
            self.connection.executemany(_DELETE, rows)
        return gone

    def move_to_end(self, parts: Sequence[Found], label: str) -> int:
        """Give supports another label and new numbers; returns how many they are."""
        old = self.take_out(parts, drop_extras=False)
        fresh = replace(old, labels=[label] * len(old), numbers=_numbers(self.state, len(old)))
        self._insert(fresh)
        moves = [
            (EXTRAS + int(new), EXTRAS + int(number))
            for new, number, extras in zip(fresh.numbers, old.numbers, old.extras, strict=True)
            if extras
        ]
        self.connection.executemany("UPDATE gallery SET id = ? WHERE id = ?", moves)
        return len(old)

    def list_removal(self, label: str, support: int | None = None) -> None:
        """Let those who follow know."""
        self.state, removal = self.state.with_removal(label, support)
        self.connection.execute(_INSERT, pack_removal(removal))
        self.connection.execute("DELETE FROM gallery WHERE id BETWEEN ? AND ?", (REMOVALS, REMOVALS + self.state.forgotten))

    def recode(self, fingerprint: str, dim: int, code_of: Callable[[Row], bytes]) -> None:
        """Bind the gallery to another model, with the code of `dim` bytes that `code_of` gives for each support."""
        file, began = self.file, self.state
        old, fresh = State("", "", dim), replace(self.state, fingerprint=fingerprint, dim=dim, notes={}, supports=0, digest=0)
        for start in block_starts(self.connection):
            block, checksum = read_block(self.connection, file, began.dim, start)
            old = old.with_block(len(block), checksum)
            codes = np.frombuffer(b"".join(map(code_of, self.snapshot.rows(block))), np.uint8).reshape(len(block), dim)
            self.state = fresh
            with file.errors():
                for first in range(0, len(block), block_size(dim)):
                    part = replace(block, codes=codes).part(slice(first, first + block_size(dim)))
                    self._write(int(part.numbers[0]) if first else start, part, 0, 0)
            fresh = self.state
        require_complete(str(file.path), old, began, file.repair)
        self.state = fresh

    def finish(self) -> None:
        """Write the state, if anything was changed, and empty the log."""
        if self.state != self.before or (self.contents.log is not None and not self.logs):
            self.state = replace(self.state, revision=self.before.revision + 1)
            if State.from_values(*self.state.values()) is None:  # it could not be read again
                raise DamageError(f"gallery '{self.file.path}' is damaged: its numbers are used up; {self.file.repair}")
            write_state(self.connection, self.state)
            if self.logs or self.contents.log is not None:
                clear_log(self.connection, self.state if self.logs else None)

    def _insert(self, block: Block) -> None:
        """Add a block's supports behind all others, in blocks of the usual size; the last one that is there is filled up."""
        size = block_size(self.state.dim)
        tail = last_block(self.connection, self.file, self.state.dim)
        if tail is not None and len(tail[1]) < size:
            start, last, checksum = tail
            room = size - len(last)
            self._replace(Found(start, last, checksum, []), Block.join([last, block.part(slice(0, room))]))
            block = block.part(slice(room, None))
        for first in range(0, len(block), size):
            part = block.part(slice(first, first + size))
            self._write(int(part.numbers[0]), part, 0, 0)

    def _replace(self, old: Found, fresh: Block) -> None:
        self._write(old.start, fresh, len(old.block), old.checksum)

    def _write(self, start: int, block: Block, supports: int, checksum: int) -> None:
        """Write a block in the place of one with so many supports and this checksum."""
        if not len(block):
            self.connection.execute(_DELETE, (BLOCKS + start,))
            self.state = self.state.with_block(-supports, -checksum)
            self.written[start] = None
            return
        content = seal(BLOCKS + start, block.pack())
        self.connection.execute(_INSERT, (BLOCKS + start, content))
        written = self.written[start] = sealed_checksum(content)
        self.state = self.state.with_block(len(block) - supports, written - checksum, int(block.numbers[-1]))


def _block(
    state: State, labels: Sequence[str], codes: NDArray[np.uint8], created: Sequence[float], extras: Sequence[bytes | None]
) -> Block:
    """Supports with the numbers that are next."""
    checksums = np.array([0 if part is None else checksum_of(part) for part in extras], np.uint64)
    return Block(_numbers(state, len(labels)), list(labels), codes, np.array(created, np.float64), checksums)


def _numbers(state: State, count: int) -> NDArray[np.int64]:
    return np.arange(state.last_support + 1, state.last_support + 1 + count, dtype=np.int64)

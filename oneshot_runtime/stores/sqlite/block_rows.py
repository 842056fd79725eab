"""Reading the rows of a gallery file that hold blocks: one, the last one, or all of them in runs."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import numpy as np

from oneshot_runtime.stores.sqlite.block import Block, max_block_bytes
from oneshot_runtime.stores.sqlite.database_file import GalleryFile
from oneshot_runtime.stores.sqlite.gallery_table import BLOCKS, CHECKSUM_BYTES, END, FIRST_BLOCK, damaged_row, opened_row, scan

__all__ = ["Run", "block_starts", "find_block", "last_block", "read_block", "read_runs"]

_RUN = 256
"""Blocks that are unpacked at once: some 4 MB."""


@dataclass(frozen=True)
class Run:
    """Blocks that follow each other: the number that each begins with, all their supports, and the sum of their checksums."""

    starts: list[int]
    block: Block
    checksum: int


def read_runs(connection: sqlite3.Connection, file: GalleryFile, dim: int, after: int = 0) -> Iterator[Run]:
    """The blocks that hold supports behind number `after`, in order; the first may hold others as well.

    Raises `DamageError` for a damaged one.
    """
    start = FIRST_BLOCK
    if after:
        query = "SELECT max(id) FROM gallery WHERE id BETWEEN ? AND ?"
        start = connection.execute(query, (FIRST_BLOCK, BLOCKS + after)).fetchone()[0] or FIRST_BLOCK
    last = 0
    with closing(scan(connection, start, END, max_block_bytes(dim) + CHECKSUM_BYTES)) as rows:
        opened = ((number, *opened_row(number, content, file)) for number, content in rows)
        while few := list(islice(opened, _RUN)):
            run = _run(few, dim, last)
            if run is None:
                damaged = bisect_left(range(1, len(few)), True, key=lambda count: _run(few[:count], dim, last) is None)
                raise damaged_row(few[damaged][0], file)
            last = int(run.block.numbers[-1])
            if last > after:
                yield run


def _run(rows: Sequence[tuple[int, memoryview, int]], dim: int, last: int) -> Run | None:
    """Blocks, from their numbers, contents and checksums; None where one is none, or not behind the support `last`."""
    starts = [number - BLOCKS for number, _, _ in rows]
    contents = [content for _, content, _ in rows]
    block = Block.unpack(*contents, dim=dim)
    if block is None or block.numbers[0] <= last:
        return None
    firsts = np.cumsum([0, *map(Block.count_of, contents[:-1])])
    if (block.numbers[firsts] < starts).any():
        return None
    return Run(starts, block, sum(checksum for _, _, checksum in rows))


def find_block(connection: sqlite3.Connection, file: GalleryFile, dim: int, start: int) -> tuple[Block, int] | None:
    """The block that begins with number `start`, and its checksum; None where there is none. Raises `DamageError`."""
    number = BLOCKS + start
    for _, content in scan(connection, number, number, max_block_bytes(dim) + CHECKSUM_BYTES):
        data, checksum = opened_row(number, content, file)
        block = Block.unpack(data, dim=dim)
        if block is None:
            raise damaged_row(number, file)
        return block, checksum
    return None


def read_block(connection: sqlite3.Connection, file: GalleryFile, dim: int, start: int) -> tuple[Block, int]:
    """`find_block` for one that must be there."""
    found = find_block(connection, file, dim, start)
    if found is None:
        raise damaged_row(BLOCKS + start, file)
    return found


def block_starts(connection: sqlite3.Connection) -> list[int]:
    """The starts of all blocks, growing."""
    query = "SELECT id FROM gallery WHERE id BETWEEN ? AND ? ORDER BY id"
    return [number - BLOCKS for (number,) in connection.execute(query, (FIRST_BLOCK, END))]


def last_block(connection: sqlite3.Connection, file: GalleryFile, dim: int) -> tuple[int, Block, int] | None:
    """Start, block and checksum of the last block, None of an empty gallery. Raises `DamageError`."""
    query = "SELECT max(id) FROM gallery WHERE id BETWEEN ? AND ?"
    (number,) = connection.execute(query, (FIRST_BLOCK, END)).fetchone()
    return None if number is None else (number - BLOCKS, *read_block(connection, file, dim, number - BLOCKS))

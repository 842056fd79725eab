"""One state of a gallery file, while a transaction keeps it: what is new in it, and which supports a label has."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from oneshot_runtime.errors import DamageError
from oneshot_runtime.stores.base import Added
from oneshot_runtime.stores.follower import require_complete
from oneshot_runtime.stores.partition import Partition
from oneshot_runtime.stores.records import Removal, Row, State, Support
from oneshot_runtime.stores.sqlite.block import Block
from oneshot_runtime.stores.sqlite.block_rows import find_block, read_block, read_runs
from oneshot_runtime.stores.sqlite.catalog import Catalog
from oneshot_runtime.stores.sqlite.database_file import GalleryFile
from oneshot_runtime.stores.sqlite.enrollment_log import EnrollmentLog, Record
from oneshot_runtime.stores.sqlite.gallery_table import read_extras, read_removals, read_state_and_log

__all__ = ["CatalogKeeper", "Contents", "Found", "SqliteSnapshot"]

_ROWS = 8192
"""Supports that are handed over at once."""


@dataclass(frozen=True)
class Found:
    """Supports of a label in one block. start, checksum: the block's. places: where in it they are."""

    start: int
    block: Block
    checksum: int
    places: list[int]


@dataclass(frozen=True)
class Contents:
    """What a file holds: blocks, by the state that is written of them, and the enrollments in its log, where it has one."""

    blocks: State
    log: EnrollmentLog | None = None

    @classmethod
    def read(cls, connection: sqlite3.Connection, file: GalleryFile, known: EnrollmentLog | None = None) -> Contents:
        """Both, inside a transaction. known: what was read of the log before. Raises `DamageError`."""
        return cls(*read_state_and_log(connection, file, known))

    @property
    def records(self) -> list[Record]:
        """The enrollments in the log."""
        return [] if self.log is None else self.log.records

    @property
    def state(self) -> State:
        """What both together must hold."""
        return self.blocks if self.log is None else self.log.state


class CatalogKeeper:
    """The catalog of a file's blocks, and the state that it is right for. Whoever uses it holds the lock."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.catalog = Catalog()
        self.state: State | None = None

    def keep(self, catalog: Catalog, state: State) -> None:
        """Take a catalog that was just made."""
        self.catalog, self.state = catalog, state


class SqliteSnapshot:
    """One state of the file. Everything that it gives is verified by the checksums."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        file: GalleryFile,
        contents: Contents,
        keeper: CatalogKeeper,
        partition: Partition | None = None,
    ) -> None:
        self.contents, self.state, self.file = contents, contents.state, file
        self._connection, self._keeper, self._partition = connection, keeper, partition

    def removals(self, after: int) -> list[Removal]:
        """The removals behind number `after`, in their order."""
        return read_removals(self._connection, self.file, after)

    def added(self, after: int) -> Iterator[Added]:
        """The supports behind number `after`; all of them must be those that the state says."""
        with self._keeper.lock:
            catalog = self._catalog_behind(after)
            held: list[Block] = []
            count = 0
            for block in self.blocks(after, catalog):
                old = int(np.searchsorted(block.numbers, after, "right"))
                held.append(block.part(slice(old, None)) if old else block)
                count += len(held[-1])
                if count >= _ROWS:
                    yield from self._handed(held)
                    held, count = [], 0
            yield from self._handed(held)
            if catalog is not None:
                self._keeper.keep(catalog, self.contents.blocks)

    def _catalog_behind(self, after: int) -> Catalog | None:
        """The catalog that is made on the way when all supports behind number `after` are read; None where that is not all."""
        keeper, known = self._keeper, self._keeper.state
        if not after:
            return Catalog()
        if known is None or (known.last_support, known.last_removal) != (after, self.contents.blocks.last_removal):
            return None
        keeper.state = None  # until all are there
        return keeper.catalog

    def count_before(self, label: str, support: int, last: int) -> int:
        """How many supports of a label have a number below `support`, and of at most `last`."""
        numbers = [int(part.block.numbers[place]) for part in self.find(label) for place in part.places]
        return sum(number < support and number <= last for number in numbers)

    def find(self, label: str) -> list[Found]:
        """The supports of a label, in the order of their enrolment; those in the log are of no block that begins anywhere."""
        with self._keeper.lock:
            catalog = self.catalog()
            starts = catalog.blocks_of(catalog.numbers_of(label).tolist())
        found = []
        for start in starts:
            block, checksum = read_block(self._connection, self.file, self.state.dim, start)
            found.append(Found(start, block, checksum, block.places_of(label)))
        found += [Found(0, record.block, 0, record.block.places_of(label)) for record in self.contents.records]
        return [part for part in found if part.places]

    def supports(self, label: str) -> list[Support]:
        """The supports of a label with pictures and metadata, in the order of their enrolment."""
        return [
            Support.stored(label, float(part.block.created[place]), *self.extras(part.block, place))
            for part in self.find(label)
            for place in part.places
        ]

    def extras(self, block: Block, place: int) -> tuple[bytes | None, str | None]:
        """Thumbnail and metadata of a support."""
        number = int(block.numbers[place])
        if number > self.contents.blocks.last_support:
            for record in self.contents.records:
                if number <= record.block.numbers[-1]:
                    return record.extras_of(number)
        return read_extras(self._connection, self.file, number, int(block.extras[place]))

    def rows(self, block: Block) -> Iterator[Row]:
        """The supports of a block with all that is kept of them."""
        for place, label in enumerate(block.labels):
            created, code = float(block.created[place]), block.codes[place].tobytes()
            yield Row(int(block.numbers[place]), label, code, created, *self.extras(block, place))

    def counts(self) -> dict[str, int]:
        """How many supports each label has, in the order of their first."""
        counts: Counter[str] = Counter()
        catalog = Catalog()
        with self._keeper.lock:
            for block in self.blocks(0, catalog):
                counts.update(block.labels)
            self._keeper.keep(catalog, self.contents.blocks)  # so that what is removed next is found without another pass
        return dict(counts)

    def catalog(self) -> Catalog:
        """Which supports of the blocks labels have, at this state; for who holds the lock."""
        known, state = self._keeper.state, self.contents.blocks
        if known != state:
            catalog = self._keeper.catalog
            if known is None or not self._can_catch_up(known) or not self._catch_up(known):
                catalog = Catalog()
                for _ in self._table_blocks(0, catalog):
                    pass
            self._keeper.keep(catalog, state)
        return self._keeper.catalog

    def _can_catch_up(self, known: State) -> bool:
        state = self.contents.blocks
        return known.identity == state.identity and known.revision < state.revision and known.last_removal >= state.forgotten

    def _catch_up(self, known: State) -> bool:
        """Bring the catalog up from an older state; whether that came out as it should."""
        catalog = self._keeper.catalog
        self._keeper.state = None
        asked: set[int] = set()
        for label in {removal.label for removal in self.removals(known.last_removal)}:
            asked.update(catalog.numbers_of(label).tolist())
        catalog.remove(*self._gone(catalog, asked))
        for run in read_runs(self._connection, self.file, self.state.dim, known.last_support):
            catalog.add_blocks(run.starts, run.block.numbers, run.block.labels)
        return len(catalog) == self.contents.blocks.supports

    def _gone(self, catalog: Catalog, asked: set[int]) -> tuple[set[int], list[int]]:
        """The numbers among those asked for that are no longer there, and the starts of blocks that are gone."""
        gone, emptied = set(asked), []
        for start in catalog.blocks_of(asked):
            block = find_block(self._connection, self.file, self.state.dim, start)
            if block is None:
                emptied.append(start)
            else:
                gone.difference_update(block[0].numbers.tolist())
        return gone, emptied

    def blocks(self, after: int = 0, catalog: Catalog | None = None) -> Iterator[Block]:
        """The blocks with supports behind number `after`, some joined; all of them, where it is 0, must be those written."""
        if not after or after < self.contents.blocks.last_support:
            yield from self._table_blocks(after, catalog)
        for record in self.contents.records:
            if record.block.numbers[-1] > after:
                yield record.block

    def _table_blocks(self, after: int, catalog: Catalog | None) -> Iterator[Block]:
        found, written = State("", "", self.state.dim), self.contents.blocks
        for run in read_runs(self._connection, self.file, self.state.dim, after):
            found = found.with_block(len(run.block), run.checksum)
            if run.block.numbers[-1] > written.last_support:
                raise DamageError(
                    f"gallery '{self.file.path}' is damaged: it has numbers that were not given out; {self.file.repair}"
                )
            if catalog is not None:
                catalog.add_blocks(run.starts, run.block.numbers, run.block.labels)
            yield run.block
        if not after:
            require_complete(str(self.file.path), found, written, self.file.repair)

    def _handed(self, blocks: list[Block]) -> Iterator[Added]:
        if not blocks:
            return
        whole = Block.join(blocks)
        if self._partition is not None:
            whole = whole.part([place for place, label in enumerate(whole.labels) if self._partition.owns(label)])
        if len(whole):
            yield Added(whole.labels, whole.codes, whole.numbers.tolist())

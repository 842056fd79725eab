"""Transactions on a gallery file: what a read may trust, and what a write has checked before it says that it is done."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from oneshot_runtime.errors import DamageError, GalleryError
from oneshot_runtime.stores.base import Added, Changes
from oneshot_runtime.stores.follower import Follower, require_model
from oneshot_runtime.stores.partition import Partition
from oneshot_runtime.stores.records import Removal, State
from oneshot_runtime.stores.sqlite.block_rows import find_block
from oneshot_runtime.stores.sqlite.database_file import BUSY_SECONDS, GalleryFile
from oneshot_runtime.stores.sqlite.enrollment_log import CAN_LOG, EnrollmentLog
from oneshot_runtime.stores.sqlite.gallery_table import create_table, pragmas, require_gallery, require_structure, set_up
from oneshot_runtime.stores.sqlite.sqlite_draft import Draft, LogDraft, SqliteDraft
from oneshot_runtime.stores.sqlite.sqlite_snapshot import CatalogKeeper, Contents, SqliteSnapshot
from oneshot_runtime.stores.sqlite.staging import Part

__all__ = ["FileAccess"]


_Draft = TypeVar("_Draft", bound=Draft)

_WRITE_CACHE_KB = 1 << 14
"""Pages that a write changes stay in memory up to this size; beyond it, those who read wait for its end."""


class FileAccess:
    """Connections to one gallery file, which is made by the first write; threads may share them.

    One connection reads and one writes, so that a match never waits for another thread's disk sync. A third, the witness, looks
    at the file as another process would: at the state before a commit, and after it at what was written.
    """

    def __init__(self, file: GalleryFile, fingerprint: str, dim: int, partition: Partition | None) -> None:
        self._file, self._partition = file, partition
        self._model = (fingerprint, dim)
        self._missing = State(uuid.uuid4().hex, fingerprint, dim)
        self._read_lock, self._write_lock = threading.RLock(), threading.RLock()
        self._follower = Follower(str(file.path), file.repair)
        self._keeper = CatalogKeeper()
        self._connections: tuple[sqlite3.Connection, sqlite3.Connection, sqlite3.Connection] | None = None
        self._identity: str | None = None
        self._closed = self._sound = False
        self._seen: int | None = None
        self._last_written: tuple[int, State] | None = None
        self._held: State | None = None
        self._log: EnrollmentLog | None = None
        self._enrollments = 0
        if not self.is_there():
            file.require_creatable()

    def is_there(self) -> bool:
        """Whether there is a file; it is then open."""
        with self._file.errors(), self._read_lock:
            if self._connections is None and self._file.exists():
                self._open()
            return self._connections is not None

    def guard(self) -> None:
        """Raise before any lock is taken where nothing can be done: closed, forked, or another file in the place."""
        if self._closed:
            raise GalleryError(f"gallery '{self._file.path}' is closed: open it again")
        self._file.guard()

    @contextmanager
    def reading(self) -> Iterator[SqliteSnapshot]:
        """The current state of a file that is there, while a transaction keeps it."""
        self.guard()
        with self._file.errors(), self._read_lock, self._file.reading():
            reader = self._connected()[0]
            reader.execute("BEGIN DEFERRED")
            try:
                contents = self._contents(reader)
                self._file.require_size(reader)
                yield SqliteSnapshot(reader, self._file, contents, self._keeper, self._partition)
            finally:
                if reader.in_transaction:
                    reader.execute("ROLLBACK")

    def sync(self, apply: Callable[[Changes], int]) -> None:
        """Hand everything that is new since the last call to `apply`; see `GalleryStore.sync`."""
        self.guard()
        with self._read_lock:
            position = self._follower.position
            # While this process writes no other does, and what it writes is not acknowledged yet.
            if position is not None and position == self._held:
                return
            if not self.is_there():
                self._follower.follow(_Nothing(self._missing), apply)
                return
            if position is not None and position.identity != self._identity:
                self._follower.position = None  # there was no file yet, and another process has made it
            with self._file.errors(), self._file.reading():
                if self._version() == self._seen:
                    return
                with self.reading() as snapshot:
                    version = self._version()
                    if self._seen is not None and snapshot.state == self._follower.position:
                        self._verify(snapshot)  # it was rolled back, or rewritten by another program
                    self._follower.follow(snapshot, apply)
                self._seen = version

    @contextmanager
    def writing(self, *, forgets: bool = True) -> Iterator[SqliteDraft]:
        """A transaction that ends with the draft's state written, on the disk and seen there.

        What is raised inside the block goes on as it is. forgets: whether the journal must keep nothing of what was there.
        """
        self.guard()
        with self._write_lock:
            if not self.is_there():
                self._file.create(lambda connection: create_table(connection, self._missing))
                self.is_there()
            with self._file.writing():
                # A journal that stays as long as it was saves the disk one wait of six.
                yield from self._transaction("TRUNCATE" if forgets else "PERSIST", self._draft)

    def log(self, part: Part) -> bool:
        """Add supports by one write to the file's log of enrollments; False where it has none, or no room in it."""
        self._enrollments += 1
        if not self._makes_log:
            return False
        with self._write_lock, self._file.writing(), self._logging() as draft:
            return draft.put(*part)

    @property
    def _makes_log(self) -> bool:
        """Whether this process enrolls often enough."""
        return CAN_LOG and self._enrollments > 1

    @contextmanager
    def _logging(self) -> Iterator[LogDraft]:
        # Nothing but the log is written, so there is nothing that a journal would have to bring back.
        yield from self._transaction("MEMORY", LogDraft)

    def _draft(self, writer: sqlite3.Connection, contents: Contents) -> SqliteDraft:
        return SqliteDraft(writer, self._file, contents, self._keeper, logs=self._makes_log)

    def _last_draft(self, writer: sqlite3.Connection, contents: Contents) -> SqliteDraft:
        return SqliteDraft(writer, self._file, contents, self._keeper, logs=False)

    def _transaction(self, journal: str, draft_of: Callable[[sqlite3.Connection, Contents], _Draft]) -> Iterator[_Draft]:
        writer = self._connected()[1]
        with self._file.errors():
            self._file.require_files_beside()
            writer.execute(f"PRAGMA journal_mode = {journal}")
            writer.execute("BEGIN IMMEDIATE")
        try:
            with self._file.errors():
                draft = draft_of(writer, self._begin(writer))
            yield draft
            with self._file.errors():
                draft.finish()
                if draft.state != draft.before:
                    self._require_alone(draft)
                pages = _pages(writer)
                writer.execute("COMMIT")
        except BaseException:
            with self._file.errors():
                if writer.in_transaction:
                    writer.execute("ROLLBACK")
            with self._keeper.lock:
                self._keeper.state = None  # it may know blocks that were not written
            raise
        finally:
            self._held = None
        with self._file.errors():
            if draft.state != draft.before:
                self._require_written(draft, pages)
            self._last_written = (_version(writer), draft.state)

    def close(self) -> None:
        """Close the file; later calls raise `GalleryError`."""
        if not self._file.is_ours():
            self._closed = True
            return  # of the process that forked this one
        with self._write_lock, self._read_lock:
            if self._connections is not None and not self._closed:
                with suppress(sqlite3.Error, GalleryError), self._file.writing(seconds=0):
                    if self._makes_log:
                        for _ in self._transaction("TRUNCATE", self._last_draft):
                            pass  # what is in the log goes into the blocks
                    self._connections[1].execute("PRAGMA journal_mode = DELETE")  # removes the empty journal
            self._closed = True
            connections, self._connections = self._connections, None
            for connection in connections or ():
                connection.close()

    def _connected(self) -> tuple[sqlite3.Connection, sqlite3.Connection, sqlite3.Connection]:
        if self._connections is None:
            raise GalleryError(f"gallery '{self._file.path}' does not exist; `oneshot enroll` creates it")
        return self._connections

    def _open(self) -> None:
        connections: list[sqlite3.Connection] = []
        try:
            for _ in range(3):
                connections.append(self._file.connect())
            with self._file.reading():  # SQLite would find no moment between the writes of a busy process
                for connection in connections:
                    set_up(connection, self._file)
                connections[1].execute(f"PRAGMA cache_size = -{_WRITE_CACHE_KB}")
                connections[0].execute("BEGIN DEFERRED")
                require_gallery(connections[0], self._file)
                contents = self._contents(connections[0])
                self._file.bind(connections[0])
                connections[0].execute("ROLLBACK")
        except BaseException:
            for connection in connections:
                connection.close()
            raise
        self._identity = contents.blocks.identity
        self._connections = (connections[0], connections[1], connections[2])

    def _begin(self, writer: sqlite3.Connection) -> Contents:
        self.guard()  # again, for the lock may have been long in coming
        require_gallery(writer, self._file)
        contents = self._contents(writer)
        state = contents.state
        self._file.require_size(writer)
        if self._last_written is not None and self._last_written[1] == state and self._last_written[0] != _version(writer):
            self._sound = False  # it was rolled back, or rewritten by another program
            self._verify(SqliteSnapshot(writer, self._file, contents, self._keeper))
        if not self._sound:
            require_structure(writer, self._file)
            self._sound = True
        self._held = state
        return contents

    def _verify(self, snapshot: SqliteSnapshot) -> None:
        """Read all blocks and compare them with the state."""
        for _ in snapshot.added(0):
            pass

    def _version(self) -> int:
        return _version(self._connected()[0])

    def _contents(self, connection: sqlite3.Connection) -> Contents:
        contents = self._read(connection)
        instead = "re-embed it with `oneshot gallery migrate`, or enrol the symbols into a new gallery"
        require_model(str(self._file.path), contents.blocks, self._model, self._identity, instead)
        return contents

    def _read(self, connection: sqlite3.Connection) -> Contents:
        contents = Contents.read(connection, self._file, self._log)
        self._log = contents.log
        return contents

    def _require_alone(self, draft: Draft) -> None:
        """Raise where the file is not what the write began with: another process has written meanwhile."""
        witness = self._connected()[2]
        witness.execute("PRAGMA busy_timeout = 0")
        try:
            found = self._read(witness).state
        except sqlite3.OperationalError:
            return  # locked, by the writer itself, which has put pages of a large write into the file
        if found != draft.before:
            raise self._interfered("nothing was written")

    def _require_written(self, draft: Draft, pages: tuple[int, int]) -> None:
        """Raise unless the file holds what was just committed, or what others have made of it since."""
        self.guard()
        witness = self._connected()[2]
        witness.execute(f"PRAGMA busy_timeout = {1000 * BUSY_SECONDS:.0f}")
        witness.execute("BEGIN DEFERRED")
        try:
            found = self._read(witness).state
            self._file.require_size(witness)
            if found.identity == draft.state.identity and found.revision > draft.state.revision:
                return
            sound = found == draft.state and _pages(witness) == pages
            for start, checksum in draft.written.items():
                block = find_block(witness, self._file, draft.state.dim, start) if sound else None
                sound = sound and (None if block is None else block[1]) == checksum
            if not sound:
                raise self._interfered("what was just written may be lost")
        except DamageError as error:
            raise self._interfered("what was just written may be lost") from error
        finally:
            if witness.in_transaction:
                witness.execute("ROLLBACK")

    def _interfered(self, what: str) -> GalleryError:
        return GalleryError(
            f"gallery '{self._file.path}' was written to by two processes at once, so {what}: another program does not keep to "
            f"its locks; look with `oneshot gallery check --gallery '{self._file.path}'`"
        )


class _Nothing:
    """The state of a gallery whose file is not there yet."""

    def __init__(self, state: State) -> None:
        self.state = state

    def removals(self, _after: int) -> list[Removal]:
        return []

    def added(self, _after: int) -> Iterator[Added]:
        return iter(())

    def count_before(self, _label: str, _support: int, _last: int) -> int:
        return 0


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _pages(connection: sqlite3.Connection) -> tuple[int, int]:
    """Pages of the file, and free ones among them."""
    found = pragmas(connection, "page_count", "freelist_count")
    return found["page_count"], found["freelist_count"]

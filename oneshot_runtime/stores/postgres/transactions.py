"""Connections to a gallery's server: a pool, reads that outlive a restart, and writes whose outcome is known."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.stores.follower import require_model
from oneshot_runtime.stores.postgres.connection_options import Options
from oneshot_runtime.stores.postgres.faults import is_gone
from oneshot_runtime.stores.postgres.postgres_schema import Connection, Connector, prepare, read_state
from oneshot_runtime.stores.records import State

__all__ = ["Database", "Draft"]

_Result = TypeVar("_Result")
_PAUSE = 0.05


@dataclass
class Draft:
    """A write in progress: its connection, and the state and number of classes that it works out."""

    connection: Connection
    state: State
    classes: int


class Database:
    """One gallery on a server, bound to one model; created when it is missing. Threads may share it."""

    def __init__(self, options: Options, fingerprint: str, dim: int) -> None:
        self.options = options
        self.dim = dim
        self._fingerprint = fingerprint
        self._process = os.getpid()
        self._identity: str | None = None
        self._closed = False
        self._write_lock = threading.RLock()
        self._connector = Connector(options)
        self.errors = self._connector.errors
        # First a connection without the pool, which would go on trying to reach a server that is not there.
        with self.errors(), self._connector.connect() as connection:
            prepare(connection, options, (fingerprint, dim))
            self._identity = self.state(connection)[0].identity
        arguments = self._connector.arguments()
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            options.conninfo,
            connection_class=psycopg.Connection[tuple[Any, ...]],
            kwargs=arguments,
            min_size=1,
            max_size=options.pool,
            timeout=options.timeout,
            configure=self._connector.configure,
            open=True,
            num_workers=1,
        )

    def state(self, connection: Connection, more: str = "") -> tuple[State, int]:
        """The state and the number of classes. Raises `GalleryError` for another model's or another gallery's."""
        state, classes = read_state(connection, self.options, more)
        instead = "or import the pictures of its export into a new gallery (?oneshot_schema=...)"
        require_model(self.options.place, state, (self._fingerprint, self.dim), self._identity, instead)
        return state, classes

    def read(self, work: Callable[[Connection], _Result]) -> _Result:
        """What `work` returns; it is done again with a new connection when the server went away, until the time-out."""
        with self.errors():
            return self._with_connection(work, time.monotonic() + self.options.timeout)

    @contextmanager
    def writing(self) -> Iterator[Draft]:
        """A transaction that ends with the draft's state written, and is known to be committed after the block."""
        with self._write_lock:
            with self.errors():
                draft, transaction_id = self._begin()
            connection = draft.connection
            before = draft.state
            try:
                yield draft
                with self.errors():
                    if draft.state is not before:
                        draft.state = replace(draft.state, revision=before.revision + 1)
                        values = (*draft.state.values(), draft.classes)
                        connection.execute("UPDATE state SET state = %s, checksum = %s, classes = %s", values)
                    self._commit(connection, transaction_id)
            except BaseException:
                with contextlib.suppress(psycopg.Error):
                    connection.rollback()
                raise
            finally:
                self._pool.putconn(connection)

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        if os.getpid() == self._process:
            self._pool.close()

    def _guard(self) -> None:
        if os.getpid() != self._process:
            raise GalleryError(
                f"gallery '{self.options.place}' was opened before this process forked: open it again after the fork"
            )
        if self._closed:
            raise GalleryError(f"gallery '{self.options.place}' is closed: open it again")

    def _with_connection(self, work: Callable[[Connection], _Result], give_up: float) -> _Result:
        while True:
            self._guard()
            connection = self._pool.getconn(timeout=max(0.1, give_up - time.monotonic()))
            try:
                return work(connection)
            except psycopg.Error as error:
                if not is_gone(error, connection) or time.monotonic() > give_up:
                    raise
            finally:
                if not connection.closed and connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                    with contextlib.suppress(psycopg.Error):
                        connection.rollback()
                self._pool.putconn(connection)
            self._renew()

    def _renew(self) -> None:
        """Let the pool drop the connections that a restart of the server has cut."""
        time.sleep(_PAUSE)
        with contextlib.suppress(PoolTimeout):
            self._pool.check()

    def _begin(self) -> tuple[Draft, str]:
        """An open transaction that holds the gallery's lock, and its number."""
        give_up = time.monotonic() + self.options.timeout
        while True:
            self._guard()
            connection = self._pool.getconn(timeout=max(0.1, give_up - time.monotonic()))
            try:
                connection.execute("BEGIN")
                state, classes = self.state(connection, "FOR UPDATE")
                (transaction_id,) = connection.execute("SELECT pg_current_xact_id()::text").fetchone() or ("",)
                return Draft(connection, state, classes), str(transaction_id)
            except BaseException as error:
                with contextlib.suppress(psycopg.Error):
                    connection.rollback()
                self._pool.putconn(connection)
                if not is_gone(error, connection) or time.monotonic() > give_up:
                    raise
            self._renew()

    def _commit(self, connection: Connection, transaction_id: str) -> None:
        try:
            connection.execute("COMMIT")
        except psycopg.Error as error:
            if not is_gone(error, connection):
                raise
            # The answer was lost, not necessarily the write: the server knows.
            outcome = self._outcome(transaction_id)
            if outcome == "committed":
                return
            if outcome == "aborted":
                raise
            raise GalleryError(
                f"gallery '{self.options.place}': the server went away while it committed a write, and cannot be asked whether "
                "it did: look at the gallery before you repeat the write"
            ) from error

    def _outcome(self, transaction_id: str) -> str | None:
        """What became of a transaction, "committed" or "aborted"; None when the server does not say."""
        give_up = time.monotonic() + self.options.timeout

        def ask(connection: Connection) -> str | None:
            found = connection.execute("SELECT pg_xact_status(%s::text::xid8)", (transaction_id,)).fetchone()
            return None if found is None else found[0]

        outcome: str | None = None
        with contextlib.suppress(psycopg.Error, PoolTimeout):
            while (outcome := self._with_connection(ask, give_up)) == "in progress" and time.monotonic() < give_up:
                time.sleep(_PAUSE)
        return outcome if outcome in ("committed", "aborted") else None

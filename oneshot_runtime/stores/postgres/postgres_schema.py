"""The gallery's tables on a server: creating and upgrading them in one transaction, and telling what is in their place."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from psycopg import sql

from oneshot_runtime.errors import GalleryError, OptionError
from oneshot_runtime.stores.postgres.connection_options import MAX_INDEXED, Options
from oneshot_runtime.stores.postgres.faults import BUSY_SECONDS, gallery_errors
from oneshot_runtime.stores.records import State

__all__ = ["Connector", "build_index", "found_version", "prepare", "query", "read_state", "transaction"]

Connection = psycopg.Connection[tuple[Any, ...]]

_MIN_SERVER = 13
_MIN_PGVECTOR = (0, 8)
_LOCK = 0x4F53_5631
"""Advisory lock of those who create or upgrade galleries in a database."""

_MAX_PLAIN = 1500
"""Dimensions up to which a vector stays in its row beside the largest label; beyond, it is kept out of line."""

_BUILT_AT_ONCE = 10_000
"""Supports that an HNSW index is built for when a gallery is opened: a matter of seconds."""


def _first_version(dim: int) -> list[str]:
    storage = "PLAIN" if dim <= _MAX_PLAIN else "EXTERNAL"
    return [
        "CREATE TABLE state (one boolean PRIMARY KEY CHECK (one), state text NOT NULL, checksum text NOT NULL, "
        "classes bigint NOT NULL)",
        'CREATE TABLE supports (id bigint PRIMARY KEY, label text COLLATE "C" NOT NULL, code bytea NOT NULL, '
        f"point vector({dim}) NOT NULL, created double precision NOT NULL, thumbnail bytea, metadata text, facts jsonb, "
        "checksum bytea NOT NULL)",
        "ALTER TABLE supports ALTER COLUMN code SET STORAGE EXTERNAL, ALTER COLUMN thumbnail SET STORAGE EXTERNAL, "
        f"ALTER COLUMN point SET STORAGE {storage}",
        "CREATE INDEX supports_by_label ON supports (label, id)",
        "CREATE INDEX supports_by_facts ON supports USING gin (facts jsonb_path_ops) WHERE facts IS NOT NULL",
        'CREATE TABLE removals (id bigint PRIMARY KEY, label text COLLATE "C" NOT NULL)',
        'CREATE TABLE classes (label text COLLATE "C" PRIMARY KEY, supports bigint NOT NULL, first bigint NOT NULL)',
    ]


def _second_version(_: int) -> list[str]:
    return ["ALTER TABLE removals ADD COLUMN support bigint"]


MIGRATIONS: tuple[Callable[[int], list[str]], ...] = (_first_version, _second_version)
"""Statements that lead from each version to the next, by the dimension of the codes."""


class Connector:
    """Opens connections that are set up for one gallery; every error names it."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._path: str | None = None

    def connect(self) -> Connection:
        """A connection of its own, set up."""
        connection = psycopg.connect(self.options.conninfo, **self.arguments())
        try:
            self.configure(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def arguments(self) -> dict[str, Any]:
        """What every connection is opened with."""
        return {
            "autocommit": True,
            "connect_timeout": self.options.timeout,
            "client_encoding": "UTF8",
            "fallback_application_name": "oneshot-runtime",
        }

    def configure(self, connection: Connection) -> None:
        """Set up a new connection."""
        server = connection.info.server_version
        if server < _MIN_SERVER * 10_000:
            raise GalleryError(
                f"gallery '{self.options.place}': the server is PostgreSQL {server // 10_000}, "
                f"version {_MIN_SERVER} is the oldest that this runtime and pgvector work with"
            )
        settings = {
            "search_path": self._search_path(connection),
            "lock_timeout": f"{BUSY_SECONDS}s",
            # A writer whose machine vanished lets go of its lock.
            "tcp_keepalives_idle": "30",
            "tcp_keepalives_interval": "10",
            "tcp_keepalives_count": "3",
        }
        if connection.execute("SHOW synchronous_commit").fetchone() == ("off",):
            settings["synchronous_commit"] = "on"
        if self.options.search == "hnsw":
            settings |= {"hnsw.ef_search": str(self.options.ef), "hnsw.iterative_scan": "strict_order"}
        calls = sql.SQL(", ").join([sql.SQL("set_config(%s, %s, false)")] * len(settings))
        values = [value for setting in settings.items() for value in setting]
        connection.execute(sql.SQL("SELECT {}").format(calls), values)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what psycopg raises into `GalleryError`s."""
        with gallery_errors(self.options.place):
            yield

    def _search_path(self, connection: Connection) -> str:
        """The gallery's schema, and that in which the extension lies."""
        if self._path is None:
            found = connection.execute(
                "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace "
                "WHERE extname = 'vector'"
            ).fetchone()
            if found is None:
                return f"{self.options.schema}, public"  # asked again by the next connection
            self._path = f"{self.options.schema}, {found[0]}"
        return self._path


def query(text: str) -> sql.SQL:
    """SQL that this package puts together of its own constants and numbers, where psycopg's types want a literal."""
    return sql.SQL(cast(Any, text))


@contextmanager
def transaction(connection: Connection, kind: str = "") -> Iterator[None]:
    """All statements inside are committed after the block, or none is."""
    connection.execute(query(f"BEGIN {kind}"))
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if not connection.closed:
            connection.execute("ROLLBACK")
        raise


def found_version(connection: Connection, schema: str) -> int | None:
    """The version of a gallery's tables, None when there is no gallery. Raises `GalleryError` for another program's schema."""
    kinds = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,)).fetchall()
    if not kinds:
        return None
    if ("oneshot_version",) not in kinds:
        raise GalleryError(
            f"the schema {schema!r} of database '{connection.info.dbname}' holds another program's tables, not a gallery: "
            "choose another with ?oneshot_schema=..."
        )
    (version,) = connection.execute(query(f"SELECT version FROM {schema}.oneshot_version")).fetchone() or (0,)
    return int(version)


def prepare(connection: Connection, options: Options, model: tuple[str, int] | None) -> None:
    """See that the gallery's tables are there and of this version, creating or upgrading them in one transaction.

    model: fingerprint and dimension that a new gallery gets; None creates none. Raises `GalleryError` for a newer version or
    another program's schema, or where pgvector is missing or too old, `OptionError` for codes too long for an index.
    """
    (encoding,) = connection.execute("SHOW server_encoding").fetchone() or ("",)
    if encoding != "UTF8":
        raise GalleryError(f"gallery '{options.place}': the database's encoding is {encoding}; make one with ENCODING 'UTF8'")
    version = found_version(connection, options.schema)
    if version is None and model is None:
        raise GalleryError(f"gallery '{options.place}' does not exist; `oneshot enroll` creates it")
    if version is None or version < len(MIGRATIONS):
        with transaction(connection):
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            # Looked up again under the lock: another process may have done it just now.
            _upgrade(connection, options, found_version(connection, options.schema), model)
    elif version > len(MIGRATIONS):
        raise GalleryError(
            f"gallery '{options.place}' has schema version {version}, this runtime reads {len(MIGRATIONS)}: "
            "install a newer oneshot-runtime"
        )
    _require_pgvector(connection, options)
    if options.search == "hnsw":
        _require_index(connection, options)


def read_state(connection: Connection, options: Options, more: str = "") -> tuple[State, int]:
    """The state and the number of classes. Raises `GalleryError` when it is damaged."""
    found = connection.execute(query(f"SELECT state, checksum, classes FROM state {more}")).fetchone()
    state = None if found is None else State.from_values(found[0], found[1])
    if found is None or state is None:
        raise GalleryError(
            f"gallery '{options.place}' is damaged, its state does not match its checksum: restore it from a backup"
        )
    return state, int(found[2])


def build_index(address: str) -> None:
    """Build the HNSW index of the gallery at `address`, or build it anew where a build was cut off; writes go on meanwhile.

    Raises `GalleryError`, or `OptionError` when the codes have more dimensions than pgvector indexes.
    """
    connector = Connector(Options.of(address))
    with connector.errors(), connector.connect() as connection:
        options = Options(connector.options.place, connector.options.conninfo, connector.options.schema)
        prepare(connection, options, None)
        _require_few_dimensions(read_state(connection, options)[0].dim)
        connection.execute("SET lock_timeout = 0")
        valid = _index_state(connection)
        if valid:
            return
        if valid is False:
            connection.execute("DROP INDEX CONCURRENTLY supports_by_point")
        connection.execute("CREATE INDEX CONCURRENTLY supports_by_point ON supports USING hnsw (point vector_l1_ops)")
        connection.execute("ANALYZE supports")  # or the planner takes the index for dearer than it is


def _upgrade(connection: Connection, options: Options, version: int | None, model: tuple[str, int] | None) -> None:
    _require_pgvector(connection, options, create=True)
    if version is None:
        if model is None:
            raise GalleryError(f"gallery '{options.place}' does not exist; `oneshot enroll` creates it")
        connection.execute(query(f"CREATE SCHEMA IF NOT EXISTS {options.schema}"))
        _set_path(connection, options)
        connection.execute("CREATE TABLE oneshot_version (version integer NOT NULL)")
        connection.execute("INSERT INTO oneshot_version VALUES (0)")
        dim = model[1]
    else:
        dim = read_state(connection, options)[0].dim
    for migration in MIGRATIONS[version or 0 :]:
        for statement in migration(dim):
            connection.execute(query(statement))
    connection.execute("UPDATE oneshot_version SET version = %s", (len(MIGRATIONS),))
    if version is None and model is not None:
        state = State(uuid.uuid4().hex, *model)
        connection.execute("INSERT INTO state VALUES (true, %s, %s, 0)", state.values())


def _set_path(connection: Connection, options: Options) -> None:
    """After the extension was created: it may lie in a schema that the connection was not set up for."""
    Connector(options).configure(connection)


def _require_pgvector(connection: Connection, options: Options, create: bool = False) -> None:
    found = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    if found is None and create:
        offered = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone()
        if offered is None:
            raise GalleryError(
                f"gallery '{options.place}': the server has no pgvector; install it there (package postgresql-NN-pgvector, or "
                "https://github.com/pgvector/pgvector)"
            )
        try:
            connection.execute("CREATE EXTENSION vector")
        except psycopg.errors.InsufficientPrivilege as error:
            raise GalleryError(
                f"gallery '{options.place}': this user may not create the extension pgvector: let an administrator run "
                "CREATE EXTENSION vector in the database once"
            ) from error
        found = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    version = "none" if found is None else str(found[0])
    if tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) < _MIN_PGVECTOR:
        raise GalleryError(
            f"gallery '{options.place}': the database has pgvector {version}, "
            f"{'.'.join(map(str, _MIN_PGVECTOR))} is needed: upgrade it on the server, then ALTER EXTENSION vector UPDATE"
        )


def _require_index(connection: Connection, options: Options) -> None:
    state, _ = read_state(connection, options)
    _require_few_dimensions(state.dim)
    if _index_state(connection):
        return
    if state.supports > _BUILT_AT_ONCE:
        raise GalleryError(
            f"gallery '{options.place}' has {state.supports} supports and no HNSW index: build it once with "
            "`oneshot gallery index`, or search with oneshot_search=exact or memory"
        )
    with transaction(connection):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if _index_state(connection) is None:
            connection.execute("CREATE INDEX supports_by_point ON supports USING hnsw (point vector_l1_ops)")


def _require_few_dimensions(dim: int) -> None:
    if dim > MAX_INDEXED:
        raise OptionError(
            f"this model's codes have {dim} dimensions, and pgvector's HNSW takes {MAX_INDEXED} at most: search with "
            "oneshot_search=exact, which reads every code in the database, or memory"
        )


def _index_state(connection: Connection) -> bool | None:
    """Whether the HNSW index can be used; None when there is none."""
    found = connection.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('supports_by_point')").fetchone()
    return None if found is None else bool(found[0])

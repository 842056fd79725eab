"""A gallery in PostgreSQL, with pgvector; needs the extra `postgres`. docs/postgres.md has its modes and its tables."""

from __future__ import annotations

from collections.abc import Callable

from oneshot_runtime.errors import DependencyError

try:
    import psycopg  # noqa: F401
    import psycopg_pool  # noqa: F401
except ImportError as error:
    raise DependencyError(
        f"a gallery at postgresql://... needs {error.name or 'psycopg'} ({error}): pip install 'oneshot-runtime[postgres]'"
    ) from error

from oneshot_runtime.stores.postgres.connection_options import Options
from oneshot_runtime.stores.postgres.postgres_health import check_gallery
from oneshot_runtime.stores.postgres.postgres_reader import PostgresReader
from oneshot_runtime.stores.postgres.postgres_schema import Connector, build_index, found_version
from oneshot_runtime.stores.postgres.postgres_store import PostgresStore

__all__ = ["PostgresReader", "PostgresStore", "build_index", "check_gallery", "gallery_exists", "open_reader", "open_store"]

open_store = PostgresStore
open_reader: Callable[[str], PostgresReader] = PostgresReader


def gallery_exists(address: str) -> bool:
    """Whether a gallery is at this address. Raises `GalleryError` when the server cannot be asked."""
    connector = Connector(Options.of(address))
    with connector.errors(), connector.connect() as connection:
        return found_version(connection, connector.options.schema) is not None

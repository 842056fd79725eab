"""What the server and the network can raise, as `GalleryError`s with a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from oneshot_runtime.errors import DamageError, GalleryError

__all__ = ["BUSY_SECONDS", "gallery_errors", "is_gone"]

BUSY_SECONDS = 30
"""How long a write waits for another one."""

_REMEDIES = {
    "25006": "this server or user may only read: write through the primary server",
    "42501": "the user needs CREATE on the database for a new gallery, and SELECT, INSERT, UPDATE, DELETE on its tables",
    "42P01": "its tables were removed or renamed: restore them from a backup, or open another gallery",
    "3F000": "its tables were removed or renamed: restore them from a backup, or open another gallery",
    "53100": "nothing was changed: make room on the server's disk and try again",
    "53300": "the server has no connection left: raise its max_connections, or lower oneshot_pool",
    "55P03": f"another process has been writing for {BUSY_SECONDS} s: wait for it, or end it",
    "57014": "the server ended it for its time limit (statement_timeout): raise it for this user",
    "XX001": "the server found its own pages damaged: restore it from a backup",
    "XX002": "the server found its own index damaged: REINDEX it, or restore the gallery from a backup",
    "25P03": "the server ended it for its time limit (idle_in_transaction_session_timeout): raise it for this user",
}
_GONE = "check that the server runs and can be reached; what returned before is kept, what was being written is not"
_REFUSED = "the server answered and refuses it: check the user, the password and the database's name (createdb makes one)"


@contextmanager
def gallery_errors(place: str) -> Iterator[None]:
    """Turn what psycopg raises inside into `GalleryError`s that name the gallery at `place`."""
    try:
        yield
    except PoolTimeout as error:
        raise GalleryError(f"gallery '{place}' cannot be used: no connection in time ({error}); {_GONE}") from error
    except PoolClosed as error:
        raise GalleryError(f"gallery '{place}' was closed: open it again") from error
    except (psycopg.Error, UnicodeError) as error:
        state = getattr(error, "sqlstate", None)
        text = " ".join(str(error).split())
        remedy = _REMEDIES.get(state or "", _GONE if state is None or state[:2] in ("08", "57") else "nothing was changed")
        if state is None and "FATAL" in text:  # libpq keeps no code of a refused connection
            remedy = _REFUSED
        kind = DamageError if state in ("XX001", "XX002") else GalleryError
        raise kind(f"gallery '{place}' cannot be used: {text}; {remedy}") from error


def is_gone(error: BaseException, connection: psycopg.Connection[object] | None) -> bool:
    """Whether an error means that the connection was lost, so that another one may do."""
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return connection is None or connection.closed
    return False

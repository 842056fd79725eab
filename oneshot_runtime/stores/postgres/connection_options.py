"""What an address `postgresql://...` says: where the server is, which gallery on it, and who searches."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from oneshot_runtime.errors import GalleryError, OptionError
from oneshot_runtime.stores.address import redacted

__all__ = ["MAX_INDEXED", "Options"]

MAX_INDEXED = 2000
"""Dimensions that pgvector's HNSW takes of a `vector`."""

_SEARCH = ("memory", "exact", "hnsw")
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_OURS = "oneshot_"
_AUTHORITY = re.compile(r"[A-Za-z]+://(?:[^@/]*@)?[^@]*")
"""An @ or / in a password that was not escaped would make libpq take the rest of it for a host, and name it."""

_KNOWN = ("schema", "search", "ef", "pool", "timeout")


@dataclass(frozen=True)
class Options:
    """An address taken apart.

    place: the address as messages show it. conninfo: the rest of it, for libpq, untouched. schema: of the gallery's tables.
    search: "memory" for codes in this process, "exact" or "hnsw" for a search in the database. ef: candidates that HNSW keeps
    (`hnsw.ef_search`). pool: connections at most. timeout: seconds to wait for a server that is away.
    """

    place: str
    conninfo: str
    schema: str = "oneshot"
    search: str = "memory"
    ef: int = 200
    pool: int = 4
    timeout: int = 10

    @classmethod
    def of(cls, address: str) -> Options:
        """Raises `OptionError` for a parameter `oneshot_...` that is unknown or out of range, `GalleryError` for no address."""
        base, _, query = address.partition("?")
        # A password may hold a question mark that was not escaped; only what follows is looked at.
        parts = query.split("&") if query else []
        given = dict(_split(part) for part in parts if part.startswith(_OURS))
        rest = "&".join(part for part in parts if not part.startswith(_OURS))
        conninfo = f"{base}?{rest}" if rest else base
        try:
            if not _AUTHORITY.fullmatch(base):
                raise ProgrammingError
            conninfo_to_dict(conninfo)
        except ProgrammingError:
            # Without libpq's words, which may hold a part of the password.
            raise GalleryError(
                f"gallery '{redacted(address)}' is no address that libpq reads: expected postgresql://user@host:port/database; "
                "special signs in a password are written %XX"
            ) from None
        unknown = sorted(set(given) - set(_KNOWN))
        if unknown:
            known = ", ".join(_OURS + name for name in _KNOWN)
            raise OptionError(f"gallery '{redacted(address)}': {_OURS}{unknown[0]} is unknown; there are {known}")
        schema, search = given.get("schema", cls.schema), given.get("search", cls.search)
        if not _SCHEMA.fullmatch(schema):
            raise OptionError(f"oneshot_schema is small letters, digits and underscores, 63 at most, got {schema!r:.80}")
        if search not in _SEARCH:
            raise OptionError(f"oneshot_search is one of {', '.join(_SEARCH)}, got {search!r:.80}")
        ef, pool = _whole(given, "ef", cls.ef, 1, 1000), _whole(given, "pool", cls.pool, 2, 1000)
        return cls(redacted(address), conninfo, schema, search, ef, pool, _whole(given, "timeout", cls.timeout, 1, 3600))


def _split(parameter: str) -> tuple[str, str]:
    name, _, value = parameter.partition("=")
    return name.removeprefix(_OURS), unquote(value)


def _whole(given: dict[str, str], name: str, usual: int, least: int, most: int) -> int:
    text = given.get(name, str(usual))
    if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= most:
        raise OptionError(f"{_OURS}{name} is a whole number from {least} to {most}, got {text!r:.80}")
    return int(text)

"""A gallery's address: a path, or `scheme://...`, which may hold a password that nothing prints."""

from __future__ import annotations

import os
import re

__all__ = ["redacted", "scheme_of"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PLAIN = re.compile(r"(?:host|port|oneshot_[a-z]+)=")
"""Parameters that say which gallery it is."""


def scheme_of(address: object) -> str | None:
    """The scheme of an address in small letters, None for a path."""
    found = _SCHEME.match(address) if isinstance(address, str) else None
    return found[1].lower() if found else None


def redacted(address: str | os.PathLike[str]) -> str:
    """The address as messages may show it: without a password, and without parameters that could hold a secret."""
    if scheme_of(address) is None:
        return str(address)
    scheme, _, rest = os.fspath(address).partition("://")
    # Up to the last @, for a password that was not escaped may hold any sign.
    secret, at, place = rest.rpartition("@")
    user = re.split(r"[:/?@]", secret, maxsplit=1)[0]
    place, _, query = place.partition("?")
    plain = "&".join(parameter for parameter in query.split("&") if _PLAIN.match(parameter))
    return f"{scheme}://{user}{at}{place}{'?' if plain else ''}{plain}"

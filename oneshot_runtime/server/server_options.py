"""What a server may be asked, by whom, and how much of it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from oneshot_runtime.errors import OptionError

__all__ = ["ServerOptions"]

_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class ServerOptions:
    """Limits and access of a server.

    Attributes:
        host: The address it binds.
        token: What clients must send as `Authorization: Bearer ...`, required beyond loopback.
        names: Host names beside `localhost` and bare addresses under which it may be called.
        max_bytes: The most bytes of one request.
        max_images: The most images of one request.
        max_import: The most bytes of an imported gallery.
        timeout: Seconds for a request's body to arrive, and for a match or an embedding to be done.
        batch: Single images of several clients that are matched together at most; 1 matches each alone.

    Raises:
        OptionError: For a host beyond loopback without a token, a token that is short, and limits that are not positive.
    """

    host: str = "127.0.0.1"
    token: str | None = field(default=None, repr=False)
    names: frozenset[str] = frozenset()
    max_bytes: int = 16 << 20
    max_images: int = 64
    max_import: int = 1 << 30
    timeout: float = 30.0
    batch: int = 16

    def __post_init__(self) -> None:
        if self.token is None and not _is_loopback(self.host):
            raise OptionError(
                f"host {self.host!r} can be reached by others, so a token is required: put one of {_SHORTEST_TOKEN} characters "
                "or more into the environment variable ONESHOT_TOKEN or into a file for --token-file, or bind 127.0.0.1"
            )
        if self.token is not None and not (
            len(self.token) >= _SHORTEST_TOKEN and self.token.isascii() and " " not in self.token
        ):
            raise OptionError(f"a token needs {_SHORTEST_TOKEN} ASCII characters or more without spaces, got {len(self.token)}")
        for name in ("max_bytes", "max_images", "max_import", "timeout", "batch"):
            if getattr(self, name) <= 0:
                raise OptionError(f"{name} must be positive, got {getattr(self, name)!r}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

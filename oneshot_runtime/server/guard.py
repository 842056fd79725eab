"""What stands before every route: the names that the server answers to, and requests that can be read in two ways."""

from __future__ import annotations

import functools
import ipaddress
from urllib.parse import unquote_to_bytes, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oneshot_runtime.server.problems import ProblemError, problem_response
from oneshot_runtime.server.server_options import ServerOptions

__all__ = ["Guard"]

_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' blob:; style-src 'self'; object-src 'none'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Guard:
    """Refuses names that are not this server's (DNS rebinding), addresses that are no text, and two ways to end a body."""

    def __init__(self, app: ASGIApp, options: ServerOptions) -> None:
        self._app, self._options = app, options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a WebSocket's handshake, or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        try:
            self._check(scope)
        except ProblemError as problem:
            if scope["type"] == "websocket":
                await receive()  # before the connection is accepted a close is a plain 403
                await send({"type": "websocket.close", "code": 1008, "reason": problem.shown(())[:120]})
            else:
                await problem_response(problem)(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) > 1:
            # What stands before this server may have looked at the other one.
            raise ProblemError(400, "send one Host header, not several", closes=True)
        name = _host_name(hosts[0] if hosts else "")
        if not (name == "localhost" or _is_address(name) or name in self._options.names or name == self._options.host.lower()):
            raise ProblemError(421, f"this server does not answer to the name {name!r:.100}; --allow-host adds one")
        if not (_is_text(scope.get("raw_path") or b"") and _is_text(scope["query_string"])):
            raise ProblemError(400, "the address holds bytes that are no UTF-8")
        if "content-length" in headers and "transfer-encoding" in headers:
            # A proxy before this server may have believed the other one: what follows can be part of another request.
            raise ProblemError(400, "send Content-Length or Transfer-Encoding, not both", closes=True)


def _is_text(encoded: bytes) -> bool:
    """Whether a part of an address stands for text: decoded with replacements, different names would become one."""
    if b"%" not in encoded and encoded.isascii():
        return True
    try:
        unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        return False
    return True


@functools.lru_cache(maxsize=64)
def _host_name(host: str) -> str:
    if any(character in host for character in "/\\@?#"):  # of an address, not of a name
        return ""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


@functools.lru_cache(maxsize=64)
def _is_address(name: str) -> bool:
    """A bare address cannot be rebound: only names are looked up."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

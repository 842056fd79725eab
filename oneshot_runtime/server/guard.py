"""What stands before every route: who may ask, from which page, and how much may be sent."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import time
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oneshot_runtime.server.problems import ProblemError, problem_response
from oneshot_runtime.server.server_options import ServerOptions

__all__ = ["IMPORT_PATH", "TOKEN_PROTOCOL", "Guard"]

TOKEN_PROTOCOL = "oneshot.token."
"""Start of the WebSocket subprotocol that carries a page's token in base64url: a browser lets a page set no header there."""


IMPORT_PATH = "/v1/gallery/import"
_IMPORT_PATIENCE = 20
"""How many times the usual time a gallery may take to arrive."""

_GUARDED = ("/v1/", "/metrics", "/openapi.json")
_OPEN = "/v1/health"
_SAFE_METHODS = ("GET", "HEAD")
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; style-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Refuses names that are not this server's (DNS rebinding), other sites' requests, missing tokens and large bodies."""

    def __init__(self, app: ASGIApp, options: ServerOptions) -> None:
        self._app, self._options = app, options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a WebSocket's handshake, or pass it on."""
        if scope["type"] == "websocket":
            await self._handshake(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope)
        except ProblemError as problem:
            await problem_response(problem)(scope, receive, with_headers)
            return
        await self._app(scope, self._limited(scope, receive), with_headers)

    async def _handshake(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(scope)
        except ProblemError as problem:
            await receive()  # before the connection is accepted a close is a plain 403
            await send({"type": "websocket.close", "code": 1008, "reason": problem.detail[:120]})
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = _host_name(host)
        if not (name == "localhost" or _is_address(name) or name in self._options.names or name == self._options.host.lower()):
            raise ProblemError(421, f"this server does not answer to the name {name!r}; --allow-host adds one")
        if scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS:
            _check_origin(headers, host)
        path: str = scope["path"]
        if self._options.token is not None and path.startswith(_GUARDED) and path != _OPEN:
            given = headers.get("authorization", "").encode("latin-1")
            if scope["type"] == "websocket" and not given:
                given = _token_of(scope)
            if not hmac.compare_digest(given, f"Bearer {self._options.token}".encode()):
                raise ProblemError(401, "send the server's token as 'Authorization: Bearer ...'")
        limit = self._limit(scope)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limit:
            raise _too_large(limit)

    def _limit(self, scope: Scope) -> int:
        return self._options.max_import if scope["path"] == IMPORT_PATH else self._options.max_bytes

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """`receive` that stops a body which grows too large, or takes too long to come."""
        limit, received, complete = self._limit(scope), 0, False
        patience = self._options.timeout * (_IMPORT_PATIENCE if scope["path"] == IMPORT_PATH else 1)
        deadline = time.monotonic() + patience

        async def limited() -> Message:
            nonlocal received, complete
            if complete:  # what comes now is only the news that the client has gone
                return await receive()
            try:
                with anyio.fail_after(max(0.0, deadline - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                raise ProblemError(408, f"the request's body did not arrive within {patience:g} s") from None
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if received > limit:
                raise _too_large(limit)
            return message

        return limited


def _too_large(limit: int) -> ProblemError:
    return ProblemError(413, f"the request's body has more than the {limit} bytes that are read")


def _check_origin(headers: Headers, host: str) -> None:
    """A browser names the page that asks: only this server's own may change anything, or use the processor."""
    origin = headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
    if foreign or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ProblemError(403, f"requests from pages of other sites are refused (Origin {origin!r})")


def _token_of(scope: Scope) -> bytes:
    """The token among a handshake's subprotocols, as a header would hold it; nothing when there is none."""
    for protocol in scope.get("subprotocols", ()):
        if protocol.startswith(TOKEN_PROTOCOL):
            text = protocol.removeprefix(TOKEN_PROTOCOL)
            try:
                return b"Bearer " + base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            except (binascii.Error, ValueError):
                return b""
    return b""


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    """A bare address cannot be rebound: only names are looked up."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

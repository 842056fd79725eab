"""Who may use a route, and how much may be sent to it.

This is decided on the route that a request found, not on its address: an application that is mounted in another one, or runs
behind a proxy that takes a part of the path away, has other addresses.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from oneshot_runtime.server.problems import ProblemError
from oneshot_runtime.server.request_body import RequestBody, too_large
from oneshot_runtime.server.server_options import ServerOptions
from oneshot_runtime.server.service import Service

__all__ = ["TOKEN_PROTOCOL", "GuardedRoute", "ImportRoute", "authorise"]

TOKEN_PROTOCOL = "oneshot.token."
"""Start of the WebSocket subprotocol that carries a page's token in base64url: a browser lets a page set no header there."""

_IMPORT_PATIENCE = 20
"""How many times the usual time a gallery may take to arrive."""

_MAX_JSON = 64 << 10


class GuardedRoute(APIRoute):
    """A route for those who have the token, from no other site's page, with a body of images or of a little JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler behind the checks."""
        answer = self.answering()

        async def guarded(request: Request) -> Response:
            service: Service = request.app.state.service
            authorise(request.scope, service.options)
            body = self.body(request.receive, service, request.method)
            length = request.headers.get("content-length", "0")
            if length.isdecimal() and int(length) > body.limit:
                raise too_large(body.limit)
            try:
                return await answer(Request(request.scope, body))
            except asyncio.CancelledError:  # the server is told to stop and waits no longer
                raise ProblemError(503, "the server is stopping", closes=True) from None
            except ClientDisconnect:  # nobody reads this
                raise ProblemError(400, "the client has gone before its request was there") from None
            except Exception:
                if body.problem is not None:
                    raise body.problem from None
                raise
            finally:
                body.close()

        return guarded

    def answering(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler itself."""
        return super().get_route_handler()

    def body(self, receive: Receive, service: Service, method: str) -> RequestBody:
        """The body of a request to this route."""
        limit = service.options.max_bytes if method == "POST" else _MAX_JSON
        return RequestBody(receive, limit, service.options.timeout, service.bodies)


class ImportRoute(GuardedRoute):
    """A guarded route whose body is a gallery, which goes to a file."""

    def body(self, receive: Receive, service: Service, method: str) -> RequestBody:  # noqa: ARG002
        """The body of a request to this route."""
        return RequestBody(receive, service.options.max_import, _IMPORT_PATIENCE * service.options.timeout, None)


def authorise(scope: Scope, options: ServerOptions) -> None:
    """Raise `ProblemError` for a request, or a WebSocket's handshake, from another site's page or without the token."""
    headers = Headers(scope=scope)
    _check_origin(headers)
    if options.token is None:
        return
    given = headers.get("authorization", "").encode("latin-1")
    if scope["type"] == "websocket" and not given:
        given = _token_of(scope)
    if not hmac.compare_digest(given, f"Bearer {options.token}".encode()):
        raise ProblemError(401, "send the server's token as 'Authorization: Bearer ...'")


def _check_origin(headers: Headers) -> None:
    """A browser names the page that asks: only this server's own may change anything, use the processor, or take a gallery."""
    origin = headers.get("origin")
    try:
        foreign = origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    except ValueError:
        foreign = True
    if foreign or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ProblemError(403, f"requests from pages of other sites are refused (Origin {origin!r:.100})")


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

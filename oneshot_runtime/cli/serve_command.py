"""`oneshot serve`: the page to draw on, and the HTTP API beneath it."""

from __future__ import annotations

import argparse
import json
import os
import socket
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneshot_runtime.cli.common import add_command, count, load, load_options
from oneshot_runtime.errors import OptionError

if TYPE_CHECKING:
    from oneshot_runtime.matcher import OneShotMatcher
    from oneshot_runtime.server import ServerOptions

__all__ = ["register", "serve_live"]

_TOKEN = "ONESHOT_TOKEN"
_PORT = 8765
_BACKLOG = 1024
_TOKEN_BYTES = 4096


def register(commands: Any) -> None:
    """Add this group's parser to the command line's sub-parsers."""
    text = "open a page to draw and teach symbols on, with an HTTP API beneath it"
    serve = add_command(commands, "serve", _serve, text, gallery=True, model=True, far=True)
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to bind; beyond loopback needs a token (default: 127.0.0.1)"
    )
    serve.add_argument("--port", type=_port, default=_PORT, help=f"0 takes any that is free (default: {_PORT})")
    serve.add_argument("--token-file", type=Path, metavar="FILE", help=f"file with the token of clients (or {_TOKEN} is set)")
    serve.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a name clients may call the server by"
    )
    serve.add_argument("--max-megabytes", type=count, default=16, help="size of a request with images (default: 16)")
    serve.add_argument(
        "--timeout", type=count, default=30, help="seconds for a request to arrive and be answered (default: 30)"
    )
    serve.add_argument("--open", action="store_true", help="open the page in the browser")
    serve.add_argument(
        "--batch", type=count, default=16, help="images of several clients that are matched together (default: 16)"
    )
    serve.add_argument("--workers", type=count, default=1, help="processes that serve the gallery together (default: 1)")
    serve.add_argument("--log", action="store_true", help="write a line for each request to stderr")


def _port(text: str) -> int:
    """An argument that is a port."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, got {text!r}")
    return int(text)


def _serve(arguments: argparse.Namespace) -> int:
    import oneshot_runtime.server
    from oneshot_runtime.server.workers import run_workers

    options = oneshot_runtime.server.ServerOptions(
        host=arguments.host,
        token=_token(arguments.token_file),
        names=frozenset(name.lower() for name in arguments.allow_host),
        max_bytes=arguments.max_megabytes << 20,
        timeout=arguments.timeout,
        batch=arguments.batch,
    )
    with ExitStack() as stack:
        bound = stack.enter_context(_bind(arguments.host, arguments.port))
        matcher = stack.enter_context(load(arguments))
        url = _address(bound)
        print(json.dumps({"url": url}) if arguments.json else f"oneshot: {url} (Ctrl-C stops)", flush=True)
        page = url if arguments.open else None
        with suppress(KeyboardInterrupt):  # Ctrl-C is how it ends, also before the first answer
            if arguments.workers == 1:
                _run(matcher, bound, options, arguments.gallery, page, log=arguments.log)
            else:
                matcher.close()  # what is wrong with it was said once, not by each worker
                _open(page)
                run_workers(arguments.workers, load_options(arguments), options, bound, log=arguments.log)
    return 0


def serve_live(matcher: OneShotMatcher, gallery: str) -> None:
    """Serve the page on loopback until it is interrupted, and open it with its camera. gallery: its file or address."""
    import oneshot_runtime.server

    with _bind("127.0.0.1", 0) as bound:
        url = f"{_address(bound)}#live"
        print(f"oneshot: {url} (Ctrl-C stops)", flush=True)
        _run(matcher, bound, oneshot_runtime.server.ServerOptions(), gallery, url)


def _run(
    matcher: OneShotMatcher,
    bound: socket.socket,
    options: ServerOptions,
    gallery: str,
    page: str | None,
    *,
    log: bool = False,
) -> None:
    """Serve until interrupted. page: address to open in the browser."""
    import oneshot_runtime.server
    from oneshot_runtime.server.workers import BoundedServer, return_freed_memory, uvicorn_config

    return_freed_memory()
    matcher.warmup()
    app = oneshot_runtime.server.create_app(matcher, options, gallery=gallery)
    _open(page)
    with suppress(KeyboardInterrupt):
        BoundedServer(uvicorn_config(app, options, log=log)).run(sockets=[bound])


def _open(page: str | None) -> None:
    if page is not None:  # the socket listens already: the browser waits for the first answer
        import webbrowser

        threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()


def _address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _token(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get(_TOKEN) or None
    try:
        with path.open("rb") as file:
            content = file.read(_TOKEN_BYTES + 1)
        if len(content) <= _TOKEN_BYTES:
            return content.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"cannot read the token file '{path}': {error}") from error
    raise OptionError(f"the token file '{path}' has more than {_TOKEN_BYTES} bytes: it holds the token alone")


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise OptionError(f"cannot serve on {host!r} port {port}: {error}; --host and --port choose others") from error
    # Connections inherit it. Without, an answer's body waits 40 ms for the acknowledgement of its head.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound

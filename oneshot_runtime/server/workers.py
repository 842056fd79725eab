"""How uvicorn runs the application: its bounds and its log, in one process or in several that share a port and a gallery."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any

import uvicorn

from oneshot_runtime.errors import OneShotError, OptionError
from oneshot_runtime.matcher import OneShotMatcher
from oneshot_runtime.server.app import create_app
from oneshot_runtime.server.connections import BoundedProtocol
from oneshot_runtime.server.live_routes import MAX_FRAME
from oneshot_runtime.server.server_options import ServerOptions

__all__ = ["BoundedServer", "return_freed_memory", "run_workers", "uvicorn_config"]

_CONNECTIONS = 1024
"""Of one process at once."""

_BACKLOG = 1024
"""Connections that may wait to be accepted; a client beyond them tries again after one second, then three."""

_ACCEPTED = _CONNECTIONS // 4
"""Accepted before earlier ones are read: in a flood, a whole request would make room unread; a burst waits for few."""

_SHUTDOWN = 5
"""Seconds that a server that is stopped gives the answers which are on their way."""

_SHORT_LIFE = 5.0
"""Seconds within which a worker that ends is taken to be unable to start."""

_M_MMAP_THRESHOLD, _MAPPED = -3, 4 << 20
"""glibc's name for the size from which memory is mapped by itself, and that size: Pillow takes 16 MiB at a time."""

_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class BoundedServer(uvicorn.Server):
    """A server that accepts connections few at a time, however many wait."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)  # by which as few may wait as are accepted at once
        for bound in sockets or ():
            bound.listen(_BACKLOG)


def uvicorn_config(app: Any, options: ServerOptions, *, log: bool) -> uvicorn.Config:
    """The configuration of a `BoundedServer` of the application. log: whether each request gets a line on stderr."""
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        lifespan="off",  # the application has none, and a second Ctrl-C would end its task with a traceback
        log_config=_log_config(log),
        server_header=False,
        backlog=_ACCEPTED,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=int(options.timeout),
        timeout_graceful_shutdown=_SHUTDOWN,
        ws_max_size=MAX_FRAME + 1,  # the route then says what the limit is
        ws_per_message_deflate=False,  # frames are compressed already
    )


def run_workers(
    count: int, load_options: dict[str, Any], options: ServerOptions, bound: socket.socket, *, log: bool = False
) -> None:
    """Serve from `count` processes until a signal comes. load_options: of `OneShotMatcher.load`, the gallery among them.

    Each process loads a matcher of its own; /metrics counts for all of them. One that dies is replaced; raises
    `OneShotError` when one cannot start.
    """
    spawn = multiprocessing.get_context("spawn")  # a fork would share what threads and ONNX Runtime hold
    with _metrics_folder() as folder:
        os.environ.setdefault(_METRICS_FOLDER, folder)

        workers: dict[int, tuple[BaseProcess, float]] = {}

        def start(place: int) -> None:
            process = spawn.Process(target=_work, args=(load_options, options, bound, log))
            with _interrupts_held():
                process.start()  # it inherits that: Ctrl-C is for this process, which ends the workers
                workers[place] = process, time.monotonic()

        try:
            for place in range(count):
                start(place)
            while True:
                connection.wait([process.sentinel for process, _ in workers.values()])
                for place, (process, since) in workers.items():
                    if process.exitcode is not None:
                        if time.monotonic() - since < _SHORT_LIFE:
                            raise OneShotError(f"a worker ended with code {process.exitcode} as soon as it started")
                        start(place)
        except KeyboardInterrupt:
            pass
        finally:
            _stop([process for process, _ in workers.values()])


def _stop(workers: Sequence[BaseProcess]) -> None:
    """End workers once their answers are given, or at once when Ctrl-C comes again."""
    with suppress(KeyboardInterrupt):
        for process in workers:
            process.terminate()
        for process in workers:
            process.join(2 * _SHUTDOWN)
    with _interrupts_held():
        for process in workers:
            process.kill()
            process.join()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C comes after the block, where the system can hold it back."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # else it is started with the first worker, and lets interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _metrics_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="oneshot-metrics-")
    except OSError as error:
        raise OptionError(
            "several workers count together in a folder for temporary files, and there is none: "
            f"{error.strerror or error}; set TMPDIR to a folder that can be written, or use one worker"
        ) from error


def return_freed_memory() -> None:
    """Have glibc give large pieces back when they are freed; it would keep hundreds of MiB after a few large pictures.

    Elsewhere than on Linux with glibc this does nothing.
    """
    with suppress(AttributeError, OSError, TypeError):  # no mallopt, or no C library by this way
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MAPPED)


def _work(load_options: dict[str, Any], options: ServerOptions, bound: socket.socket, log: bool) -> None:
    """What a worker does until a signal comes."""
    return_freed_memory()
    with OneShotMatcher.load(**load_options) as matcher, suppress(KeyboardInterrupt):
        matcher.warmup()
        app = create_app(matcher, options, gallery=load_options["gallery"])
        BoundedServer(uvicorn_config(app, options, log=log)).run(sockets=[bound])


def _log_config(access: bool) -> dict[str, Any]:
    stamp = "%(asctime)s "
    line = '%(client_addr)s "%(request_line)s" %(status_code)s'
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "plain": {"format": f"{stamp}%(levelname)s %(message)s"},
            "access": {"()": "uvicorn.logging.AccessFormatter", "fmt": stamp + line, "use_colors": False},
        },
        "handlers": {
            "plain": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"},
            "access": {"class": "logging.StreamHandler", "formatter": "access", "stream": "ext://sys.stderr"},
        },
        "loggers": {
            "uvicorn.error": {"handlers": ["plain"], "level": "WARNING", "propagate": False},
            "uvicorn.access": {"handlers": ["access"] if access else [], "level": "INFO", "propagate": False},
        },
    }

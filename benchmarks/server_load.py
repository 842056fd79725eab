"""Requests per second and their times at `oneshot serve` with 1, 8 and 64 clients: `python -m benchmarks.server_load`.

A second server, which matches each image alone, is asked in turn with it, and so is the peer, the same uvicorn that reads the
same bodies and matches nothing. The limit is `OneShotMatcher.match` of them without any server. The clients share the machine
with the servers, as threads of this process, so rates are a floor; the server's own processor time for a request does not
depend on who else is at work. Its resident memory is read twice a second while it is asked.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from benchmarks.bare_server import bare_server
from benchmarks.measure import positive, resident_bytes
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from tests.page_driver import server_process

SERVERS = {"batches": (), "alone": ("--batch", "1"), "bare": None}
"""Name -> options of `oneshot serve`; None for the peer."""

SETTLED = 5.0
"""Seconds of load after which memory counts: first requests still allocate."""


@dataclass
class Load:
    """What clients saw: seconds of each answer, errors in place of answers, how many answers were
    right, and seconds of processor time that the server took.
    """

    times: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    right: int = 0
    processor: float = 0.0


@dataclass
class Server:
    """A server under load, and its resident memory: seconds of load so far, and MiB at each of them."""

    where: str
    process: int
    loaded: float = 0.0
    memory: list[tuple[float, float]] = field(default_factory=list)


def main(argv: list[str] | None = None) -> int:
    """Teach twenty symbols, ask for them from several clients at once, and count answers, losses and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each round")
    parser.add_argument("--rounds", type=positive, default=3, help="for each number of clients and each server")
    parser.add_argument("--clients", type=positive, nargs="+", default=[1, 8, 64])
    parser.add_argument("--servers", nargs="+", choices=list(SERVERS), default=list(SERVERS))
    arguments = parser.parse_args(argv)
    rng = np.random.default_rng(1)
    symbols = invent_alphabet(20, seed=1)
    taught, bodies = ([_png(draw(symbol, random_writer(rng), rng)) for symbol in symbols] for _ in range(2))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = {}
        for name in arguments.servers:
            options = SERVERS[name]
            started = bare_server() if options is None else server_process(Path(folder) / f"{name}.db", *options)
            url, process = stack.enter_context(started)
            servers[name] = Server(urlsplit(url).netloc, process)
            for place, body in enumerate(taught if options is not None else []):
                with closing(http.client.HTTPConnection(servers[name].where)) as connection:
                    _ask(connection, f"/v1/classes/symbol-{place}", body)
        print(_without_server(taught, bodies))
        names = ("clients", "server", "requests/s", "p50 ms", "p99 ms", "cpu ms", "lost", "right")
        print("{:>7} {:>8} {:>10} {:>7} {:>7} {:>6} {:>4} {:>7}".format(*names))
        for clients in arguments.clients:
            loads = {name: Load() for name in servers}
            for _ in range(arguments.rounds):
                for name, server in servers.items():
                    _load(server, loads[name], bodies, clients, arguments.seconds)
            for name, load in loads.items():
                _print_load(name, load, clients, arguments.rounds * arguments.seconds)
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        for name, server in servers.items():
            _print_memory(name, server)
    return 0


def _without_server(taught: list[bytes], bodies: list[bytes]) -> str:
    """The limit: the same pictures matched in this process, on one thread."""
    with OneShotMatcher.load(threads=1) as matcher:
        for place, body in enumerate(taught):
            matcher.enroll(f"symbol-{place}", body)
        seconds = []
        for body in bodies * 10:
            start = time.perf_counter()
            matcher.match(body, top_k=1)
            seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    return f"limit: a match without a server, one thread: {1000 * median:.2f} ms, {1 / median:.0f} a second"


def _print_load(name: str, load: Load, clients: int, seconds: float) -> None:
    lost = len(load.failures)
    if not load.times:
        print(f"{clients:7} {name:>8} no answers, {lost} lost: {load.failures[:1]}", flush=True)
        return
    p50, p99 = np.percentile(load.times, [50, 99]) * 1000
    rate, share = len(load.times) / seconds, load.right / len(load.times)
    own = 1000 * load.processor / len(load.times)
    right = "" if SERVERS[name] is None else f"{share:7.1%}"
    print(f"{clients:7} {name:>8} {rate:10.0f} {p50:7.1f} {p99:7.1f} {own:6.2f} {lost:4} {right}".rstrip(), flush=True)


def _print_memory(name: str, server: Server) -> None:
    rows = np.array([row for row in server.memory if row[0] >= SETTLED])
    if len(rows) < 4:
        print(f"memory {name}: {server.loaded:g} s of load are too few, it settles in {SETTLED:g}")
        return
    later = rows[len(rows) // 2 :]
    slope = np.polyfit(later[:, 0], later[:, 1], 1)[0] * 60
    first, last, most = rows[0, 1], rows[-1, 1], rows[:, 1].max()
    after = f"{first:.1f} MiB after {SETTLED:g} s of load, {last:.1f} after {server.loaded:.0f} s, {most:.1f} at most"
    print(f"memory {name}: {after}, {slope:+.2f} MiB a minute in the second half")


def _load(server: Server, load: Load, bodies: list[bytes], clients: int, seconds: float) -> None:
    before = _processor(server.process)
    start = time.perf_counter()
    end = start + seconds

    def client(number: int) -> None:
        with closing(http.client.HTTPConnection(server.where, timeout=60)) as connection:
            place = number
            while (asked := time.perf_counter()) < end:
                try:
                    answer = _ask(connection, "/v1/match?top_k=1", bodies[place % len(bodies)])
                except (OSError, http.client.HTTPException, ValueError) as error:
                    load.failures.append(repr(error))
                    return
                load.times.append(time.perf_counter() - asked)
                load.right += answer["matches"][0]["candidates"][0]["label"] == f"symbol-{place % len(bodies)}"
                place += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    while time.perf_counter() < end:
        server.memory.append((server.loaded + time.perf_counter() - start, resident_bytes(server.process) / 2**20))
        time.sleep(0.5)
    for thread in threads:
        thread.join()
    server.loaded += seconds
    load.processor += _processor(server.process) - before


def _processor(process: int) -> float:
    """Seconds of processor time that a process has taken."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _ask(connection: http.client.HTTPConnection, path: str, body: bytes) -> dict:
    connection.request("POST", path, body)
    response = connection.getresponse()
    content = response.read()
    if response.status >= 300:
        raise ValueError(f"{response.status}: {content[:200]!r}")
    return json.loads(content)


def _png(grey: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    sys.exit(main())

"""Requests per second and their times at `oneshot serve` with 1, 8 and 64 clients: `python -m benchmarks.server_load`.

The clients share the machine with the server, as threads of this process, so the figures are a floor.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from oneshot_runtime.strokes import draw, invent_alphabet, random_hand
from tests.page_driver import served


def main() -> None:
    """Teach twenty symbols, ask for them from several clients at once, and count answers and losses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    arguments = parser.parse_args()
    rng = np.random.default_rng(1)
    symbols = invent_alphabet(20, seed=1)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "g.db") as url:
        where = urlsplit(url).netloc
        for place, symbol in enumerate(symbols):
            _ask(http.client.HTTPConnection(where), f"/v1/classes/symbol-{place}", _png(draw(symbol, random_hand(rng), rng)))
        bodies = [_png(draw(symbol, random_hand(rng), rng)) for symbol in symbols]
        print(f"{'clients':>7} {'requests/s':>10} {'p50 ms':>7} {'p99 ms':>7} {'lost':>5} {'right':>7}")
        for clients in arguments.clients:
            times, lost, right = _load(where, bodies, clients, arguments.seconds)
            p50, p99 = np.percentile(times, [50, 99]) * 1000
            rate, share = len(times) / arguments.seconds, right / len(times)
            print(f"{clients:7} {rate:10.0f} {p50:7.1f} {p99:7.1f} {lost:5} {share:7.1%}", flush=True)


def _load(where: str, bodies: list[bytes], clients: int, seconds: float) -> tuple[list[float], int, int]:
    times: list[float] = []
    failures: list[str] = []
    hits: list[int] = []
    end = time.perf_counter() + seconds

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(where, timeout=60)
        place = number
        while time.perf_counter() < end:
            start = time.perf_counter()
            try:
                answer = _ask(connection, "/v1/match?top_k=1", bodies[place % len(bodies)])
            except (OSError, http.client.HTTPException, ValueError) as error:
                failures.append(repr(error))
                return
            times.append(time.perf_counter() - start)
            hits.append(answer["matches"][0]["candidates"][0]["label"] == f"symbol-{place % len(bodies)}")
            place += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, len(failures), sum(hits)


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
    main()

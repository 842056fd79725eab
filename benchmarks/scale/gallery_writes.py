"""What a write costs: a million supports in one call, and one class more or less in a gallery of 100,000.

The limit of one write is the disk's sync of a page, that of many the same bytes in a plain file. The peer is SQLite alone, with
the same bytes in a table of its own. Single writes alternate with theirs, on the same disk.

python -m benchmarks.scale.gallery_writes --bulk 1000000 --json writes.json
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from benchmarks.measure import in_turns, positive
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle

_PIECE = 1 << 20


def bulk(path: Path, rows: int) -> dict[str, float]:
    """Seconds and memory of one `extend`, and seconds of opening the file again, beside a plain file and SQLite alone."""
    bundle = Bundle.open()
    embeddings = np.memmap(path.with_suffix(".f32"), np.float32, "w+", shape=(rows, bundle.dim))
    rng = np.random.default_rng(0)
    for start in range(0, rows, 50_000):
        part = embeddings[start : start + 50_000]
        part[:] = rng.random(part.shape, np.float32)
    labels = [f"s{index}" for index in range(rows)]
    gallery = Gallery(bundle, path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = _seconds(lambda: gallery.extend(labels, embeddings))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    gallery.close()
    figures = {"rows": rows, "extend_s": seconds, "peak_growth_mb": grown / 1024, "file_mb": path.stat().st_size / 2**20}
    figures["open_s"] = _seconds(lambda: Gallery(bundle, path).close())
    return {**figures, **_beside(path)}


def _beside(path: Path) -> dict[str, float]:
    """Seconds to write and to read a gallery's bytes as a plain file, and its rows with SQLite alone."""
    plain, bare = path.with_suffix(".plain"), path.with_suffix(".bare")
    pieces = [b"\0" * _PIECE] * -(-path.stat().st_size // _PIECE)

    def write() -> None:
        with plain.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())

    def read() -> None:
        room = bytearray(_PIECE)
        with path.open("rb", buffering=0) as file:
            while file.readinto(room):
                pass

    def insert() -> None:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(bare)) as target, target:
            target.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, content BLOB)")
            target.executemany("INSERT INTO rows VALUES (?, ?)", source.execute("SELECT id, content FROM gallery"))

    def select() -> None:
        with closing(sqlite3.connect(bare)) as source:
            for _ in source.execute("SELECT id, content FROM rows ORDER BY id"):
                pass

    calls = {
        "limit_write_file_s": write,
        "limit_read_file_s": read,
        "peer_sqlite_insert_s": insert,
        "peer_sqlite_select_s": select,
    }
    return {name: _seconds(call) for name, call in calls.items()}


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def single(path: Path, rows: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of one enrollment and one removal, of a page's sync and a bare SQLite commit, alternating."""
    bundle = Bundle.open()
    rng = np.random.default_rng(1)
    gallery = Gallery(bundle, path)
    for start in range(0, rows, 50_000):
        count = min(50_000, rows - start)
        gallery.extend([f"s{start + index}" for index in range(count)], rng.random((count, bundle.dim), np.float32))
    bare = sqlite3.connect(path.with_suffix(".bare"), isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, code BLOB)")
    page = os.open(path.with_suffix(".page"), os.O_RDWR | os.O_CREAT)

    def sync() -> None:
        os.pwrite(page, os.urandom(4096), 0)
        os.fdatasync(page)

    sync()
    embedding, row = rng.random((1, bundle.dim), np.float32), os.urandom(bundle.dim)
    calls = {
        "limit_sync": sync,
        "peer_sqlite_wal": lambda: bare.execute("INSERT INTO rows (code) VALUES (?)", (row,)),
        "enroll": lambda: gallery.extend(["new"], embedding),
        "remove": lambda: gallery.remove("new"),
    }
    medians = in_turns(calls, rounds)
    os.close(page)
    bare.close()
    gallery.close()
    return {"supports": rows, **{f"{name}_ms": 1000 * seconds for name, seconds in medians.items()}}


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bulk", type=positive, default=1_000_000)
    parser.add_argument("--sizes", type=positive, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--rounds", type=positive, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            results[f"single_{size}"] = single(Path(folder) / f"{size}.db", size, arguments.rounds)
        results["bulk"] = bulk(Path(folder) / "bulk.db", arguments.bulk)
    for name, values in results.items():
        print(name)
        for key, value in values.items():
            print(f"  {key:24} {value:12.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())

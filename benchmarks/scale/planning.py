"""What a billion supports and a hundred thousand matches a second would take: `python -m benchmarks.scale.planning`.

Every input is measured here, on one core and in processor time, so that other work on the machine disturbs it little; the rest
is arithmetic, printed with its inputs. What a machine has and how full it may be are assumptions: options, printed too.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import itertools
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.measure import positive, resident_bytes
from oneshot_runtime.cluster.shard import Shard, Source
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.search.index import CodeIndex
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from oneshot_runtime.transfer.encoder import ImageEncoder
from oneshot_runtime.vision.grey_png import thumbnail

__all__ = ["main"]

_BUNDLE = Bundle.open()
_TOP = 5
_MANY = 64
"""Shards, all but one of whose rows are passed over."""


def main(argv: list[str] | None = None) -> int:
    """Measure, and do the arithmetic; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.planning", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--supports", type=float, default=1e9)
    parser.add_argument("--matches", type=float, default=1e5, help="a second")
    parser.add_argument("--near", type=float, default=1e5, help="supports to compare with when sites are kept apart")
    parser.add_argument("--rows", type=positive, default=200_000, help="supports that are measured with")
    parser.add_argument("--cores", type=positive, default=64, help="assumed of a machine")
    parser.add_argument("--memory", type=float, default=512, help="GB assumed of a machine")
    parser.add_argument("--busy", type=float, default=0.6, help="share of both that may be used")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    inputs = _measured(arguments.rows)
    plan = _plan(inputs, arguments)
    for title, values in (("measured", inputs), ("plan", plan)):
        print(title)
        for name, value in values.items():
            print(f"  {name:72} {value:>20,.4g}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"measured": inputs, "plan": plan}, indent=1) + "\n")
    return 0


def _measured(rows: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "letters.db"
        gallery = Gallery(_BUNDLE, path)
        for start in range(0, rows, 20_000):
            part = range(start, min(start + 20_000, rows))
            gallery.extend([f"class {number}" for number in part], rng.random((len(part), _BUNDLE.dim), np.float32))
        gallery.close()
        size = path.stat().st_size
        own = _loading(path, 1) / rows
        passed = max(0.0, _loading(path, _MANY) / rows - own / _MANY) / (1 - 1 / _MANY)
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # in this process freed memory would be used again, unseen
        held, scan = pool.apply(_index, (rows,))
    return {
        "D, bytes of a code": _BUNDLE.dim,
        "us to read, check and keep a row of the shard's": 1e6 * own,
        "us to pass over a row of another shard": 1e6 * passed,
        "bytes on disk of a support without picture": size / rows,
        "bytes in memory of a support, label included": held,
        "ns to compare a query with a support": scan,
        "us to decode, preprocess, embed and code a picture": _embedding(),
        "us to merge the answer of a shard": _merging(),
    }


def _loading(path: Path, shards: int) -> float:
    """Processor seconds in which the first of so many shards reads its share of a file."""
    shard = Shard(Source(str(path), _BUNDLE.fingerprint, _BUNDLE.dim, shards, 1, 10**12), 0)
    start = time.process_time()
    shard.state(0)
    seconds = time.process_time() - start
    shard.close()
    return seconds


def _index(rows: int) -> tuple[float, float]:
    rng = np.random.default_rng(1)
    index = CodeIndex(_BUNDLE.dim, 1, numbered=True)
    gc.collect()
    before = resident_bytes()
    for start in range(0, rows, 8192):
        numbers = np.arange(start, min(start + 8192, rows))
        codes = rng.integers(0, 120, (len(numbers), _BUNDLE.dim), np.uint8)
        index.add([f"class {number}" for number in numbers], codes, numbers)
    gc.collect()
    held = (resident_bytes() - before) / rows
    query = rng.integers(0, 120, _BUNDLE.dim, np.uint8)
    seconds = _processor_seconds(lambda: index.snapshot.nearest(query, _TOP), 30)
    return held, 1e9 * seconds / rows


def _embedding() -> float:
    rng = np.random.default_rng(2)
    writer = random_writer(rng)
    pictures: list[tuple[str, bytes | str]] = [
        (str(place), thumbnail(draw(symbol, writer, rng))) for place, symbol in enumerate(invent_alphabet(64, 0))
    ]
    encoder = ImageEncoder(_BUNDLE, "cpu", "int8", 1)
    return 1e6 * _processor_seconds(lambda: encoder.encode(pictures), 10) / len(pictures)


def _merging() -> float:
    shards = 1000
    rng = np.random.default_rng(3)
    distances = rng.integers(0, 9999, (shards, _TOP)).tolist()
    parts = [sorted((value, place, "a label", value) for place, value in enumerate(part)) for part in distances]
    return 1e6 * _processor_seconds(lambda: list(itertools.islice(heapq.merge(*parts), _TOP)), 30) / shards


def _processor_seconds(call: Callable[[], object], rounds: int) -> float:
    taken = []
    call()
    for _ in range(rounds):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return sorted(taken)[rounds // 2]


def _plan(inputs: dict[str, float], arguments: argparse.Namespace) -> dict[str, float]:
    _, own, passed, disk, held, scan, embed, merge = inputs.values()
    supports, matches = arguments.supports, arguments.matches
    cores, memory = arguments.cores * arguments.busy, arguments.memory * 1e9 * arguments.busy
    by_memory = supports * held / memory
    shards = by_memory * cores
    return {
        "supports": supports,
        "matches a second": matches,
        "cores of a machine that are used": cores,
        "bytes of a machine that are used": memory,
        "TB in memory": supports * held / 1e12,
        "TB on disk, without pictures": supports * disk / 1e12,
        "machines to hold all supports": by_memory,
        "shards, one for each of their cores": shards,
        "minutes for each shard to read its share": supports * (own / shards + passed * (1 - 1 / shards)) / 6e7,
        "core-seconds of an exact match with all supports": supports * scan / 1e9,
        "seconds of an exact match on the machines that hold all": supports * scan / 1e9 / shards,
        "exact matches a second on the machines that hold all": shards / (supports * scan / 1e9),
        "cores for all matches, exact, with all supports": matches * supports * scan / 1e9,
        "machines for that": matches * supports * scan / 1e9 / cores,
        "cores to embed": matches * embed / 1e6,
        "cores to merge the shards' answers": matches * shards * merge / 1e6,
        "questions a second, one for each match and shard": matches * shards,
        "supports that a match compares with when sites are kept apart": arguments.near,
        "core-ms of an exact match with those": arguments.near * scan / 1e6,
        "cores for all matches with those": matches * arguments.near * scan / 1e9,
        "machines for that, embedding included": matches * (arguments.near * scan / 1e9 + embed / 1e6) / cores,
    }


if __name__ == "__main__":
    sys.exit(main())

"""What the gallery file costs, beside another checkout: enrolling, removing, a large load, readers beside a writer.

    git worktree add ../before COMMIT
    python -m benchmarks.reliability.gallery_costs --before ../before --json costs.json

Each measurement runs in a process of its own, the two checkouts alternating; medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle

__all__ = ["main"]

_READERS = 8


def _filled(path: Path, supports: int) -> Gallery:
    gallery, rng = Gallery(Bundle.open(), path), np.random.default_rng(0)
    dim = Bundle.open().dim
    for start in range(0, supports, 50_000):
        count = min(50_000, supports - start)
        gallery.extend([f"s{start + index}" for index in range(count)], rng.random((count, dim), np.float32))
    return gallery


def _milliseconds(begun: float) -> float:
    return 1000 * (time.perf_counter() - begun)


def writes(path: Path, supports: int) -> dict[str, float]:
    """Medians of one enrollment and one removal."""
    gallery, rng = _filled(path, supports), np.random.default_rng(1)
    dim, enrolled, removed = Bundle.open().dim, [], []
    for number in range(60):
        embedding = rng.random((1, dim), np.float32)
        begun = time.perf_counter()
        gallery.extend([f"new{number}"], embedding)
        enrolled.append(_milliseconds(begun))
        begun = time.perf_counter()
        gallery.remove(f"s{number * 7}")
        removed.append(_milliseconds(begun))
    gallery.close()
    return {"enroll_ms": statistics.median(enrolled[5:]), "remove_ms": statistics.median(removed[5:])}


def load(path: Path, supports: int) -> dict[str, float]:
    """Seconds to write supports in one call, to open them again, and the file's size."""
    begun = time.perf_counter()
    _filled(path, supports).close()
    written = time.perf_counter()
    gallery = Gallery(Bundle.open(), path)
    opened, used = time.perf_counter(), time.process_time()
    gallery.close()
    del used
    return {"write_s": written - begun, "open_s": opened - written, "file_mb": path.stat().st_size / 1e6}


def _read(path: str, stop: float, results: multiprocessing.SimpleQueue[list[float]]) -> None:
    gallery, times = Gallery(Bundle.open(), path), []
    while time.time() < stop:
        begun = time.perf_counter()
        gallery.snapshot()
        times.append(_milliseconds(begun))
        time.sleep(0.005)
    results.put(times)


def readers(path: Path, pause: float) -> dict[str, float]:
    """How long eight processes wait to be up to date while another enrolls, pausing in between, and how often it does."""
    gallery, rng = _filled(path, 1000), np.random.default_rng(2)
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.SimpleQueue[list[float]] = context.SimpleQueue()
    stop = time.time() + 40
    children = [context.Process(target=_read, args=(str(path), stop, results)) for _ in range(_READERS)]
    for child in children:
        child.start()
    time.sleep(25)
    done, written, dim = 0, [], Bundle.open().dim
    begun_all = time.time()
    while time.time() < stop:
        embedding = rng.random((1, dim), np.float32)
        begun = time.perf_counter()
        gallery.extend([f"w{done}"], embedding)
        written.append(_milliseconds(begun))
        done += 1
        time.sleep(pause)
    rate = done / (time.time() - begun_all)
    times = sorted(value for _ in children for value in results.get())
    for child in children:
        child.join()
    gallery.close()
    return {
        "read_ms": statistics.median(times),
        "read_99_ms": times[int(0.99 * len(times))],
        "write_ms": statistics.median(written),
        "writes_per_second": rate,
    }


_PARTS = {
    "one, in 1,000": lambda path, _: writes(path, 1000),
    "one, in 100,000": lambda path, _: writes(path, 100_000),
    "8 readers, a write each 50 ms": lambda path, _: readers(path, 0.05),
    "8 readers, writes without a pause": lambda path, _: readers(path, 0.0),
    "load": load,
}


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.gallery_costs", description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="another checkout of this project")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--load", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+", choices=list(_PARTS), default=list(_PARTS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.part:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(_PARTS[arguments.part](Path(folder) / "letters.db", arguments.load)))
        return 0
    table: dict[str, dict[str, dict[str, float]]] = {}
    for part in arguments.only:
        found: dict[str, list[dict[str, float]]] = {"before": [], "now": []}
        for _ in range(1 if part == "load" else arguments.rounds):
            for name, root in (("before", arguments.before), ("now", Path(__file__).parents[2])):
                found[name].append(_child(root, part, arguments))
        table[part] = {
            name: {key: statistics.median(row[key] for row in rows) for key in rows[0]} for name, rows in found.items()
        }
        for key in table[part]["now"]:
            before, now = table[part]["before"][key], table[part]["now"][key]
            print(f"{part:36} {key:18} before {before:9.2f}  now {now:9.2f}  {now / before:5.2f}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")
    return 0


def _child(root: Path, part: str, arguments: argparse.Namespace) -> dict[str, float]:
    """One measurement of a checkout: this file, with the package that lies there."""
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, __file__, "--before", ".", "--part", part, "--load", str(arguments.load)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    raise SystemExit(main())

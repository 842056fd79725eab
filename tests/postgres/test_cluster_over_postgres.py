"""A gallery in PostgreSQL that is searched on a real Ray cluster of several nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("oneshot_runtime.stores.postgres", reason="needs the extra postgres", exc_type=ImportError)
pytest.importorskip("ray")

from oneshot_runtime import Gallery, GalleryError, OneShotMatcher
from oneshot_runtime.cluster import ClusterStore
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.base import Block
from oneshot_runtime.stores.partition import Partition
from oneshot_runtime.stores.postgres import PostgresStore, check_gallery
from oneshot_runtime.stores.postgres import postgres_reader as reader
from tests.runtime.ray_nodes import fill, processes, same, until

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

BUNDLE = Bundle.open()
WRITER = """
import sys, numpy as np
from oneshot_runtime import Gallery
from oneshot_runtime.model.bundle import Bundle
bundle = Bundle.open()
gallery = Gallery(bundle, sys.argv[1])
gallery.extend([f"w{number % 40}" for number in range(200)], np.random.default_rng(9).random((200, bundle.dim), np.float32))
gallery.remove("s7"), gallery.rename("s8", "s7"), gallery.remove("w3")
gallery.close()
"""


@pytest.fixture
def opened(cluster, server):
    """An address, the gallery there on two shards, the same gallery in this process, queries, and the cluster's store."""
    address = server.address("&oneshot_timeout=1")
    queries = fill(address, BUNDLE)
    store = ClusterStore(address, shards=2)
    gallery, plain = Gallery(BUNDLE, store), Gallery(BUNDLE, address)
    yield address, gallery, plain, queries, store
    gallery.close()
    plain.close()


def test_shards_answer_as_one_process_does_and_see_every_write(opened) -> None:
    address, gallery, plain, queries, _ = opened
    assert same(gallery, plain, queries)
    assert gallery.labels == plain.labels
    gallery.extend(["new", "s9"], np.full((2, BUNDLE.dim), 0.5, np.float32))
    assert plain.count("new") == gallery.count("new") == 1
    assert same(gallery, plain, queries)
    subprocess.run([sys.executable, "-c", WRITER, address], check=True, timeout=60)
    assert (gallery.count("w4"), gallery.count("w3"), gallery.count("s8")) == (5, 0, 0)
    assert same(gallery, plain, queries)
    gallery.remove("w4")
    gallery.rename("s9", "a name with ' and é")
    assert same(gallery, plain, queries)
    assert gallery.labels == plain.labels
    for label in ("s7", "w5", "a name with ' and é"):
        assert np.array_equal(gallery.codes(label), plain.codes(label))
    assert check_gallery(address, BUNDLE.fingerprint).ok


def test_the_server_hands_a_shard_its_share_and_nothing_else(server, monkeypatch) -> None:
    """Whatever the labels are, its hash is the one that routes questions; so too where blocks are cut short for their bytes."""
    monkeypatch.setattr(reader, "BLOCK_BYTES", 100_000)
    address = server.address()
    rng = np.random.default_rng(2)
    points = [code for code in range(33, 0x2FFFF) if chr(code).isprintable() and not chr(code).isspace()]
    labels = ["".join(map(chr, row[: 1 + number % 7])) for number, row in enumerate(rng.choice(points, (9000, 7)))]
    plain = PostgresStore(address, BUNDLE.fingerprint, BUNDLE.dim)
    pictures = [bytes(1000) if number % 5 == 0 else None for number in range(9000)]
    plain.add([Block(labels, np.zeros((9000, BUNDLE.dim), np.uint8), pictures, [None] * 9000)])
    found = []
    for number in range(3):
        partition = Partition(number, 3)
        store = PostgresStore(address, BUNDLE.fingerprint, BUNDLE.dim, partition)

        def keep(changes, partition=partition) -> int:
            for block in changes.added:
                assert all(map(partition.owns, block.labels))
                assert len(block.labels) < 1000
                found.extend(zip(block.numbers, block.labels, strict=True))
            return changes.position.supports

        store.sync(keep)
        plain.add([Block([f"later {number}"], np.zeros((1, BUNDLE.dim), np.uint8), [None], [None])])
        store.sync(keep)
        store.close()
    plain.close()
    assert sorted(found)[:9000] == list(enumerate(labels, 1))
    assert sum(label.startswith("later") for _, label in found) >= 1


def test_a_killed_shard_reads_its_share_from_the_database_again(opened, server, schema_of) -> None:
    address, gallery, plain, queries, store = opened
    before = processes(store)
    os.kill(before[0], signal.SIGKILL)
    assert same(gallery, plain, queries)
    after = processes(store)
    assert after[0] != before[0]
    server.execute(f"DELETE FROM {schema_of(address)}.supports WHERE id = 1700")
    assert same(gallery, plain, queries)  # from memory, all of it
    for process in after:
        os.kill(process, signal.SIGKILL)
    for _ in range(2):  # what the database lost makes no partial answer
        with pytest.raises(GalleryError, match="2999 supports"):
            gallery.snapshot().nearest_batch(queries, 7)


def test_without_the_database_nothing_is_answered_and_then_all_of_it_is(opened, server) -> None:
    _, gallery, plain, queries, store = opened
    assert same(gallery, plain, queries)
    view = gallery.snapshot()
    server.kill()
    try:
        for call in (gallery.snapshot, lambda: store.remove("s7")):
            start = time.monotonic()
            with pytest.raises(GalleryError, match="check that the server runs"):
                call()
            assert time.monotonic() - start < 20
        os.kill(processes(store)[0], signal.SIGKILL)
        # A view needs no word from the database, but this shard has nothing to answer with now.
        with pytest.raises(GalleryError, match="check that the server runs"):
            view.nearest_batch(queries, 7)
    finally:
        server.start()
    until(lambda answered: answered, gallery, plain, queries)
    gallery.extend(["after"], np.full((1, BUNDLE.dim), 0.5, np.float32))
    assert plain.count("s7") > 0
    assert same(gallery, plain, queries)


def test_the_matcher_on_a_cluster_over_a_database(cluster, server, drawings) -> None:
    address, options = server.address(), {"precision": "fp32", "threads": 1, "far": None}
    with OneShotMatcher.load(gallery=ClusterStore(address, shards=2), **options) as matcher:
        for index, page in enumerate(drawings[0]):
            matcher.enroll(f"s{index}", [page, drawings[1][index]] if index % 3 == 0 else page)
        with OneShotMatcher.load(gallery=address, **options) as plain:
            assert matcher.match_batch(drawings[1]) == plain.match_batch(drawings[1])
            plain.remove("s3")
            assert matcher.match_batch(drawings[1]) == plain.match_batch(drawings[1])


def test_what_a_cluster_refuses_of_a_database(cluster, server, schema_of) -> None:
    address = server.address()
    with pytest.raises(GalleryError, match="searches by itself"):
        ClusterStore(address + "&oneshot_search=exact")
    address = server.address()
    PostgresStore(address, "another model", BUNDLE.dim).close()
    with pytest.raises(GalleryError, match="another model"):
        ClusterStore(address)
    address = server.address()
    PostgresStore(address, BUNDLE.fingerprint, BUNDLE.dim).close()
    server.execute(f"DELETE FROM {schema_of(address)}.state")
    with pytest.raises(GalleryError, match="damaged"):
        ClusterStore(address)

"""A gallery on a real Ray cluster of several nodes, on this machine; test_cluster_merge.py tests the merging without Ray."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from ray_nodes import NODE, fill, processes, same, until

from oneshot_runtime import BundleError, Gallery, GalleryError, OneShotMatcher, OptionError
from oneshot_runtime.cluster import ClusterStore, encode_on_cluster
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.sqlite.sqlite_store import SqliteStore
from oneshot_runtime.transfer.bulk import encode_here, enroll_folder
from oneshot_runtime.transfer.encoder import ImageEncoder

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

BUNDLE = Bundle.open()
DIM = BUNDLE.dim


@pytest.fixture
def filled(tmp_path):
    """A gallery file, and queries."""
    path = tmp_path / "letters.db"
    return path, fill(path, BUNDLE)


def test_a_cluster_answers_as_one_process_does_and_sees_every_write(cluster, filled) -> None:
    path, queries = filled
    store = ClusterStore(path, shards=2)
    gallery, plain = Gallery(BUNDLE, store), Gallery(BUNDLE, path)
    assert same(gallery, plain, queries)
    assert gallery.labels == plain.labels
    assert np.array_equal(gallery.codes("s7"), plain.codes("s7"))
    plain.extend(["new", "s7"], np.full((2, DIM), 0.5, np.float32))  # by another process, as far as the shards know
    assert gallery.count("new") == 1
    assert same(gallery, plain, queries)
    gallery.remove("s7")
    gallery.rename("s8", "s7")
    assert same(gallery, plain, queries)
    assert gallery.labels == plain.labels

    before = processes(store)
    os.kill(before[0], signal.SIGKILL)
    assert same(gallery, plain, queries)
    assert processes(store)[0] != before[0]
    os.kill(processes(store)[1], signal.SIGKILL)
    gallery.remove("s9")
    assert same(gallery, plain, queries)
    gallery.close()
    with pytest.raises(GalleryError, match="closed|cannot be used"):
        gallery.snapshot()
    plain.close()


def test_the_matcher_on_a_cluster(cluster, tmp_path, drawings) -> None:
    path = tmp_path / "letters.db"
    options = {"precision": "fp32", "threads": 1, "far": None}
    with OneShotMatcher.load(gallery=ClusterStore(path, shards=2), **options) as matcher:
        for index, page in enumerate(drawings[0]):
            matcher.enroll(f"s{index}", [page, drawings[1][index]] if index % 3 == 0 else page)
        with OneShotMatcher.load(gallery=path, **options) as plain:
            assert matcher.match_batch(drawings[1]) == plain.match_batch(drawings[1])
            assert matcher.match(drawings[1][4], top_k=2) == plain.match(drawings[1][4], top_k=2)
            matcher.remove("s3")
            assert matcher.match_batch(drawings[1]) == plain.match_batch(drawings[1])
            assert "s3" not in matcher.labels


def test_a_cluster_too_small_is_refused_before_anything_is_loaded(cluster, filled) -> None:
    path, _ = filled
    with pytest.raises(GalleryError, match=r"too small.*nothing was loaded.*3 node"):
        ClusterStore(path, shards=2, memory=5_000_000_000)
    with pytest.raises(GalleryError, match="too small"):
        ClusterStore(path, shards=40)
    for wrong in ({"shards": 0}, {"threads": 0}, {"memory": -1}, {"timeout": 0}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            ClusterStore(path, **wrong)
    store = SqliteStore(path, BUNDLE.fingerprint, DIM)  # closed again by those that were refused
    store.close()


def symbols(folder, drawings):
    """Twelve labels with two pictures each, one of them broken."""
    for index, pages in enumerate(zip(*drawings, strict=True)):
        (folder / f"s{index:02d}").mkdir(parents=True)
        for name, page in zip("ab", pages, strict=True):
            Image.fromarray(page).save(folder / f"s{index:02d}" / f"{name}.png")
    (folder / "s01" / "broken.png").write_bytes(b"no picture")
    return folder


def one_by_one(coding):
    """The same coding, a picture at a time."""
    return lambda chunks: coding([picture] for chunk in chunks for picture in chunk)


def load(path, coding, folder, **options):
    store = SqliteStore(path, BUNDLE.fingerprint, DIM)
    try:
        return enroll_folder(store, coding, folder, block=5, **options)
    finally:
        store.close()


def content(path) -> list[tuple[str, str, bytes]]:
    """Every support: label, where it came from, code."""
    gallery = Gallery(BUNDLE, path)
    found = [
        (label, (support.metadata or {})["source"], code.tobytes())
        for label in gallery.labels
        for support, code in zip(gallery.supports(label), gallery.codes(label), strict=True)
    ]
    gallery.close()
    return found


@pytest.fixture
def here(tmp_path, drawings):
    """A folder, and what it makes of a gallery when this process alone loads it."""
    folder = symbols(tmp_path / "symbols", drawings)
    assert load(tmp_path / "here.db", encode_here(ImageEncoder(BUNDLE, "cpu", "fp32", 1)), folder).added == 24
    return folder, content(tmp_path / "here.db")


def test_bulk_enrollment_on_a_cluster_equals_that_in_one_process(cluster, tmp_path, here) -> None:
    folder, expected = here
    result = load(tmp_path / "bulk.db", encode_on_cluster(BUNDLE, 2, "fp32"), folder)
    assert (result.added, result.failed) == (24, 1)
    assert "s01/broken.png" in result.reasons[0]
    assert content(tmp_path / "bulk.db") == expected


def coders() -> list[int]:
    """The processes of the workers that live."""
    actors = ray._private.state.actors().values()
    return [actor["Pid"] for actor in actors if actor["ActorClassName"] == "_Worker" and actor["State"] == "ALIVE"]


def test_pictures_of_a_killed_worker_are_coded_by_the_next_one(cluster, tmp_path, here) -> None:
    folder, expected = here
    asked, before = itertools.count(), []

    def kill(_) -> None:
        if next(asked) == 8:
            before.extend(coders())
            os.kill(before[0], signal.SIGKILL)

    result = load(tmp_path / "bulk.db", one_by_one(encode_on_cluster(BUNDLE, 2, "fp32")), folder, progress=kill)
    assert (result.added, len(before)) == (24, 2)
    assert content(tmp_path / "bulk.db") == expected


CHILD = """
import sys, ray
from oneshot_runtime.transfer.bulk import encode_here, enroll_folder
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.cluster import encode_on_cluster
from oneshot_runtime.stores.sqlite.sqlite_store import SqliteStore
ray.init(address=sys.argv[3], log_to_driver=False, logging_level="error")
bundle = Bundle.open()
store = SqliteStore(sys.argv[2], bundle.fingerprint, bundle.dim)
coding = encode_on_cluster(bundle, 1, "fp32")
slow = lambda chunks: coding([one] for chunk in chunks for one in chunk)
enroll_folder(store, slow, sys.argv[1], block=5, progress=lambda result: print(result.added, flush=True))
print("end", flush=True)
"""


def test_a_killed_load_goes_on_where_it_was_and_ends_with_every_picture_once(cluster, tmp_path, here) -> None:
    folder, expected = here
    path = tmp_path / "bulk.db"
    kills = 0
    while True:
        child = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", CHILD, folder, path, cluster.address], stdout=subprocess.PIPE, text=True
        )
        with child, child.stdout as lines:
            added = next(line for place, line in enumerate(lines) if place == 9 or line == "end\n")
            if added == "end\n":
                break
            child.kill()
            kills += 1
        assert len(content(path)) >= int(added)  # what was reported as added is there
    assert kills >= 2
    assert content(path) == expected


def test_a_picture_that_kills_workers_and_a_model_that_is_not_there_end_the_load(cluster, tmp_path, here) -> None:
    folder, _ = here
    path = tmp_path / "bulk.db"

    class Deadly:
        """In the head's place: what the first picture's code needs of it ends the process."""

        @property
        def code_weights(self):
            os.kill(os.getpid(), signal.SIGKILL)

    deadly = dataclasses.replace(BUNDLE, head=Deadly())
    with pytest.raises(GalleryError, match=r"died 4 times.*s00/a\.png"):
        load(path, one_by_one(encode_on_cluster(deadly, 1, "fp32")), folder)
    moved = shutil.copytree(BUNDLE.path, tmp_path / "model")
    elsewhere = Bundle.open(moved)
    shutil.rmtree(moved)
    with pytest.raises(BundleError, match="embedding"):
        load(path, encode_on_cluster(elsewhere, 1, "fp32"), folder)
    assert content(path) == []


def test_a_lost_node_is_answered_elsewhere_or_refused(cluster, filled) -> None:
    """The last test: it takes nodes away."""
    path, queries = filled
    store = ClusterStore(path, shards=2, timeout=8.0)
    gallery, plain = Gallery(BUNDLE, store), Gallery(BUNDLE, path)
    assert same(gallery, plain, queries)
    cluster.remove_node(cluster.nodes.pop())
    # One node is left, with room for one shard; until Ray has noticed, the answers are whole.
    assert "no answer is given" in until(lambda answered: not answered, gallery, plain, queries)
    cluster.add_node(**NODE)
    until(lambda answered: answered, gallery, plain, queries)
    gallery.close()
    plain.close()


def test_without_a_cluster_the_error_says_what_to_do(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(GalleryError, match=r"ray\.init"):
        ClusterStore(tmp_path / "letters.db")
    assert list(tmp_path.iterdir()) == []

"""A gallery on a real Ray cluster of several nodes, on this machine; test_cluster_merge.py tests the merging without Ray."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from PIL import Image
from ray_nodes import NODE, fill, processes, same, until

from oneshot_runtime import Gallery, GalleryError, OneShotMatcher, OptionError
from oneshot_runtime.bulk import enroll_folder
from oneshot_runtime.bundle import Bundle
from oneshot_runtime.cluster import ClusterGallery, coded_on_cluster
from oneshot_runtime.store import SqliteStore

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
    store = ClusterGallery(path, shards=2)
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
    with OneShotMatcher.load(gallery=ClusterGallery(path, shards=2), **options) as matcher:
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
        ClusterGallery(path, shards=2, memory=5_000_000_000)
    with pytest.raises(GalleryError, match="too small"):
        ClusterGallery(path, shards=40)
    for wrong in ({"shards": 0}, {"threads": 0}, {"memory": -1}, {"timeout": 0}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            ClusterGallery(path, **wrong)
    store = SqliteStore(path, BUNDLE.fingerprint, DIM)  # closed again by those that were refused
    store.close()


def test_bulk_enrolment_on_a_cluster_equals_that_in_one_process(cluster, tmp_path, drawings) -> None:
    folder = tmp_path / "symbols"
    for index, page in enumerate(drawings[0]):
        (folder / f"s{index}").mkdir(parents=True)
        Image.fromarray(page).save(folder / f"s{index}" / "a.png")
    (folder / "s1" / "broken.png").write_bytes(b"no picture")
    store = SqliteStore(tmp_path / "bulk.db", BUNDLE.fingerprint, DIM)
    result = enroll_folder(store, coded_on_cluster(BUNDLE, 2, "fp32"), folder)
    store.close()
    assert (result.added, result.failed) == (12, 1)
    assert "s1/broken.png" in result.reasons[0]
    with OneShotMatcher.load(gallery=tmp_path / "single.db", precision="fp32", threads=1) as matcher:
        for label in sorted(entry.name for entry in folder.iterdir()):
            matcher.enroll(label, folder / label / "a.png")
        bulk = Gallery(BUNDLE, tmp_path / "bulk.db")
        assert bulk.labels == matcher.labels
        for label in bulk.labels:
            assert np.array_equal(bulk.codes(label), matcher.gallery.codes(label))
        bulk.close()


def test_a_lost_node_is_answered_elsewhere_or_refused(cluster, filled) -> None:
    """The last test: it takes nodes away."""
    path, queries = filled
    store = ClusterGallery(path, shards=2, timeout=8.0)
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
        ClusterGallery(tmp_path / "letters.db")
    assert list(tmp_path.iterdir()) == []

"""The shards and the merging of what they say, all in this process; test_cluster.py runs them on Ray."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshot_runtime import DependencyError, Gallery, GalleryError, OneShotMatcher, OptionError
from oneshot_runtime.cluster import ClusterStore
from oneshot_runtime.cluster.fleet import require_room, shard_memory
from oneshot_runtime.cluster.shard import Shard, Source
from oneshot_runtime.cluster.shard_search import ClusterEngine, Watch
from oneshot_runtime.conformance import StoreContract
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.base import Block, Where
from oneshot_runtime.stores.partition import Partition, shard_of
from oneshot_runtime.stores.sqlite.sqlite_store import SqliteStore

BUNDLE = Bundle.open()
DIM = BUNDLE.dim


class Here:
    """A fleet whose shards are objects of this process, each used by one thread at a time as an actor is."""

    def __init__(self, source: Source) -> None:
        self.source, self.shards = source, source.shards
        self.members = [Shard(source, number) for number in range(source.shards)]
        self._locks = [threading.Lock() for _ in self.members]

    def ask(self, method, *arguments, only=None):
        chosen = range(self.shards) if only is None else [only]
        answers = []
        for number in chosen:
            with self._locks[number]:
                answers.append(getattr(self.members[number], method)(*arguments))
        return answers

    def restart(self, number: int) -> None:
        self.members[number].close()
        self.members[number] = Shard(self.source, number)

    def close(self) -> None:
        for shard in self.members:
            shard.close()


class Sharded(SqliteStore):
    """A gallery file that is searched by shards."""

    def __init__(self, path, shards: int, limit: int = 10**9, seconds: float = 5.0) -> None:
        super().__init__(path, BUNDLE.fingerprint, DIM)
        self.write_note("shards", None)  # makes the file, which every shard must find
        self.fleet = Here(Source(str(path), BUNDLE.fingerprint, DIM, shards, 1, limit))
        self._engine = ClusterEngine(Watch(super()), self.fleet, seconds)

    @property
    def engine(self):
        return self._engine

    def close(self) -> None:
        self.fleet.close()
        super().close()


class TestShards(StoreContract):
    """A gallery that shards search is a store like any other."""

    def setup_method(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        super().setup_method()

    def teardown_method(self) -> None:
        super().teardown_method()
        self.folder.cleanup()

    def new_address(self) -> str:
        return str(Path(self.folder.name) / "letters.db")

    def open(self, address, fingerprint, dim):
        if fingerprint != BUNDLE.fingerprint:
            return SqliteStore(address, fingerprint, dim)
        return Sharded(address, 3)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "letters.db"


def rows(rng, count: int, values: int) -> np.ndarray:
    """Codes of few different values in few places: many ties."""
    codes = np.zeros((count, DIM), np.uint8)
    codes[:, :4] = rng.integers(0, values, (count, 4), np.uint8)
    return codes


def add(store, labels, codes) -> None:
    count = len(labels)
    store.add(iter([Block(list(labels), codes, [None] * count, [None] * count)]))


def handed_over(store) -> list[tuple[int, str]]:
    """Number and label of what is new."""
    found = []

    def apply(changes) -> int:
        for block in changes.added:
            found.extend(zip(block.numbers, block.labels, strict=True))
        return changes.position.supports

    store.sync(apply)
    return found


STEPS = st.lists(st.tuples(st.sampled_from(["add", "add", "remove", "rename", "restart"]), st.integers(0, 2**31)), max_size=12)


@settings(max_examples=25, deadline=None)
@given(steps=STEPS, shards=st.integers(1, 5), values=st.integers(1, 4), seed=st.integers(0, 999))
def test_shards_answer_as_one_process_does(tmp_path_factory, steps, shards, values, seed) -> None:
    path = tmp_path_factory.mktemp("sharded") / "letters.db"
    rng = np.random.default_rng(seed)
    store, plain = Sharded(path, shards), Gallery(BUNDLE, path)
    cluster = Gallery(BUNDLE, store)
    for step, choice in steps:
        known = plain.labels
        if step == "add":
            labels = [f"s{number}" for number in rng.integers(0, 12, 1 + choice % 20)]
            add(store, labels, rows(rng, len(labels), values))
        elif step == "restart":
            store.fleet.restart(choice % shards)
        elif known:
            label = known[choice % len(known)]
            if step == "remove":
                cluster.remove(label)
            elif f"{label}'" not in known:
                cluster.rename(label, f"{label}'")
    assert cluster.labels == plain.labels
    assert len(cluster) == len(plain)
    for label in plain.labels:
        assert cluster.count(label) == plain.count(label)
        assert np.array_equal(cluster.codes(label), plain.codes(label))
    queries = rows(rng, 6, values)
    views = cluster.snapshot(), plain.snapshot()
    assert (views[0].supports, views[0].classes) == (views[1].supports, views[1].classes)
    for count in (1, 3, 50):
        expected = [views[1].nearest(query, count) for query in queries]
        assert views[0].nearest_batch(queries, count) == expected
        assert [views[0].nearest(query, count) for query in queries] == expected
    cluster.close()
    plain.close()


@settings(max_examples=25, deadline=None)
@given(
    labels=st.lists(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=9), max_size=60),
    shards=st.integers(1, 5),
)
def test_a_store_hands_a_shard_its_share_and_nothing_else(tmp_path_factory, labels, shards) -> None:
    path = tmp_path_factory.mktemp("partitions") / "letters.db"
    with contextlib.closing(SqliteStore(path, BUNDLE.fingerprint, DIM)) as store:
        add(store, labels, np.zeros((len(labels), DIM), np.uint8))
        handed = []
        for number in range(shards):
            partition = Partition(number, shards)
            with contextlib.closing(SqliteStore(path, BUNDLE.fingerprint, DIM, partition)) as reader:
                mine = handed_over(reader)
                assert all(partition.owns(label) for _, label in mine)
                add(store, labels[:3], np.zeros((len(labels[:3]), DIM), np.uint8))
                mine += handed_over(reader)
            handed += [row for row in mine if row[0] <= len(labels)]
    assert sorted(handed) == list(enumerate(labels, 1))


def test_numbers_survive_packing(path) -> None:
    """So many removals that the index moves its rows."""
    store, plain = Sharded(path, 2), Gallery(BUNDLE, path)
    cluster, rng = Gallery(BUNDLE, store), np.random.default_rng(1)
    for start in range(0, 6000, 1000):
        add(store, [f"s{number // 100}" for number in range(start, start + 1000)], rows(rng, 1000, 2))
        cluster.snapshot()
    for number in range(0, 50):
        cluster.remove(f"s{number}")
    assert cluster.labels == plain.labels == [f"s{number}" for number in range(50, 60)]
    query = np.zeros(DIM, np.uint8)
    assert cluster.snapshot().nearest(query, 10) == plain.snapshot().nearest(query, 10)
    cluster.close()
    plain.close()


def test_a_shard_that_lost_supports_reads_them_again(path) -> None:
    store = Sharded(path, 2)
    cluster = Gallery(BUNDLE, store)
    codes = np.repeat(np.arange(8, dtype=np.uint8)[:, None], DIM, axis=1)
    add(store, [f"s{number}" for number in range(8)], codes)
    cluster.snapshot()
    victim = store.fleet.members[shard_of("s3", 2)]
    victim._index.remove("s3")  # what no code here does
    assert cluster.snapshot().nearest(codes[3], 1)[0].label == "s3"
    cluster.close()


class Short(Shard):
    """Never holds all of its partition."""

    def _answer(self, revision, value):
        self._at(revision)
        self._index.remove("s3")
        return super()._answer(revision, value)


def test_an_answer_of_part_of_the_gallery_is_refused(path) -> None:
    store = Sharded(path, 2)
    add(store, [f"s{number}" for number in range(8)], np.zeros((8, DIM), np.uint8))
    owner = shard_of("s3", 2)
    store.fleet.members[owner] = Short(store.fleet.source, owner)
    with pytest.raises(GalleryError, match="7 supports of the gallery's 8"):
        Gallery(BUNDLE, store)
    store.close()


class Late(Shard):
    """Stays at the first state it saw."""

    def _at(self, revision):
        return super()._at(0)


def test_shards_at_different_states_are_refused(path) -> None:
    store = Sharded(path, 2, seconds=0.2)
    cluster = Gallery(BUNDLE, store)
    store.fleet.members[1] = Late(store.fleet.source, 1)
    cluster.snapshot().nearest(np.zeros(DIM, np.uint8), 1)
    store.fleet.ask("state", 0)
    cluster.extend(["a"], np.full((1, DIM), 0.5, np.float32))  # durable, whatever the shards say
    for _ in range(2):
        with pytest.raises(GalleryError, match="different states.*no answer"):
            cluster.snapshot()
    cluster.close()


def test_shards_that_are_behind_the_last_write_answer_nothing(path, tmp_path) -> None:
    """All at one state, but an older one: as a standby that lags, or copies of the file."""
    with contextlib.closing(Sharded(path, 2, seconds=0.2)) as store:
        gallery = Gallery(BUNDLE, store)
        add(store, ["a", "b"], rows(np.random.default_rng(0), 2, 9))
        assert gallery.labels == ["a", "b"]
        for shard in store.fleet.members:
            shard._store.sync = lambda apply: None
        add(store, ["c"], rows(np.random.default_rng(1), 1, 9))
        for ask in (lambda: gallery.labels, lambda: gallery.count("c"), lambda: gallery.snapshot()):
            with pytest.raises(GalleryError, match="behind its last write"):
                ask()


def test_reports_over_shards_find_what_others_find(path, tmp_path, drawings) -> None:
    found = []
    for store in (Sharded(path, 2), SqliteStore(tmp_path / "plain.db", BUNDLE.fingerprint, DIM)):
        with OneShotMatcher.load(gallery=store) as matcher:
            matcher.enroll("a", drawings[0][:3])
            report = matcher.enroll("a", drawings[0][7])
            found.append([(finding.kind, finding.other, finding.probability) for finding in report.findings])
    assert found[0] == found[1]
    assert "outlier" in [kind for kind, _, _ in found[0]]


def test_a_row_that_the_file_lost_or_garbled_is_no_partial_answer(path) -> None:
    for wrong, error in (
        ("DELETE FROM gallery WHERE id > 2 << 48", "0 supports, but not the 8"),
        ("UPDATE gallery SET content = x'ff' WHERE id > 2 << 48", "damaged"),
    ):
        store = Sharded(path, 2)
        add(store, [f"s{number}" for number in range(8)], np.zeros((8, DIM), np.uint8))
        store.close()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute(wrong)
            connection.commit()
        store = Sharded(path, 2)
        with pytest.raises(GalleryError, match=error):
            Gallery(BUNDLE, store)
        store.close()
        for file in path.parent.iterdir():
            file.unlink()


def test_a_shard_that_reads_another_file_is_refused(path, tmp_path) -> None:
    other = Gallery(BUNDLE, tmp_path / "other.db")
    store = Sharded(path, 2)
    add(store, ["a"], np.zeros((1, DIM), np.uint8))
    other.extend(["a"], np.full((1, DIM), 0.5, np.float32))
    other.close()
    store.fleet.members[1] = Shard(Source(str(tmp_path / "other.db"), BUNDLE.fingerprint, DIM, 2, 1, 10**9), 1)
    with pytest.raises(GalleryError, match="another gallery"):
        Gallery(BUNDLE, store)
    store.close()


def test_a_shard_creates_no_gallery(tmp_path) -> None:
    shard = Shard(Source(str(tmp_path / "none.db"), BUNDLE.fingerprint, DIM, 2, 1, 10**9), 0)
    with pytest.raises(GalleryError, match=r"shard 0 of 2.*none\.db"):
        shard.state(0)
    assert list(tmp_path.iterdir()) == []


def test_a_shard_that_outgrows_its_memory_answers_nothing(path) -> None:
    store = Sharded(path, 1, limit=100 * (DIM + 200))
    cluster = Gallery(BUNDLE, store)
    add(store, [f"s{number}" for number in range(100)], np.zeros((100, DIM), np.uint8))
    assert len(cluster) == 100
    add(store, [f"t{number}" for number in range(100)], np.zeros((100, DIM), np.uint8))
    for _ in range(2):
        with pytest.raises(GalleryError, match="outgrown.*more shards"):
            cluster.snapshot()
    store.remove("s0")
    with pytest.raises(GalleryError, match="outgrown"):
        cluster.snapshot()
    cluster.close()


def test_shards_keep_no_metadata(path) -> None:
    store = Sharded(path, 1)
    with pytest.raises(OptionError, match="metadata"):
        Gallery(BUNDLE, store).snapshot(Where({"site": "haifa"}))
    store.close()


def test_without_ray_the_error_names_the_extra(monkeypatch, path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DependencyError, match=r"oneshot-runtime\[ray\]"):
        ClusterStore(path)
    assert not path.exists()


def test_a_cluster_without_room_is_refused() -> None:
    def node(memory: float, cpus: float, alive: bool = True) -> dict:
        return {"Alive": alive, "Resources": {"memory": memory, "CPU": cpus}}

    need = shard_memory(1_000_000, 4, DIM)
    assert need > 250_000 * DIM
    require_room([node(2 * need, 4), node(2.9 * need, 2)], 4, need, 1)
    for nodes in (
        [node(2 * need, 4), node(1.9 * need, 2)],
        [node(9 * need, 2), node(9 * need, 1)],
        [node(2 * need, 4), node(2 * need, 4, alive=False)],
        [],
    ):
        with pytest.raises(GalleryError, match="too small.*nothing was loaded.*4 shard"):
            require_room(nodes, 4, need, 1)

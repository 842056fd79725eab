from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshot_runtime import GalleryError, LabelError, OneShotMatcher
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.base import Block
from oneshot_runtime.stores.sqlite.sqlite_store import SqliteStore

BUNDLE = Bundle.open()
DIM = BUNDLE.dim


@pytest.fixture
def path(tmp_path):
    return tmp_path / "letters.db"


def open_gallery(path) -> Gallery:
    return Gallery(Bundle.open(), path)


def made(path) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a"], embeddings(1))
    gallery.close()


def embeddings(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, DIM), np.float32)


def test_a_gallery_survives_the_process(path, drawings) -> None:
    first, second = drawings
    with OneShotMatcher.load(gallery=path, precision="fp32", far=None) as matcher:
        for index, drawing in enumerate(first):
            matcher.enroll(f"s{index}", drawing)
        matcher.remove("s3")
        expected = [matcher.match(drawing) for drawing in second]
    with OneShotMatcher.load(gallery=path, precision="fp32", far=None) as matcher:
        assert matcher.labels == [f"s{index}" for index in range(12) if index != 3]
        assert [matcher.match(drawing) for drawing in second] == expected


def test_memory_and_file_give_the_same_answers(path, matcher, drawings) -> None:
    first, second = drawings
    with OneShotMatcher.load(gallery=path, precision="fp32", threads=1, far=None) as durable:
        for index, drawing in enumerate(first):
            for one in (matcher, durable):
                one.enroll(f"s{index % 5}", drawing)
        for one in (matcher, durable):
            one.remove("s2")
        assert [matcher.match(d) for d in second] == [durable.match(d) for d in second]


def test_two_openings_see_each_other(path) -> None:
    one, two = open_gallery(path), open_gallery(path)
    one.extend(["a", "b"], embeddings(2))
    assert two.labels == ["a", "b"]
    two.remove("a")
    two.extend(["c", "a"], embeddings(2, seed=1))
    assert one.labels == ["b", "c", "a"] == two.labels
    with pytest.raises(LabelError):
        one.remove("nobody")
    one.close()
    two.close()


def test_the_process_that_makes_the_file_reads_no_more_than_what_is_new(path) -> None:
    store = SqliteStore(path, BUNDLE.fingerprint, DIM)
    seen = []

    def apply(changes) -> int:
        seen.append((changes.anew, sum(len(block.labels) for block in changes.added)))
        return changes.position.supports

    for number in range(4):
        store.sync(apply)
        store.add([Block([f"s{number}"], np.full((1, DIM), number, np.uint8), [None], [None])])
    store.remove("s0")
    store.sync(apply)
    store.close()
    assert seen == [(True, 0), (False, 1), (False, 1), (False, 1), (False, 1)]


def test_two_writers_lose_nothing(path) -> None:
    galleries = [open_gallery(path) for _ in range(2)]

    def write(number: int) -> None:
        for index in range(40):
            galleries[number].extend([f"w{number}-{index}"], embeddings(1, seed=index))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for gallery in galleries:
        assert len(gallery.labels) == 80
        gallery.close()


def test_an_enrollment_that_returned_survives_a_kill(path) -> None:
    script = (
        "import sys, numpy as np; from oneshot_runtime.model.bundle import Bundle; "
        "from oneshot_runtime.gallery import Gallery\n"
        "gallery = Gallery(Bundle.open(), sys.argv[1])\n"
        "for i in range(10_000):\n"
        "    gallery.extend([f's{i}'], np.full((1, gallery._bundle.dim), 0.5, np.float32)); print(i, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged = -1
    for line in process.stdout:
        acknowledged = int(line)
        if acknowledged == 25:
            process.send_signal(signal.SIGKILL) if hasattr(signal, "SIGKILL") else process.kill()
            break
    rest = process.stdout.read().split()
    process.stdout.close()
    process.wait()
    acknowledged = max([acknowledged, *map(int, rest)])
    gallery = open_gallery(path)
    assert gallery.labels[: acknowledged + 1] == [f"s{index}" for index in range(acknowledged + 1)]
    gallery.close()


def test_another_model_is_refused_with_both_fingerprints(path) -> None:
    made(path)
    with pytest.raises(GalleryError, match=Bundle.open().fingerprint) as error:
        SqliteStore(path, "0123456789abcdef", DIM)
    assert "0123456789abcdef" in str(error.value)


def test_a_foreign_sqlite_file_is_left_alone(path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (name TEXT)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(GalleryError, match="another program"):
        open_gallery(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to be read as one" * 40, b"SQLite format 3\0" + bytes(200)]
)
def test_a_file_that_is_no_database_is_named(path, content) -> None:
    path.write_bytes(content)
    with pytest.raises(GalleryError, match="letters.db"):
        open_gallery(path)


def test_an_unusable_place_is_named(tmp_path) -> None:
    with pytest.raises(GalleryError, match="missing"):
        open_gallery(tmp_path / "missing" / "letters.db")


@settings(max_examples=60, deadline=None)
@given(flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=20))
def test_random_damage_is_a_gallery_error_or_harmless(tmp_path_factory, flips) -> None:
    path = tmp_path_factory.mktemp("damaged") / "letters.db"
    gallery = open_gallery(path)
    gallery.extend(["a", "b"], embeddings(2))
    gallery.close()
    content = bytearray(path.read_bytes())
    for place, change in flips:
        content[int(place * (len(content) - 1))] ^= change
    path.write_bytes(content)
    try:
        gallery = open_gallery(path)
    except GalleryError:
        return
    assert set(gallery.labels) <= {"a", "b"}
    gallery.close()


def test_a_newer_schema_is_refused(path) -> None:
    made(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(GalleryError, match="99"):
        open_gallery(path)


def test_a_write_that_fails_changes_nothing(path) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a"], embeddings(1))
    connection = sqlite3.connect(path)
    connection.execute("CREATE TRIGGER full BEFORE INSERT ON gallery BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    connection.commit()
    with pytest.raises(GalleryError, match="tables are not a gallery's"):
        gallery.extend(["b", "c"], embeddings(2))
    connection.execute("DROP TRIGGER full")
    connection.commit()
    connection.close()
    assert gallery.labels == ["a"]
    gallery.extend(["b"], embeddings(1))
    gallery.close()


def test_a_closed_gallery_says_so(path, tmp_path) -> None:
    gallery = open_gallery(path)
    gallery.close()
    with pytest.raises(GalleryError, match="closed"):
        gallery.extend(["a"], embeddings(1))


def test_a_copied_file_is_complete_after_close(path, tmp_path) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a"], embeddings(1))
    gallery.close()
    copy = shutil.copy(path, tmp_path / "copy.db")
    gallery = open_gallery(copy)
    assert gallery.labels == ["a"]
    gallery.close()

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshot_runtime import GalleryError, LabelError
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.sqlite import sqlite_store as store
from oneshot_runtime.stores.sqlite.repair import check_file
from oneshot_runtime.vision.decode import thumbnail

BUNDLE = Bundle.open()
PNG = thumbnail(np.zeros((8, 8), np.uint8)) + b" kept byte for byte"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "letters.db"


def open_gallery(path=None) -> Gallery:
    return Gallery(BUNDLE, path)


def embeddings(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, BUNDLE.dim), np.float32)


@pytest.fixture
def first_version_gallery():
    """Writes a file as version 1 did."""

    def make(path, labels: list[str], thumbnail: bytes) -> np.ndarray:
        codes = np.random.default_rng(1).integers(0, 256, (len(labels), BUNDLE.dim), np.uint8)
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
        connection.execute(
            "CREATE TABLE supports (id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL, code BLOB NOT NULL, created "
            "REAL NOT NULL, thumbnail BLOB, metadata TEXT, checksum BLOB NOT NULL)"
        )
        connection.execute("CREATE INDEX supports_by_label ON supports (label)")
        connection.execute("CREATE TABLE removals (id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL)")
        meta = [("fingerprint", BUNDLE.fingerprint), ("dim", str(BUNDLE.dim))]
        connection.executemany("INSERT INTO meta VALUES (?, ?)", meta)
        for label, code in zip(labels, codes, strict=True):
            digest = hashlib.blake2b(digest_size=8)
            for part in (label.encode(), code.tobytes(), repr(1234.5).encode(), thumbnail):
                digest.update(len(part).to_bytes(8, "little"))
                digest.update(part)
            row = (label, code.tobytes(), 1234.5, thumbnail, digest.digest())
            connection.execute("INSERT INTO supports (label, code, created, thumbnail, checksum) VALUES (?, ?, ?, ?, ?)", row)
        connection.execute(f"PRAGMA application_id = {0x4F53_5631}")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
        connection.close()
        return codes

    return make


def behind_the_back(path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM supports WHERE id = 2",
        "INSERT INTO supports SELECT 9, label, code, created, thumbnail, metadata, checksum FROM supports WHERE id = 2",
        "UPDATE supports SET id = 9 WHERE id = 2",
        'UPDATE supports SET metadata = \'{"source": "other"}\' WHERE id = 1',
        "UPDATE supports SET thumbnail = NULL WHERE id = 1",
        "UPDATE state SET state = replace(state, '\"supports\": 3', '\"supports\": 2')",
        "DELETE FROM state",
        "DELETE FROM supports",
    ],
)
def test_what_another_tool_changed_is_found(path, statement) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a", "b", "c"], embeddings(3), [PNG] * 3, [{"source": "scan"}] * 3)
    gallery.close()
    open_gallery(path).close()
    behind_the_back(path, statement)
    with pytest.raises(GalleryError, match="gallery check --repair"):
        open_gallery(path)


def test_a_row_lost_while_the_gallery_is_open_harms_no_answer_and_is_found_at_the_next_opening(path) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a", "b"], embeddings(2))
    behind_the_back(path, "DELETE FROM supports WHERE label = 'a'")
    gallery.extend(["c"], embeddings(1))
    assert gallery.labels == ["a", "b", "c"]
    gallery.close()
    with pytest.raises(GalleryError, match="2 supports, but not the 3"):
        open_gallery(path)


@pytest.mark.parametrize("damage", ["flip", "delete", "truncate"])
def test_acknowledged_writes_that_a_damaged_log_drops_are_found(path, tmp_path, damage) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a"], embeddings(1))
    gallery.extend(["b"], embeddings(1, seed=1))
    copy = tmp_path / "copy" / "letters.db"
    copy.parent.mkdir()
    for suffix in ("", "-wal", "-ack"):
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    gallery.close()
    log = copy.with_name("letters.db-wal")
    content = log.read_bytes()
    if damage == "delete":
        log.unlink()
    elif damage == "truncate":
        log.write_bytes(content[:-200])
    else:
        log.write_bytes(content[:-200] + bytes([content[-200] ^ 1]) + content[-199:])
    with pytest.raises(GalleryError, match=r"2 were acknowledged|2 acknowledged"):
        open_gallery(copy)


def test_a_damaged_note_of_what_was_acknowledged_harms_nothing(path) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a"], embeddings(1))
    gallery.close()
    note = path.with_name("letters.db-ack")
    for content in (b"", b"\xff" * 90, note.read_bytes()[:-5]):
        note.write_bytes(content)
        gallery = open_gallery(path)
        assert gallery.labels == ["a"]
        gallery.close()


def test_an_emptied_file_is_not_taken_for_a_new_one(path) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a"], embeddings(1))
    gallery.close()
    path.write_bytes(b"")
    with pytest.raises(GalleryError, match="1 acknowledged"):
        open_gallery(path)
    path.unlink()
    gallery = open_gallery(path)  # whoever deletes the gallery wants a new one
    assert gallery.labels == []
    gallery.close()


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["add", "remove", "rename"]), st.integers(0, 4), st.integers(0, 4)), max_size=25)
)
def test_memory_file_and_another_process_agree_with_a_dict(tmp_path_factory, steps) -> None:
    path = tmp_path_factory.mktemp("model") / "letters.db"
    galleries = [open_gallery(path), open_gallery(path), open_gallery()]
    model: dict[str, int] = {}
    for number, (step, one, two) in enumerate(steps):
        old, new = f"s{one}", f"s{two}"
        writers = (galleries[number % 2], galleries[2])
        if step == "add":
            for gallery in writers:
                gallery.extend([old] * (two + 1), embeddings(two + 1, number))
            model[old] = model.get(old, 0) + two + 1
        elif step == "remove":
            for gallery in writers:
                if old in model:
                    assert gallery.remove(old) == model[old]
                else:
                    with pytest.raises(LabelError, match=old):
                        gallery.remove(old)
            model.pop(old, None)
        elif old in model and new not in model:
            for gallery in writers:
                assert gallery.rename(old, new) == model[old]
            model[new] = model.pop(old)
        else:
            for gallery in writers:
                with pytest.raises(LabelError, match=f"{old}|{new}"):
                    gallery.rename(old, new)
        for gallery in galleries:
            assert {label: gallery.count(label) for label in gallery.labels} == model
            assert gallery.labels == list(model)
    query = np.zeros(BUNDLE.dim, np.uint8)
    answers = [gallery.snapshot().nearest(query, 5) for gallery in galleries]
    assert answers[0] == answers[1] == answers[2]
    for gallery in galleries:
        gallery.close()
    gallery = open_gallery(path)  # the digest over all rows is right
    assert gallery.labels == list(model)
    gallery.close()


@pytest.mark.parametrize("durable", [True, False])
def test_supports_come_back_as_they_were_given(path, durable) -> None:
    gallery = open_gallery(path if durable else None)
    gallery.extend(["a", "a", "b"], embeddings(3), [PNG, PNG + b"2", None], [None, {"page": 3, "by": "ה"}, None])
    first, second = gallery.supports("a")
    assert (first.label, first.thumbnail, first.metadata) == ("a", PNG, None)
    assert (second.thumbnail, second.metadata) == (PNG + b"2", {"page": 3, "by": "ה"})
    assert abs(second.created - time.time()) < 60
    assert [support.thumbnail for support in gallery.supports("b")] == [None]
    gallery.rename("a", "c")
    assert [support.metadata for support in gallery.supports("c")] == [None, {"page": 3, "by": "ה"}]
    assert {support.label for support in gallery.supports("c")} == {"c"}
    with pytest.raises(LabelError, match="'a'"):
        gallery.supports("a")
    gallery.close()


@pytest.mark.parametrize(
    ("thumbnail", "metadata", "named"),
    [
        (b"GIF89a", None, "PNG"),
        (b"\x89PNG junk", None, "PNG"),
        (PNG[:16] + (13_300).to_bytes(4, "big") * 2 + PNG[24:], None, "13300x13300"),
        (PNG[:16] + bytes(4) + PNG[20:], None, "0x8"),
        (PNG[:18], None, "0x0"),
        ("text", None, "PNG"),
        (None, {"x": float("nan")}, "JSON"),
        (None, {"x": b"bytes"}, "JSON"),
        (None, ["list"], "dict"),
        (None, {"x": "y" * 70_000}, "70"),
    ],
)
@pytest.mark.parametrize("durable", [True, False])
def test_unusable_extras_are_refused_and_nothing_is_added(path, durable, thumbnail, metadata, named) -> None:
    gallery = open_gallery(path if durable else None)
    with pytest.raises(GalleryError, match=named):
        gallery.extend(["a", "b"], embeddings(2), [None, thumbnail], [None, metadata])
    assert gallery.labels == []
    gallery.close()


def test_a_bad_embedding_late_in_a_large_call_undoes_all_of_it(path) -> None:
    gallery = open_gallery(path)
    rows = embeddings(10_000)
    rows[9_999, 3] = np.nan
    with pytest.raises(GalleryError, match="NaN"):
        gallery.extend([f"s{index}" for index in range(10_000)], rows)
    assert len(gallery) == 0
    gallery.close()


def test_a_reader_that_missed_more_removals_than_are_listed_catches_up(path, monkeypatch) -> None:
    monkeypatch.setattr(store, "_LISTED_REMOVALS", 20)
    writer, reader = open_gallery(path), open_gallery(path)
    writer.extend(["kept", "gone"], embeddings(2))
    assert reader.labels == ["kept", "gone"]
    for _ in range(30):
        writer.remove("gone")
        writer.extend(["gone"], embeddings(1, seed=4))
    writer.remove("gone")
    assert reader.labels == ["kept"]
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM removals").fetchone()[0] == 20
    connection.close()
    writer.close()
    reader.close()


def test_the_first_version_is_upgraded_in_place(path, first_version_gallery) -> None:
    codes = first_version_gallery(path, ["a", "b", "a"], PNG)
    gallery = open_gallery(path)
    assert gallery.labels == ["a", "b"]
    assert gallery.count("a") == 2
    assert gallery.supports("b")[0].thumbnail == PNG
    assert gallery.snapshot().nearest(codes[1], 1)[0].distance == 0
    gallery.extend(["c"], embeddings(1))
    gallery.close()
    gallery = open_gallery(path)
    assert gallery.labels == ["a", "b", "c"]
    gallery.close()


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
@pytest.mark.parametrize("version", [1, 2])
def test_a_check_changes_nothing(path, first_version_gallery, version, mode) -> None:
    if version == 1:
        first_version_gallery(path, ["a", "b", "a"], PNG)
    else:
        gallery = open_gallery(path)
        gallery.extend(["a", "b", "a"], embeddings(3))
        gallery.close()
    behind_the_back(path, f"PRAGMA journal_mode = {mode}")
    before = path.read_bytes()
    health = check_file(path, BUNDLE.fingerprint)
    assert (health.problems, health.supports, health.classes) == ([], 3, 2)
    assert path.read_bytes() == before
    assert open_gallery(path).labels == ["a", "b"]


def test_an_older_copy_is_refused_until_the_note_of_later_writes_is_removed(path) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a"], embeddings(1))
    gallery.close()
    older = path.read_bytes()
    gallery = open_gallery(path)
    gallery.extend(["b"], embeddings(1))
    gallery.close()
    path.write_bytes(older)
    with pytest.raises(GalleryError, match="remove 'letters.db-ack' to go on with this one"):
        open_gallery(path)
    path.with_name("letters.db-ack").unlink()
    gallery = open_gallery(path)
    assert gallery.labels == ["a"]
    gallery.close()


def test_a_damaged_first_version_is_left_as_it_is(path, first_version_gallery) -> None:
    first_version_gallery(path, ["a", "b"], PNG)
    behind_the_back(path, "UPDATE supports SET label = 'z' WHERE id = 2")
    for call in (open_gallery, check_file):
        with pytest.raises(GalleryError, match="support 2 of 'z' is damaged"):
            call(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM meta").fetchone() == (2,)
    connection.close()

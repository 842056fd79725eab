from __future__ import annotations

import hashlib
import json
import sqlite3
import struct
import subprocess
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oneshot_runtime import GalleryError, LabelError
from oneshot_runtime.cli.main import main
from oneshot_runtime.errors import DamageError
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores import records
from oneshot_runtime.stores.sqlite.block import block_size
from oneshot_runtime.stores.sqlite.file_check import check_file
from oneshot_runtime.transfer.backup import backup
from oneshot_runtime.transfer.old_gallery import convert_old, is_old
from oneshot_runtime.vision.grey_png import thumbnail

BUNDLE = Bundle.open()
PNG = thumbnail(np.zeros((8, 8), np.uint8)) + b" kept byte for byte"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "letters.db"


def open_gallery(path=None) -> Gallery:
    return Gallery(BUNDLE, path)


def embeddings(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, BUNDLE.dim), np.float32)


def behind_the_back(path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["add", "remove", "rename"]), st.integers(0, 4), st.integers(0, 4)), max_size=25)
)
@example(  # the other one catches up with two labels that left the same block, the only one, empty
    steps=[("add", 0, 0), ("add", 1, 0), ("remove", 0, 0), ("remove", 1, 0), *[("add", 0, 0)] * 6, ("remove", 0, 0)]
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
    monkeypatch.setattr(records, "LISTED_REMOVALS", 20)
    writer, reader = open_gallery(path), open_gallery(path)
    writer.extend(["kept", "gone"], embeddings(2))
    assert reader.labels == ["kept", "gone"]
    for _ in range(30):
        writer.remove("gone")
        writer.extend(["gone"], embeddings(1, seed=4))
    writer.remove("gone")
    assert reader.labels == ["kept"]
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM gallery WHERE id > 1 << 48 AND id < 2 << 48").fetchone()[0] == 20
    connection.close()
    writer.close()
    reader.close()


def blocks(path) -> list[tuple[int, bytes]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT id, content FROM gallery WHERE id > 2 << 48 AND id < 3 << 48").fetchall()
    connection.close()
    return rows


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM gallery WHERE id > 2 << 48 AND id < 3 << 48",
        "INSERT INTO gallery SELECT id + 9, content FROM gallery WHERE id = (2 << 48) + 1",
        "UPDATE gallery SET id = id + 9 WHERE id = (2 << 48) + 1",
        "UPDATE gallery SET content = x'00' WHERE id = (2 << 48) + 1",
        "UPDATE gallery SET content = 'text' WHERE id = (2 << 48) + 1",
        "UPDATE gallery SET content = zeroblob(30000000) WHERE id = (2 << 48) + 1",
        "UPDATE gallery SET content = CAST(replace(CAST(content AS TEXT), 'supports\": 3', 's') AS BLOB) WHERE id = 0",
        "DELETE FROM gallery WHERE id = 0",
        "DELETE FROM gallery",
        "CREATE TRIGGER t AFTER INSERT ON gallery BEGIN DELETE FROM gallery; END",
        "CREATE INDEX i ON gallery (content)",
        "CREATE VIEW v AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
        "ALTER TABLE gallery ADD COLUMN more",
        "PRAGMA user_version = 2000",
        "PRAGMA journal_mode = WAL",
    ],
)
def test_what_another_tool_changed_is_found(path, statement) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a", "b", "c"], embeddings(3), [PNG] * 3, [{"source": "scan"}] * 3)
    gallery.close()
    open_gallery(path).close()
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(GalleryError, match="oneshot gallery (check --repair|migrate)"):
        open_gallery(path)


def forged(number: int, content: bytes, old: bytes, new: bytes) -> tuple[bytes, int]:
    """A block in which something was replaced, with the checksum that is right for it, and its number."""
    assert len(old) == len(new)
    assert old in content
    changed = content[8:].replace(old, new, 1)
    return hashlib.sha256(number.to_bytes(8, "little") + changed).digest()[:8] + changed, number


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"label 99", b"label\r99"),
        (b"label 99\n", b"label 990"),
        (b"label 99", b"\xff" * 8),
        (b"label 99", b"label\n99"),
        (struct.pack("<q", 100), struct.pack("<q", 101)),
        (struct.pack("<q", 85), struct.pack("<q", 84)),
    ],
)
def test_a_block_with_a_right_checksum_that_is_none_is_named(path, old, new) -> None:
    full = block_size(BUNDLE.dim)
    gallery = open_gallery(path)
    gallery.extend([f"label {number:02}" for number in range(5 * full)], embeddings(5 * full))
    gallery.close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE gallery SET content = ? WHERE id = ?", forged(*blocks(path)[2], old, new))
    connection.commit()
    connection.close()
    with pytest.raises(DamageError, match=f"the block of supports from {2 * full + 1} does not"):
        open_gallery(path)


@pytest.mark.parametrize(
    "statement", ["DELETE FROM gallery WHERE id > 3 << 48", "UPDATE gallery SET content = x'00' WHERE id > 3 << 48"]
)
def test_a_picture_that_is_not_the_one_that_was_written_is_never_shown(path, statement) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a", "b"], embeddings(2), [PNG, None])
    gallery.close()
    behind_the_back(path, statement)
    gallery = open_gallery(path)
    assert gallery.labels == ["a", "b"]
    assert gallery.supports("b")[0].thumbnail is None
    with pytest.raises(GalleryError, match="picture and metadata of support 1"):
        gallery.supports("a")
    gallery.close()
    assert "picture and metadata of support 1 of 'a'" in check_file(path).problems[0]


def test_nothing_of_what_was_removed_is_left_in_the_file_or_beside_it(path) -> None:
    gallery = open_gallery(path)
    secret = b"secret thumbnail " * 40
    gallery.extend(["kept"], embeddings(1))
    gallery.extend(["gone"] * 3, embeddings(3, seed=5), [PNG + secret] * 3, [{"secret metadata": 1}] * 3)
    codes = gallery.codes("gone")
    held = path.read_bytes()
    assert held.count(secret) == 3
    gallery.remove("gone")
    gallery.extend(["later"], embeddings(1))
    for place in path.parent.iterdir():
        content = place.read_bytes()
        assert b"secret" not in content
        assert all(code[:16].tobytes() not in content for code in codes)
    gallery.close()


def test_every_copy_that_is_made_beside_a_writer_is_complete_or_refused(path, tmp_path) -> None:
    gallery = open_gallery(path)
    gallery.extend(["s0"], embeddings(1))
    acknowledged, stop, errors = [0], threading.Event(), []

    def write() -> None:
        try:
            while not stop.is_set():
                number = acknowledged[0] + 1
                gallery.extend([f"s{number}"], embeddings(1, seed=number), [PNG])
                acknowledged[0] = number
        except BaseException as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    complete = 0
    for number in range(60):
        before = acknowledged[0]
        copied = subprocess.run(["cp", path, tmp_path / f"{number}.db"], check=True, timeout=20)
        assert copied.returncode == 0
        after = acknowledged[0] + 1  # one that was being written
        try:
            copy = open_gallery(tmp_path / f"{number}.db")
        except GalleryError:
            continue
        labels = copy.labels
        copy.close()
        assert labels == [f"s{place}" for place in range(len(labels))]
        assert before <= len(labels) - 1 <= after
        complete += 1
    stop.set()
    writer.join()
    gallery.close()
    assert errors == []
    assert complete


def test_a_backup_is_taken_beside_a_writer(path, tmp_path) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a", "b"], embeddings(2), [PNG, None])
    assert backup(path, tmp_path / "copy.db") == 2
    gallery.extend(["c"], embeddings(1))
    gallery.close()
    copy = open_gallery(tmp_path / "copy.db")
    assert copy.labels == ["a", "b"]
    assert copy.supports("a")[0].thumbnail == PNG
    copy.close()
    with pytest.raises(GalleryError, match="exists already"):
        backup(path, tmp_path / "copy.db")


def test_a_failed_first_write_leaves_no_file(path) -> None:
    gallery = open_gallery(path)
    with pytest.raises(GalleryError):
        gallery.extend(["a"], np.full((1, BUNDLE.dim), 7, np.float32))
    assert gallery.labels == []
    assert list(path.parent.iterdir()) == []
    gallery.close()


def test_an_emptied_file_is_not_taken_for_a_new_one(path) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a"], embeddings(1))
    gallery.close()
    path.write_bytes(b"")
    with pytest.raises(GalleryError, match="0 bytes"):
        open_gallery(path)
    path.unlink()
    gallery = open_gallery(path)  # whoever deletes the gallery wants a new one
    assert gallery.labels == []
    gallery.close()


def test_a_check_changes_nothing(path) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a", "b", "a"], embeddings(3), [PNG, None, PNG])
    gallery.remove("b")
    gallery.close()
    before = path.read_bytes()
    health = check_file(path, BUNDLE.fingerprint)
    assert (health.problems, health.supports, health.classes) == ([], 2, 1)
    assert path.read_bytes() == before
    assert [place.name for place in path.parent.iterdir()] == ["letters.db"]


def test_blocks_fill_up_and_thin_out(path) -> None:
    gallery, full = open_gallery(path), block_size(BUNDLE.dim)
    for number in range(2 * full + 2):
        gallery.extend([f"s{number}"], embeddings(1, seed=number))
    gallery.close()
    assert len(blocks(path)) == 3
    gallery = open_gallery(path)
    for number in range(full, 2 * full + 2):
        gallery.remove(f"s{number}")
    assert len(blocks(path)) == 1
    gallery.extend(["late"], embeddings(1))
    gallery.close()
    gallery = open_gallery(path)
    assert gallery.labels == [*(f"s{number}" for number in range(full)), "late"]
    gallery.close()


def written_as_version(version: int, path, labels: list[str], thumbnail: bytes) -> np.ndarray:
    """A file as an older runtime wrote it."""
    codes = np.random.default_rng(1).integers(0, 256, (len(labels), BUNDLE.dim), np.uint8)
    rows = [
        records.Row(n + 1, label, code.tobytes(), 1234.5, thumbnail, None)
        for n, (label, code) in enumerate(zip(labels, codes, strict=True))
    ]
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(
        "CREATE TABLE supports (id INTEGER PRIMARY KEY, label TEXT, code BLOB, created REAL, thumbnail BLOB, "
        "metadata TEXT, checksum BLOB)"
    )
    if version == 1:
        connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)", [("fingerprint", BUNDLE.fingerprint), ("dim", str(BUNDLE.dim))]
        )
    else:
        state = records.State("0" * 32, BUNDLE.fingerprint, BUNDLE.dim).with_rows([row.checksum for row in rows], len(rows))
        connection.execute("CREATE TABLE state (one INTEGER PRIMARY KEY, state TEXT, checksum TEXT)")
        connection.execute("INSERT INTO state VALUES (1, ?, ?)", state.values())
    for row in rows:
        digest = hashlib.blake2b(digest_size=8)
        for part in (row.label.encode(), row.code, repr(row.created).encode(), thumbnail):
            digest.update(len(part).to_bytes(8, "little") + part)
        checksum = digest.digest() if version == 1 else row.checksum
        connection.execute(
            "INSERT INTO supports VALUES (?, ?, ?, ?, ?, ?, ?)",
            (row.id, row.label, row.code, row.created, thumbnail, None, checksum),
        )
    connection.execute(f"PRAGMA application_id = {0x4F53_5631}")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()
    path.with_name("letters.db-ack").write_text("an old note")
    return codes


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_version_is_migrated_by_the_command(path, capsys, version) -> None:
    codes = written_as_version(version, path, ["a", "b", "a"], PNG)
    with pytest.raises(GalleryError, match="oneshot gallery migrate --gallery"):
        open_gallery(path)
    assert main(["gallery", "migrate", "--gallery", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["supports"] == 3
    gallery = open_gallery(path)
    assert (gallery.labels, gallery.count("a")) == (["a", "b"], 2)
    assert (gallery.supports("b")[0].thumbnail, gallery.supports("b")[0].created) == (PNG, 1234.5)
    assert gallery.snapshot().nearest(codes[1], 1)[0].distance == 0
    gallery.close()
    assert sorted(place.name for place in path.parent.iterdir()) == ["letters.db", answer["old"].rpartition("/")[2]]


@pytest.mark.parametrize("version", [1, 2])
def test_a_damaged_older_version_is_left_as_it_is(path, version) -> None:
    written_as_version(version, path, ["a", "b"], PNG)
    behind_the_back(path, "UPDATE supports SET label = 'z' WHERE id = 2")
    with pytest.raises(GalleryError, match="support 2 of 'z' is damaged"):
        convert_old(path)
    assert is_old(path)


@pytest.mark.parametrize(
    "forged",
    [{"last_support": 1}, {"last_support": (1 << 48) - 1}, {"last_removal": (1 << 48) - 1}, {"revision": (1 << 48) - 1}],
    ids=lambda forged: next(iter(forged)),
)
def test_a_state_with_forged_numbers_harms_nothing(path, forged) -> None:
    gallery = open_gallery(path)
    gallery.extend(["a", "b", "b"], embeddings(3))
    gallery.close()
    connection = sqlite3.connect(path)
    with connection:
        text = connection.execute("SELECT content FROM gallery WHERE id = 0").fetchone()[0].decode()[32:]
        state = records.State(**(json.loads(text) | forged))
        text, checksum = state.values()
        connection.execute("UPDATE gallery SET content = ? WHERE id = 0", (f"{checksum}{text}".encode(),))
    connection.close()
    if forged == {"last_support": 1}:
        with pytest.raises(DamageError):
            open_gallery(path)
        return
    gallery = open_gallery(path)
    for write in (lambda: gallery.extend(["c"], embeddings(1)), lambda: gallery.remove("a"), lambda: gallery.rename("b", "d")):
        with suppress(DamageError):
            write()
    expected = gallery.counts()
    gallery.close()
    gallery = open_gallery(path)
    assert gallery.counts() == expected
    gallery.close()

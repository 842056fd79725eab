from __future__ import annotations

import json
import sqlite3

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oneshot_runtime import GalleryError, OneShotMatcher
from oneshot_runtime.cli.main import main
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle, fingerprint_of
from oneshot_runtime.stores.sqlite.file_check import check_file
from oneshot_runtime.stores.sqlite.repair import repair_file
from oneshot_runtime.transfer.encoder import ImageEncoder
from oneshot_runtime.transfer.migrate import migrate
from oneshot_runtime.vision.grey_png import thumbnail
from oneshot_runtime.vision.preprocess import PreprocessSpec

BUNDLE = Bundle.open()
PNG = thumbnail(np.zeros((8, 8), np.uint8)) + bytes(300)
MODEL = (BUNDLE.fingerprint, BUNDLE.dim)


@pytest.fixture
def path(tmp_path):
    gallery = Gallery(BUNDLE, tmp_path / "letters.db")
    labels = [f"s{index}" for index in range(60)]
    gallery.extend(labels, np.random.default_rng(0).random((60, BUNDLE.dim), np.float32), [PNG] * 60)
    gallery.remove("s7")
    gallery.close()
    return tmp_path / "letters.db"


@pytest.fixture
def other_bundle(altered_bundle):
    """The shipped graphs with another head and preprocessing: another model."""

    def change(manifest) -> None:
        manifest["head"]["bias"] += 0.5
        manifest["preprocess"]["ink_share"] = 0.7
        spec = PreprocessSpec.from_dict(manifest["preprocess"])
        manifest["fingerprint"] = fingerprint_of(manifest["sha256"], spec, manifest["head"])

    return altered_bundle(change)


def encoder_of(bundle) -> ImageEncoder:
    return ImageEncoder(Bundle.open(bundle), "cpu", "fp32", 1)


def behind_the_back(path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


def labels_of(path) -> list[str]:
    gallery = Gallery(BUNDLE, path)
    labels = gallery.labels
    gallery.close()
    return labels


def test_a_sound_gallery_has_no_problems(path) -> None:
    health = check_file(path, BUNDLE.fingerprint)
    assert (health.ok, health.supports, health.classes, health.fingerprint) == (True, 59, 59, BUNDLE.fingerprint)
    assert not check_file(path, "other").ok


def flip_in(path, needle: bytes, at: int = 0) -> None:
    """Change one bit where these bytes are in the file."""
    content = bytearray(path.read_bytes())
    content[content.index(needle) + at] ^= 1
    path.write_bytes(content)


def code_of(path, label: str) -> bytes:
    gallery = Gallery(BUNDLE, path)
    code = gallery.codes(label)[0].tobytes()
    gallery.close()
    return code


@pytest.mark.parametrize(
    ("fault", "left", "named"),
    [
        ("code", 58, "1 support in the block from 1"),
        ("label", 58, "1 support in the block from 1"),
        ("DELETE FROM gallery WHERE id = 0", 59, "state"),
        ("UPDATE gallery SET content = x'00' WHERE id = (1 << 48) + 1", 59, "removal"),
        ("DELETE FROM gallery WHERE id = (1 << 48) + 1", 59, "removals has gaps"),
        ("UPDATE gallery SET content = x'00' WHERE id = (3 << 48) + 5", 59, "picture and metadata of support 5"),
        ("INSERT INTO gallery VALUES (7, x'00')", 59, "none of a gallery"),
    ],
)
def test_damage_is_named_and_what_is_intact_is_saved(path, fault, left, named) -> None:
    if fault == "code":
        flip_in(path, code_of(path, "s9")[10:40])
    elif fault == "label":
        flip_in(path, b"\ns9\n", 1)
    else:
        behind_the_back(path, fault)
    health = check_file(path, BUNDLE.fingerprint)
    assert (health.damaged, health.supports) == (True, left)
    assert any(named in problem for problem in health.problems), health.problems
    damaged = path.read_bytes()
    repair = repair_file(path, MODEL)
    assert repair.supports == left
    assert repair.damaged is not None
    assert repair.damaged.read_bytes() == damaged
    assert check_file(path, BUNDLE.fingerprint).ok
    labels = labels_of(path)
    assert len(labels) == left
    gallery = Gallery(BUNDLE, path)
    assert sum(gallery.supports(label)[0].thumbnail == PNG for label in labels) >= 58
    gallery.close()
    if left < 59:
        assert repair.lost


def test_a_sound_gallery_is_looked_at_again_and_left_alone(path) -> None:
    before = path.read_bytes()
    repair = repair_file(path, MODEL)
    assert (repair.damaged, repair.supports, repair.lost) == (None, 59, [])
    assert path.read_bytes() == before


@settings(max_examples=30, deadline=None)
@given(place=st.floats(0, 1), length=st.integers(1, 6000), value=st.integers(0, 255))
@example(place=0.7411341412931071, length=135, value=255)  # a length of gigabytes, for which SQLite finds no memory
def test_a_damaged_stretch_of_the_file_costs_only_what_lies_in_it(tmp_path_factory, place, length, value) -> None:
    path = tmp_path_factory.mktemp("damaged") / "letters.db"
    gallery = Gallery(BUNDLE, path)
    gallery.extend([f"s{index}" for index in range(60)], np.full((60, BUNDLE.dim), 0.5, np.float32))
    gallery.close()
    content = bytearray(path.read_bytes())
    start = int(place * (len(content) - 1))
    content[start : start + length] = bytes([value]) * len(content[start : start + length])
    path.write_bytes(content)
    try:
        health = check_file(path)
        repair = repair_file(path, MODEL) if health.damaged else None
    except GalleryError:
        assert path.read_bytes() == content  # nothing can be read: left alone
        return
    assert health.supports == (60 if repair is None else repair.supports)
    labels = labels_of(path)
    assert set(labels) <= {f"s{index}" for index in range(60)}
    assert len(labels) == health.supports


def test_a_process_that_has_the_damaged_file_open_loses_no_write(path) -> None:
    gallery = Gallery(BUNDLE, path)
    behind_the_back(path, "UPDATE gallery SET content = x'00' WHERE id = (3 << 48) + 5")
    repair_file(path, MODEL)
    with pytest.raises(GalleryError, match="replaced"):
        gallery.extend(["late"], np.full((1, BUNDLE.dim), 0.5, np.float32))
    with pytest.raises(GalleryError, match="replaced"):
        gallery.snapshot()
    gallery.close()
    assert len(labels_of(path)) == 59


def overwritten(path, start: int, end: int, value: int) -> bytes:
    content = bytearray(path.read_bytes())
    content[start:end] = bytes([value]) * (end - start)
    path.write_bytes(content)
    return bytes(content)


@pytest.mark.parametrize("value", [0, 1, 255])
@pytest.mark.parametrize("start", [60, 68], ids=["version", "application id"])
def test_the_command_repairs_a_damaged_header(path, capsys, start, value) -> None:
    damaged = overwritten(path, start, start + 4, value)
    for call in (lambda: check_file(path), lambda: labels_of(path)):
        with pytest.raises(GalleryError, match="header has the .*oneshot gallery check --repair"):
            call()
    assert path.read_bytes() == damaged
    code = main(["gallery", "check", "--gallery", str(path), "--repair", "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert (code, answer["ok"], answer["repair"]["supports"], answer["repair"]["lost"]) == (1, False, 59, [])
    assert "header" in answer["problems"][0]
    assert check_file(path, BUNDLE.fingerprint).ok
    assert len(labels_of(path)) == 59


@pytest.mark.parametrize("fault", ["first page", "supports", "state of an empty gallery", "another program's", "newer version"])
def test_what_gives_no_support_is_left_as_it_is(path, capsys, fault) -> None:
    if fault == "first page":
        overwritten(path, 100, 4096, 0xA5)
    elif fault == "another program's":
        path.unlink()
        behind_the_back(path, "CREATE TABLE state (mind TEXT)")
    elif fault == "newer version":
        behind_the_back(path, "PRAGMA user_version = 5")
    else:
        behind_the_back(path, "DELETE FROM gallery WHERE id >= 2 << 48" if fault == "supports" else "DELETE FROM gallery")
    before = path.read_bytes()
    with pytest.raises(GalleryError, match="no support can be read|install a newer|another program|malformed"):
        repair_file(path, MODEL)
    assert main(["gallery", "check", "--gallery", str(path), "--repair"]) == 1
    assert "letters.db" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert not [entry.name for entry in path.parent.iterdir() if ".damaged" in entry.name or ".repair" in entry.name]


def test_an_empty_gallery_can_be_repaired(tmp_path) -> None:
    path = tmp_path / "empty.db"
    gallery = Gallery(BUNDLE, path)
    gallery.extend(["a"], np.full((1, BUNDLE.dim), 0.5, np.float32))
    gallery.remove("a")
    gallery.close()
    behind_the_back(path, "INSERT INTO gallery VALUES (7, x'00')")
    assert check_file(path).damaged
    assert repair_file(path, MODEL).supports == 0
    assert check_file(path, BUNDLE.fingerprint).ok
    assert repair_file(path, MODEL).supports == 0  # nor is a sound one a failure


def test_the_command_checks_and_repairs(path, capsys) -> None:
    def call(*words: str) -> tuple[int, dict]:
        code = main(["gallery", "check", "--gallery", str(path), *words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    assert call("--repair")[0] == 0
    flip_in(path, code_of(path, "s9")[10:40])
    assert main(["list", "--gallery", str(path)]) == 1
    assert "oneshot gallery check --repair" in capsys.readouterr().err
    code, answer = call()
    assert (code, answer["ok"], answer["supports"]) == (1, False, 58)
    code, answer = call("--repair")
    assert answer["repair"]["supports"] == 58
    code, answer = call()
    assert (code, answer["ok"]) == (0, True)


def test_a_migration_keeps_symbols_and_recognises_with_the_new_model(tmp_path, drawings, other_bundle) -> None:
    path = tmp_path / "symbols.db"
    first, second = drawings
    with OneShotMatcher.load(gallery=path, precision="fp32", far=None) as matcher:
        for index, drawing in enumerate(first):
            matcher.enroll(f"s{index}", drawing, metadata={"index": index})
        labels, before = matcher.labels, matcher.gallery.supports("s3")
        assert migrate(path, encoder_of(other_bundle)) == 12
        with pytest.raises(GalleryError, match=Bundle.open(other_bundle).fingerprint):
            matcher.enroll("late", first[0])
        with pytest.raises(GalleryError, match="migrate"):
            matcher.match(first[0])
    with OneShotMatcher.load(other_bundle, gallery=path, precision="fp32", far=None) as matcher:
        assert matcher.labels == labels
        assert matcher.gallery.supports("s3") == before
        answers = [matcher.match(drawing).label for drawing in second]
        assert sum(answer == f"s{index}" for index, answer in enumerate(answers)) >= 10
        expected = OneShotMatcher.load(other_bundle, precision="fp32", far=None)
        for index, drawing in enumerate(first):
            expected.enroll(f"s{index}", drawing)
        assert answers == [expected.match(drawing).label for drawing in second]


def test_what_another_process_enrols_during_a_migration_is_migrated_too(tmp_path, drawings, other_bundle) -> None:
    path = tmp_path / "symbols.db"
    with OneShotMatcher.load(gallery=path, precision="fp32") as matcher:
        matcher.enroll("early", drawings[0][0])
        matcher.enroll("gone", drawings[0][1])

        def meanwhile(done: int, total: int) -> None:
            matcher.enroll("late", drawings[0][2])
            matcher.remove("gone")

        assert migrate(path, encoder_of(other_bundle), meanwhile) == 2
    with OneShotMatcher.load(other_bundle, gallery=path, precision="fp32", far=None) as matcher:
        assert matcher.labels == ["early", "late"]
        assert matcher.match(drawings[0][2]).label == "late"


def test_supports_without_pictures_stop_a_migration_and_are_named(path, other_bundle, capsys) -> None:
    gallery = Gallery(BUNDLE, path)
    gallery.extend(["bare"], np.full((1, BUNDLE.dim), 0.5, np.float32))
    for index in range(60):
        if index != 7:
            gallery.remove(f"s{index}")
    gallery.close()
    assert main(["gallery", "migrate", "--gallery", str(path), "--bundle", str(other_bundle)]) == 1
    assert "'bare'" in capsys.readouterr().err
    assert labels_of(path) == ["bare"]


def test_a_migration_to_the_same_model_is_refused(path, capsys) -> None:
    assert main(["gallery", "migrate", "--gallery", str(path)]) == 1
    assert "already" in capsys.readouterr().err

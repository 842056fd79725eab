from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oneshot_runtime import Gallery, GalleryError, ImageError, LabelError, OneShotMatcher
from oneshot_runtime.cli.main import main
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.registry import open_store
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from oneshot_runtime.transfer.bulk import BulkResult, encode_here, enroll_folder
from oneshot_runtime.transfer.encoder import ImageEncoder
from oneshot_runtime.transfer.folders import export_folder

BUNDLE = Bundle.open()


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    return ImageEncoder(BUNDLE, "cpu", "fp32", 1)


def load(encoder, folder, path, **options) -> BulkResult:
    store = open_store(path, BUNDLE.fingerprint, BUNDLE.dim)
    try:
        return enroll_folder(store, encode_here(encoder), folder, **options)
    finally:
        store.close()


def write(folder: Path, pages: dict[str, object]) -> Path:
    for name, page in pages.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(page, bytes):
            place.write_bytes(page)
        else:
            Image.fromarray(page).save(place)
    return folder


def content(path) -> list[tuple[str, str, bytes]]:
    """Every support in the order of its enrollment within its label: label, where it came from, code."""
    gallery = Gallery(BUNDLE, path)
    found = []
    for label in gallery.labels:
        codes = gallery.codes(label)
        for support, code in zip(gallery.supports(label), codes, strict=True):
            found.append((label, (support.metadata or {}).get("source", ""), code.tobytes()))
    gallery.close()
    return found


@pytest.fixture
def symbols(tmp_path, drawings) -> Path:
    return write(tmp_path / "symbols", {f"s{i}/{j}.png": drawings[j][i] for i in range(6) for j in range(2)})


def test_a_folder_is_enrolled_like_its_pictures_one_by_one(tmp_path, encoder, symbols, drawings) -> None:
    result = load(encoder, symbols, tmp_path / "bulk.db")
    assert (result.pictures, result.added, result.present, result.failed) == (12, 12, 0, 0)
    assert result.rate > 0
    with OneShotMatcher.load(gallery=tmp_path / "single.db", precision="fp32", threads=1, far=None) as matcher:
        for index in range(6):
            matcher.enroll(f"s{index}", [symbols / f"s{index}" / f"{writer}.png" for writer in range(2)])
        thumbnails = [support.thumbnail for support in matcher.gallery.supports("s3")]
    bulk, single = content(tmp_path / "bulk.db"), content(tmp_path / "single.db")
    assert [(label, code) for label, _, code in bulk] == [(label, code) for label, _, code in single]
    assert [source for _, source, _ in bulk] == [f"s{i}/{j}.png" for i in range(6) for j in range(2)]
    with OneShotMatcher.load(gallery=tmp_path / "bulk.db", precision="fp32", threads=1, far=None) as matcher:
        assert [matcher.match(page).label for page in drawings[1][:6]] == [f"s{index}" for index in range(6)]
        assert [support.thumbnail for support in matcher.gallery.supports("s3")] == thumbnails


def test_what_is_there_is_left_out_however_it_came(tmp_path, encoder, symbols, drawings) -> None:
    path = tmp_path / "letters.db"
    with OneShotMatcher.load(gallery=path, precision="fp32", threads=1) as matcher:
        matcher.enroll("s0", drawings[0][0])  # not from a file: its code tells
    result = load(encoder, symbols, path)
    assert (result.added, result.present) == (11, 1)
    (symbols / "s1" / "0.png").rename(symbols / "s1" / "renamed.png")  # the same bytes
    write(symbols, {"s1/new.png": drawings[0][7], "s9/0.png": drawings[0][8]})
    again = load(encoder, symbols, path)
    assert (again.pictures, again.added, again.present) == (14, 2, 12)
    assert Counter(label for label, _, _ in content(path)) == {f"s{i}": 2 for i in (0, 2, 3, 4, 5)} | {"s1": 3, "s9": 1}


def test_an_exported_folder_comes_back(tmp_path, encoder, symbols) -> None:
    load(encoder, symbols, tmp_path / "letters.db")
    assert export_folder(tmp_path / "letters.db", tmp_path / "exported") == 12
    assert load(encoder, tmp_path / "exported", tmp_path / "copy.db").added == 12
    codes = [[(label, code) for label, _, code in content(tmp_path / name)] for name in ("letters.db", "copy.db")]
    assert codes[0] == codes[1]


@pytest.mark.parametrize("block", [1, 5, 2048])
def test_copies_in_one_folder_count_once(tmp_path, encoder, drawings, block) -> None:
    page = drawings[0][0]
    folder = write(tmp_path / "symbols", {"a/1.png": page, "a/2.png": page, "b/1.png": page, "%61/3.png": page})
    result = load(encoder, folder, tmp_path / "letters.db", block=block)
    assert (result.added, result.present) == (2, 2)  # another label is another matter; %61 is a again
    assert Counter(label for label, _, _ in content(tmp_path / "letters.db")) == {"a": 1, "b": 1}


BAD = {"broken.png": b"no picture", "empty.png": b"", "cut.png": None, "blank.png": np.full((40, 40), 255, np.uint8)}


def with_bad_pictures(symbols: Path) -> Path:
    good = (symbols / "s1" / "0.png").read_bytes()
    write(symbols, {f"s1/{name}": good[:200] if page is None else page for name, page in BAD.items()})
    (symbols / "s1" / "folder").mkdir()
    (symbols / "s1" / "gone.png").symlink_to("nowhere")
    (symbols / "s1" / ".hidden").write_bytes(b"")
    return symbols


def test_bad_pictures_are_named_and_the_rest_goes_on(tmp_path, encoder, symbols) -> None:
    seen: list[str] = []
    result = load(encoder, with_bad_pictures(symbols), tmp_path / "letters.db", failure=seen.append)
    assert (result.pictures, result.added, result.failed) == (18, 12, 6)
    assert sorted(seen) == sorted(result.reasons)
    for name in (*BAD, "folder", "gone.png"):
        assert sum(str(symbols / "s1" / name) in reason or f"s1/{name}" in reason for reason in seen) == 1, name


def test_strict_stops_at_the_first_bad_picture_and_keeps_what_was_before(tmp_path, encoder, symbols) -> None:
    path = tmp_path / "letters.db"
    with pytest.raises(ImageError, match="s1/"):
        load(encoder, with_bad_pictures(symbols), path, strict=True)
    assert [source for _, source, _ in content(path)][:2] == ["s0/0.png", "s0/1.png"]
    for name in (*BAD, "gone.png"):
        (symbols / "s1" / name).unlink()
    (symbols / "s1" / "folder").rmdir()
    load(encoder, symbols, path, strict=True)
    assert sorted(source for _, source, _ in content(path)) == sorted(f"s{i}/{j}.png" for i in range(6) for j in range(2))


def test_folders_that_cannot_be_loaded_are_refused_before_anything_is(tmp_path, encoder, symbols) -> None:
    path = tmp_path / "letters.db"
    (tmp_path / "empty" / "a").mkdir(parents=True)
    for folder, named in (("nothing", "nothing"), ("empty", "no pictures"), ("symbols/s1", "no pictures")):
        with pytest.raises(GalleryError, match=named):
            load(encoder, tmp_path / folder, path)
    (symbols / "%FF").mkdir()
    with pytest.raises(LabelError, match="%FF"):
        load(encoder, symbols, path)
    assert content(path) == []


class FullDisk:
    """A store whose disk fills up after some blocks."""

    def __init__(self, store, blocks: int) -> None:
        self._store, self._left = store, blocks

    def __getattr__(self, name):
        return getattr(self._store, name)

    def add(self, blocks) -> None:
        if not self._left:
            raise GalleryError("nothing was changed: make room on the disk and try again")
        self._left -= 1
        self._store.add(blocks)


def test_a_full_disk_keeps_what_was_written_and_the_next_run_goes_on(tmp_path, encoder, symbols) -> None:
    path = tmp_path / "letters.db"
    store = open_store(path, BUNDLE.fingerprint, BUNDLE.dim)
    with pytest.raises(GalleryError, match="make room"):
        enroll_folder(FullDisk(store, 2), encode_here(encoder), symbols, block=3)
    store.close()
    assert len(content(path)) == 6
    assert load(encoder, symbols, path).added == 6
    load(encoder, symbols, tmp_path / "whole.db")
    assert content(path) == content(tmp_path / "whole.db")


def test_the_command(tmp_path, symbols, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["enroll", "--folder", str(with_bad_pictures(symbols)), "--gallery", "letters.db"]
    assert main([*words, "--json"]) == 1
    out = capsys.readouterr()
    answer = json.loads(out.out)
    assert (answer["pictures"], answer["added"], answer["failed"]) == (18, 12, 6)
    assert answer["images_per_second"] > 0
    assert out.err.count("FAIL") == 6
    assert "s1/broken.png" in out.err
    assert main(words) == 1
    assert "0 pictures added to letters.db, 12 there already, 6 failed" in capsys.readouterr().out
    assert main(["enroll", "--folder", "nowhere", "--gallery", "none.db"]) == 1
    assert not (tmp_path / "none.db").exists()


CHILD = """
import sys
from oneshot_runtime.transfer.bulk import encode_here, enroll_folder
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.transfer.encoder import ImageEncoder
from oneshot_runtime.stores.registry import open_store
bundle = Bundle.open()
encoder = ImageEncoder(bundle, "cpu", "fp32", 1)
store = open_store(sys.argv[2], bundle.fingerprint, bundle.dim)
coding = encode_here(encoder)
slow = lambda chunks: coding([one] for chunk in chunks for one in chunk)
enroll_folder(store, slow, sys.argv[1], block=7, progress=lambda result: print(result.added, flush=True))
print("end", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_load_that_is_killed_again_and_again_ends_like_one_that_was_not(tmp_path, encoder) -> None:
    rng = np.random.default_rng(3)
    writers = [random_writer(rng) for _ in range(12)]
    alphabet = invent_alphabet(7, seed=3)
    pages = {
        f"s{i}/{j:02d}.png": draw(symbol, writer, rng) for i, symbol in enumerate(alphabet) for j, writer in enumerate(writers)
    }
    folder = write(tmp_path / "symbols", {**pages, "s4/bad.png": b"no picture", "s5/twin.png": pages["s5/00.png"]})
    path, chance, kills = tmp_path / "letters.db", random.Random(4), 0
    before = 0
    while True:
        child = subprocess.Popen([sys.executable, "-c", CHILD, folder, path], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        lines = list(next_lines(child, chance.randrange(8, 30)))
        if lines[-1] == "end":
            assert child.wait(60) == 0
            child.stdout.close()
            break
        time.sleep(chance.uniform(0, 0.02))
        os.kill(child.pid, signal.SIGKILL)
        child.wait(60)
        child.stdout.close()
        kills += 1
        there = len(content(path))
        assert there >= before + int(lines[-1])  # what was reported as added is there
        before = there
    assert kills >= 3
    load(encoder, folder, tmp_path / "whole.db")
    assert content(path) == content(tmp_path / "whole.db")
    assert len(content(path)) == 84


def next_lines(child: subprocess.Popen[str], count: int):
    assert child.stdout is not None
    for line in child.stdout:
        yield line.strip()
        count -= 1
        if count == 0 or line.strip() == "end":
            return


def test_links_out_of_the_folder_are_read_only_when_asked_for(tmp_path, drawings, capsys) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    for folder in (outside / "secret", inside / "alef"):
        folder.mkdir(parents=True)
    for place, drawing in ((outside / "secret" / "s.png", 0), (inside / "alef" / "a.png", 1), (outside / "b.png", 2)):
        Image.fromarray(drawings[0][drawing]).save(place)
    (inside / "alef" / "b.png").symlink_to(outside / "b.png")
    (inside / "alef" / "same.png").symlink_to(inside / "alef" / "a.png")
    gallery = str(tmp_path / "letters.db")

    def call(*words: str) -> tuple[int, dict]:
        code = main(["enroll", "--folder", str(inside), "--gallery", gallery, "--json", *words])
        return code, json.loads(capsys.readouterr().out)

    code, answer = call()
    assert (code, answer["added"], answer["present"], answer["failed"]) == (1, 1, 1, 1)
    assert "leads out" in answer["reasons"][0]
    (inside / "bet").symlink_to(outside / "secret")
    code, answer = call()
    assert "leads out" in answer["message"]
    code, answer = call("--follow-links")
    assert (code, answer["added"]) == (0, 2)

from __future__ import annotations

import functools
import hashlib
import http.server
import shutil
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.train.drawn_data import LAYOUT, entries, png, write_zip
from train.canvases import hold_out
from train.image_folder import from_folder
from train.model import PRESETS
from train.omniglot import TRIAL_ALPHABETS, DatasetError, download, load_images, load_split, load_trials

SPEC = PRESETS["edge"].spec


def test_arrays_labels_and_alphabets(images) -> None:
    X, y, lang_dict = images  # noqa: N806 - the names that write-ups of this method use
    assert X.shape == (12, 20, 105, 105)
    assert X.dtype == np.uint8
    assert y.shape == (240, 1)
    assert y[:, 0].tolist() == [character for character in range(12) for _ in range(20)]
    assert lang_dict == {"Alef": (0, 4), "Bet": (5, 8), "Gimel": (9, 11)}


def test_zip_and_folder_give_the_same(data, images, tmp_path) -> None:
    with zipfile.ZipFile(data / "images_background.zip") as archive:
        archive.extractall(tmp_path)
    for place in (tmp_path, tmp_path / "images_background"):
        np.testing.assert_array_equal(load_images(place, "images_background").images, images.images)


def test_splits_leave_the_trial_alphabets_out(data) -> None:
    training, validation = load_split(data, "background")
    assert set(training.alphabets) == set(LAYOUT)
    assert set(validation.alphabets) == {"Dalet", "He"}
    both, nothing = load_split(data, "koch")
    assert len(both.images) == 12 + 26
    assert nothing is None
    assert not set(both.alphabets) & TRIAL_ALPHABETS
    with pytest.raises(DatasetError, match="koch"):
        load_split(data, "everything")


def test_a_missing_archive_names_download(tmp_path) -> None:
    with pytest.raises(DatasetError, match="--download"):
        load_images(tmp_path, "images_background")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_a_truncated_archive_is_named(data, tmp_path, share) -> None:
    whole = (data / "images_background.zip").read_bytes()
    (tmp_path / "images_background.zip").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DatasetError, match="images_background.zip is truncated"):
        load_images(tmp_path, "images_background")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.pop("r/A/character01/0001_07.png"), "A/character01' has 19 drawings"),
        (lambda f: f.update({"r/A/character01/0001_07.png": png(np.zeros((28, 28), np.uint8))}), "0001_07.png' is 28x28"),
        (lambda f: f.update({"r/A/character01/0001_07.png": b"no image"}), "0001_07.png' is not a readable image"),
        (lambda f: f.update({"r/A/character01/0001_21.png": png(np.zeros((105, 105), np.uint8))}), "drawer 21"),
        (lambda f: f.update({"r/cat.png": png(np.zeros((105, 105), np.uint8))}), "cat.png' is not <Alphabet>"),
        (lambda f: f.clear(), "holds no drawings"),
    ],
)
def test_a_foreign_entry_is_named(tmp_path, change, words) -> None:
    files = entries("r", {"A": 1}, seed=3)
    change(files)
    write_zip(tmp_path / "images_background.zip", files)
    with pytest.raises(DatasetError, match=words):
        load_images(tmp_path, "images_background")


def test_damaged_content_is_named(data, tmp_path) -> None:
    path = tmp_path / "images_background.zip"
    shutil.copy(data / "images_background.zip", path)
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="images_background.zip"):
        load_images(tmp_path, "images_background")


def test_download_verifies_and_keeps(data, tmp_path) -> None:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(data))
    handler.func.log_message = lambda *arguments: None  # type: ignore[attr-defined]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    names = ["images_background.zip", "images_evaluation.zip"]
    sums = {name: hashlib.md5((data / name).read_bytes()).hexdigest() for name in names}
    try:
        paths = download(tmp_path, url, sums)
        assert [path.read_bytes() for path in paths] == [(data / name).read_bytes() for name in names]
        with pytest.raises(DatasetError, match="missing.zip"):
            download(tmp_path, url, {"missing.zip": "0" * 32})
        with pytest.raises(DatasetError, match="images_background.zip"):
            download(tmp_path / "other", url, {"images_background.zip": "0" * 32})
    finally:
        server.shutdown()
        server.server_close()
    assert download(tmp_path, url, sums) == paths  # nothing is fetched again: the server is gone


def test_the_real_background_set(omniglot) -> None:
    images = load_images(omniglot, "images_background")
    assert images.images.shape == (964, 20, 105, 105)
    assert images.labels.shape == (19_280, 1)
    assert len(images.alphabets) == 30


def test_the_real_trials(omniglot) -> None:
    trials = load_trials(omniglot)
    assert len(trials) == 20
    assert all(sorted(trial.answers) == list(range(20)) for trial in trials)


def test_missing_trials_are_named(tmp_path) -> None:
    write_zip(tmp_path / "all_runs.zip", {"run01/class_labels.txt": b""})
    with pytest.raises(DatasetError, match="run01/class_labels.txt"):
        load_trials(tmp_path)


def save_folder(root, layout: dict[str, int]) -> None:
    for name, count in layout.items():
        folder = root / name
        folder.mkdir(parents=True)
        for index in range(count):
            page = np.full((40 + index, 60, 3), 250, np.uint8)
            page[5:30, 10 : 14 + index] = 20
            Image.fromarray(page).save(folder / f"{index}.jpg")


def test_any_folder_of_images_trains(tmp_path) -> None:
    save_folder(tmp_path / "flat", {"a": 2, "b": 3})
    flat = from_folder(tmp_path / "flat", SPEC)
    assert flat.images.shape == (5, 48, 48)
    assert flat.classes.tolist() == [0, 0, 1, 1, 1]
    assert flat.drawers.tolist() == [0, 1, 0, 1, 2]
    save_folder(tmp_path / "flat", {".hidden/deep/er": 2})
    (tmp_path / "flat" / "a" / "._0.png").write_bytes(b"what macOS leaves")
    assert len(from_folder(tmp_path / "flat", SPEC).images) == 5
    save_folder(tmp_path / "grouped", {"x/a": 2, "x/b": 2, "y/a": 3})
    grouped = from_folder(tmp_path / "grouped", SPEC)
    assert {name: group.tolist() for name, group in grouped.groups.items()} == {"x": [0, 1], "y": [2]}
    training, held_out = hold_out(grouped, ["y"])
    assert (len(training.images), len(held_out.images)) == (4, 3)
    with pytest.raises(DatasetError, match="unknown groups z"):
        hold_out(grouped, ["z"])


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({}, "no images"),
        ({"a": 1, "b": 2}, "one image"),
        ({"a": 3}, "one class"),
        ({"a": 2, "b/c": 2}, "depths, such as 'a/0.jpg' and 'b/c/0.jpg'"),
        ({"a/b/c": 2}, "holds 'a/b/c/0.jpg'; expected"),
        ({"a": 2, "b": 1, "c": 1}, "2 of 3 .* take away, 'b', 'c'"),
    ],
)
def test_unusable_folders_are_named(tmp_path, layout, words) -> None:
    save_folder(tmp_path, layout)
    with pytest.raises(DatasetError, match=words):
        from_folder(tmp_path, SPEC)

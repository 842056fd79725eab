"""`python -m train evaluate --folder`: any model on a folder of one's own images."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from oneshot_runtime.vision.preprocess import PreprocessSpec
from train.__main__ import main
from train.image_folder import from_folder
from train.omniglot import DatasetError
from train.own_images import evaluate_folder

SPEC = PreprocessSpec(height=48, width=48)


def test_the_shipped_model_on_invented_symbols(symbols, tmp_path, capsys) -> None:
    sheet = tmp_path / "worst.png"
    assert main(["evaluate", "--folder", str(symbols), "--json", "--sheet", str(sheet)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert list(rows)[:2] == ["8-way 1-shot, within a group", "same or different, pairs within a group"]
    assert rows["8-way 1-shot, within a group"]["accuracy"] > 0.8
    assert "recognised of 4 enrolled, 1 % of strangers accepted" in rows
    with Image.open(sheet) as picture:
        assert picture.width > 300


def test_way_shots_and_groups_are_those_asked_for(symbols) -> None:
    more = evaluate_folder(None, symbols, way=5, shots=3, precision="fp32")
    assert "5-way 3-shot, within a group" in more.scores
    one = evaluate_folder(None, symbols, groups=["g1"], precision="fp32")
    assert set(one.canvases.groups) == {"g1"}
    assert len(one.canvases.members()) == 8
    assert not any("strangers" in name for name in one.scores)  # eight classes leave no twenty strangers


def test_a_checkpoint_is_scored_as_its_bundle(symbols, tmp_path) -> None:
    words = [
        "--split",
        "folder",
        "--data",
        str(symbols),
        "--holdout",
        "g2",
        "--invented",
        "0",
        "--steps",
        "2",
        "--preset",
        "narrow",
    ]
    assert main([*words, "--precision", "fp32", "--classes", "8", "--shots", "2", "--out", str(tmp_path / "run")]) == 0
    report = evaluate_folder(str(tmp_path / "run" / "last.pt"), symbols, groups=["g2"])
    assert report.scores["8-way 1-shot, within a group"].total == 300 * 8


def test_an_unknown_group_and_an_empty_folder_are_named(symbols, tmp_path, capsys) -> None:
    assert main(["evaluate", "--folder", str(symbols), "--holdout", "nowhere"]) == 1
    assert "nowhere" in capsys.readouterr().err
    assert main(["evaluate", "--folder", str(tmp_path)]) == 1
    assert "holds no images" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["evaluate", "--folder", str(symbols), "--data", str(tmp_path)])


def test_bad_images_are_listed_all_at_once_or_left_out(symbols, tmp_path, capsys) -> None:
    folder = tmp_path / "images"
    shutil.copytree(symbols, folder)
    bad = [folder / "g0" / "c0" / "0.png", folder / "g2" / "c3" / "1.png"]
    bad[0].write_bytes(b"no picture")
    Image.new("L", (20, 20), 255).save(bad[1])
    with pytest.raises(DatasetError, match="2 of 96 images") as caught:
        from_folder(folder, SPEC)
    assert all(str(file) in str(caught.value) for file in bad)
    assert "--skip-bad" in str(caught.value)
    found = from_folder(folder, SPEC, skip_bad=True)
    assert len(found.images) == 94
    assert np.bincount(found.classes).min() == 3
    said = capsys.readouterr().err
    assert all(str(file) in said for file in bad)
    for file in folder.rglob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(DatasetError, match="none of the 96"):
        from_folder(folder, SPEC, skip_bad=True)


def arrays_of(folder) -> dict[str, np.ndarray]:
    """The images of a folder group/class/image as an .npz file holds them."""
    files = sorted(folder.rglob("*.png"))
    return {
        "images": np.stack([np.asarray(Image.open(file).convert("L")) for file in files]),
        "labels": np.array([f"{file.parent.parent.name}/{file.parent.name}" for file in files]),
        "groups": np.array([file.parent.parent.name for file in files]),
    }


def test_an_archive_of_arrays_is_read_as_the_folder_is(symbols, tmp_path) -> None:
    arrays, folder = arrays_of(symbols), from_folder(symbols, SPEC)
    np.savez(tmp_path / "set.npz", **arrays)
    found = from_folder(tmp_path / "set.npz", SPEC)
    assert np.array_equal(found.images, folder.images)
    assert np.array_equal(found.classes, folder.classes)
    assert np.array_equal(found.drawers, folder.drawers)
    groups = [{name: list(group) for name, group in one.groups.items()} for one in (found, folder)]
    assert groups[0] == groups[1]
    np.savez(tmp_path / "written.npz", **arrays, writers=np.arange(len(arrays["labels"])) % 4)
    assert set(from_folder(tmp_path / "written.npz", SPEC).drawers) == {0, 1, 2, 3}
    # Groups that share classes, as sets of chess pieces do, are who drew them.
    sets = {"images": arrays["images"][:8], "labels": np.array(list("aabbaabb")), "groups": np.array(list("xyxyzwzw"))}
    np.savez(tmp_path / "sets.npz", **sets)
    shared = from_folder(tmp_path / "sets.npz", SPEC)
    assert list(shared.groups) == ["sets"]
    assert shared.drawers.tolist() == [1, 2, 1, 2, 3, 0, 3, 0]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"foo": np.arange(3)}, "holds foo; expected images"),
        ({"images": np.zeros((2, 9, 9)), "labels": np.arange(2)}, "images float64"),
        ({"images": np.zeros((2, 9, 9), np.uint8), "labels": np.arange(3)}, r"labels int64 \(3,\)"),
        ({"images": np.array([{}, {}]), "labels": np.arange(2)}, "cannot read .* as arrays: Object arrays"),
        ({"images": np.zeros((4, 9, 9), np.uint8), "labels": np.arange(4)}, r"image 0 of .* \(class '0'\): .* blank"),
        (b"no archive", "cannot read"),
        (None, "does not exist"),
    ],
)
def test_an_archive_that_cannot_be_read_is_named(tmp_path, arrays, words) -> None:
    file = tmp_path / "set.npz"
    if isinstance(arrays, bytes):
        file.write_bytes(arrays)
    elif arrays is not None:
        np.savez(file, **arrays)
    with pytest.raises(DatasetError, match=words):
        from_folder(file, SPEC)


def test_what_evaluate_cannot_do_with_a_folder_is_said(symbols, tmp_path, capsys) -> None:
    assert main(["evaluate", "--folder", str(symbols), "--shots", "4"]) == 1
    assert "--shots 4: no class has more than 4 images" in capsys.readouterr().err
    assert main(["evaluate", "--folder", str(tmp_path / "nowhere")]) == 1
    assert "does not exist" in capsys.readouterr().err
    folder = tmp_path / "images"
    shutil.copytree(symbols, folder)
    (folder / "g0" / "c0" / "0.png").write_bytes(b"no picture")
    for number in range(3, 8):  # a smaller group
        shutil.rmtree(folder / "g2" / f"c{number}")
    assert main(["evaluate", "--folder", str(folder)]) == 1
    assert "--skip-bad" in capsys.readouterr().err
    assert main(["evaluate", "--folder", str(folder), "--skip-bad", "--way", "6"]) == 0
    assert "3- to 6-way 1-shot" in capsys.readouterr().out

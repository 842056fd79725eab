"""What a run learns from, made beforehand in one file: the run is the same, and files of other runs are refused."""

import dataclasses
import json

import numpy as np
import pytest

from train.__main__ import main
from train.checkpoint import load_checkpoint
from train.data import load_data
from train.model import PRESETS
from train.omniglot import DatasetError
from train.prepared import load_prepared, made_for, save_prepared

WORDS = [
    "--split",
    "folder",
    "--holdout",
    "none",
    "--invented",
    "2",
    "--classes",
    "6",
    "--shots",
    "2",
    "--precision",
    "fp32",
    "--steps",
    "2",
]


@pytest.fixture(scope="module")
def prepared(symbols, tmp_path_factory):
    file = tmp_path_factory.mktemp("prepared") / "data.npz"
    assert main(["prepare", "--data", str(symbols), *WORDS, "--out", str(file)]) == 0
    return file


def test_a_run_of_prepared_data_is_the_run_of_the_data(symbols, prepared, tmp_path) -> None:
    assert main(["--data", str(symbols), *WORDS, "--out", str(tmp_path / "one")]) == 0
    assert main(["--prepared", str(prepared), *WORDS, "--out", str(tmp_path / "two")]) == 0
    one, two = (load_checkpoint(tmp_path / name / "last.pt")[1] for name in ("one", "two"))
    assert all(bool((one["ema"][name] == value).all()) for name, value in two["ema"].items())
    assert json.loads(one["notes"]) == json.loads(two["notes"])
    assert main(["--prepared", str(prepared), "--resume", "--steps", "3", "--out", str(tmp_path / "two")]) == 0


def test_every_part_comes_back(data, tmp_path, config) -> None:
    spec = PRESETS["edge"].spec
    made = load_data(data, "background", spec, invented=1)
    save_prepared(tmp_path / "data.npz", made, made_for(config, None))
    back = load_prepared(tmp_path / "data.npz", made_for(config, None))
    parts = [(made.training, back.training), (made.validation, back.validation)]
    parts += [(made.sources[name], back.sources[name]) for name in made.sources]
    assert back.sources.keys() == made.sources.keys()
    for before, after in parts:
        assert before.groups.keys() == after.groups.keys()
        assert all((members == after.groups[name]).all() for name, members in before.groups.items())
        for array in ("images", "classes", "drawers", "pens"):
            assert np.array_equal(getattr(before, array), getattr(after, array))
    assert (back.scripts, back.holdout, dict(back.families)) == (made.scripts, made.holdout, dict(made.families))


@pytest.mark.parametrize("change", [{"split": "koch"}, {"composed": 5}, {"redrawn": 0.0}, {"shares": {"print": 0.1}}])
def test_data_of_another_run_is_refused(data, tmp_path, config, change) -> None:
    save_prepared(tmp_path / "data.npz", load_data(data, "background", PRESETS["edge"].spec), made_for(config, None))
    with pytest.raises(DatasetError, match="prepared with another"):
        load_prepared(tmp_path / "data.npz", made_for(dataclasses.replace(config, **change), None))


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 no archive", b"\x93NUMPY"])
def test_what_is_no_prepared_data_is_named(tmp_path, capsys, content) -> None:
    file = tmp_path / "data.npz"
    if content is not None:
        file.write_bytes(content)
    assert main(["--prepared", str(file), *WORDS, "--out", str(tmp_path / "run")]) == 1
    said = capsys.readouterr().err
    assert "data.npz" in said
    assert "prepare" in said


def test_refitting_takes_what_was_made_for_the_run_only(symbols, prepared, tmp_path, capsys) -> None:
    words = [*WORDS, "--out", str(tmp_path / "run")]
    assert main(["--prepared", str(prepared), *words]) == 0
    others = tmp_path / "others.npz"
    held = [word if word != "none" else "g0" for word in WORDS]
    assert main(["prepare", "--data", str(symbols), *held, "--out", str(others)]) == 0
    again = ["refit", str(tmp_path / "run" / "last.pt"), "--out", str(tmp_path / "new.pt"), "--prepared"]
    assert main([*again, str(others)]) == 1
    assert "another holdout" in capsys.readouterr().err
    assert main([*again, str(prepared)]) == 1
    assert "held nothing out" in capsys.readouterr().err


def test_data_is_asked_for(tmp_path, capsys) -> None:
    assert main([*WORDS, "--download", "--out", str(tmp_path / "run")]) == 1
    assert "--data" in capsys.readouterr().err
    assert main([*WORDS, "--out", str(tmp_path / "run")]) == 1
    assert "--data" in capsys.readouterr().err
    assert main(["prepare", "--data", str(tmp_path), *WORDS]) == 1
    assert "--out" in capsys.readouterr().err

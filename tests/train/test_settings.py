"""Any setting by its name, from the command line or a file; runs that are extended; devices that there are not."""

import dataclasses
import json
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.train.drawn_data import entries, write_zip
from train.__main__ import main
from train.checkpoint import load_checkpoint
from train.config import TrainConfig
from train.model import PRESETS
from train.omniglot import DatasetError
from train.overrides import overridden, read_changes
from train.paper import PaperConfig

CONFIG = TrainConfig(model=PRESETS["edge"], split="background", steps=5, paper=PaperConfig())


@given(
    st.sampled_from([("augment.rotation", float), ("per_group", int), ("learning_rate", float), ("weight_decay", float)]),
    st.integers(1, 99),
)
def test_a_setting_becomes_what_it_replaces(setting, number: int) -> None:
    name, kind = setting
    for value in (number, str(number)):
        found = overridden(CONFIG, {name: value})
        at = found.to_dict()
        for part in name.split("."):
            at = at[part]
        assert at == number
        assert isinstance(at, kind)


def test_a_file_and_words_are_read_and_words_win(tmp_path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("augment: {rotation: 5, shear: 1e-1}\nmodel: {channels: [8, 8, 8, 8]}\nema: 0.9\nshares: {icons: 1}\n")
    found = overridden(CONFIG, read_changes(file, ["augment.rotation=10", "split=koch"]))
    assert found.augment == dataclasses.replace(CONFIG.augment, rotation=10.0, shear=0.1)
    assert (found.model.channels, found.ema, found.split) == ((8, 8, 8, 8), 0.9, "koch")
    assert found.shares == {**CONFIG.shares, "icons": 1.0}


@pytest.mark.parametrize("text", ["8,9,10,11", "(8, 9, 10, 11)", "[8,9,10,11]"])
def test_several_numbers_are_written_as_one_likes(text: str) -> None:
    found = overridden(CONFIG, read_changes(None, [f"model.channels={text}"]))
    assert found.model.channels == (8, 9, 10, 11)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("augment.rotatoin=1", "rotatoin.*none of rotation"),
        ("augment=1", "values of its own"),
        ("steps.x=1", "one value"),
        ("augment.rotation=far", "expected a value like 15.0, got 'far'"),
        ("per_group=1.5", "per_group"),
        ("rotation", "expected NAME=VALUE"),
        ("classes=0", "'classes' must be from 2"),
        ("shots=1", "'shots' must be from 2"),
        ("learning_rate=nan", "'learning_rate' must be from 0 to 1,000"),
        ("ema=1.5", "'ema'"),
        ("shares.icons=-1", "'shares'"),
        ("augment.pen=2", "'augment.pen' must be from 0 to 1"),
        ("model.dim=0", "'model.dim'"),
        ("model.channels=16,32", "'model.channels' and 'model.kernels'.*2 and 4"),
        ("loss=triplet", "all-pairs or pairs, got 'triplet'"),
        ("paper.rates=0.1", "'paper.rates' must have 6 numbers"),
        ("paper.ramp=-1", "'paper.ramp'"),
    ],
)
def test_a_wrong_setting_is_named(word: str, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        overridden(CONFIG, read_changes(None, [word]))


@pytest.mark.parametrize("text", ["- 1\n", "a: [", "\0"])
def test_a_file_that_holds_no_settings_is_named(tmp_path, text: str) -> None:
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(DatasetError, match="run.yaml"):
        read_changes(tmp_path / "run.yaml", [])
    with pytest.raises(DatasetError, match=r"none\.yaml"):
        read_changes(tmp_path / "none.yaml", [])


@pytest.fixture
def few(tmp_path):
    """Words that train one step on a few drawings."""
    write_zip(tmp_path / "images_background.zip", entries("images_background", {"Alef": 4, "Bet": 4}, seed=1))
    write_zip(tmp_path / "images_evaluation.zip", entries("images_evaluation", {"Dalet": 2}, seed=50))
    words = ["--data", str(tmp_path), "--split", "koch", "--composed", "0", "--invented", "0", "--redrawn", "0"]
    return [*words, "--precision", "fp32", "--classes", "4", "--shots", "2", "--out", str(tmp_path / "run")]


def test_settings_reach_the_run_and_its_command(few, tmp_path) -> None:
    (tmp_path / "run.yaml").write_text("augment: {rotation: 3}\n")
    assert main([*few, "--steps", "1", "--config", str(tmp_path / "run.yaml"), "--set", "ema=0.5", "warmup=7"]) == 0
    config, state = load_checkpoint(tmp_path / "run" / "last.pt")
    assert (config.augment.rotation, config.ema, config.warmup) == (3.0, 0.5, 7)
    command = json.loads(state["notes"])["command"]
    assert "--set=augment.rotation=3 --set=ema=0.5 --set=warmup=7" in command
    assert str(tmp_path) not in command


def test_a_run_can_be_extended(few, tmp_path, capsys) -> None:
    assert main([*few, "--steps", "2"]) == 0
    assert main([*few, "--resume", "--steps", "3"]) == 0
    config, state = load_checkpoint(tmp_path / "run" / "last.pt")
    assert (config.steps, state["done"]) == (3, 3)
    assert json.loads(state["notes"])["extended"] == [{"at": 2, "from": 2, "to": 3}]
    assert main([*few, "--resume", "--steps", "1"]) == 1
    assert "3 steps already" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "meta", "mps" if not torch.backends.mps.is_available() else "hpu", "a b"])
def test_a_device_that_is_not_there_is_one_line(few, device: str, capsys) -> None:
    assert main([*few, "--steps", "1", "--device", device]) == 1
    said = capsys.readouterr().err
    assert f"--device {device}" in said
    assert said.count("\n") == 1


def test_tensorboard_is_written_where_it_is_asked_for(symbols, tmp_path, monkeypatch, capsys) -> None:
    words = ["--data", str(symbols), "--split", "folder", "--invented", "0", "--steps", "2", "--classes", "4", "--shots", "2"]
    words += ["--precision", "fp32", "--tensorboard", "--out"]
    assert main([*words, str(tmp_path / "run")]) == 0
    shown = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert {"step/loss", "step/images_per_second", "validation/accuracy"} <= set(shown.Tags()["scalars"])
    assert [event.step for event in shown.Scalars("step/loss")] == [2]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert main([*words, str(tmp_path / "other")]) == 1
    assert "pip install tensorboard" in capsys.readouterr().err

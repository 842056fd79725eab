"""An embedding network of one's own goes the whole way: train, resume, export, int8, match, start from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from export.__main__ import main as export
from oneshot_runtime import OneShotMatcher, OptionError
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from train.__main__ import main as train
from train.model import NETWORKS, PRESETS
from train.networks import check_network

NAME = "tests.export.residual_network:residual"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    for index, symbol in enumerate(invent_alphabet(8, seed=4)):
        (folder / "images" / str(index)).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(draw(symbol, random_writer(rng), rng)).save(folder / "images" / str(index) / f"{number}.png")
    words = ["--split", "folder", "--data", str(folder / "images"), "--classes", "8", "--shots", "2", "--precision", "fp32"]
    words += ["--invented", "0", "--redrawn", "0", "--preset", "narrow"]
    assert train([*words, "--out", str(folder / "run"), "--steps", "10", "--network", NAME]) == 0
    (folder / "words.json").write_text(json.dumps(words))
    return folder


@pytest.fixture(scope="module")
def bundle(run) -> Bundle:
    assert export([str(run / "run" / "last.pt"), "--out", str(run / "bundle"), "--network", NAME]) == 0
    return Bundle.open(run / "bundle")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_its_bundle_recognises(bundle, precision) -> None:
    assert bundle.manifest["architecture"]["network"] == NAME
    rng = np.random.default_rng(1)
    alphabet = invent_alphabet(8, seed=4)
    with OneShotMatcher.load(bundle.path, precision=precision, threads=1, far=None) as matcher:
        for number, symbol in enumerate(alphabet):
            matcher.enroll(str(number), draw(symbol, random_writer(rng), rng))
        queries = [draw(symbol, random_writer(rng), rng) for symbol in alphabet]
        assert sum(match.label == str(number) for number, match in enumerate(matcher.match_batch(queries))) >= 5


def test_a_run_starts_from_its_checkpoint_and_not_from_its_bundle(run, bundle, capsys) -> None:
    words = json.loads((run / "words.json").read_text())
    start = [*words, "--steps", "1", "--network", NAME, "--start-from"]
    assert train([*start, str(run / "run" / "last.pt"), "--out", str(run / "second")]) == 0
    assert train([*start, str(bundle.path), "--out", str(run / "third")]) == 1
    assert "start from the checkpoint" in capsys.readouterr().err
    other = [*words, "--steps", "1", "--start-from", str(run / "run" / "last.pt"), "--out", str(run / "fourth")]
    assert train(other) == 1
    assert "is of preset" in capsys.readouterr().err


def test_a_network_that_nobody_named_is_not_imported(run, capsys, monkeypatch) -> None:
    monkeypatch.delitem(NETWORKS, NAME)
    assert export([str(run / "run" / "last.pt"), "--out", str(run / "unnamed")]) == 1
    assert f"network {NAME!r} is unknown" in capsys.readouterr().err
    for wrong in ("residual", "tests.export.residual_network:nothing", "tests.export.nowhere:residual", "json:decoder"):
        with pytest.raises(SystemExit):
            export([str(run / "run" / "last.pt"), "--out", str(run / "unnamed"), "--network", wrong])
        assert "--network" in capsys.readouterr().err


class Wrong(torch.nn.Module):
    """Gives what it was made with, for any ink."""

    def __init__(self, found: object) -> None:
        super().__init__()
        self.found = found

    def forward(self, ink: torch.Tensor) -> object:
        return ink.reshape(3, 5) if self.found is None else self.found


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (torch.zeros(2, 7), r"makes \(2, 7\), 0 to 0, .* expected \(2, 384\), 0 to 1"),
        (torch.full((2, 384), 5.0), r"5 to 5, .* end it with a sigmoid"),
        (torch.full((2, 384), torch.nan), "nan to nan"),
        (None, "fails on ink"),
        ("text", "gives a str"),
    ],
)
def test_a_network_that_gives_no_embeddings_is_refused_before_it_is_trained(found, words, monkeypatch) -> None:
    name = "elsewhere:wrong"
    monkeypatch.setitem(NETWORKS, name, lambda config: Wrong(found))
    with pytest.raises(OptionError, match=words):
        check_network(replace(PRESETS["edge"], network=name))

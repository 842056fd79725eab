"""Training as the paper published it: what each part does, and a short run by the command."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from tests.train.drawn_data import entries, write_zip
from train.__main__ import main
from train.batches import sample_pairs
from train.canvases import Canvases, by_drawers
from train.checkpoint import load_checkpoint
from train.config import TrainConfig
from train.curves import read_log
from train.model import PRESETS, SiameseNet, WeightedL1Head
from train.omniglot import DatasetError
from train.paper import PaperConfig, distort, initialise, layerwise_sgd, set_epoch
from train.trainer import Trainer

SMALL = dataclasses.replace(
    PRESETS["koch"], channels=(4, 4, 4, 4), dim=16, signed=True, spec=dataclasses.replace(PRESETS["edge"].spec, thin=0.0),
    kernels=(3, 3, 3, 3),
)  # fmt: skip


def test_initial_weights_are_the_papers() -> None:
    torch.manual_seed(0)
    model = SiameseNet(dataclasses.replace(PRESETS["koch"], dim=64, signed=True))
    initialise(model)
    for layer in model.layers:
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            expected = 0.01 if isinstance(layer, torch.nn.Conv2d) else 0.2
            assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.05)
            assert float(layer.bias.detach().mean()) == pytest.approx(0.5, abs=0.01)
    assert 0.1 < float(model.head.weights.detach().std()) < 0.3
    assert float(model.head.weights.detach().min()) < 0 < float(model.head.weights.detach().max())


def test_rates_fall_by_a_hundredth_an_epoch_and_momenta_rise_evenly() -> None:
    config = PaperConfig(momenta=(0.9, 0.8, 0.7, 0.9, 0.9, 0.6), ramp=4)
    optimizer = layerwise_sgd(SiameseNet(SMALL), config)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [2 * decay for decay in config.decays]
    for epoch, share in ((0, 0.0), (1, 0.25), (4, 1.0), (9, 1.0)):
        set_epoch(optimizer, config, epoch)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([r * 0.99**epoch for r in config.rates])
        expected = [0.5 + share * (momentum - 0.5) for momentum in config.momenta]
        assert [group["momentum"] for group in optimizer.param_groups] == pytest.approx(expected)
    with pytest.raises(ValueError, match="6 layers"):
        layerwise_sgd(SiameseNet(SMALL), dataclasses.replace(config, rates=(0.1,)))


def test_distortions_leave_one_image_in_nine_and_each_part_out_of_half() -> None:
    square = torch.zeros(1200, 40, 40, dtype=torch.uint8)
    square[:, 10:30, 10:30] = 255
    found = distort(square, torch.Generator().manual_seed(0))
    assert found.shape == (1200, 1, 40, 40)
    same = (found[:, 0] - square.float() / 255).abs().amax(dim=(1, 2)) < 1e-3
    # One in nine on purpose, and of the others those in which none of the seven parts was drawn.
    assert float(same.float().mean()) == pytest.approx(1 / 9 + 8 / 9 / 2**7, abs=0.03)
    area = found.sum(dim=(1, 2, 3)) / 400
    assert 0.55 < float(area.min()) < 0.8
    assert 1.3 < float(area.max()) < 1.8


def test_a_signed_head_adds_where_its_weights_are_negative() -> None:
    head = WeightedL1Head(3, signed=True)
    head.assign(torch.tensor([1.0, -2.0, 0.5]), 0.25)
    a, b = torch.rand(4, 3), torch.rand(5, 3)
    expected = 0.25 - ((a[:, None] - b[None]).abs() * head.weights).sum(-1)
    torch.testing.assert_close(head(a, b), expected)
    torch.testing.assert_close(head.paired(a, b[:4]), expected[:, :4].diagonal())


def test_every_alphabet_gives_as_many_pairs() -> None:
    groups = {"large": np.arange(90), "small": np.arange(90, 95)}
    classes = np.repeat(np.arange(95), 4)
    canvases = Canvases(np.zeros((380, 4, 4), np.uint8), classes, np.tile(np.arange(4), 95), groups)
    batch = sample_pairs(canvases, 2000, np.random.default_rng(0), within_group=True, evenly=True)
    left, right = classes[batch.left] >= 90, classes[batch.right] >= 90
    assert (left == right).all()
    assert left.mean() == pytest.approx(0.5, abs=0.05)


def test_drawers_who_train_do_not_validate(canvases) -> None:
    first, second = by_drawers(canvases, range(12)), by_drawers(canvases, range(12, 16))
    assert set(first.drawers) == set(range(12))
    assert set(second.drawers) == {12, 13, 14, 15}
    assert len(first.members()) == len(canvases.members()) == len(second.members())
    with pytest.raises(DatasetError, match="too few drawers"):
        by_drawers(canvases, range(19, 24))


def test_steps_follow_the_schedule_and_average_nothing(canvases) -> None:
    paper = PaperConfig(epoch=16)
    config = TrainConfig(SMALL, "background", steps=4, classes=4, shots=4, loss="pairs", redrawn=0.0, paper=paper)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    trainer = Trainer(config, canvases)
    for _ in range(4):
        assert torch.isfinite(trainer.step()[0])
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(paper.rates[0] * 0.99)  # the second epoch of two steps
    for own, averaged in zip(trainer.model.parameters(), trainer.average.parameters(), strict=True):
        torch.testing.assert_close(own, averaged)


def test_the_command_stops_early_and_its_head_is_not_exported(tmp_path, capsys) -> None:
    from export.__main__ import main as export

    write_zip(tmp_path / "images_background.zip", entries("images_background", {"Alef": 4, "Bet": 4}, seed=1))
    write_zip(tmp_path / "images_evaluation.zip", entries("images_evaluation", {"Dalet": 4, "Tibetan": 2}, seed=50))
    small = ["model.channels=2,2,2,2", "model.kernels=3,3,3,3", "model.dim=8", "model.spec.height=48", "model.spec.width=48"]
    # Rates of nothing never do better than the first epoch.
    stuck = ["paper.patience=1", "paper.epoch=8", "paper.rates=0,0,0,0,0,0", "classes=4", "shots=2"]
    words = ["--data", str(tmp_path), "--recipe", "paper", "--precision", "fp32", "--steps", "40", "--set", *small, *stuck]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    config, state = load_checkpoint(tmp_path / "run" / "last.pt")
    assert (config.loss, config.paper.patience, config.model.signed) == ("pairs", 1, True)
    assert state["done"] == 4  # the second look at two steps each
    assert sum(row["event"] == "validation" for row in read_log(tmp_path / "run" / "log.jsonl")) >= 2
    assert "--set=paper.patience=1" in json.loads(state["notes"])["command"]
    assert export([str(tmp_path / "run" / "last.pt"), "--out", str(tmp_path / "bundle")]) == 1
    assert "both signs" in capsys.readouterr().err

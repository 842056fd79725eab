"""Fine-tuning that cannot lose: weights between a run's start and its end, chosen by what was held out."""

import json

import numpy as np
import pytest
import torch

from export.bundle import export_bundle
from train.__main__ import main
from train.blend import blended, furthest, refresh_norms
from train.canvases import Canvases, hold_out, kept_out
from train.checkpoint import CheckpointError, load_checkpoint
from train.model import PRESETS, SiameseNet
from train.trainer import Trainer


def words(symbols, out, *more):
    return ["--split", "folder", "--data", str(symbols), "--holdout", "g2", "--invented", "0", "--precision", "fp32",
            "--classes", "8", "--shots", "2", "--preset", "narrow", "--out", str(out), *more]  # fmt: skip


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_blend_lies_between(share) -> None:
    one, two = (SiameseNet(PRESETS["narrow"]).state_dict() for _ in range(2))
    mixed = blended(one, two, share)
    name = "layers.0.weight"
    torch.testing.assert_close(mixed[name], (1 - share) * one[name] + share * two[name])
    assert mixed.keys() == two.keys()


def test_refreshed_norms_are_those_of_the_ink() -> None:
    model, ink = SiameseNet(PRESETS["narrow"]).eval(), torch.rand(64, 1, 48, 48)
    before = model.embed_ink(ink)
    refresh_norms(model, ink)
    first = next(layer for layer in model.layers if isinstance(layer, torch.nn.BatchNorm2d))
    maps = torch.nn.functional.max_pool2d(model.layers[0](ink), 2)
    torch.testing.assert_close(first.running_mean, maps.mean((0, 2, 3)), atol=1e-4, rtol=1e-4)
    assert not torch.equal(before, model.embed_ink(ink))


def test_blending_leaves_the_run_as_it_was(canvases, config, tmp_path) -> None:
    first = Trainer(config, canvases)
    with pytest.raises(ValueError, match="started from nothing"), first.blended_with_start(0.5):
        pass
    first.step()
    first.save(tmp_path / "last.pt")
    second = Trainer(config, canvases)
    second.start_from(tmp_path / "last.pt")
    second.step()
    before = {name: value.clone() for name, value in second.average.state_dict().items()}
    with second.blended_with_start(0.5):
        assert not torch.equal(second.average.state_dict()["layers.0.weight"], before["layers.0.weight"])
    assert all(torch.equal(value, before[name]) for name, value in second.average.state_dict().items())


def test_a_run_that_makes_it_worse_keeps_its_start(symbols, tmp_path, capsys) -> None:
    assert main(words(symbols, tmp_path / "first", "--steps", "40", "--learning-rate", "2e-3")) == 0
    start = load_checkpoint(tmp_path / "first" / "last.pt")[1]["ema"]
    capsys.readouterr()
    ruined = words(symbols, tmp_path / "second", "--steps", "6", "--learning-rate", "0.5")
    assert main([*ruined, "--start-from", str(tmp_path / "first" / "last.pt")]) == 0
    said = capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "second" / "log.jsonl").read_text().splitlines()]
    means = {row["weights"]: row["mean"] for row in rows if "weights" in row}
    assert {"start", "last", "blend 0.1", "blend 0.5", "blend 0.8"} <= set(means)
    assert means["start"] == max(means.values()) > means["last"]
    assert "did not help" in said
    assert "export" not in said
    assert f"start: 8-way within held-out groups {100 * means['start']:.2f} %" in said
    with pytest.raises(CheckpointError, match=r"did not help: keep the bundle .* last\.pt"):
        export_bundle(tmp_path / "second" / "best.pt", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
    kept = load_checkpoint(tmp_path / "second" / "best.pt")[1]
    assert json.loads(kept["notes"])["validation"]["weights"] == "start"
    torch.testing.assert_close(kept["ema"]["layers.0.weight"], start["layers.0.weight"])


def test_the_best_of_a_run_is_named_and_exported(symbols, tmp_path, capsys) -> None:
    assert main(words(symbols, tmp_path / "first", "--steps", "2")) == 0
    capsys.readouterr()
    again = words(symbols, tmp_path / "second", "--steps", "60", "--learning-rate", "2e-3")
    assert main([*again, "--start-from", str(tmp_path / "first" / "last.pt")]) == 0
    said = capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "second" / "log.jsonl").read_text().splitlines()]
    means = {row["weights"]: row["mean"] for row in rows if "weights" in row}
    best = max(means.values())
    chosen = furthest(means, (best * (1 - best) / 6_000) ** 0.5)
    assert chosen != "start"
    assert (
        f"best by what was held out: {chosen}, {100 * means[chosen]:.2f} %, {100 * means['start']:.2f} % at the start" in said
    )
    file = "last.pt" if chosen == "last" else "best.pt"
    assert f"python -m export {tmp_path / 'second' / file}" in said
    kept = json.loads(load_checkpoint(tmp_path / "second" / file)[1]["notes"])["validation"]
    assert (kept["weights"], kept["accuracy"]) == (chosen, means[chosen])


@pytest.mark.parametrize(
    ("means", "error", "kept"),
    [
        ({"step 5": 0.8, "last": 0.7}, 0.5, "step 5"),  # a run from nothing: the best
        ({"start": 0.9, "step 5": 0.8, "last": 0.7, "blend 0.1": 0.89}, 0.01, "start"),
        ({"start": 0.9, "last": 0.7, "blend 0.1": 0.912, "blend 0.5": 0.905, "blend 0.8": 0.89}, 0.01, "blend 0.5"),
        ({"start": 0.9, "last": 0.9, "blend 0.1": 0.93, "blend 0.5": 0.92}, 0.01, "blend 0.5"),
        ({"start": 1.0, "step 5": 1.0, "last": 1.0, "blend 0.5": 1.0}, 0.0, "last"),
        ({"start": 0.9, "step 5": 0.95, "last": 0.7, "blend 0.5": 0.91}, 0.01, "step 5"),
    ],
)
def test_of_weights_that_are_as_good_those_furthest_along_are_kept(means, error, kept) -> None:
    assert furthest(means, error) == kept


def pictures(groups):
    sizes = [len(group) for group in groups]
    count = sum(sizes)
    names = {f"g{n}": np.arange(sum(sizes[:n]), sum(sizes[: n + 1])) for n in range(len(sizes))}
    classes = np.repeat(np.arange(count), 2)
    return Canvases(np.zeros((2 * count, 8, 8), np.uint8), classes, np.tile([0, 1], count), names)


@pytest.mark.parametrize(
    ("sizes", "held_out"),
    [((5, 5, 5, 5), ["g3"]), ((40,), ["g0, held out"]), ((3,), []), ((12, 12), ["g0, held out", "g1, held out"])],
)
def test_a_folder_holds_out_by_itself(sizes, held_out) -> None:
    canvases = pictures([range(size) for size in sizes])
    parted, names = kept_out(canvases, None)
    assert names == held_out
    assert sorted(np.concatenate(list(parted.groups.values()))) == list(range(sum(sizes)))
    if names:
        training, validation = hold_out(parted, names)
        assert len(validation.members()) == sum(len(parted.groups[name]) for name in names)
        assert len(training.members()) + len(validation.members()) == sum(sizes)
        again, same = kept_out(canvases, names)  # as a run that resumes does
        assert same == names
        assert all((again.groups[name] == parted.groups[name]).all() for name in parted.groups)
    assert kept_out(canvases, ["none"]) == (canvases, [])


def test_warm_up_fits_the_steps(symbols, tmp_path) -> None:
    assert main(words(symbols, tmp_path / "run", "--steps", "20")) == 0
    config, state = load_checkpoint(tmp_path / "run" / "last.pt")
    assert (config.warmup, config.learning_rate) == (2, 2e-3)
    assert json.loads(state["notes"])["holdout"] == ["g2"]

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from oneshot_runtime.model.thresholds import ThresholdTable
from train.__main__ import main
from train.ancestors import Teachers
from train.augment import AugmentConfig, augment
from train.batches import BatchSampler, sample_pairs
from train.calibrate import fit_calibration, fit_thresholds, open_set_episodes
from train.canvases import Canvases
from train.checkpoint import CheckpointError, load_checkpoint, load_model
from train.config import TrainConfig
from train.curves import read_log
from train.drawings import from_image_set
from train.episodes import Score, open_set_classes, score_episodes, within_alphabet_episodes
from train.hausdorff import modified_hausdorff
from train.losses import all_pairs_loss, all_pairs_parts, distillation_loss, pairs_loss
from train.model import PRESETS, SiameseNet, WeightedL1Head
from train.omniglot import load_images
from train.synthetic import invented_alphabets
from train.trainer import Trainer


def test_koch_is_the_papers_network() -> None:
    model = SiameseNet(PRESETS["koch"])
    shapes = [tuple(layer.weight.shape) for layer in model.layers if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)]
    assert shapes == [(64, 1, 10, 10), (128, 64, 7, 7), (128, 128, 4, 4), (256, 128, 4, 4), (4096, 9216)]
    assert sum(isinstance(layer, torch.nn.MaxPool2d) for layer in model.layers) == 3
    assert isinstance(model.layers[-1], torch.nn.Sigmoid)
    assert model.embed(torch.zeros(2, 105, 105, dtype=torch.uint8)).shape == (2, 4096)


def test_the_head_is_a_weighted_l1_distance() -> None:
    model = SiameseNet(PRESETS["edge"])
    with torch.no_grad():
        model.head.raw.normal_(-2, 1)
    assert (model.head.weights >= 0).all()
    a, b = torch.rand(5, model.config.dim), torch.rand(3, model.config.dim)
    expected = [[(model.head.bias - (model.head.weights * (q - s).abs()).sum()).item() for s in b] for q in a]
    torch.testing.assert_close(model.head(a, b).detach(), torch.tensor(expected), atol=1e-4, rtol=0)
    torch.testing.assert_close(model.head.paired(a[:3], b), model.head(a[:3], b).diagonal())


def test_the_twins_are_symmetric_and_a_twin_is_certain(canvases) -> None:
    model = SiameseNet(PRESETS["edge"]).eval()
    left, right = torch.from_numpy(canvases.images[:4]), torch.from_numpy(canvases.images[40:44])
    torch.testing.assert_close(model(left, right), model(right, left))
    torch.testing.assert_close(model(left, left), torch.sigmoid(model.head.bias).expand(4))


@settings(max_examples=30, deadline=None)
@given(classes=st.lists(st.integers(0, 3), min_size=4, max_size=10), seed=st.integers(0, 99))
def test_all_pairs_loss_equals_a_naive_loop(classes: list[int], seed: int) -> None:
    count = len(classes)
    same = [[a == b for b in classes] for a in classes]
    positives = [(i, j) for i in range(count) for j in range(count) if i != j and same[i][j]]
    negatives = [(i, j) for i in range(count) for j in range(count) if not same[i][j]]
    assume(positives and negatives)
    logits = torch.randn(count, count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    l = logits.numpy()  # noqa: E741
    within = np.mean([np.log(1 + sum(np.exp(l[i, k] - l[i, j]) for k in range(count) if not same[i][k])) for i, j in positives])
    across = np.mean([np.log(1 + sum(np.exp(l[p, q] - l[i, j]) for p, q in negatives) / count) for i, j in positives])
    binary = 0.5 * np.mean([np.log1p(np.exp(-l[i, j])) for i, j in positives])
    binary += 0.5 * np.mean([np.log1p(np.exp(l[i, j])) for i, j in negatives])
    found = all_pairs_loss(all_pairs_parts(logits, torch.tensor(classes)), bce_weight=0.5)
    assert float(found) == pytest.approx(0.5 * (within + across) + 0.5 * binary, rel=1e-5)


def test_pairs_loss_prefers_right_answers() -> None:
    targets = torch.tensor([1.0, 0.0])
    assert pairs_loss(torch.tensor([3.0, -3.0]), targets) < pairs_loss(torch.tensor([-3.0, 3.0]), targets)


@settings(max_examples=25, deadline=None)
@given(pairs=st.integers(1, 60), seed=st.integers(0, 99), within=st.booleans())
def test_pairs_are_balanced_labelled_and_repeatable(canvases, pairs: int, seed: int, within: bool) -> None:
    left, right, targets = sample_pairs(canvases, pairs, np.random.default_rng(seed), within)
    assert targets.sum() == (pairs + 1) // 2
    assert not (left == right).any()
    assert ((canvases.classes[left] == canvases.classes[right]) == (targets == 1)).all()
    again = sample_pairs(canvases, pairs, np.random.default_rng(seed), within)
    assert (again.left == left).all()
    assert (again.right == right).all()


@settings(max_examples=25, deadline=None)
@given(classes=st.integers(2, 12), shots=st.integers(1, 20), per_group=st.integers(1, 6), seed=st.integers(0, 99))
def test_batches_hold_what_was_asked_for(canvases, classes: int, shots: int, per_group: int, seed: int) -> None:
    index = BatchSampler(
        canvases, dict.fromkeys(canvases.groups, 1.0), classes, shots, per_group, np.random.default_rng(seed)
    ).draw()
    assert len(set(index.tolist())) == len(index) == classes * shots
    counts = np.bincount(canvases.classes[index])
    assert set(counts[counts > 0]) == {shots}


def test_batches_come_from_the_groups_that_are_named(canvases) -> None:
    sampler = BatchSampler(canvases, {"Bet": 1.0}, 12, 2, 20, np.random.default_rng(0))
    assert set(canvases.classes[sampler.draw()]) == set(canvases.groups["Bet"])


def test_other_pens_and_synthetic_alphabets_are_drawn_from(images, config) -> None:
    spec = PRESETS["edge"].spec
    real = from_image_set(images, spec, pens=True)
    marked = dataclasses.replace(real, images=np.zeros_like(real.images), pens=np.full_like(real.pens, 255))
    trainer = Trainer(dataclasses.replace(config, redrawn=0.5), marked)
    shown = trainer._by_any_pen(torch.arange(len(marked.images)))
    assert 0.4 < float(shown.float().mean()) / 255 < 0.6
    assert torch.equal(trainer._images, torch.zeros_like(trainer._images))  # what is drawn from is not written to

    synthetic = invented_alphabets(spec, 1, seed=0)
    for share in (0.0, 1.0):
        trainer = Trainer(dataclasses.replace(config, shares={"synthetic": share}), real, {"synthetic": synthetic})
        assert ((trainer._sampler.draw() >= len(real.images)) == bool(share)).all()
        assert torch.isfinite(trainer.step()[0])


def test_augmentation_redraws_within_the_canvas(canvases) -> None:
    images = torch.from_numpy(canvases.images[:40])
    found = augment(images, AugmentConfig(), torch.Generator().manual_seed(0))
    assert found.shape == (40, 1, 48, 48)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    ink = found.sum(dim=(1, 2, 3))
    assert float(ink.min()) > 5
    assert not torch.equal(found[:, 0], images.float() / 255)
    torch.testing.assert_close(found, augment(images, AugmentConfig(), torch.Generator().manual_seed(0)))


def test_an_alphabet_is_warped_as_a_whole(canvases) -> None:
    images = torch.from_numpy(canvases.images[:1]).repeat(12, 1, 1)
    alphabets = torch.tensor([3, 7, 9]).repeat_interleave(4)
    alike = AugmentConfig(rotation=0, scale=0, aspect=0, shear=0, shift=0, elastic=0, pen=0, symmetry=0, alphabet=1)
    found = augment(images, alike, torch.Generator().manual_seed(0), alphabets)[:, 0].view(3, 4, 48, 48)
    for alphabet in found:
        assert all(torch.equal(alphabet[0], other) for other in alphabet)
        assert float(alphabet[0].sum()) > 5
        assert float((alphabet[0] - images[0] / 255).abs().sum()) > 5
    assert all(float((found[one, 0] - found[other, 0]).abs().sum()) > 5 for one, other in ((0, 1), (0, 2), (1, 2)))
    apart = augment(images, AugmentConfig(alphabet=1), torch.Generator().manual_seed(0), alphabets)
    assert not torch.equal(apart[0], apart[1])  # writers of one alphabet still differ


def test_augmentation_turned_off_is_the_identity(canvases) -> None:
    nothing = AugmentConfig(rotation=0, scale=0, aspect=0, shear=0, shift=0, elastic=0, pen=0, symmetry=0)
    wide = torch.from_numpy(np.ascontiguousarray(canvases.images[:4, :40]))  # not square
    found = augment(wide, nothing, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found[:, 0], wide.float() / 255, atol=1e-4, rtol=0)


def test_a_step_lowers_the_loss(canvases, config) -> None:
    trainer = Trainer(dataclasses.replace(config, steps=40, classes=8, shots=3, learning_rate=3e-3), canvases)
    losses = [trainer.step()[0] for _ in range(40)]
    assert np.mean(losses[-8:]) < 0.8 * np.mean(losses[:8])


@pytest.mark.parametrize("loss", ["all-pairs", "pairs"])
def test_a_resumed_run_ends_the_same(canvases, config, tmp_path, loss) -> None:
    config = dataclasses.replace(config, loss=loss)
    whole = Trainer(config, canvases)
    for _ in range(6):
        whole.step()
    first = Trainer(config, canvases)
    for _ in range(3):
        first.step()
    first.save(tmp_path / "last.pt")
    second = Trainer.resume(tmp_path / "last.pt", canvases)
    assert second.done == 3
    for _ in range(3):
        second.step()
    for name in ("model", "average"):
        for key, value in getattr(whole, name).state_dict().items():
            torch.testing.assert_close(value, getattr(second, name).state_dict()[key], rtol=0, atol=0)


def test_the_average_follows_the_weights(canvases, config) -> None:
    trainer = Trainer(config, canvases)
    before = trainer.average.head.bias.clone()
    for _ in range(6):
        trainer.step()
    after, now = trainer.average.head.bias, trainer.model.head.bias
    before, after, now = (bias.item() for bias in (before, after, now))
    assert min(before, now) < after < max(before, now)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 broken"])
def test_a_damaged_checkpoint_is_named(tmp_path, content) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="last.pt"):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match="does not exist"):
        load_checkpoint(tmp_path / "other.pt")


def test_a_pickle_in_a_checkpoint_does_not_run(tmp_path) -> None:
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"format": 3, "config": Bomb()}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "last.pt")
    assert not (tmp_path / "ran").exists()


def test_config_survives_json(config) -> None:
    for preset in PRESETS.values():
        one = dataclasses.replace(config, model=preset)
        assert TrainConfig.from_dict(json.loads(json.dumps(one.to_dict()))) == one


def test_episodes_pair_classes_of_one_alphabet_by_two_drawers(canvases) -> None:
    for episode in within_alphabet_episodes(canvases, way=4, per_group=5, seed=0):
        assert (canvases.classes[episode.supports] == canvases.classes[episode.queries]).all()
        drawers = canvases.drawers[episode.supports], canvases.drawers[episode.queries]
        assert len(set(drawers[0])) == len(set(drawers[1])) == 1
        assert drawers[0][0] != drawers[1][0]
        owners = {name for name, group in canvases.groups.items() if set(canvases.classes[episode.supports]) & set(group)}
        assert len(owners) == 1


def test_scores_of_perfect_and_useless_embeddings(canvases) -> None:
    episodes = within_alphabet_episodes(canvases, way=5, per_group=20, seed=0)

    def compare(queries, supports):
        return -np.abs(queries[:, None] - supports[None]).sum(axis=2)

    perfect = canvases.classes[:, None].astype(np.float32)
    assert score_episodes(perfect, episodes, compare).accuracy == 1
    useless = np.random.default_rng(0).random((len(perfect), 3), np.float32)
    assert score_episodes(useless, episodes, compare).accuracy < 0.5


def test_wilson_interval() -> None:
    score = Score(388, 400)
    assert score.accuracy == 0.97
    assert score.interval == pytest.approx((0.9483, 0.9828), abs=1e-3)
    assert Score(0, 10).interval[0] == 0
    assert Score(10, 10).interval[1] == 1


def test_thresholds_meet_their_rates_and_grow(data) -> None:
    canvases = from_image_set(load_images(data, "images_evaluation"), PRESETS["edge"].spec)
    rng = np.random.default_rng(0)
    embeddings = (canvases.classes[:, None] + rng.normal(0, 0.4, (len(canvases.classes), 1))).astype(np.float32)

    def compare(queries, supports):
        return -np.abs(queries - supports.T)

    table = fit_thresholds([(canvases, embeddings)], compare)
    assert [row["classes"] for row in table] == [1, 2, 5]  # 26 classes hold no more beside twenty strangers
    for far in ("0.05", "0.01", "0.001"):
        logits = [row["logits"][far] for row in table]
        assert logits == sorted(logits)
    limits = ThresholdTable.from_list(table)
    for shots, tolerance in ((1, 0.02), (2, 0.025), (5, 0.025)):
        best = []
        for gallery, strangers in open_set_episodes(canvases, 5, 300, 9, shots):
            supports = embeddings[gallery]  # (5, shots, 1)
            nearest = np.abs(embeddings[strangers][:, :, None] - supports[None, :, :, 0]).min(axis=2)
            best.append((-(nearest + np.abs(embeddings[strangers] - supports.mean(axis=1).T)) / 2).max(axis=1))
        assert np.mean(np.concatenate(best) >= limits.logit(0.05, 5, shots)) == pytest.approx(0.05, abs=tolerance)


def test_what_the_data_cannot_give_has_no_thresholds() -> None:
    """Classes of three images are no galleries of five supports, and alphabets of 22 leave no strangers beside five."""
    groups = {name: np.arange(22) + start for name, start in (("a", 0), ("b", 22))}
    classes = np.repeat(np.arange(44), 3)
    canvases = Canvases(np.zeros((132, 8, 8), np.uint8), classes, np.tile(np.arange(3), 44), groups)
    table = fit_thresholds([(canvases, classes[:, None].astype(np.float32))], lambda q, s: -np.abs(q - s.T))
    assert [row["classes"] for row in table] == [1, 2, 5, 10, 20]
    assert not any("by_supports" in row for row in table)
    assert [row["classes"] for row in table if "own" in row] == [1, 2]


def test_classes_of_unequal_folders_all_take_part_in_episodes() -> None:
    sizes = np.array([2, 3, 30, 2, 40])
    classes = np.repeat(np.arange(5), sizes)
    drawers = np.concatenate([np.arange(size) for size in sizes])
    pictures = Canvases(np.zeros((len(classes), 8, 8), np.uint8), classes, drawers, {"all": np.arange(5)})
    for episode in within_alphabet_episodes(pictures, way=5, per_group=20, seed=0):
        assert sorted(classes[episode.supports]) == [0, 1, 2, 3, 4]
        assert (classes[episode.supports] == classes[episode.queries]).all()
        assert not (episode.supports == episode.queries).any()


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.2, 5), offset=st.floats(-3, 3))
def test_calibration_undoes_a_distortion_of_the_logits(canvases, scale: float, offset: float) -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(0, 1, (len(canvases.classes), 1)).astype(np.float32) * 0.3 + canvases.classes[:, None] % 7

    def compare(queries, supports):
        return 2 - 3 * np.abs(queries - supports.T)

    def distorted(queries, supports):
        return (compare(queries, supports) - offset) / scale

    plain, found = (fit_calibration([(canvases, embeddings)], function) for function in (compare, distorted))
    expected = plain.applied(compare)(embeddings, embeddings)
    np.testing.assert_allclose(found.applied(distorted)(embeddings, embeddings), expected, atol=0.05)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0.05, 50), offset=st.floats(-20, 20))
def test_a_calibrated_head_gives_scaled_and_shifted_logits(scale: float, offset: float) -> None:
    head = WeightedL1Head(8)
    a, b = torch.rand(5, 8), torch.rand(4, 8)
    expected = scale * head(a, b) + offset
    head.calibrate(scale, offset)
    torch.testing.assert_close(head(a, b), expected, rtol=1e-4, atol=1e-3)
    assert head.weights.min().item() > 0


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 40), own=st.sampled_from([None, 0.0, 0.1, 1.0]), seed=st.integers(0, 99))
def test_strangers_from_everywhere_and_from_the_gallerys_own_alphabet(size: int, own: float | None, seed: int) -> None:
    groups = [np.arange(0, 30), np.arange(30, 50), np.arange(50, 90)]
    gallery, strangers = open_set_classes(groups, size, np.random.default_rng(seed), own)
    assert len(set(gallery)) == size
    assert len(set(strangers)) == 20
    assert not set(gallery) & set(strangers)
    home = next(group for group in groups if gallery[0] in group)
    near = len(set(strangers) & set(home))
    if own == 0:
        assert near == 0
    if own == 1:
        assert near == min(20, len(set(home) - set(gallery)))


def test_strangers_of_a_single_alphabet_are_its_own() -> None:
    gallery, strangers = open_set_classes([np.arange(40)], 5, np.random.default_rng(0), 0.1)
    assert len(set(strangers) - set(gallery)) == 20


def test_strangers_are_not_in_the_gallery(data) -> None:
    canvases = from_image_set(load_images(data, "images_evaluation"), PRESETS["edge"].spec)
    for supports, strangers in open_set_episodes(canvases, 5, episodes=20, seed=0):
        assert len(set(canvases.classes[supports[:, 0]])) == 5
        assert not set(canvases.classes[supports[:, 0]]) & set(canvases.classes[strangers])


def test_modified_hausdorff_equals_a_naive_loop() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((7, 2)), rng.random((5, 2))
    one = np.mean([min(np.linalg.norm(p - q) for q in b) for p in a])
    two = np.mean([min(np.linalg.norm(p - q) for p in a) for q in b])
    assert modified_hausdorff(a, b) == pytest.approx(max(one, two))


def real_only(data) -> list[str]:
    return ["--data", str(data), "--composed", "0", "--invented", "0"]


@pytest.fixture
def run_folder(data, tmp_path):
    words = [*real_only(data), "--steps", "3", "--classes", "6", "--shots", "2", "--precision", "fp32"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


def test_the_command_leaves_log_curves_and_checkpoints(run_folder) -> None:
    events = [record["event"] for record in read_log(run_folder / "log.jsonl")]
    assert events[0] == "start"
    assert {"step", "validation"} <= set(events)
    with Image.open(run_folder / "curves.png") as picture:
        assert picture.size == (800, 600)
    config, _, state = load_model(run_folder / "last.pt")
    notes = json.loads(state["notes"])
    assert (config.steps, state["done"]) == (3, 3)
    assert "--steps 3" in notes["command"]
    assert str(run_folder.parent) not in json.dumps(notes)
    assert notes["thresholds"]
    assert notes["calibration"]["scale"] > 0
    assert (run_folder / "best.pt").exists()


def test_minutes_become_steps_that_are_recorded(data, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    assert main([*real_only(data), "--minutes", "0.01", "--classes", "4", "--shots", "2", "--out", str(out)]) == 0
    config, _ = load_checkpoint(out / "last.pt")
    assert config.steps >= 10
    assert config.validations == 1
    assert config.precision in ("bf16", "fp32")


def test_a_run_is_not_overwritten_and_a_finished_one_resumes(data, run_folder, capsys) -> None:
    words = ["--data", str(data), "--out", str(run_folder)]
    assert main([*words, "--steps", "1"]) == 1
    assert "--resume" in capsys.readouterr().err
    assert main([*words, "--resume", "--split", "koch"]) == 0  # its own split, not the one that is asked for now
    assert load_checkpoint(run_folder / "last.pt")[0].split == "background"


def test_a_run_does_not_go_on_with_other_images(canvases, config, tmp_path) -> None:
    Trainer(config, canvases).save(tmp_path / "last.pt")
    Trainer.resume(tmp_path / "last.pt", canvases)
    with pytest.raises(CheckpointError, match="other images"):
        Trainer.resume(tmp_path / "last.pt", dataclasses.replace(canvases, images=255 - canvases.images))


def test_labelled_pairs_note_no_synthetic_alphabets(data, tmp_path) -> None:
    words = ["--data", str(data), "--steps", "1", "--classes", "4", "--shots", "2", "--precision", "fp32", "--redrawn", "0"]
    assert main([*words, "--loss", "pairs", "--out", str(tmp_path / "run")]) == 0
    config, _ = load_checkpoint(tmp_path / "run" / "last.pt")
    assert (config.composed, config.invented, config.shares) == (0, 0, {"synthetic": 0})


def test_a_run_starts_from_anothers_average_and_remembers_it(data, run_folder, tmp_path, capsys) -> None:
    words = [*real_only(data), "--steps", "1", "--classes", "6", "--shots", "2", "--precision", "fp32", "--learning-rate", "0"]
    first = str(run_folder / "last.pt")
    assert main([*words, "--start-from", first, "--out", str(tmp_path / "second")]) == 0
    _, before, old = load_model(run_folder / "last.pt")
    _, after, new = load_model(tmp_path / "second" / "last.pt")
    for one, two in zip(before.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(one, two)
    notes = json.loads(new["notes"])
    assert notes["started_from"]["command"] == json.loads(old["notes"])["command"]
    assert first not in json.dumps(notes)
    assert main([*words, "--start-from", first, "--out", str(tmp_path / "third"), "--split", "koch"]) == 1
    assert "same split" in capsys.readouterr().err


def test_distillation_is_the_divergence_of_rows_without_the_image_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teachers = torch.randn(2, 5, 5, generator=generator).double()
    expected = 0.0
    for row in range(5):
        others = [column for column in range(5) if column != row]
        p, q = (np.exp(values[row, others].numpy() / 3) for values in (teachers, student))
        p, q = p / p.sum(), q / q.sum()
        expected += 9 * float((p * np.log(p / q)).sum()) / 5
    assert float(distillation_loss(student, teachers, 3)) == pytest.approx(expected)
    assert float(distillation_loss(teachers, teachers + 1)) == pytest.approx(0, abs=1e-9)  # only differences count


def test_teachers_give_the_mean_logits_of_their_averages(config, canvases, tmp_path) -> None:
    paths = [tmp_path / "one.pt", tmp_path / "two.pt"]
    students = [Trainer(dataclasses.replace(config, seed=seed), canvases) for seed in (1, 2)]
    for trainer, path in zip(students, paths, strict=True):
        trainer.step()
        trainer.save(path)
    found = Teachers(paths, config, []).logits(torch.from_numpy(canvases.images[:6]).unsqueeze(1).float() / 255)
    embedded = [trainer.embed_average(canvases.images[:6]) for trainer in students]
    expected = [trainer.compare_average(e, e) for trainer, e in zip(students, embedded, strict=True)]
    np.testing.assert_allclose(found.numpy(), np.mean(expected, axis=0), atol=1e-4)

    viewed = Teachers(paths[:1], dataclasses.replace(config, views=4), [])
    found = viewed.logits(torch.from_numpy(canvases.images[:6]).unsqueeze(1).float() / 255)
    views = [canvases.images[:6, ::down, ::right] for down in (1, -1) for right in (1, -1)]
    embedded = [students[0].embed_average(np.ascontiguousarray(view)) for view in views]
    expected = [students[0].compare_average(e, e) for e in embedded]
    np.testing.assert_allclose(found.numpy(), np.mean(expected, axis=0), atol=1e-4)


def test_a_student_comes_to_agree_with_its_teacher(config, canvases, tmp_path) -> None:
    Trainer(dataclasses.replace(config, seed=1), canvases).save(tmp_path / "teacher.pt")
    teachers = Teachers([tmp_path / "teacher.pt"], config, [])
    trainer = Trainer(
        dataclasses.replace(config, steps=30, classes=8, shots=3, learning_rate=3e-3), canvases, teachers=teachers
    )
    losses = [trainer.step()[0] for _ in range(30)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert trainer.notes["teachers"] == teachers.records


def test_a_run_learns_from_teachers_and_remembers_them(data, run_folder, tmp_path, capsys) -> None:
    words = [*real_only(data), "--steps", "1", "--classes", "6", "--shots", "2", "--precision", "fp32"]
    teacher, out = str(run_folder / "last.pt"), str(tmp_path / "student")
    assert main([*words, "--out", out, "--teachers", teacher, teacher, "--seed", "3"]) == 0
    notes = json.loads(load_checkpoint(tmp_path / "student" / "last.pt")[1]["notes"])
    old = json.loads(load_checkpoint(run_folder / "last.pt")[1]["notes"])
    assert [record["command"] for record in notes["teachers"]] == [old["command"]] * 2
    assert teacher not in json.dumps(notes)
    assert "--seed 3" in notes["command"]
    assert main([*words, "--out", out, "--resume"]) == 1
    assert "other teachers" in capsys.readouterr().err
    assert main([*words, "--out", out, "--resume", "--teachers", teacher, teacher]) == 0
    for wrong, said in (
        (["--split", "koch"], "same split"),
        (["--preset", "koch"], "cannot teach"),
        (["--loss", "pairs"], "all-pairs"),
    ):
        assert main([*words, "--out", str(tmp_path / "other"), "--teachers", teacher, *wrong]) == 1
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--steps", "0"], ["--minutes", "0"], ["--shots", "1"], ["--classes", "1"], ["--minutes", "x"]]
)
def test_impossible_arguments_are_wrong_usage(tmp_path, words) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--data", str(tmp_path), *words])
    assert exit_.value.code == 2


def test_a_holdout_is_remembered_and_must_give_episodes(data, tmp_path, capsys) -> None:
    words = [*real_only(data), "--classes", "4", "--shots", "2", "--precision", "fp32", "--out", str(tmp_path / "run")]
    assert main([*words, "--split", "koch", "--holdout", "Bet", "--steps", "1"]) == 0
    _, state = load_checkpoint(tmp_path / "run" / "last.pt")
    assert json.loads(state["notes"])["holdout"] == ["Bet"]
    assert main([*words, "--resume"]) == 0
    assert "33 classes" not in capsys.readouterr().out
    assert main([*real_only(data), "--holdout", "Nun", "--steps", "1", "--out", str(tmp_path / "other")]) == 1


def test_errors_are_one_line(tmp_path, capsys) -> None:
    assert main(["--data", str(tmp_path), "--steps", "1"]) == 1
    assert main(["evaluate", str(tmp_path / "none.pt"), "--data", str(tmp_path)]) == 1
    assert "all_runs" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert main(["--data", str(tmp_path), "--device", "cuda"]) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is a console event on Windows")
def test_ctrl_c_leaves_a_checkpoint_that_resumes(data, tmp_path) -> None:
    out = tmp_path / "run"
    words = [*real_only(data), "--classes", "6", "--shots", "2", "--precision", "fp32", "--out", str(out)]
    process = subprocess.Popen([sys.executable, "-m", "train", *words, "--steps", "100000"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not any(
        record["event"] == "step" for record in (read_log(out / "log.jsonl") if (out / "log.jsonl").exists() else [])
    ):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    _, state = load_checkpoint(out / "last.pt")
    assert state["done"] >= 50
    trainer = Trainer.resume(out / "last.pt", from_image_set(load_images(data, "images_background"), PRESETS["edge"].spec))
    trainer.step()
    assert trainer.done == state["done"] + 1


def test_cuda_trains(canvases, config) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    trainer = Trainer(dataclasses.replace(config, device="cuda"), canvases)
    assert torch.isfinite(trainer.step()[0])

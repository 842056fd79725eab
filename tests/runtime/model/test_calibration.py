"""`gallery.calibrate`: a threshold for strangers that are like the enrolled symbols."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from oneshot_runtime import GalleryError, OneShotMatcher, OptionError
from oneshot_runtime.cli.main import main
from oneshot_runtime.model.codes import encode, logits, probabilities, sum_absolute_differences


def clustered(matcher: OneShotMatcher, count: int, rng: np.random.Generator) -> np.ndarray:
    """Embeddings of one family: all near a centre, as the symbols of one alphabet are. float32 (count, D).

    So near that the manifest's threshold takes many of a hundred for one another, whatever weights ship.
    """
    bundle = matcher.bundle
    centre = np.random.default_rng(99).random(bundle.dim)
    spread = 1.1 * (bundle.head.bias - bundle.thresholds.logit(0.05, 100)) / bundle.head.weights.sum()
    return np.clip(centre + spread * rng.standard_normal((count, matcher.bundle.dim)), 0, 1).astype(np.float32)


def filled(count: int, seed: int = 0) -> OneShotMatcher:
    matcher = OneShotMatcher.load(precision="fp32", threads=1)
    rows = clustered(matcher, count, np.random.default_rng(seed))
    matcher.gallery.extend([f"c{index}" for index in range(count)], rows)
    return matcher


def nearest_others(matcher: OneShotMatcher) -> np.ndarray:
    """The best logit of each class's first support among all other classes, by a plain loop."""
    codes = {label: matcher.gallery.codes(label) for label in matcher.labels}

    def distance(rows: np.ndarray, query: np.ndarray) -> float:
        prototype = np.floor(rows.mean(axis=0) + 0.5).astype(np.uint8)[None]
        nearest = sum_absolute_differences(rows, query).min()
        return (nearest + sum_absolute_differences(prototype, query)[0]) / 2

    best = [min(distance(rows, own[0]) for name, rows in codes.items() if name != label) for label, own in codes.items()]
    return logits(np.array(best), matcher.bundle.head)


@pytest.mark.parametrize(("classes", "far"), [(19, 0.05), (40, 0.05), (99, 0.01), (150, 0.02)])
def test_the_threshold_is_an_order_statistic(classes, far) -> None:
    matcher = filled(classes)
    matcher.gallery.extend(["c3", "c7"], clustered(matcher, 2, np.random.default_rng(1)))
    fitted = matcher.gallery.calibrate(far)
    expected = np.sort(nearest_others(matcher))[math.ceil((classes + 1) * (1 - far)) - 1]
    assert fitted.exact
    assert (fitted.far, fitted.classes, fitted.asked) == (far, classes, classes)
    assert fitted.threshold == pytest.approx(float(probabilities(expected)), rel=1e-9)


def test_below_its_supports_the_step_is_the_manifests() -> None:
    matcher = filled(30)
    table = matcher.bundle.thresholds
    fitted = matcher.gallery.calibrate(0.01)
    logit = nearest_others(matcher).max() + table.step(1 / 31, 0.01, 30)
    assert not fitted.exact
    assert fitted.threshold == pytest.approx(float(probabilities(np.array(logit))), abs=1e-4)
    assert fitted.offset == pytest.approx(logit - table.logit(0.01, 30), abs=1e-9)


def test_strangers_of_the_same_family_are_accepted_at_the_rate_asked_for() -> None:
    accepted = total = before = 0
    for seed in range(6):
        with OneShotMatcher.load(precision="fp32", threads=1, far=0.05) as matcher:
            rows = clustered(matcher, 400, np.random.default_rng(seed))
            matcher.gallery.extend([str(index) for index in range(100)], rows[:100])
            codes = [matcher.gallery.codes(str(index))[0] for index in range(100)]
            strangers = encode(rows[100:], matcher.bundle.head)
            best = logits(
                np.array([sum_absolute_differences(np.array(codes), s).min() for s in strangers]), matcher.bundle.head
            )
            before += int((best >= matcher.bundle.thresholds.logit(0.05, 100)).sum())
            limit = matcher.bundle.thresholds.logit(0.05, 100) + matcher.gallery.calibrate(0.05).offset
            accepted += int((best >= limit).sum())
            total += len(best)
    assert before > 0.2 * total
    assert 0.01 * total < accepted < 0.1 * total


def test_matches_use_it_for_their_rate_only(drawings) -> None:
    matcher = filled(25)
    matcher.enroll("drawn", drawings[0][0])
    before = matcher.match(drawings[1][0])
    matcher.gallery.calibrate(0.01)
    assert matcher.match(drawings[1][0]) == before
    fitted = matcher.gallery.calibrate()
    after = matcher.match(drawings[1][0])
    assert after.candidates == before.candidates
    assert after.threshold == pytest.approx(fitted.threshold, abs=1e-4)
    assert after.threshold != before.threshold
    matcher.remove("drawn")
    logit = matcher.bundle.thresholds.logit(0.05, 25) + fitted.offset
    assert matcher.match(drawings[1][0]).threshold == pytest.approx(float(probabilities(np.array(logit))))


def test_what_cannot_be_fitted_is_refused() -> None:
    matcher = filled(18)
    with pytest.raises(GalleryError, match="18 classes are too few"):
        matcher.gallery.calibrate()
    for far in (0.0, 0.6, -1, "often", True):
        with pytest.raises(OptionError, match="far="):
            matcher.gallery.calibrate(far)


def test_a_calibration_is_kept_with_the_gallery_and_seen_by_every_process(tmp_path, capsys) -> None:
    path = tmp_path / "letters.db"
    rows = clustered(OneShotMatcher.load(precision="fp32", threads=1), 60, np.random.default_rng(0))
    with OneShotMatcher.load(gallery=path, precision="fp32", threads=1) as one:
        one.gallery.extend([f"c{index}" for index in range(40)], rows[:40])
        with OneShotMatcher.load(gallery=path, precision="fp32", threads=1) as other:
            before = other.match(np.zeros((9, 9), np.uint8) + np.eye(9, dtype=np.uint8) * 255).threshold
            fitted = one.gallery.calibrate(0.05)
            after = other.match(np.zeros((9, 9), np.uint8) + np.eye(9, dtype=np.uint8) * 255).threshold
            assert other.gallery.calibration(0.05) == fitted
            assert after == pytest.approx(fitted.threshold)
            assert after > before
        assert not fitted.is_stale(one.labels)
        for index in range(12):
            one.remove(f"c{index}")
        assert fitted.is_stale(one.labels)
    assert main(["gallery", "calibrate", "--gallery", str(path), "--far", "0.05", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["classes"], answer["was_stale"]) == (28, True)
    with OneShotMatcher.load(gallery=path, precision="fp32", threads=1) as again:
        assert again.gallery.calibration(0.05).classes == 28
        again.gallery.store.write_note("calibration 0.05", "{not JSON")
        assert again.gallery.calibration(0.05) is None

"""The scoreboard: `python -m benchmarks.accuracy.scoreboard --data DATA`. Every protocol through a bundle and the public API.

Everything but the 400 trials is measured on the alphabets that the bundle's training held out, named in its manifest. Its
thresholds were fitted on them, so beside those the open-set rows show thresholds fitted on half of the alphabets and tested on
the other half.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy import protocols
from benchmarks.accuracy.figures import draw_open_set, draw_reliability, draw_shots
from benchmarks.accuracy.shifts import SHIFTS
from benchmarks.accuracy.tables import tables
from oneshot_runtime import ImageError, OneShotMatcher
from oneshot_runtime.model.codes import probabilities
from oneshot_runtime.quality.sheet import Cell, draw_sheet, save_sheet
from train import hausdorff
from train.calibrate import FARS
from train.episodes import STRANGERS, Score
from train.evaluate import bundle_classifier, score_trials
from train.omniglot import DatasetError, ImageSet, Trial, load_split, load_trials

__all__ = ["main"]

PUBLISHED = {
    "people (Lake et al. 2015)": 95.5,
    "Bayesian Program Learning (Lake et al. 2015)": 96.7,
    "attentive recurrent comparators (Shyam et al. 2017)": 98.5,
    "siamese network (Koch et al. 2015)": 92.0,
}
"""On the 400 trials, in percent."""


def main(argv: list[str] | None = None) -> int:
    """Run the scoreboard; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.scoreboard", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with Omniglot's zips")
    parser.add_argument("--bundle", help="a bundle folder (default: the one that ships)")
    parser.add_argument("--precision", choices=("fp32", "int8"), default="int8")
    parser.add_argument(
        "--out", type=Path, default=Path("out/accuracy"), help="figures; sheets show Omniglot: do not commit them"
    )
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    matcher = OneShotMatcher.load(arguments.bundle, precision=arguments.precision, far=None)
    images = held_out_images(arguments.data, matcher)
    data = protocols.coded(matcher, images)
    trials = load_trials(arguments.data)
    report: dict[str, Any] = {"bundle": matcher.bundle.fingerprint, "precision": matcher.precision}
    report["400 trials"] = _trials(matcher, trials, arguments.out)
    report["few-shot"] = _few_shot(data)
    report["by alphabet"] = _by_alphabet(data, list(images.alphabets))
    report["shots"] = _shots(data, arguments.out)
    report["verification"] = _verification(data, arguments.out)
    report["open set"] = _open_set(data, matcher, arguments.out)
    report["shifts"] = _shifts(matcher, images)
    (arguments.out / "accuracy.json").write_text(json.dumps(report, indent=1) + "\n")
    # Read back, so that numbers of supports are the texts that JSON makes of them.
    (arguments.out / "accuracy.md").write_text(tables(json.loads((arguments.out / "accuracy.json").read_text())))
    print(f"figures, accuracy.json and its tables in accuracy.md: {arguments.out}")
    return 0


def held_out_images(folder: Path, matcher: OneShotMatcher) -> ImageSet:
    """The alphabets that the bundle's training held out. Raises `DatasetError` when it held out none."""
    names = matcher.bundle.manifest["accuracy"].get("within_alphabet_20_way", {}).get("alphabets")
    if not names:
        raise DatasetError(f"bundle '{matcher.bundle.path}' was trained without held-out alphabets to measure it on")
    images, _ = load_split(folder, "koch")
    return images.select(names)


def _row(name: str, score: Score) -> dict[str, Any]:
    print(f"  {name:58} {score}", flush=True)
    return {"accuracy": score.accuracy, "correct": score.correct, "total": score.total, "interval": score.interval}


def _trials(matcher: OneShotMatcher, trials: list[Trial], out: Path) -> dict[str, Any]:
    print("400 within-alphabet 20-way one-shot trials (Lake et al. 2015)")
    classify = bundle_classifier(matcher)
    rows = {"this bundle": _row("this bundle", score_trials(trials, classify))}
    for name, baseline in (("modified Hausdorff", hausdorff.classify), ("nearest pixels", _nearest_pixels)):
        rows[name] = _row(f"{name}, computed here", score_trials(trials, baseline))
    for name, percent in PUBLISHED.items():
        print(f"  {name:58} {percent:.1f} % (published)")
    cells = []
    for trial in trials:
        for query, answer, found in zip(trial.queries, trial.answers, classify(trial.supports, trial.queries), strict=True):
            if answer != found:
                cells.append(Cell(trial.supports[answer], query, "right answer | query", "", True))
                cells.append(Cell(trial.supports[found], query, "given answer | query", "", False))
    save_sheet(draw_sheet(cells, f"every mistake on the 400 trials: {len(cells) // 2}", columns=2), out / "mistakes.png")
    return rows


def _nearest_pixels(supports: NDArray[np.uint8], queries: NDArray[np.uint8]) -> NDArray[np.int64]:
    flat, asked = (images.reshape(len(images), -1).astype(np.float32) for images in (supports, queries))
    return np.asarray(((asked[:, None] - flat[None]) ** 2).sum(axis=2).argmin(axis=1))


def _few_shot(data: protocols.CodedSet) -> dict[str, Any]:
    print("few-shot episodes on held-out alphabets, any drawers")
    rows = {}
    for within, way, shot in (
        (True, 20, 1), (True, 20, 5), (False, 5, 1), (False, 5, 5), (False, 20, 1), (False, 20, 5),
    ):  # fmt: skip
        name = f"{'within' if within else 'between'}-alphabet {way}-way {shot}-shot"
        rows[name] = _row(name, protocols.way_shot(data, way, shot, within, episodes=1000, seed=3))
    return rows


def _by_alphabet(data: protocols.CodedSet, names: list[str]) -> dict[str, Any]:
    print("within-alphabet 20-way one-shot, each held-out alphabet")
    alone = {name: protocols.CodedSet(data.codes, (group,), data.head) for name, group in zip(names, data.groups, strict=True)}
    return {name: _row(name, protocols.way_shot(own, 20, 1, True, episodes=300, seed=3)) for name, own in alone.items()}


def _shots(data: protocols.CodedSet, out: Path) -> dict[str, Any]:
    print("more than one support, within-alphabet 20-way")
    results = protocols.k_shot(data, (1, 2, 5, 10), episodes=400, seed=4)
    draw_shots(
        {name: {k: score.accuracy for k, score in scores.items()} for name, scores in results.items()}, out / "shots.png"
    )
    return {name: {k: _row(f"{name}, {k}", score) for k, score in scores.items()} for name, scores in results.items()}


def _verification(data: protocols.CodedSet, out: Path) -> dict[str, Any]:
    print("verification, balanced within-alphabet pairs")
    found, truth = protocols.verification_pairs(data, 10_000, seed=5)
    stated = probabilities(found)
    error, bins = protocols.calibration_error(stated, truth)
    draw_reliability(bins, error, out / "reliability.png")
    row = _row("probability above one half, 10,000 pairs", Score(int(((stated > 0.5) == truth).sum()), len(truth)))
    print(f"  {'expected calibration error':58} {100 * error:.2f} %")
    found, truth = protocols.verification_pairs(data, 10_000, seed=5, within=False)
    between = _row("the same, pairs from all of these alphabets", Score(int(((found > 0) == truth).sum()), len(truth)))
    unseen = protocols.unseen_calibration_errors(data, 10_000, seed=5) if len(data.groups) > 1 else []
    print(f"  {'the same on each alphabet, fitted on the others':58} {', '.join(f'{100 * each:.2f}' for each in unseen)} %")
    return {**row, "between": between, "expected_calibration_error": error, "unseen_calibration_errors": unseen}


def _open_set(data: protocols.CodedSet, matcher: OneShotMatcher, out: Path) -> dict[str, Any]:
    print("strangers, 20 enrolled classes, one support each")
    known, right, strangers = protocols.open_set(data, 20, episodes=500, seed=6)
    draw_open_set(known, right, strangers, out / "open-set.png")
    limits = {far: matcher.bundle.thresholds.logit(far, 20) for far in FARS}
    rows = {"thresholds of the manifest": _open_set_rows("manifest", limits, known, right, strangers)}
    parts = protocols.halves(data)
    if all(sum(map(len, part.groups)) >= 20 + STRANGERS for part in parts):
        tested = []
        for fitted_on, tested_on in (parts, parts[::-1]):
            known, right, strangers = protocols.open_set(tested_on, 20, episodes=500, seed=6)
            quantiles = np.quantile(protocols.open_set(fitted_on, 20, episodes=500, seed=8)[2], [1 - far for far in FARS])
            # Logits relative to their threshold can be counted together.
            tested.append((known[:, None] - quantiles, right, strangers[:, None] - quantiles))
        known, right, strangers = (np.concatenate(values) for values in zip(*tested, strict=True))
        rows["thresholds of other alphabets"] = {
            str(far): _open_set_rows("other alphabets", {far: 0.0}, known[:, n], right, strangers[:, n])[str(far)]
            for n, far in enumerate(FARS)
        }
    sizes = [len(group) for group in data.groups]
    if max(sizes) > 20:
        rows |= _alphabet_rows(data, matcher, native=True, whose="of its own alphabet")
        if sum(sizes) - max(sizes) >= STRANGERS:
            rows |= _alphabet_rows(data, matcher, native=False, whose="of other alphabets")
    return rows


def _alphabet_rows(data: protocols.CodedSet, matcher: OneShotMatcher, native: bool, whose: str) -> dict[str, Any]:
    """Galleries of one alphabet, and strangers `whose` alphabet is that one or another."""
    names = [
        f"{which}, a gallery of one alphabet, strangers {whose}"
        for which in ("thresholds of the manifest", "thresholds fitted to it")
    ]
    rows: dict[str, Any] = {name: {} for name in names}
    for far in FARS:
        found = protocols.alphabet_galleries(data, matcher.bundle.thresholds, far, 20, native, episodes=1000, seed=9)
        for name, (accepted, recognised) in zip(names, found.values(), strict=True):
            short = f"{name.split(',')[0]}, {whose}, far {100 * far:g} %"
            rows[name][str(far)] = {
                "recognised": _row(f"{short}: recognised", recognised),
                "accepted": _row(f"{short}: accepted", accepted),
            }
    return rows


def _open_set_rows(
    name: str,
    limits: dict[float, float],
    known: NDArray[np.float64],
    right: NDArray[np.bool_],
    strangers: NDArray[np.float64],
) -> dict[str, Any]:
    rows = {}
    for far, limit in limits.items():
        recognised = Score(int((right & (known >= limit)).sum()), len(known))
        accepted = Score(int((strangers >= limit).sum()), len(strangers))
        rows[str(far)] = {
            "recognised": _row(f"thresholds of {name}, far {100 * far:g} %: recognised", recognised),
            "accepted": _row(f"thresholds of {name}, far {100 * far:g} %: strangers accepted", accepted),
        }
    return rows


def _shifts(matcher: OneShotMatcher, images: ImageSet) -> dict[str, Any]:
    """Within-alphabet 20-way one-shot: supports as drawn, queries under each shift."""
    print("other pens, other pixels: queries changed, supports as drawn, within-alphabet 20-way")
    rng = np.random.default_rng(7)
    episodes = []
    for _ in range(60):
        first, last = list(images.alphabets.values())[rng.integers(len(images.alphabets))]
        classes = rng.choice(np.arange(first, last + 1), min(20, last + 1 - first), replace=False)
        episodes.append((classes, rng.choice(20, 2, replace=False)))
    rows = {}
    for name, shift in SHIFTS.items():
        correct = total = 0
        for classes, (one, two) in episodes:
            supports = matcher.embed(list(images.images[classes, one]))
            for number, image in enumerate(images.images[classes, two]):
                total += 1
                try:
                    query = matcher.embed(shift(image, rng))
                except ImageError:  # a stroke that vanished is a miss
                    continue
                distances = np.abs(supports - query) @ matcher.bundle.head.weights
                correct += int(distances.argmin() == number)
        rows[name] = _row(name, Score(correct, total))
    return rows


if __name__ == "__main__":
    sys.exit(main())

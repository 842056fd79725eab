"""Score a checkpoint or a bundle on Lake's 400 within-alphabet 20-way one-shot trials."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.vision.preprocess import preprocess
from train import hausdorff
from train.checkpoint import load_model
from train.episodes import Score
from train.omniglot import Trial, load_trials

__all__ = ["bundle_classifier", "checkpoint_classifier", "evaluate", "score_trials"]

Classifier = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.int64]]
"""For supports (S, H, W) and queries (Q, H, W), uint8, the index of each query's support, int64 (Q,)."""


def evaluate(model: str | None, data: Path, precision: str = "auto", baseline: bool = False) -> dict[str, Score]:
    """Scores by name. model: a `.pt` checkpoint, a bundle folder, or None for the bundle that ships."""
    trials = load_trials(data)
    if model is not None and model.endswith(".pt"):
        classifiers = {f"checkpoint {Path(model).name}": checkpoint_classifier(model)}
    else:
        matcher = OneShotMatcher.load(model, precision=precision, far=None)
        classifiers = {f"bundle {matcher.bundle.path.name} ({matcher.precision})": bundle_classifier(matcher)}
    if baseline:
        classifiers["modified Hausdorff baseline"] = hausdorff.classify
    return {f"400 trials, {name}": score_trials(trials, classifier) for name, classifier in classifiers.items()}


def score_trials(trials: list[Trial], classify: Classifier) -> Score:
    """How many queries get the right support."""
    correct = sum(int((classify(t.supports, t.queries) == t.answers).sum()) for t in trials)
    return Score(correct, sum(len(t.answers) for t in trials))


def bundle_classifier(matcher: OneShotMatcher) -> Classifier:
    """The runtime through its public API: enroll each support as a class, match each query."""

    def classify(supports: NDArray[np.uint8], queries: NDArray[np.uint8]) -> NDArray[np.int64]:
        for label in matcher.labels:
            matcher.remove(label)
        for index, support in enumerate(supports):
            matcher.enroll(str(index), support)
        return np.array([int(matcher.match(query).candidates[0].label) for query in queries])

    return classify


def checkpoint_classifier(path: str) -> Classifier:
    """The PyTorch model of a checkpoint, before any export."""
    config, model, _ = load_model(path)

    def embed(images: NDArray[np.uint8]) -> torch.Tensor:
        return model.embed(torch.from_numpy(np.stack([preprocess(image, config.model.spec) for image in images])))

    def classify(supports: NDArray[np.uint8], queries: NDArray[np.uint8]) -> NDArray[np.int64]:
        with torch.inference_mode():
            return np.asarray(model.head(embed(queries), embed(supports)).argmax(dim=1).numpy())

    return classify

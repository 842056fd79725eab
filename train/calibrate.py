"""What is fitted on alphabets that the network never saw: logits that are probabilities, and thresholds for strangers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from train.batches import sample_pairs
from train.canvases import Canvases
from train.episodes import STRANGERS, Compare, open_set_classes

__all__ = [
    "FARS",
    "GALLERY_SIZES",
    "OWN_SHARE",
    "Calibration",
    "fit_calibration",
    "fit_platt",
    "fit_thresholds",
    "open_set_episodes",
]

FARS = (0.05, 0.01, 0.001)
"""False accept rates: the share of queries of unknown symbols that are given a label all the same."""

GALLERY_SIZES = (1, 2, 5, 10, 20, 50, 100, 200)
"""Numbers of enrolled classes for which thresholds are fitted: the best of many supports is closer than the best of few."""

OWN_SHARE = 0.08
"""Share of strangers from everywhere that are of the gallery's own alphabet: a class of one of a dozen alphabets."""

_EPISODES = {1: 500, 5: 150}
"""Numbers of supports of a class, and the galleries that are drawn with so many."""

_ALL_PAIRS = 1500
"""Images up to which all pairs are compared at once."""

_PAIRS = 10_000
_CHUNK = 32


@dataclass(frozen=True)
class Calibration:
    """`scale * logit + offset` is the logit of a probability over balanced within-alphabet pairs (Platt 1999); scale > 0."""

    scale: float = 1.0
    offset: float = 0.0

    def applied(self, compare: Compare) -> Compare:
        """`compare` with calibrated logits."""
        return lambda queries, supports: (self.scale * compare(queries, supports) + self.offset).astype(np.float32)


def fit_calibration(parts: Sequence[tuple[Canvases, NDArray[np.float32]]], compare: Compare, seed: int = 3) -> Calibration:
    """The scale and offset that give held-out pairs of one alphabet the highest likelihood; `parts` as for `fit_thresholds`."""
    rng, logits, targets = np.random.default_rng(seed), [], []
    for canvases, embeddings in parts:
        batch = sample_pairs(canvases, _PAIRS // len(parts), rng, within_group=True)
        chunks = [slice(start, start + _CHUNK) for start in range(0, len(batch.targets), _CHUNK)]
        logits += [np.diag(compare(embeddings[batch.left[p]], embeddings[batch.right[p]])) for p in chunks]
        targets.append(batch.targets > 0)
    return fit_platt(np.concatenate(logits), np.concatenate(targets))


def fit_platt(logits: NDArray[np.floating], truth: NDArray[np.bool_]) -> Calibration:
    """The scale and offset that give pairs of these logits (N,) the highest likelihood; truth (N,): both show one symbol."""
    signs = np.where(truth, 1.0, -1.0)

    def loss(values: NDArray[np.float64]) -> float:
        # The scale is fitted as a logarithm, so that it stays positive and ranking stays as it was.
        return float(np.logaddexp(0, -signs * (np.exp(values[0]) * logits + values[1])).mean())

    found = minimize(loss, np.zeros(2)).x
    return Calibration(round(float(np.exp(found[0])), 6), round(float(found[1]), 6))


def fit_thresholds(
    parts: Sequence[tuple[Canvases, NDArray[np.float32]]], compare: Compare, seed: int = 2
) -> list[dict[str, Any]]:
    """For each gallery size and number of supports, the logits at which the false accept rates of `FARS` are met.

    Strangers are from everywhere: `OWN_SHARE` of them of the alphabet that fills the gallery, the others of other alphabets.
    "own" is for strangers of that alphabet only. Sizes and numbers of supports that the data cannot give are left out. A logit
    never falls as the gallery grows: more supports can only come closer to a stranger, and what a sample says against that is
    its noise.

    Args:
        parts: populations, each with the embeddings of its canvases, float32 (N, D); galleries and their strangers are of one
            of them, and each gives as many.
        compare: the calibrated head.
        seed: of the draw.

    Returns:
        Entries as `ThresholdTable.from_list` takes them, with the number of `strangers` of each.
    """
    scored = [_class_scores(compare, embeddings) for _, embeddings in parts]

    def fitted(shots: int, own: float) -> dict[int, _Fitted]:
        found: dict[int, _Fitted] = {}
        floor = {str(far): -np.inf for far in FARS}
        for size in GALLERY_SIZES:
            best = [
                scores_of(strangers, supports).max(axis=1)
                for (canvases, _), scores_of in zip(parts, scored, strict=True)
                for supports, strangers in open_set_episodes(canvases, size, _EPISODES[shots], seed, shots, own)
            ]
            if best:
                scores = np.concatenate(best)
                floor = {str(far): max(floor[str(far)], round(float(np.quantile(scores, 1 - far)), 5)) for far in FARS}
                found[size] = _Fitted(len(scores), dict(floor))
        return found

    single, near = fitted(1, OWN_SHARE), fitted(1, 1.0)
    several = {shots: found for shots in _EPISODES if shots > 1 if (found := fitted(shots, OWN_SHARE)).keys() == single.keys()}
    return [
        {"classes": size, "strangers": one.strangers, "logits": one.logits}
        | ({"by_supports": {str(shots): found[size].logits for shots, found in several.items()}} if several else {})
        | ({"own": near[size].logits} if size in near else {})
        for size, one in single.items()
    ]


@dataclass(frozen=True)
class _Fitted:
    strangers: int
    logits: dict[str, float]


def _class_scores(
    compare: Compare, embeddings: NDArray[np.float32]
) -> Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.floating]]:
    """Gives logits (Q, C) of queries (Q,) against classes of supports (C, k), indices of images, as the runtime ranks them.

    Of several supports it is the mean of the nearest's and of the prototype's, the mean of their embeddings.
    """
    every = compare(embeddings, embeddings) if len(embeddings) <= _ALL_PAIRS else None

    def scores(queries: NDArray[np.int64], supports: NDArray[np.int64]) -> NDArray[np.floating]:
        flat = supports.ravel()
        each = compare(embeddings[queries], embeddings[flat]) if every is None else every[np.ix_(queries, flat)]
        if supports.shape[1] == 1:
            return each
        nearest = each.reshape(len(queries), *supports.shape).max(axis=2)
        return np.asarray((nearest + compare(embeddings[queries], embeddings[supports].mean(axis=1))) / 2)

    return scores


def open_set_episodes(
    canvases: Canvases, size: int, episodes: int, seed: int, shots: int = 1, own: float = OWN_SHARE
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Galleries of `shots` supports for each of `size` classes, and queries of symbols that are not in them.

    See `open_set_classes`; with `own` of 1, from alphabets only that have strangers left. Yields image indices: supports
    (size, shots), strangers (STRANGERS,). Nothing where there are too few classes, or classes of too few images.
    """
    rng = np.random.default_rng(seed)
    members = canvases.members()
    groups = [group for group in canvases.groups.values() if own < 1 or len(group) >= size + STRANGERS]
    known = np.concatenate(groups) if groups else np.empty(0, np.int64)
    if len(known) < size + STRANGERS or min(len(members[number]) for number in known) < shots:
        return
    for _ in range(episodes):
        gallery, strangers = open_set_classes(groups, size, rng, own)
        yield (
            np.stack([rng.choice(members[number], shots, replace=False) for number in gallery]),
            np.array([rng.choice(members[number]) for number in strangers]),
        )

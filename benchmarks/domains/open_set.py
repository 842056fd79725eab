"""Recognised symbols against accepted strangers: how large the gallery, how many supports, who the strangers are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.domains.embeddings import Embedding
from oneshot_runtime.model.thresholds import ThresholdTable
from train.calibrate import OWN_SHARE

__all__ = ["RATES", "Alphabet", "Curve", "open_set_curve"]

RATES = (0.001, 0.01, 0.05, 0.1)
_STRANGERS = 20


@dataclass(frozen=True)
class Alphabet:
    """vectors: (classes, drawers, D) of one alphabet, script or set, as many drawers of each class."""

    name: str
    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class Curve:
    """recognised: share of queries of enrolled symbols that get their own label, at each of `RATES` of strangers accepted.

    asked: for each rate that the manifest's thresholds know, (strangers accepted, symbols recognised) with them.
    """

    recognised: dict[float, float]
    asked: dict[float, tuple[float, float]]


def open_set_curve(
    alphabets: Sequence[Alphabet],
    embedding: Embedding,
    enrolled: int,
    supports: int,
    own: bool,
    thresholds: ThresholdTable | None = None,
    episodes: int = 200,
    seed: int = 0,
) -> Curve | None:
    """Galleries filled as users fill them: from one alphabet first, then from others.

    Args:
        alphabets: what galleries and strangers are drawn from.
        embedding: what compares vectors.
        enrolled: classes in the gallery.
        supports: pictures of each.
        own: strangers are of the gallery's own alphabet; else from everywhere, `OWN_SHARE` of them of that.
        thresholds: the manifest's.
        episodes: galleries.
        seed: of the draw.

    Returns:
        None where the alphabets have too few classes or drawers.
    """
    rng = np.random.default_rng(seed)
    homes = [a for a in alphabets if a.vectors.shape[1] > supports and (not own or len(a.vectors) > enrolled)]
    everyone = [(number, row) for number, alphabet in enumerate(alphabets) for row in range(len(alphabet.vectors))]
    if not homes or len(everyone) < enrolled + _STRANGERS:
        return None
    known, right, strange = [], [], []
    for _ in range(episodes):
        gallery, strangers = _drawn(alphabets, homes, everyone, enrolled, own, rng)
        picks = [rng.permutation(alphabets[number].vectors.shape[1]) for number, _ in gallery]
        rows = [alphabets[number].vectors[row] for number, row in gallery]
        enrolled_vectors = np.stack([row[pick[:supports]] for row, pick in zip(rows, picks, strict=True)])
        queries = np.stack([row[pick[supports]] for row, pick in zip(rows, picks, strict=True)])
        found = _class_scores(embedding, queries, enrolled_vectors)
        known.append(found.max(axis=1))
        right.append(found.argmax(axis=1) == np.arange(len(gallery)))
        asked = np.stack([alphabets[n].vectors[row, rng.integers(alphabets[n].vectors.shape[1])] for n, row in strangers])
        strange.append(_class_scores(embedding, asked, enrolled_vectors).max(axis=1))
    return _curve(np.concatenate(known), np.concatenate(right), np.concatenate(strange), enrolled, supports, thresholds)


def _drawn(
    alphabets: Sequence[Alphabet],
    homes: Sequence[Alphabet],
    everyone: list[tuple[int, int]],
    enrolled: int,
    own: bool,
    rng: np.random.Generator,
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    chosen = homes[rng.integers(len(homes))]
    home = next(number for number, alphabet in enumerate(alphabets) if alphabet is chosen)
    rows = [(home, int(row)) for row in rng.permutation(len(alphabets[home].vectors))]
    rest = [everyone[index] for index in rng.permutation(len(everyone)) if everyone[index][0] != home]
    gallery, rest = rows[:enrolled] + rest[: max(0, enrolled - len(rows))], rest[max(0, enrolled - len(rows)) :]
    near = rows[enrolled:]
    count = _STRANGERS if own else int(rng.binomial(_STRANGERS, OWN_SHARE))
    strangers = near[:count] + rest[: 0 if own else _STRANGERS - min(count, len(near))]
    return gallery, strangers


def _class_scores(embedding: Embedding, queries: NDArray[np.float32], supports: NDArray[np.float32]) -> NDArray[np.float64]:
    """Similarity (Q, C) to classes with supports (C, k, D): with several, the mean of the nearest's and the prototype's."""
    classes, shots = supports.shape[:2]
    each = embedding.similarity(queries, supports.reshape(classes * shots, -1)).reshape(len(queries), classes, shots)
    if shots == 1:
        return np.asarray(each[:, :, 0])
    prototypes = embedding.similarity(queries, np.floor(supports.mean(axis=1) + 0.5))
    return np.asarray((each.max(axis=2) + prototypes) / 2)


def _curve(
    known: NDArray[np.float64],
    right: NDArray[np.bool_],
    strange: NDArray[np.float64],
    enrolled: int,
    supports: int,
    thresholds: ThresholdTable | None,
) -> Curve:
    recognised = {rate: float((right & (known >= np.quantile(strange, 1 - rate))).mean()) for rate in RATES}
    asked = {}
    for rate in () if thresholds is None else RATES:
        if min(thresholds.logits, default=1) <= rate <= max(thresholds.logits, default=0):  # type: ignore[union-attr]
            limit = thresholds.logit(rate, enrolled, supports)  # type: ignore[union-attr]
            asked[rate] = (float((strange >= limit).mean()), float((right & (known >= limit)).mean()))
    return Curve(recognised, asked)

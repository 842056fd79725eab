"""Thresholds for refusing strangers, fitted on alphabets that the network never saw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.canvases import Canvases
from train.episodes import Compare

__all__ = ["FARS", "GALLERY_SIZES", "fit_thresholds", "open_set_episodes"]

FARS = (0.05, 0.01, 0.001)
"""False accept rates: the share of queries of unknown symbols that are given a label all the same."""

GALLERY_SIZES = (1, 2, 5, 10, 20, 50, 100)
"""Numbers of enrolled classes for which thresholds are fitted: the best of many supports is closer than the best of few."""


def fit_thresholds(
    canvases: Canvases, embeddings: NDArray[np.float32], compare: Compare, seed: int = 2
) -> list[dict[str, Any]]:
    """For each gallery size, the logits at which the false accept rates of `FARS` are met.

    Returns entries `{"classes", "strangers", "logits": {far: logit}}`. embeddings: float32 (N, D) of the canvases.
    Sizes that the data cannot fill are left out.
    """
    table = []
    for size in GALLERY_SIZES:
        best = [
            compare(embeddings[strangers], embeddings[supports]).max(axis=1)
            for supports, strangers in open_set_episodes(canvases, size, episodes=200, seed=seed)
        ]
        if not best:
            continue
        scores = np.concatenate(best)
        logits = {str(far): round(float(np.quantile(scores, 1 - far)), 5) for far in FARS}
        table.append({"classes": size, "strangers": len(scores), "logits": logits})
    return table


def open_set_episodes(
    canvases: Canvases, size: int, episodes: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Galleries of one support for each of `size` classes, with queries of symbols that are not in them.

    The strangers come from the alphabet that the gallery is filled from first (other alphabets only fill it up), which makes
    them as similar to the enrolled symbols as a stranger gets. Yields image indices: supports (size,), strangers (at most 20).
    """
    rng = np.random.default_rng(seed)
    members = canvases.members()
    groups = [group for group in canvases.groups.values() if len(group) > 1]
    for _ in range(episodes):
        home = rng.permutation(groups[rng.integers(len(groups))])
        known = home[: min(size, len(home) - max(1, len(home) // 5))]
        strangers = home[len(known) :]
        others = np.setdiff1d(np.arange(len(members)), home)
        if len(known) + len(others) < size:
            return
        gallery = np.concatenate((known, rng.choice(others, size - len(known), replace=False)))
        supports = np.array([rng.choice(members[c]) for c in gallery])
        queries = np.array([rng.choice(members[c]) for c in rng.permutation(strangers)[:20]])
        yield supports, queries

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

GALLERY_SIZES = (1, 2, 5, 10, 20, 50, 100, 200)
"""Numbers of enrolled classes for which thresholds are fitted: the best of many supports is closer than the best of few."""


def fit_thresholds(
    canvases: Canvases, embeddings: NDArray[np.float32], compare: Compare, seed: int = 2
) -> list[dict[str, Any]]:
    """For each gallery size, the logits at which the false accept rates of `FARS` are met.

    Returns entries `{"classes", "strangers", "logits": {far: logit}}`. embeddings: float32 (N, D) of the canvases.
    Sizes that the data cannot fill are left out. A logit never falls as the gallery grows: more supports can only come closer
    to a stranger, and what a sample says against that is its noise.
    """
    table: list[dict[str, Any]] = []
    floor = {str(far): -np.inf for far in FARS}
    for size in GALLERY_SIZES:
        best = [
            compare(embeddings[strangers], embeddings[supports]).max(axis=1)
            for supports, strangers in open_set_episodes(canvases, size, episodes=500, seed=seed)
        ]
        if not best:
            continue
        scores = np.concatenate(best)
        floor = {str(far): max(floor[str(far)], round(float(np.quantile(scores, 1 - far)), 5)) for far in FARS}
        table.append({"classes": size, "strangers": len(scores), "logits": dict(floor)})
    return table


def open_set_episodes(
    canvases: Canvases, size: int, episodes: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Galleries of one support for each of `size` classes, and 20 queries of symbols that are not in them.

    A gallery is filled from one alphabet first, as users' galleries are, then from the others. The strangers are drawn evenly
    from all classes that are left, those of the gallery's own alphabet among them. Yields image indices: supports (size,),
    strangers (20,).
    """
    rng = np.random.default_rng(seed)
    members = canvases.members()
    groups = list(canvases.groups.values())
    everyone = np.arange(len(members))
    if len(members) < size + 20:
        return
    for _ in range(episodes):
        home = rng.permutation(groups[rng.integers(len(groups))])[:size]
        others = np.setdiff1d(everyone, home)
        gallery = np.concatenate((home, rng.choice(others, size - len(home), replace=False)))
        strangers = rng.choice(np.setdiff1d(everyone, gallery), 20, replace=False)
        yield (
            np.array([rng.choice(members[number]) for number in gallery]),
            np.array([rng.choice(members[number]) for number in strangers]),
        )

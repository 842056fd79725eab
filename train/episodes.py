"""Few-shot episodes on held-out alphabets, and how many of their queries a set of embeddings gets right."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.canvases import Canvases

__all__ = ["STRANGERS", "Episode", "Score", "open_set_classes", "score_episodes", "way_of", "within_alphabet_episodes"]

STRANGERS = 20
"""Classes that are not enrolled but asked for, in each open-set episode."""

Compare = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""Similarities (Q, S) of query embeddings (Q, D) to support embeddings (S, D); higher is more alike."""


@dataclass(frozen=True)
class Episode:
    """Indices into a `Canvases`: `supports[i]` and `queries[i]` show the same class. int64 (way,) each."""

    supports: NDArray[np.int64]
    queries: NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """`correct` of `total`, with the 95 % Wilson interval of the share (Wilson 1927)."""

    correct: int
    total: int

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.correct / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end of the 95 % interval."""
        from scipy.stats import binomtest  # takes half a second to import

        if not self.total:
            return math.nan, math.nan
        ends = binomtest(self.correct, self.total).proportion_ci(method="wilson")
        return float(ends.low), float(ends.high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.accuracy:.2f} % ({self.correct}/{self.total}, 95 % interval {100 * low:.1f} to {100 * high:.1f})"


def within_alphabet_episodes(canvases: Canvases, way: int, per_group: int, seed: int) -> list[Episode]:
    """Episodes of `way` classes of one alphabet, supports by one drawer and queries by another, `per_group` an alphabet.

    Alphabets with fewer classes give episodes of what they have, from two on.
    """
    rng = np.random.default_rng(seed)
    index = {(int(c), int(d)): i for i, (c, d) in enumerate(zip(canvases.classes, canvases.drawers, strict=True))}
    members = canvases.members()
    episodes = []
    for classes in canvases.groups.values():
        if len(classes) < 2:
            continue
        drawers = sorted({d for c, d in index if c in set(classes.tolist())})
        for _ in range(per_group):
            chosen = rng.choice(classes, min(way, len(classes)), replace=False)
            first, second = rng.choice(drawers, 2, replace=False)
            pairs = [(index.get((c, first)), index.get((c, second))) for c in chosen.tolist()]
            # A class that neither drew, as in folders of unequal classes, gives any two of its images.
            both = [
                (a, b) if a is not None and b is not None else rng.choice(members[c], 2, replace=False).tolist()
                for c, (a, b) in zip(chosen.tolist(), pairs, strict=True)
                if len(members[c]) > 1
            ]
            if len(both) > 1:
                supports, queries = zip(*both, strict=True)
                episodes.append(Episode(np.array(supports), np.array(queries)))
    return episodes


def way_of(groups: Iterable[Sized], way: int) -> str:
    """What episodes of so many classes are called where groups may have fewer, such as "20-way" or "5- to 15-way"."""
    sizes = [min(way, len(group)) for group in groups if len(group) > 1]
    least, most = min(sizes, default=way), max(sizes, default=way)
    return f"{most}-way" if least == most else f"{least}- to {most}-way"


def score_episodes(embeddings: NDArray[np.float32], episodes: list[Episode], compare: Compare) -> Score:
    """How many queries are most similar to their own support. embeddings: float32 (N, D) of the canvases."""
    correct = total = 0
    # Of few images every pair is in many episodes.
    few = len(embeddings) ** 2 <= sum(len(episode.queries) * len(episode.supports) for episode in episodes)
    every = compare(embeddings, embeddings) if few else None
    for episode in episodes:
        if every is None:
            similarity = compare(embeddings[episode.queries], embeddings[episode.supports])
        else:
            similarity = every[np.ix_(episode.queries, episode.supports)]
        correct += int((similarity.argmax(axis=1) == np.arange(len(episode.queries))).sum())
        total += len(episode.queries)
    return Score(correct, total)


def open_set_classes(
    groups: Sequence[NDArray[np.int64]], size: int, rng: np.random.Generator, own: float | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The classes of a gallery (size,), and `STRANGERS` classes that are not in it.

    A gallery is filled from one alphabet first, as users' galleries are, then from the others.

    Args:
        groups: class numbers of each alphabet.
        size: classes in the gallery.
        rng: of the draw.
        own: chance that a stranger is of the gallery's first alphabet, as far as that has classes left; without it, strangers
            are drawn evenly from all classes that are left.
    """
    everyone = np.concatenate(groups)
    group = groups[rng.integers(len(groups))]
    home = rng.permutation(group)[:size]
    others = np.setdiff1d(everyone, home)
    gallery = np.concatenate((home, rng.choice(others, size - len(home), replace=False)))
    left = np.setdiff1d(everyone, gallery)
    if own is None:
        return gallery, rng.choice(left, STRANGERS, replace=False)
    near, far = np.intersect1d(left, group), np.setdiff1d(left, group)
    count = int(np.clip(rng.binomial(STRANGERS, own), max(0, STRANGERS - len(far)), min(STRANGERS, len(near))))
    return gallery, np.concatenate((rng.choice(near, count, replace=False), rng.choice(far, STRANGERS - count, replace=False)))

"""N-way one-shot episodes on a set of symbols, and which of them are taken for which."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.domains.embeddings import Embedding
from train.episodes import Score

__all__ = ["Outcome", "one_shot"]


@dataclass(frozen=True)
class Outcome:
    """way: classes in an episode. mistakes: (support, query) indices of wrong answers. taken: how often (class, for class)."""

    score: Score
    way: int
    mistakes: list[tuple[int, int]]
    taken: Counter[tuple[int, int]]


def one_shot(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    embedding: Embedding,
    way: int = 20,
    episodes: int = 100,
    seed: int = 0,
) -> Outcome:
    """Up to `way` classes an episode, support and query two different images of the class.

    Args:
        vectors: of every image, (N, D).
        labels: classes, int64 (N,).
        groups: where they are not negative, support and query are of two different ones.
        embedding: what compares vectors.
        way: classes in an episode, or all of a smaller set.
        episodes: number of episodes.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    mistakes: list[tuple[int, int]] = []
    taken: Counter[tuple[int, int]] = Counter()
    correct = total = 0
    way = min(way, len(members))
    for _ in range(episodes):
        pairs = [_pair(members[label], groups, rng) for label in rng.permutation(len(members))[:way]]
        supports, queries = (np.array(side) for side in zip(*pairs, strict=True))
        found = embedding.similarity(vectors[queries], vectors[supports]).argmax(axis=1)
        for number, answer in enumerate(found):
            if answer != number:
                mistakes.append((int(supports[answer]), int(queries[number])))
                taken[int(labels[queries[number]]), int(labels[supports[answer]])] += 1
        correct += int((found == np.arange(way)).sum())
        total += way
    return Outcome(Score(correct, total), way, mistakes, taken)


def _pair(members: NDArray[np.int64], groups: NDArray[np.int64], rng: np.random.Generator) -> tuple[int, int]:
    first = int(rng.choice(members))
    others = members[(members != first) & ((groups[members] != groups[first]) | (groups[members] < 0))]
    return first, int(rng.choice(others))

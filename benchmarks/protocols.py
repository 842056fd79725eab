"""Few-shot protocols on a held-out image set, scored on the codes that the runtime compares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.bundle import Head
from oneshot_runtime.codes import encode, logits
from train.episodes import Score, open_set_classes
from train.omniglot import ImageSet

__all__ = ["CodedSet", "calibration_error", "coded", "halves", "k_shot", "open_set", "verification_pairs", "way_shot"]


@dataclass(frozen=True)
class CodedSet:
    """Codes of an image set.

    codes: float32 (characters, drawers, D), whole numbers 0 to 255. groups: class numbers by alphabet.
    """

    codes: NDArray[np.float32]
    groups: tuple[NDArray[np.int64], ...]
    head: Head

    def logits(self, queries: NDArray[np.float32], supports: NDArray[np.float32]) -> NDArray[np.float64]:
        """The head's logits (Q, S) of codes (Q, D) and (S, D)."""
        return np.asarray(logits(cdist(queries, supports, "cityblock"), self.head))


def coded(matcher: OneShotMatcher, images: ImageSet, drawers: int = 20) -> CodedSet:
    """Embed the first `drawers` drawings of every character through the public API, and code them."""
    flat = images.images[:, :drawers].reshape(-1, *images.images.shape[2:])
    codes = encode(matcher.embed(list(flat)), matcher.bundle.head).astype(np.float32)
    groups = tuple(np.arange(first, last + 1) for first, last in images.alphabets.values())
    return CodedSet(codes.reshape(len(images.images), drawers, -1), groups, matcher.bundle.head)


def way_shot(data: CodedSet, way: int, shot: int, within: bool, episodes: int, seed: int) -> Score:
    """`way`-way `shot`-shot accuracy, one query a class; classes of one alphabet (`within`) or of all.

    The drawer of the queries is none of the supports'. A class's logit is the best of its supports', as the gallery scores it.
    """
    rng = np.random.default_rng(seed)
    everyone = np.arange(len(data.codes))
    correct = total = 0
    for _ in range(episodes):
        pool = data.groups[rng.integers(len(data.groups))] if within else everyone
        classes = rng.choice(pool, min(way, len(pool)), replace=False)
        drawers = rng.permutation(data.codes.shape[1])[: shot + 1]
        supports = data.codes[classes][:, drawers[1:]].reshape(len(classes) * shot, -1)
        found = data.logits(data.codes[classes, drawers[0]], supports).reshape(len(classes), len(classes), shot).max(axis=2)
        correct += int((found.argmax(axis=1) == np.arange(len(classes))).sum())
        total += len(classes)
    return Score(correct, total)


def k_shot(data: CodedSet, shots: tuple[int, ...], episodes: int, seed: int) -> dict[str, dict[int, Score]]:
    """Within-alphabet 20-way accuracy for each number of supports, by aggregation.

    The nearest support, the mean of the logits, and the mean of the codes (a prototype, Snell et al. 2017).
    """
    results: dict[str, dict[int, Score]] = {"nearest": {}, "mean logit": {}, "prototype": {}}
    for shot in shots:
        rng = np.random.default_rng(seed)
        correct, total = dict.fromkeys(results, 0), 0
        for _ in range(episodes):
            pool = data.groups[rng.integers(len(data.groups))]
            classes = rng.choice(pool, min(20, len(pool)), replace=False)
            drawers = rng.permutation(data.codes.shape[1])[: shot + 1]
            queries, supports = data.codes[classes, drawers[0]], data.codes[classes][:, drawers[1:]]
            each = data.logits(queries, supports.reshape(len(classes) * shot, -1)).reshape(len(classes), len(classes), shot)
            found = {
                "nearest": each.max(axis=2),
                "mean logit": each.mean(axis=2),
                "prototype": data.logits(queries, np.rint(supports.mean(axis=1))),
            }
            for name, scores in found.items():
                correct[name] += int((scores.argmax(axis=1) == np.arange(len(classes))).sum())
            total += len(classes)
        for name in results:
            results[name][shot] = Score(correct[name], total)
    return results


def verification_pairs(data: CodedSet, pairs: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Logits and truth of balanced within-alphabet pairs by two drawers: float64 (pairs,), bool (pairs,)."""
    rng = np.random.default_rng(seed)
    truth = np.arange(pairs) % 2 == 0
    distances = np.empty(pairs)
    for index, same in enumerate(truth):
        group = data.groups[rng.integers(len(data.groups))]
        first, second = rng.choice(group, 2, replace=False)
        one, two = rng.choice(data.codes.shape[1], 2, replace=False)
        distances[index] = np.abs(data.codes[first, one] - data.codes[first if same else second, two]).sum()
    return np.asarray(logits(distances, data.head)), truth


def calibration_error(
    probabilities: NDArray[np.float64], truth: NDArray[np.bool_], bins: int = 15
) -> tuple[float, list[tuple[float, float, int]]]:
    """Expected calibration error over equal-width bins (Guo et al. 2017).

    Returns the error, and each bin's mean probability, true share and size.
    """
    slots = np.minimum((probabilities * bins).astype(int), bins - 1)
    rows = [
        (float(probabilities[slots == b].mean()), float(truth[slots == b].mean()), int((slots == b).sum()))
        for b in range(bins)
        if (slots == b).any()
    ]
    return sum(abs(p - t) * n for p, t, n in rows) / len(truth), rows


def open_set(
    data: CodedSet, enrolled: int, episodes: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Galleries of `enrolled` classes, one support each, and strangers; see `open_set_classes`.

    Returns the best logit of each known query, whether its best class is its own, and the best logit of each stranger.
    """
    rng = np.random.default_rng(seed)
    known, right, strangers = [], [], []
    for _ in range(episodes):
        gallery, unknown = open_set_classes(data.groups, enrolled, rng)
        drawers = rng.permutation(data.codes.shape[1])[:2]
        supports = data.codes[gallery, drawers[0]]
        found = data.logits(data.codes[gallery, drawers[1]], supports)
        known.append(found.max(axis=1))
        right.append(found.argmax(axis=1) == np.arange(enrolled))
        strangers.append(data.logits(data.codes[unknown, drawers[1]], supports).max(axis=1))
    return np.concatenate(known), np.concatenate(right), np.concatenate(strangers)


def halves(data: CodedSet) -> tuple[CodedSet, CodedSet]:
    """Two sets of alphabets, every second one in each: what is fitted on one can be tested on the other."""
    return tuple(CodedSet(data.codes, data.groups[first::2], data.head) for first in (0, 1))  # type: ignore[return-value]

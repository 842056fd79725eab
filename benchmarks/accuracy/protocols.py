"""Few-shot protocols on a held-out image set, scored on the codes that the runtime compares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model.bundle import Head
from oneshot_runtime.model.codes import encode, logits, probabilities
from oneshot_runtime.model.conformal import stranger_logit
from oneshot_runtime.model.thresholds import ThresholdTable
from train.calibrate import fit_platt
from train.episodes import STRANGERS, Score, open_set_classes
from train.omniglot import ImageSet

__all__ = [
    "AGGREGATIONS",
    "CodedSet",
    "aggregated",
    "alphabet_galleries",
    "calibration_error",
    "coded",
    "halves",
    "k_shot",
    "open_set",
    "unseen_calibration_errors",
    "verification_pairs",
    "way_shot",
]

AGGREGATIONS = ("nearest", "mean logit", "prototype", "both")


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

    The drawer of the queries is none of the supports'. Classes are ranked as the gallery ranks them, see `aggregated`.
    """
    rng = np.random.default_rng(seed)
    everyone = np.arange(len(data.codes))
    correct = total = 0
    for _ in range(episodes):
        pool = data.groups[rng.integers(len(data.groups))] if within else everyone
        classes = rng.choice(pool, min(way, len(pool)), replace=False)
        drawers = rng.permutation(data.codes.shape[1])[: shot + 1]
        found = aggregated(data, data.codes[classes, drawers[0]], data.codes[classes][:, drawers[1:]])["both"]
        correct += int((found.argmax(axis=1) == np.arange(len(classes))).sum())
        total += len(classes)
    return Score(correct, total)


def k_shot(data: CodedSet, shots: tuple[int, ...], episodes: int, seed: int) -> dict[str, dict[int, Score]]:
    """Within-alphabet 20-way accuracy for each number of supports, by aggregation.

    See `aggregated`.
    """
    results: dict[str, dict[int, Score]] = {name: {} for name in AGGREGATIONS}
    for shot in shots:
        rng = np.random.default_rng(seed)
        correct, total = dict.fromkeys(results, 0), 0
        for _ in range(episodes):
            pool = data.groups[rng.integers(len(data.groups))]
            classes = rng.choice(pool, min(20, len(pool)), replace=False)
            drawers = rng.permutation(data.codes.shape[1])[: shot + 1]
            found = aggregated(data, data.codes[classes, drawers[0]], data.codes[classes][:, drawers[1:]])
            for name, scores in found.items():
                correct[name] += int((scores.argmax(axis=1) == np.arange(len(classes))).sum())
            total += len(classes)
        for name in results:
            results[name][shot] = Score(correct[name], total)
    return results


def aggregated(data: CodedSet, queries: NDArray[np.float32], supports: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Logits (Q, C) of classes with k supports, by aggregation. queries: codes (Q, D). supports: codes (C, k, D).

    The nearest support, the mean of the logits, the mean of the codes (a prototype, Snell et al. 2017), and "both", the mean of
    the nearest's and the prototype's, which is the gallery's.
    """
    classes, shot = supports.shape[:2]
    each = data.logits(queries, supports.reshape(classes * shot, -1)).reshape(len(queries), classes, shot)
    nearest, prototype = each.max(axis=2), data.logits(queries, np.floor(supports.mean(axis=1) + 0.5))
    return dict(zip(AGGREGATIONS, (nearest, each.mean(axis=2), prototype, (nearest + prototype) / 2), strict=True))


def verification_pairs(
    data: CodedSet, pairs: int, seed: int, within: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Logits and truth of balanced pairs by two drawers: float64 (pairs,), bool (pairs,).

    The two characters of a pair are of one alphabet (`within`) or any two of all.
    """
    rng = np.random.default_rng(seed)
    everyone = np.concatenate(data.groups)
    truth = np.arange(pairs) % 2 == 0
    distances = np.empty(pairs)
    for index, same in enumerate(truth):
        pool = data.groups[rng.integers(len(data.groups))] if within else everyone
        first, second = rng.choice(pool, 2, replace=False)
        one, two = rng.choice(data.codes.shape[1], 2, replace=False)
        distances[index] = np.abs(data.codes[first, one] - data.codes[first if same else second, two]).sum()
    return np.asarray(logits(distances, data.head)), truth


def unseen_calibration_errors(data: CodedSet, pairs: int, seed: int) -> list[float]:
    """`calibration_error` on each alphabet, of logits whose scale and offset were fitted on the others."""
    errors = []
    for number, group in enumerate(data.groups):
        rest = CodedSet(data.codes, data.groups[:number] + data.groups[number + 1 :], data.head)
        fitted = fit_platt(*verification_pairs(rest, pairs, seed))
        found, truth = verification_pairs(CodedSet(data.codes, (group,), data.head), pairs, seed + 1)
        errors.append(calibration_error(probabilities(fitted.scale * found + fitted.offset), truth)[0])
    return errors


def calibration_error(
    stated: NDArray[np.float64], truth: NDArray[np.bool_], bins: int = 15
) -> tuple[float, list[tuple[float, float, int]]]:
    """Expected calibration error of probabilities (N,) over equal-width bins (Guo et al. 2017).

    Returns the error, and each bin's mean probability, true share and size.
    """
    slots = np.minimum((stated * bins).astype(int), bins - 1)
    rows = [
        (float(stated[slots == b].mean()), float(truth[slots == b].mean()), int((slots == b).sum()))
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
        found = _asked(data, gallery, unknown, rng)
        for values, new in zip((known, right, strangers), found[:3], strict=True):
            values.append(new)
    return np.concatenate(known), np.concatenate(right), np.concatenate(strangers)


def alphabet_galleries(
    data: CodedSet, table: ThresholdTable, far: float, enrolled: int, native: bool, episodes: int, seed: int
) -> dict[str, tuple[Score, Score]]:
    """Galleries of one alphabet: strangers accepted, and enrolled symbols recognised, at `far`.

    With the table's threshold, and with the one that `gallery.calibrate` fits to the supports of each gallery, which are of
    `enrolled` classes, one support each. Strangers are all its other classes (`native`), or `STRANGERS` of other alphabets.
    Raises `ValueError` when no alphabet has more classes than `enrolled`.
    """
    rng = np.random.default_rng(seed)
    everyone = np.concatenate(data.groups)
    groups = [group for group in data.groups if len(group) > enrolled]
    if not groups:
        raise ValueError(f"no alphabet has more than {enrolled} classes")
    counts = {name: np.zeros(4, int) for name in ("manifest", "fitted to the gallery")}
    for _ in range(episodes):
        classes = rng.permutation(groups[rng.integers(len(groups))])
        unknown = classes[enrolled:] if native else rng.choice(np.setdiff1d(everyone, classes), STRANGERS, replace=False)
        known, right, strangers, supports = _asked(data, classes[:enrolled], unknown, rng)
        between = data.logits(supports, supports)
        np.fill_diagonal(between, -np.inf)
        fitted, _ = stranger_logit(between.max(axis=1).tolist(), far, enrolled, table)
        for name, limit in zip(counts, (table.logit(far, enrolled), fitted), strict=True):
            accepted, recognised = (strangers >= limit).sum(), (right & (known >= limit)).sum()
            counts[name] += [accepted, len(strangers), recognised, len(known)]
    return {name: (Score(int(a), int(s)), Score(int(r), int(k))) for name, (a, s, r, k) in counts.items()}


def _asked(
    data: CodedSet, gallery: NDArray[np.int64], unknown: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64], NDArray[np.float32]]:
    """As `open_set` of one gallery by one writer, asked by another; and the supports' codes."""
    drawers = rng.permutation(data.codes.shape[1])[:2]
    supports = data.codes[gallery, drawers[0]]
    found = data.logits(data.codes[gallery, drawers[1]], supports)
    strangers = data.logits(data.codes[unknown, drawers[1]], supports).max(axis=1)
    return found.max(axis=1), found.argmax(axis=1) == np.arange(len(gallery)), strangers, supports


def halves(data: CodedSet) -> tuple[CodedSet, CodedSet]:
    """Two sets of alphabets, every second one in each: what is fitted on one can be tested on the other."""
    return tuple(CodedSet(data.codes, data.groups[first::2], data.head) for first in (0, 1))  # type: ignore[return-value]

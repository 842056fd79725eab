"""From the nearest classes to an answer: probabilities, the threshold that the false accept rate asks for, and refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.codes import probabilities, probability
from oneshot_runtime.model.conformal import GalleryCalibration
from oneshot_runtime.results import Candidate, Match, clearly_ahead
from oneshot_runtime.search.snapshot import Neighbour
from oneshot_runtime.search.view import View
from oneshot_runtime.vision.readings import Reading

__all__ = ["Decision", "surest"]


class Decision:
    """What is said of a picture. far: the false accept rate, None to refuse nothing."""

    def __init__(self, bundle: Bundle, far: float | None) -> None:
        self._head, self._thresholds, self._far = bundle.head, bundle.thresholds, far
        self._kept: tuple[tuple[int, float, GalleryCalibration | None], float] | None = None

    def of(
        self, view: View, best: Sequence[Neighbour], top_k: int, readings: int, calibration: GalleryCalibration | None
    ) -> Match:
        """The answer to a picture that was read in so many ways, by its nearest classes of a view of the gallery."""
        if not best:
            return Match(None, 0.0, (), None)
        threshold = self._threshold(view, readings, calibration)
        candidates = [Candidate(n.label, probability(n.class_distance, self._head)) for n in best]
        first, runner_up = candidates[0], candidates[1].probability if len(candidates) > 1 else None
        listed = tuple(candidates[:top_k])
        if first.probability >= threshold:
            return Match(first.label, first.probability, listed, threshold)
        probably = first.label if clearly_ahead(first.probability, runner_up) else None
        return Match(None, first.probability, listed, threshold, probably)

    def _threshold(self, view: View, readings: int, calibration: GalleryCalibration | None) -> float:
        """The probability at which a gallery of so many classes and supports meets the false accept rate; 0 refuses nothing.

        The best of several readings is the best of so many times the comparisons, as in a gallery so many times as large.
        """
        if self._far is None:
            return 0.0
        classes, supports = view.classes * readings, view.supports / max(1, view.classes)
        key = classes, supports, calibration
        kept = self._kept
        if kept is None or kept[0] != key:
            logit = self._thresholds.logit(self._far, classes, supports) + (calibration.offset if calibration else 0.0)
            self._kept = kept = key, float(probabilities(np.array([logit]))[0])
        return kept[1]


def surest(matches: list[Match], ways: list[Reading]) -> Match:
    """Of the answers to all ways of reading one picture, the one that is surest."""
    if len(ways) == 1 and ways[0].symbols == 1 and ways[0].page is None:
        return matches[0]
    best = max(matches, key=lambda match: match.probability)
    return replace(best, symbols=ways[0].symbols, readings=len(ways), page=ways[0].page)

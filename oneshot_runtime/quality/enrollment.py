"""What is odd about pictures that were enrolled: too little ink, clipped, a near-duplicate, confusable, an outlier.

The limits come from the model: the logits at which its false accept rates were met, see `Limits`. docs/enrollment.md explains
each finding to users.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.bundle import Bundle, Head
from oneshot_runtime.model.codes import probability, sum_absolute_differences
from oneshot_runtime.model.thresholds import ThresholdTable
from oneshot_runtime.search.index import Neighbour
from oneshot_runtime.stores.base import BatchView, View
from oneshot_runtime.vision.preprocess import ink_at_edges

__all__ = ["EVEN_ODDS", "SHOTS", "EnrollmentReport", "Finding", "FindingKind", "Limits", "review", "too_close"]

FindingKind = Literal["little-ink", "clipped", "duplicate", "confusable", "outlier"]

_LITTLE_INK = 0.008
"""Share of the canvas below which what is left is a speck: 4,000 drawings of Omniglot's background set have 1.4 % at least."""

_NO_TABLE = 4.6
"""Logit of 99 %, for a bundle that was exported without thresholds."""

SHOTS = 3
"""Shots of a class from which one can be the odd one out: of two, none is."""

EVEN_ODDS = 0.5
"""Probability below which two drawings are more likely of different symbols."""

_OTHERS = 5
"""Other classes that are named for one picture, at most."""


@dataclass(frozen=True)
class Finding:
    """Something to look at; the picture was enrolled all the same.

    kind: "little-ink", "clipped", "duplicate", "confusable" or "outlier". image: its place in the list that was enrolled.
    label: its class. other: the class that it comes close to, for "duplicate" and "confusable". probability: in [0, 1], that
    it shows the same symbol as the nearest support of `other`, or for "outlier" of its own class. message: for people.
    """

    kind: FindingKind
    image: int
    label: str
    other: str | None
    probability: float | None
    message: str


class EnrollmentReport:
    """What `OneShotMatcher.enroll` added, and what is odd about it. supports: how many pictures were added."""

    def __init__(self, label: str, supports: int, find: Callable[[], tuple[Finding, ...]]) -> None:
        self.label = label
        self.supports = supports
        self._find = find

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What is odd, by comparison with the gallery as it was before; worked out when first read, with a search a picture."""
        return self._find()

    def __repr__(self) -> str:
        return f"EnrollmentReport(label={self.label!r}, supports={self.supports})"


@dataclass(frozen=True)
class Limits:
    """Logits from which another class is too close, in a gallery of a given size.

    duplicate: at the strictest false accept rate the bundle was calibrated for, where hardly any other symbol comes.
    confusable: at the matcher's false accept rate, where a query would be accepted; even odds when it never refuses.
    """

    duplicate: float
    confusable: float

    @classmethod
    def of(cls, table: ThresholdTable, far: float | None, classes: int) -> Limits:
        """For a comparison with `classes` classes by a matcher of that `far`."""
        confusable = 0.0 if far is None else table.logit(far, max(1, classes))
        duplicate = table.logit(min(table.logits), max(1, classes)) if table.logits else _NO_TABLE
        return cls(max(duplicate, confusable), confusable)


def review(
    bundle: Bundle,
    far: float | None,
    label: str,
    pictures: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
    codes: NDArray[np.uint8],
    before: View,
    had: int,
    shots: Callable[[], NDArray[np.uint8]],
) -> EnrollmentReport:
    """Look at pictures of `label` and their codes uint8 (N, D); what needs a search waits until the report is read.

    pictures: grey image uint8 (H, W) and canvas uint8 (h, w) of each. before: the gallery without them, where `label` had `had`
    supports. shots: gives their codes uint8 (had, D); called only where the search did not come across them.

    To be called before the pictures are added: a `BatchView` may search a later state than its own, so it is asked at once.
    """
    asked = before.nearest_batch(codes, _OTHERS + (had > 0)) if isinstance(before, BatchView) else None
    ink = [_ink_findings(image, label, grey, canvas) for image, (grey, canvas) in enumerate(pictures)]

    def find() -> tuple[Finding, ...]:
        limits = Limits.of(bundle.thresholds, far, before.classes - (had > 0))
        findings: list[Finding] = []
        for image, code in enumerate(codes):
            nearest = before.nearest(code, _OTHERS + (had > 0)) if asked is None else asked[image]
            others = [neighbour for neighbour in nearest if neighbour.label != label]
            findings += ink[image] + _close_findings(image, label, others[:_OTHERS], limits, bundle.head)
            if had + len(codes) >= SHOTS:
                own = [neighbour.distance for neighbour in nearest if neighbour.label == label]
                if len(codes) > 1:
                    own.append(int(sum_absolute_differences(np.delete(codes, image, axis=0), code).min()))
                if had and len(own) < 1 + (len(codes) > 1):
                    own += sum_absolute_differences(shots(), code).tolist()
                findings += _outlier(image, label, own, bundle.head)
        return tuple(findings)

    return EnrollmentReport(label, len(codes), find)


def too_close(logit: float, limits: Limits) -> Literal["duplicate", "confusable"] | None:
    """What a support of another class at this logit is, None when it is far enough."""
    if logit >= limits.duplicate:
        return "duplicate"
    return "confusable" if logit >= limits.confusable else None


def _closeness(kind: str, other: str, value: float) -> str:
    if kind == "duplicate":
        return f"looks the same as {other!r} (p = {value:.3f}): the same symbol under two labels?"
    return f"may be confused with {other!r} (p = {value:.3f}): more drawings of both help to tell them apart"


def _ink_findings(image: int, label: str, grey: NDArray[np.uint8], canvas: NDArray[np.uint8]) -> list[Finding]:
    findings = []
    share = float(canvas.mean()) / 255
    if share < _LITTLE_INK:
        message = f"shows almost nothing: ink covers {100 * share:.2f} % of what the model sees; is it the right picture?"
        findings.append(Finding("little-ink", image, label, None, None, message))
    edges = ink_at_edges(grey)
    if edges:
        message = f"the ink touches the {' and '.join(edges)} of the picture: leave a margin, or part of the symbol is missing"
        findings.append(Finding("clipped", image, label, None, None, message))
    return findings


def _close_findings(image: int, label: str, others: list[Neighbour], limits: Limits, head: Head) -> list[Finding]:
    findings = []
    for other in others:
        logit = head.bias - other.distance / head.code_scale
        kind = too_close(logit, limits)
        if kind:
            value = probability(other.distance, head)
            message = _closeness(kind, other.label, value)
            findings.append(Finding(kind, image, label, other.label, value, message))
    return findings


def _outlier(image: int, label: str, own: list[int], head: Head) -> list[Finding]:
    """A finding when all siblings at distances `own` (SAD) are more likely another symbol than the same."""
    if not own or (value := probability(min(own), head)) >= EVEN_ODDS:
        return []
    message = f"unlike every other drawing of {label!r} (p = {value:.3f} at best): another symbol by mistake?"
    return [Finding("outlier", image, label, None, value, message)]

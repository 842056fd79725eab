"""What is odd about pictures that were enrolled: too little ink, clipped, a near-duplicate, confusable, an outlier.

The limits come from the model: the logits at which its false accept rates were met, see `Limits`. docs/enrollment.md explains
each finding to users.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.bundle import Head
from oneshot_runtime.model.codes import probability, sum_absolute_differences
from oneshot_runtime.model.thresholds import ThresholdTable
from oneshot_runtime.results import shortened
from oneshot_runtime.search.snapshot import Neighbour
from oneshot_runtime.search.view import BatchView, View
from oneshot_runtime.vision.preprocess import ink_at_edges
from oneshot_runtime.vision.readings import Reading

__all__ = [
    "EVEN_ODDS",
    "SHOTS",
    "EnrollmentReport",
    "Finding",
    "FindingKind",
    "Limits",
    "repeated_places",
    "review",
    "too_close",
]

FindingKind = Literal["cut-out", "several", "pages", "little-ink", "clipped", "repeated", "duplicate", "confusable", "outlier"]

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

    Attributes:
        kind: One of `FindingKind`.
        image: The picture's place in the list that was enrolled.
        label: Its class.
        other: The class that it comes close to, for "duplicate" and "confusable".
        probability: In [0, 1], that the picture shows the same symbol as `other`'s nearest support for "duplicate", as `other`
            for "confusable", or as the nearest support of its own class for "outlier".
        message: What was found, for people.
    """

    kind: FindingKind
    image: int
    label: str
    other: str | None
    probability: float | None
    message: str

    def __repr__(self) -> str:
        other = "" if self.other is None else f", other={shortened(self.other)}"
        value = "" if self.probability is None else f", probability={self.probability:.4f}"
        return f"Finding({self.kind!r}, image={self.image}{other}{value})"


@dataclass(frozen=True)
class EnrollmentReport:
    """What `OneShotMatcher.enroll` added, and what is odd about it.

    Attributes:
        label: The class.
        supports: How many pictures were added.
        taken: What was taken of each picture as the symbol: uint8 (h, w).
        findings: What is odd, by comparison with the gallery as it was before.
    """

    label: str
    supports: int
    findings: tuple[Finding, ...]
    taken: tuple[NDArray[np.uint8], ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        return f"EnrollmentReport({shortened(self.label)}, supports={self.supports}, findings={len(self.findings)})"


@dataclass(frozen=True)
class Limits:
    """Logits from which another class is too close, in a gallery of a given size.

    duplicate: at the strictest false accept rate the bundle was calibrated for, where hardly any other symbol comes.
    confusable: at the matcher's false accept rate, where a query would be accepted; even odds when it never refuses.
    """

    duplicate: float
    confusable: float

    @classmethod
    def of(cls, table: ThresholdTable, far: float | None, classes: int, offset: float = 0.0) -> Limits:
        """For a comparison with `classes` classes by a matcher of that `far`, whose gallery was calibrated to that offset."""
        confusable = 0.0 if far is None else table.logit(far, max(1, classes)) + offset
        duplicate = table.logit(min(table.logits), max(1, classes)) if table.logits else _NO_TABLE
        return cls(max(duplicate, confusable), confusable)


def review(
    label: str,
    pictures: Sequence[tuple[Reading, NDArray[np.uint8]]],
    codes: NDArray[np.uint8],
    before: View,
    shots: NDArray[np.uint8],
    limits: Limits,
    head: Head,
) -> EnrollmentReport:
    """Look at pictures that are about to be added; costs a search each.

    Args:
        label: Their class.
        pictures: What was taken of each, and its canvas uint8 (h, w).
        codes: Their codes uint8 (N, D).
        before: The gallery without them.
        shots: The codes uint8 (n, D) that the class has there.
        limits: From which another class is too close.
        head: Turns distances into probabilities.
    """
    count = _OTHERS + (len(shots) > 0)
    near = before.nearest_batch(codes, count) if isinstance(before, BatchView) else [before.nearest(c, count) for c in codes]
    findings: list[Finding] = []
    places = repeated_places(codes, shots)
    for image, (code, nearest, (taken, canvas)) in enumerate(zip(codes, near, pictures, strict=True)):
        others = [neighbour for neighbour in nearest if neighbour.label != label][:_OTHERS]
        findings += _taken_findings(image, label, taken) + _ink_findings(image, label, taken.drawing, canvas)
        if image in places:
            message = f"the same picture as support {places[image]} of {label!r}, counted from 0: it makes nothing surer"
            findings.append(Finding("repeated", image, label, None, None, message))
        findings += _close_findings(image, label, others, limits, head)
        if len(shots) + len(codes) >= SHOTS:
            siblings = np.concatenate((shots, np.delete(codes, image, axis=0)))
            findings += _outlier(image, label, sum_absolute_differences(siblings, code).tolist(), head)
    return EnrollmentReport(label, len(codes), tuple(findings), tuple(taken.drawing for taken, _ in pictures))


def repeated_places(codes: NDArray[np.uint8], shots: NDArray[np.uint8]) -> dict[int, int]:
    """Which of the codes uint8 (N, D) the class has already, among its `shots` uint8 (n, D) or earlier in `codes`.

    Returns the place of the support that each equals, in the class as it will be with the others.
    """
    seen = {code.tobytes(): place for place, code in reversed(list(enumerate(shots)))}
    found = {}
    for image, code in enumerate(codes):
        first = seen.setdefault(code.tobytes(), len(shots) + image)
        if first != len(shots) + image:
            found[image] = first
    return found


def too_close(logit: float, limits: Limits) -> Literal["duplicate", "confusable"] | None:
    """What a support of another class at this logit is, None when it is far enough."""
    if logit >= limits.duplicate:
        return "duplicate"
    return "confusable" if logit >= limits.confusable else None


def _closeness(kind: Literal["duplicate", "confusable"], image: int, label: str, other: str, value: float) -> Finding:
    if kind == "duplicate":
        message = f"looks the same as {other!r} (p = {value:.3f}): the same symbol under two labels?"
    else:
        message = f"may be confused with {other!r} (p = {value:.3f}): more drawings of both help to tell them apart"
    return Finding(kind, image, label, other, value, message)


def _taken_findings(image: int, label: str, taken: Reading) -> list[Finding]:
    findings = []
    if not taken.whole:
        x, y, width, height = taken.box
        left_out = f"; left out: {', '.join(taken.dropped)}" if taken.dropped else ""
        message = (
            f"the symbol was cut out of the picture: {width}x{height} pixels at {x}, {y}{left_out}. "
            "Look at what was taken, and choose with region= or keep_frame= if it is not the symbol"
        )
        findings.append(Finding("cut-out", image, label, None, None, message))
    if taken.symbols > 1:
        message = f"{taken.symbols} symbols here: enroll them one by one, with region= for each"
        findings.append(Finding("several", image, label, None, None, message))
    if taken.page is not None:
        message = f"the file has several pages or frames, and page {taken.page} was read: page= takes another"
        findings.append(Finding("pages", image, label, None, None, message))
    return findings


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
        nearest, whole = (head.bias - distance / head.code_scale for distance in (other.distance, other.class_distance))
        # A duplicate is one of the class's pictures; what the matcher would accept is the class as a whole.
        if too_close(nearest, limits) == "duplicate":
            findings.append(_closeness("duplicate", image, label, other.label, probability(other.distance, head)))
        elif whole >= limits.confusable:
            findings.append(_closeness("confusable", image, label, other.label, probability(other.class_distance, head)))
    return findings


def _outlier(image: int, label: str, own: list[int], head: Head) -> list[Finding]:
    """A finding when all siblings at distances `own` (SAD) are more likely another symbol than the same."""
    if not own or (value := probability(min(own), head)) >= EVEN_ODDS:
        return []
    message = f"unlike every other drawing of {label!r} (p = {value:.3f} at best): another symbol by mistake?"
    return [Finding("outlier", image, label, None, value, message)]

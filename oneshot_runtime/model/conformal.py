"""Fit the threshold for strangers to the symbols that are enrolled, by the distances between themselves.

The manifest's thresholds are for strangers from any alphabet. A stranger that comes from the gallery's own alphabet is nearer:
as near as one enrolled class is to the others. So each class is asked for in the gallery without it, and the threshold is the
order statistic that split conformal prediction takes (Vovk, Gammerman, Shafer 2005; Papadopoulos et al. 2002).
"""

from __future__ import annotations

import heapq
import json
import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import GalleryError, OptionError
from oneshot_runtime.model.bundle import Head
from oneshot_runtime.model.codes import probability
from oneshot_runtime.model.thresholds import ThresholdTable, check_far

__all__ = ["MIN_CLASSES", "GalleryCalibration", "calibrate", "stranger_logit"]

MIN_CLASSES = 19
"""Classes that give a rate of 5 %, the default: of n + 1 the nearest is one."""

_MOST_QUERIES = 2000
_SKETCHED = 64
_KEPT = 0.75
"""Share of the classes that must still be the same."""


@dataclass(frozen=True)
class GalleryCalibration:
    """A threshold fitted to a gallery.

    Attributes:
        far: The false accept rate it is for.
        classes: How many were enrolled.
        asked: How many of them were asked for.
        threshold: The probability from which a gallery of this size accepts.
        offset: By how much its logit lies above the manifest's; it stays so when classes are added or removed.
        exact: Whether the supports alone gave it; with fewer than 1 / far - 1 classes the step from the lowest rate that they
            give to `far` is the manifest's.
        sketch: The 64 smallest hashes of the labels, by which to tell how many classes came or went since (Broder 1997).
    """

    far: float
    classes: int
    asked: int
    threshold: float
    offset: float
    exact: bool
    sketch: tuple[int, ...] = field(default=(), repr=False)

    def is_stale(self, labels: Iterable[str]) -> bool:
        """Whether it should be fitted again: a quarter of the classes came or went since, as far as the sketch tells.

        Args:
            labels: The classes that are enrolled now.

        Returns:
            True when it should.
        """
        now = _sketch(labels)
        either = sorted({*self.sketch, *now})[:_SKETCHED]
        both = sum(value in self.sketch and value in now for value in either)
        return both < _KEPT * len(either)

    def to_note(self) -> str:
        """As a text to keep with the gallery.

        Returns:
            The text, which `from_note` reads.
        """
        return json.dumps(asdict(self))

    @classmethod
    def from_note(cls, text: str) -> GalleryCalibration | None:
        """Inverse of `to_note`.

        Args:
            text: What `to_note` gave.

        Returns:
            The calibration; None for a text that `to_note` never gives.
        """
        try:
            values = json.loads(text)
            fitted = cls(**values | {"sketch": tuple(map(int, values["sketch"]))})
            numbers = (fitted.far, fitted.threshold, fitted.offset, fitted.classes, fitted.asked)
            return fitted if all(math.isfinite(number) for number in numbers) else None
        except (ValueError, TypeError, KeyError, OverflowError):
            return None


class _Neighbour(Protocol):
    @property
    def label(self) -> str: ...

    @property
    def class_distance(self) -> float: ...


Ranked = Callable[[NDArray[np.uint8], int], Sequence[_Neighbour]]
"""Gives the classes that rank best for a code uint8 (D,), so many at most, best first."""


def calibrate(
    labels: Sequence[str],
    codes_of: Callable[[str], NDArray[np.uint8]],
    ranked: Ranked,
    head: Head,
    thresholds: ThresholdTable,
    far: float,
    supports: float = 1.0,
) -> GalleryCalibration:
    """Ask for the first support of each class, of 2,000 spread evenly over a larger gallery, among the other classes.

    Args:
        labels: The enrolled classes.
        codes_of: Gives the codes uint8 (n, D) of a class's supports; n is 0 where it was removed since.
        ranked: Searches the supports of these classes.
        head: Turns distances into logits.
        thresholds: Of the bundle, for strangers from any alphabet.
        far: False accept rate in (0, 0.5] to fit the threshold for.
        supports: Mean number of supports of a class.

    Raises:
        OptionError: For a rate outside (0, 0.5], or a bundle without thresholds.
        GalleryError: With fewer than 19 classes.
    """
    far = check_far(far)
    if not thresholds.logits:
        raise OptionError(
            "this bundle has no thresholds, so none can be fitted: export it from a checkpoint with held-out alphabets"
        )
    if len(labels) < MIN_CLASSES:
        raise GalleryError(f"{len(labels)} classes are too few to fit a threshold to: enroll {MIN_CLASSES} at least")
    step = -(-len(labels) // _MOST_QUERIES)
    scores = []
    for label in labels[::step]:
        codes = codes_of(label)
        if len(codes):
            other = next(neighbour for neighbour in ranked(codes[0], 2) if neighbour.label != label)
            scores.append(head.bias - other.class_distance / head.code_scale)
    logit, exact = stranger_logit(scores, far, len(labels), thresholds)
    distance = (head.bias - logit) * head.code_scale
    offset = logit - thresholds.logit(far, len(labels), supports)
    return GalleryCalibration(far, len(labels), len(scores), probability(distance, head), offset, exact, _sketch(labels))


def _sketch(labels: Iterable[str]) -> tuple[int, ...]:
    return tuple(heapq.nsmallest(_SKETCHED, {zlib.crc32(label.encode()) for label in labels}))


def stranger_logit(scores: Sequence[float], far: float, classes: int, table: ThresholdTable) -> tuple[float, bool]:
    """The logit that a stranger reaches at rate `far`, from the best logit of each class among the others.

    Of n + 1 exchangeable scores, the last is above the k-th smallest of the others with probability 1 - k / (n + 1). Returns
    the k-th and True, or, where n is too small for `far`, the largest and the table's step from its rate to `far`, and False.
    """
    ordered, count = sorted(scores), len(scores)
    rank = math.ceil((count + 1) * (1 - far))
    if rank <= count:
        return ordered[rank - 1], True
    reached = min(max(table.logits), 1 / (count + 1))
    return ordered[-1] + table.step(reached, far, classes), False

"""Fit the threshold for strangers to the symbols that are enrolled, by the distances between themselves.

The manifest's thresholds are for strangers from any alphabet. A stranger that comes from the gallery's own alphabet is nearer:
as near as one enrolled class is to the others. So each class is asked for in the gallery without it, and the threshold is the
order statistic that split conformal prediction takes (Vovk, Gammerman, Shafer 2005; Papadopoulos et al. 2002).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import GalleryError, OptionError
from oneshot_runtime.model.bundle import Head
from oneshot_runtime.model.codes import probability
from oneshot_runtime.model.thresholds import ThresholdTable

__all__ = ["MIN_CLASSES", "GalleryCalibration", "calibrate", "stranger_logit"]

MIN_CLASSES = 19
"""Classes that give a rate of 5 %, the highest that bundles are calibrated for: of n + 1 the nearest is one."""

_MOST_QUERIES = 2000
_NEAREST = 6
"""Classes that are looked at, the own one among them."""


@dataclass(frozen=True)
class GalleryCalibration:
    """A threshold fitted to a gallery.

    far: the false accept rate it is for. classes: how many were enrolled. asked: how many of them were asked for. threshold:
    the probability from which a gallery of this size accepts. offset: by how much its logit lies above the manifest's; it stays
    so when classes are added or removed. exact: whether the supports alone gave it; with fewer than 1 / far - 1 classes the
    step from the lowest rate that they give to `far` is the manifest's.
    """

    far: float
    classes: int
    asked: int
    threshold: float
    offset: float
    exact: bool


class _Neighbour(Protocol):
    @property
    def label(self) -> str: ...

    @property
    def class_distance(self) -> float: ...


class IndexView(Protocol):
    """One state of a gallery, as far as calibration reads it."""

    def nearest(self, query: NDArray[np.uint8], count: int) -> Sequence[_Neighbour]:
        """The `count` classes nearest to the code uint8 (D,), nearest first."""
        ...


def calibrate(
    labels: Sequence[str],
    codes_of: Callable[[str], NDArray[np.uint8]],
    view: IndexView,
    head: Head,
    thresholds: ThresholdTable,
    far: float,
) -> GalleryCalibration:
    """Ask for the first support of each class, of 2,000 spread evenly over a larger gallery, among the other classes.

    Args:
        labels: The enrolled classes.
        codes_of: Gives the codes uint8 (n, D) of a class's supports; n is 0 where it was removed since.
        view: Searches the supports of these classes.
        head: Turns distances into logits.
        thresholds: Of the bundle, for strangers from any alphabet.
        far: False accept rate in (0, 1) to fit the threshold for.

    Raises:
        OptionError: For a rate that the bundle was not calibrated for.
        GalleryError: With fewer than 19 classes.
    """
    rates = sorted(thresholds.logits)
    if not isinstance(far, int | float) or not rates or not rates[0] <= far <= rates[-1]:
        known = f"from {rates[0]} to {rates[-1]}" if rates else "at all"
        raise OptionError(f"far={far!r}: the thresholds of this bundle can be fitted for no rate but those {known}")
    if len(labels) < MIN_CLASSES:
        raise GalleryError(f"{len(labels)} classes are too few to fit a threshold to: enroll {MIN_CLASSES} at least")
    step = -(-len(labels) // _MOST_QUERIES)
    scores = []
    for label in labels[::step]:
        codes = codes_of(label)
        if len(codes):
            near = [neighbour for neighbour in view.nearest(codes[0], _NEAREST) if neighbour.label != label]
            scores.append(head.bias - min(neighbour.class_distance for neighbour in near) / head.code_scale)
    logit, exact = stranger_logit(scores, far, len(labels), thresholds)
    distance = (head.bias - logit) * head.code_scale
    offset = logit - thresholds.logit(far, len(labels))
    return GalleryCalibration(far, len(labels), len(scores), probability(distance, head), offset, exact)


def stranger_logit(scores: Sequence[float], far: float, classes: int, table: ThresholdTable) -> tuple[float, bool]:
    """The logit that a stranger reaches at rate `far`, from the best logit of each class among the others.

    Of n + 1 exchangeable scores, the last is above the k-th smallest of the others with probability 1 - k / (n + 1). Returns
    the k-th and True, or, where n is too small for `far`, the largest with the table's difference from its rate, and False.
    """
    ordered, count = sorted(scores), len(scores)
    rank = math.ceil((count + 1) * (1 - far))
    if rank <= count:
        return ordered[rank - 1], True
    reached = min(max(table.logits), 1 / (count + 1))
    return ordered[-1] + table.logit(far, classes) - table.logit(reached, classes), False

"""The probability from which a match counts as known, for a false accept rate and a gallery's size."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oneshot_runtime.errors import BundleError, OptionError

__all__ = ["DEFAULT_FAR", "ThresholdTable", "check_far"]

DEFAULT_FAR = 0.05
"""The false accept rate everywhere: of twelve writers' drawings that 0.01 refused, all were ranked right."""

_HIGHEST_FAR = 0.5


def check_far(far: float) -> float:
    """The rate as a float, if it is a number above 0 and at most 0.5, numpy's included; else `OptionError`."""
    if not isinstance(far, numbers.Real) or isinstance(far, bool) or not 0 < far <= _HIGHEST_FAR:
        raise OptionError(
            f"far={far!r:.80}: it is the share of unknown symbols that may be given a label, a number above 0 and at most "
            f"{_HIGHEST_FAR}, or None to refuse none"
        )
    return float(far)


@dataclass(frozen=True)
class ThresholdTable:
    """Logits at which false accept rates were met on held-out alphabets, by the number of enrolled classes.

    sizes: ascending numbers of classes. logits: for each false accept rate, one logit per size.
    """

    sizes: tuple[int, ...]
    logits: Mapping[float, tuple[float, ...]]

    def __repr__(self) -> str:
        return f"ThresholdTable(classes={self.sizes}, rates={tuple(self.logits)})"

    @classmethod
    def from_list(cls, entries: Sequence[Mapping[str, Any]]) -> ThresholdTable:
        """From the manifest's entries `{"classes": n, "logits": {"0.01": logit, ...}}`. Raises `BundleError`."""
        rows = sorted(entries, key=lambda entry: int(entry["classes"]))
        sizes = tuple(int(row["classes"]) for row in rows)
        if len(set(sizes)) != len(sizes) or any(size < 1 for size in sizes):
            raise BundleError(f"thresholds: expected different numbers of classes from 1 on, got {sizes}")
        fars = {float(far) for row in rows for far in row["logits"]}
        if any(not 0 < far < 1 for far in fars):
            raise BundleError(f"thresholds: false accept rates lie between 0 and 1, got {sorted(fars)}")
        logits = {far: tuple(float(row["logits"][str(far)]) for row in rows) for far in sorted(fars)}
        if not all(math.isfinite(value) for row in logits.values() for value in row):
            raise BundleError("thresholds: every logit must be finite")
        return cls(sizes, logits)

    def logit(self, far: float, classes: int) -> float:
        """The logit for a gallery of `classes` classes, interpolated over the logarithm of the size and of the rate.

        Beyond the fitted sizes the last slope goes on: with n supports the best stranger is the best of n draws, whose
        logit grows with log n. Beyond the fitted rates too, which accepts fewer strangers than a higher rate allows. Raises
        `BundleError` where the bundle has no thresholds.
        """
        rates = sorted(self.logits)
        if not rates:
            raise BundleError(
                "the bundle has no thresholds, so it cannot tell strangers at a false accept rate: "
                "load it with far=None, or export a checkpoint that was trained with held-out alphabets"
            )
        by_rate = [self._at_size(self.logits[rate], classes) for rate in rates]
        return _interpolate([math.log(rate) for rate in rates], by_rate, math.log(far))

    def _at_size(self, values: tuple[float, ...], classes: int) -> float:
        if len(values) == 1:
            return values[0]
        return _interpolate([math.log(size) for size in self.sizes], values, math.log(max(1, classes)))


def _interpolate(x: Sequence[float], y: Sequence[float], at: float) -> float:
    """Piecewise linear through (x, y), going on with the outer slopes."""
    if len(x) == 1:
        return y[0]
    upper = next((index for index in range(1, len(x)) if at <= x[index]), len(x) - 1)
    left, right = upper - 1, upper
    return y[left] + (y[right] - y[left]) * (at - x[left]) / (x[right] - x[left])

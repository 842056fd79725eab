"""The probability from which a match counts as known, for a false accept rate and a gallery's size."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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

    Attributes:
        sizes: Ascending numbers of classes.
        logits: For each false accept rate, one logit per size, in galleries of one support a class.
        by_supports: The same, by the number of supports a class: with more of them, a stranger comes closer.
        own: Those of one support a class for strangers of the alphabet that fills the gallery, at sizes that it can fill.
    """

    sizes: tuple[int, ...]
    logits: Mapping[float, tuple[float, ...]]
    by_supports: Mapping[int, ThresholdTable] = field(default_factory=dict)
    own: ThresholdTable | None = None

    def __repr__(self) -> str:
        return f"ThresholdTable(classes={self.sizes}, rates={tuple(self.logits)}, supports={(1, *self.by_supports)})"

    @classmethod
    def from_list(cls, entries: Sequence[Mapping[str, Any]]) -> ThresholdTable:
        """From the manifest's entries, one for each number of classes. Raises `BundleError`.

        `{"classes": n, "logits": {"0.01": logit, ...}, "by_supports": {"5": {"0.01": logit, ...}}, "own": {"0.01": logit}}`;
        the last two may be missing, `own` also where others have it.
        """
        rows = sorted(entries, key=lambda entry: int(entry["classes"]))
        shots = sorted({int(number) for row in rows for number in row.get("by_supports", {})})
        if any(number < 2 for number in shots):
            raise BundleError(f"thresholds: expected numbers of supports from 2 on, got {shots}")
        more = {n: cls._of([(int(row["classes"]), row["by_supports"][str(n)]) for row in rows]) for n in shots}
        near = [(int(row["classes"]), row["own"]) for row in rows if "own" in row]
        table = cls._of([(int(row["classes"]), row["logits"]) for row in rows])
        return replace(table, by_supports=more, own=cls._of(near) if near else None)

    @classmethod
    def _of(cls, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> ThresholdTable:
        sizes = tuple(size for size, _ in rows)
        if len(set(sizes)) != len(sizes) or any(size < 1 for size in sizes):
            raise BundleError(f"thresholds: expected different numbers of classes from 1 on, got {sizes}")
        fars = {float(far) for _, row in rows for far in row}
        if any(not 0 < far < 1 for far in fars):
            raise BundleError(f"thresholds: false accept rates lie between 0 and 1, got {sorted(fars)}")
        logits = {far: tuple(float(row[str(far)]) for _, row in rows) for far in sorted(fars)}
        if not all(math.isfinite(value) for row in logits.values() for value in row):
            raise BundleError("thresholds: every logit must be finite")
        return cls(sizes, logits)

    def logit(self, far: float, classes: int, supports: float = 1.0) -> float:
        """The logit for a gallery of `classes` classes, interpolated over the logarithms of the sizes and of the rate.

        Beyond the fitted numbers of classes the last slope goes on: with n supports the best stranger is the best of n draws,
        whose logit grows with log n. Beyond the fitted rates too, which accepts fewer strangers than a higher rate allows.

        Args:
            far: False accept rate.
            classes: Enrolled classes.
            supports: Mean number of supports of a class. Beyond the most that were fitted it makes no difference: what many
                supports have in common changes no more.

        Raises:
            BundleError: The bundle has no thresholds.
        """
        rates = sorted(self.logits)
        if not rates:
            raise BundleError(
                "the bundle has no thresholds, so it cannot tell strangers at a false accept rate: "
                "load it with far=None, or export a checkpoint that was trained with held-out alphabets"
            )
        by_rate = [self._at_size(self.logits[rate], classes) for rate in rates]
        single = _interpolate([math.log(rate) for rate in rates], by_rate, math.log(far))
        if supports <= 1 or not self.by_supports:
            return single
        shots = sorted(self.by_supports)
        several = [single, *(self.by_supports[number].logit(far, classes) for number in shots)]
        return _interpolate([math.log(number) for number in (1, *shots)], several, math.log(min(supports, shots[-1])))

    def step(self, reached: float, far: float, classes: int) -> float:
        """By how much the logit at rate `far` lies above that at `reached`, for strangers of the gallery's own alphabet.

        Where the bundle says nothing of those, for strangers from everywhere.
        """
        table = self.own or self
        at = min(classes, table.sizes[-1])
        return table.logit(far, at) - table.logit(reached, at)

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

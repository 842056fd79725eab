"""Look over a whole gallery: near-duplicates under two labels, outliers among a class's shots, classes to confuse."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import ImageError, OptionError
from oneshot_runtime.model.codes import probability, sum_absolute_differences
from oneshot_runtime.quality.enrollment import EVEN_ODDS, SHOTS, Limits, too_close
from oneshot_runtime.results import shortened
from oneshot_runtime.vision.decode import to_grey

if TYPE_CHECKING:
    from oneshot_runtime.gallery import Gallery
    from oneshot_runtime.model.bundle import Bundle, Head

__all__ = ["GalleryAudit", "GalleryFinding", "audit_gallery", "support_picture"]

MAX_SUPPORTS = 20_000
"""Supports that are compared all against all, which takes time with their square."""

_KEPT = 1000
_BLOCK, _PAIRS = 128, 4096
_ORDER = ("duplicate", "outlier", "confusable")
_FAR_AWAY = np.iinfo(np.int32).max


@dataclass(frozen=True)
class GalleryFinding:
    """Two supports that should not be as near, or as far, as they are.

    kind: "duplicate" or "confusable" of two classes, "outlier" within one. label and shot: a class and the place of the support
    among its shots, from 0. other, other_shot: the support nearest to it, of another class or for "outlier" of the same.
    probability: in [0, 1], that both show the same symbol.
    """

    kind: Literal["duplicate", "outlier", "confusable"]
    label: str
    shot: int
    other: str
    other_shot: int
    probability: float

    def __repr__(self) -> str:
        first, second = (
            f"{shortened(name)}[{shot}]" for name, shot in ((self.label, self.shot), (self.other, self.other_shot))
        )
        return f"GalleryFinding({self.kind!r}, {first}, {second}, probability={self.probability:.4f})"

    @property
    def message(self) -> str:
        """A sentence for people."""
        p = f"p = {self.probability:.3f}"
        first, second = (
            f"{name!r} (support {shot})" for name, shot in ((self.label, self.shot), (self.other, self.other_shot))
        )
        if self.kind == "duplicate":
            return f"{first} looks the same as {second}, {p}: the same symbol under two labels?"
        if self.kind == "outlier":
            return f"{first} is unlike every other drawing of its class, {p} at best: another symbol by mistake?"
        return f"{first} may be confused with {second}, {p}: more drawings of both help to tell them apart"


@dataclass(frozen=True)
class GalleryAudit:
    """What `audit_gallery` found.

    Attributes:
        findings: The most severe first; of outliers and of pairs at most 1,000 each.
        supports: How many the gallery holds.
        compared: How many of them were compared: fewer where the classes are so large that only some shots of each were.
    """

    findings: tuple[GalleryFinding, ...]
    supports: int
    compared: int

    def __repr__(self) -> str:
        return f"GalleryAudit({len(self.findings)} findings, supports={self.supports}, compared={self.compared})"


@dataclass(frozen=True)
class _Sorted:
    """All codes, class by class. starts: int64 (classes + 1,). shots: int64 (n,), the place of each code in its class."""

    labels: list[str]
    codes: NDArray[np.uint8]
    starts: NDArray[np.int64]
    shots: NDArray[np.int64]


def audit_gallery(gallery: Gallery, bundle: Bundle, far: float | None, max_supports: int = MAX_SUPPORTS) -> GalleryAudit:
    """Compare all supports of a gallery with each other. The limits are those of `enroll`.

    Args:
        gallery: The gallery.
        bundle: Its model.
        far: The false accept rate at which it is used; None never refuses.
        max_supports: Above so many only some shots of each class are compared, spread evenly over it; a finding is then still
            right, but not all may be found.

    Returns:
        What was found.

    Raises:
        OptionError: When even one shot of each class is too many.
    """
    data = _sorted(gallery, bundle.dim, max_supports)
    head = bundle.head
    limits = Limits.of(bundle.thresholds, far, len(data.labels) - 1)
    bound = _Bound(data.codes)
    outliers = sorted(_outliers(data, bound, gallery, head), key=lambda finding: finding.probability)[:_KEPT]
    pairs = list(_pairs(data, bound, head, limits))
    found = [finding for kind in _ORDER for finding in (*outliers, *pairs) if finding.kind == kind]
    return GalleryAudit(tuple(found), len(gallery), len(data.codes))


def support_picture(gallery: Gallery, label: str, shot: int) -> NDArray[np.uint8] | None:
    """The thumbnail uint8 (H, W) that was kept of a support, None where none was, or it is no picture."""
    supports = gallery.supports(label)
    # A gallery in memory lists supports that it kept nothing of last, whatever their place.
    if shot >= len(supports) or any(support.created is None for support in supports):
        return None
    data = supports[shot].thumbnail
    if data is None:
        return None
    try:
        return to_grey(data)
    except ImageError:  # an application, or an import, may have stored anything that starts as a PNG does
        return None


def _sorted(gallery: Gallery, dim: int, limit: int) -> _Sorted:
    labels, total = gallery.labels, len(gallery)
    if len(labels) > limit:
        raise OptionError(f"the gallery has {len(labels)} classes, more than the {limit} supports that are compared: raise it")
    each = total
    if total > limit:
        sizes = np.array([gallery.count(label) for label in labels])
        each = bisect.bisect_right(range(1, total + 1), limit, key=lambda shots: int(np.minimum(sizes, shots).sum()))
    codes, shots = [np.empty((0, dim), np.uint8)], [np.empty(0, np.int64)]
    for label in labels:
        own = gallery.codes(label)
        chosen = np.arange(len(own)) if len(own) <= each else np.linspace(0, len(own) - 1, each).astype(np.int64)
        codes.append(own[chosen])
        shots.append(chosen)
    starts = np.cumsum([len(own) for own in codes])  # from 0: the first is the empty one
    return _Sorted(labels, np.concatenate(codes), starts, np.concatenate(shots))


class _Bound:
    """A lower bound of codes' distances that one matrix product gives for many: hardly any pair needs the exact distance then.

    Where no |a - b| exceeds m, |a - b| >= (a - b)^2 / m: with each byte over the root of its largest value, squared Euclidean
    distances are never above the SAD.
    """

    def __init__(self, codes: NDArray[np.uint8]) -> None:
        self._points = codes / np.sqrt(np.maximum(codes.max(axis=0, initial=1), 1), dtype=np.float32)
        self._squares = np.einsum("ij,ij->i", self._points, self._points)
        self._slack = 1e-4 * float(self._squares.max(initial=0))  # float32 rounds

    def between(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Lower bounds float32 (R, C)."""
        bound: NDArray[np.float32] = self._points[rows] @ self._points[columns].T
        bound *= -2
        bound += self._squares[rows, None]
        bound += self._squares[columns] - self._slack
        return bound


def _distances(codes: NDArray[np.uint8], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Exact SADs int64 (P,) of pairs of codes."""
    found = np.empty(len(rows), np.int64)
    for start in range(0, len(rows), _PAIRS):
        part = slice(start, start + _PAIRS)
        one, two = codes[rows[part]], codes[columns[part]]
        found[part] = (np.maximum(one, two) - np.minimum(one, two)).sum(axis=1, dtype=np.int64)
    return found


def _outliers(data: _Sorted, bound: _Bound, gallery: Gallery, head: Head) -> Iterator[GalleryFinding]:
    """Shots that are less than even odds with each sibling, those that were not chosen for comparison too."""
    for number, label in enumerate(data.labels):
        first, last = int(data.starts[number]), int(data.starts[number + 1])
        if last - first < SHOTS:
            continue
        for begin in range(first, last, _BLOCK):
            rows = np.arange(begin, min(begin + _BLOCK, last))
            near = bound.between(slice(begin, begin + len(rows)), slice(first, last))
            near[rows - begin, rows - first] = np.inf
            # Most have a sibling near enough, and the one of the lowest bound shows it.
            likely = _distances(data.codes, rows, first + near.argmin(axis=1))
            for row in rows[likely > head.bias * head.code_scale].tolist():
                shot = int(data.shots[row])
                distances = sum_absolute_differences(gallery.codes(label), data.codes[row])
                if shot < len(distances):
                    distances[shot] = _FAR_AWAY
                sibling = int(distances.argmin())
                value = probability(int(distances[sibling]), head)
                if value < EVEN_ODDS:
                    yield GalleryFinding("outlier", label, shot, label, sibling, value)


def _pairs(data: _Sorted, bound: _Bound, head: Head, limits: Limits) -> Iterator[GalleryFinding]:
    """The nearest supports of every two classes that are too close, the `_KEPT` closest pairs of classes at most."""
    limit = (head.bias - limits.confusable) * head.code_scale
    owners = np.repeat(np.arange(len(data.labels)), np.diff(data.starts))
    near = np.empty((0, 5), np.int64)  # class, other class, distance, row, other row
    for begin in range(0, len(data.codes), _BLOCK):
        first = int(data.starts[owners[begin] + 1])  # later classes only: each pair is looked at once
        row, column = np.nonzero(bound.between(slice(begin, begin + _BLOCK), slice(first, None)) <= limit)
        row, column = row + begin, column + first
        row, column = row[(later := owners[column] > owners[row])], column[later]
        distances = _distances(data.codes, row, column)
        row, column, distances = (values[distances <= limit] for values in (row, column, distances))
        near = _closest(np.concatenate((near, np.stack((owners[row], owners[column], distances, row, column), axis=1))))
        if len(near) == _KEPT:
            limit = min(limit, int(near[-1, 2]))
    for one, two, distance, place, other in near.tolist():
        kind = too_close(head.bias - distance / head.code_scale, limits) or "confusable"
        shots = int(data.shots[place]), int(data.shots[other])
        yield GalleryFinding(kind, data.labels[one], shots[0], data.labels[two], shots[1], probability(distance, head))


def _closest(near: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each pair of classes the nearest supports, of these the `_KEPT` nearest."""
    near = near[np.lexsort((near[:, 4], near[:, 3], near[:, 2], near[:, 1], near[:, 0]))]
    fresh = np.ones(len(near), bool)
    fresh[1:] = (near[1:, :2] != near[:-1, :2]).any(axis=1)
    near = near[fresh]
    return near[np.argsort(near[:, 2], kind="stable")[:_KEPT]]

"""Look over a whole gallery: near-duplicates under two labels, outliers among a class's shots, classes to confuse."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.codes import probability
from oneshot_runtime.errors import OptionError
from oneshot_runtime.report import EVEN_ODDS, Limits, too_close
from oneshot_runtime.search import distance_matrix

if TYPE_CHECKING:
    from oneshot_runtime.bundle import Head
    from oneshot_runtime.gallery import Gallery
    from oneshot_runtime.matcher import OneShotMatcher

__all__ = ["GalleryCheck", "GalleryFinding", "check_gallery", "support_picture"]

MAX_SUPPORTS = 20_000
"""Supports that are compared all against all, which takes time with their square."""

_KEPT = 1000
_BLOCK = 128
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

    @property
    def message(self) -> str:
        """A sentence for people."""
        p = f"p = {self.probability:.3f}"
        first, second = (f"{name!r} (shot {shot + 1})" for name, shot in ((self.label, self.shot), (self.other, self.other_shot)))
        if self.kind == "duplicate":
            return f"{first} looks the same as {second}, {p}: the same symbol under two labels?"
        if self.kind == "outlier":
            return f"{first} is unlike every other drawing of its class, {p} at best: another symbol by mistake?"
        return f"{first} may be confused with {second}, {p}: more drawings of both help to tell them apart"


@dataclass(frozen=True)
class GalleryCheck:
    """findings: the most severe first; of outliers and of pairs at most 1,000 each. supports: in the gallery. compared: how many
    of these were looked at, fewer where the classes are so large that only some shots of each were."""

    findings: tuple[GalleryFinding, ...]
    supports: int
    compared: int


@dataclass(frozen=True)
class _Sorted:
    """All codes, class by class. starts: int64 (classes + 1,). shots: int64 (n,), the place of each code in its class."""

    labels: list[str]
    codes: NDArray[np.uint8]
    starts: NDArray[np.int64]
    shots: NDArray[np.int64]


def check_gallery(matcher: OneShotMatcher, max_supports: int = MAX_SUPPORTS) -> GalleryCheck:
    """Compare all supports of a gallery with each other.

    Above `max_supports` only some shots of each class are compared, spread evenly over it; a finding is then still right, but
    not all may be found. Raises `OptionError` when even one shot of each class is too many. The limits are those of `enroll`.
    """
    data = _sorted(matcher.gallery, max_supports)
    head = matcher.bundle.head
    limits = Limits.of(matcher.bundle.thresholds, matcher.far, len(data.labels) - 1)
    outliers = sorted(_outliers(data, head), key=lambda finding: finding.probability)[:_KEPT]
    pairs = list(_pairs(data, head, limits))
    found = [finding for kind in _ORDER for finding in (*outliers, *pairs) if finding.kind == kind]
    return GalleryCheck(tuple(found), len(matcher.gallery), len(data.codes))


def support_picture(gallery: Gallery, label: str, shot: int) -> NDArray[np.uint8] | None:
    """The thumbnail uint8 (H, W) that was kept of a support, None where none was."""
    from PIL import Image

    supports = gallery.supports(label)
    # A gallery in memory lists supports that it kept nothing of last, whatever their place.
    if shot >= len(supports) or any(support.created is None for support in supports):
        return None
    data = supports[shot].thumbnail
    if data is None:
        return None
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L"))


def _sorted(gallery: Gallery, limit: int) -> _Sorted:
    labels, total = gallery.labels, len(gallery)
    if len(labels) > limit:
        raise OptionError(f"the gallery has {len(labels)} classes, more than the {limit} supports that are compared: raise it")
    each = total
    if total > limit:
        sizes = np.sort([gallery.count(label) for label in labels])
        each = next(n for n in range(limit // len(labels) + total, 0, -1) if np.minimum(sizes, n).sum() <= limit)
    codes, shots = [], []
    for label in labels:
        own = gallery.codes(label)
        chosen = np.arange(len(own)) if len(own) <= each else np.linspace(0, len(own) - 1, each).astype(np.int64)
        codes.append(own[chosen])
        shots.append(chosen)
    starts = np.cumsum([0] + [len(own) for own in codes])
    empty = np.empty((0, 1), np.uint8)
    return _Sorted(labels, np.concatenate(codes) if codes else empty, starts, np.concatenate(shots) if shots else starts[:0])


def _outliers(data: _Sorted, head: Head) -> Iterator[GalleryFinding]:
    for number, label in enumerate(data.labels):
        own = slice(int(data.starts[number]), int(data.starts[number + 1]))
        codes, shots = data.codes[own], data.shots[own]
        if len(codes) < 2:
            continue
        for start in range(0, len(codes), _BLOCK):
            near = distance_matrix(codes[start : start + _BLOCK], codes)
            near[np.arange(len(near)), start + np.arange(len(near))] = _FAR_AWAY
            for row, sibling in enumerate(near.argmin(axis=1).tolist()):
                value = probability(int(near[row, sibling]), head)
                if value < EVEN_ODDS:
                    yield GalleryFinding("outlier", label, int(shots[start + row]), label, int(shots[sibling]), value)


def _pairs(data: _Sorted, head: Head, limits: Limits) -> Iterator[GalleryFinding]:
    """The nearest supports of every two classes that are too close, the `_KEPT` closest pairs of classes at most."""
    limit = (head.bias - limits.confusable) * head.code_scale
    owners = np.repeat(np.arange(len(data.labels)), np.diff(data.starts))
    near = np.empty((0, 4), np.int64)  # class, other class, distance, row
    for begin in range(0, len(data.codes), _BLOCK):
        rows = np.arange(begin, min(begin + _BLOCK, len(data.codes)))
        first = int(owners[begin])
        starts = data.starts[first:-1] - data.starts[first]
        lowest = distance_matrix(data.codes[rows], data.codes[data.starts[first] :])
        if len(starts) < lowest.shape[1]:
            lowest = np.minimum.reduceat(lowest, starts, axis=1)
        row, other = np.nonzero(lowest <= limit)
        row, other = row[(later := other + first > owners[rows[row]])], other[later]
        hits = np.stack((owners[rows[row]], other + first, lowest[row, other], rows[row]), axis=1)
        near = _closest(np.concatenate((near, hits)))
    for one, two, distance, place in near.tolist():
        begin, end = int(data.starts[two]), int(data.starts[two + 1])
        nearest = begin + int(distance_matrix(data.codes[place : place + 1], data.codes[begin:end])[0].argmin())
        kind = too_close(head.bias - distance / head.code_scale, limits) or "confusable"
        shots = int(data.shots[place]), int(data.shots[nearest])
        yield GalleryFinding(kind, data.labels[one], shots[0], data.labels[two], shots[1], probability(distance, head))


def _closest(near: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each pair of classes the nearest row, of these the `_KEPT` nearest."""
    near = near[np.lexsort((near[:, 3], near[:, 2], near[:, 1], near[:, 0]))]
    fresh = np.ones(len(near), bool)
    fresh[1:] = (near[1:, :2] != near[:-1, :2]).any(axis=1)
    near = near[fresh]
    return near[np.argsort(near[:, 2], kind="stable")[:_KEPT]]

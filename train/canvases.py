"""Training data as the model sees it: preprocessed canvases with their classes and groups."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from train.omniglot import DatasetError

__all__ = ["Canvases", "by_drawers", "hold_out", "joined", "kept_out", "only"]

_HELD_OUT = ", held out"


@dataclass(frozen=True)
class Canvases:
    """Images ready for the network.

    images: uint8 (N, H, W). classes: int64 (N,), numbered from 0 without gaps. drawers: int64 (N,), who drew the image, or
    its number within the class. groups: name -> class numbers; an alphabet, whose members are the hard negatives. pens: uint8
    (V, M, H, W), the first M images redrawn with V other pens; V or M may be 0.
    """

    images: NDArray[np.uint8]
    classes: NDArray[np.int64]
    drawers: NDArray[np.int64]
    groups: dict[str, NDArray[np.int64]]
    pens: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 0, 0, 0), np.uint8))

    def members(self) -> list[NDArray[np.int64]]:
        """For each class, the indices of its images."""
        order = np.argsort(self.classes, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.classes))[:-1])

    def alphabets(self) -> NDArray[np.int64]:
        """The number of each image's group, int64 (N,); 0 for an image of none."""
        of_class = np.zeros(int(self.classes.max()) + 1, np.int64)
        for number, members in enumerate(self.groups.values()):
            of_class[members] = number
        return of_class[self.classes]


def joined(first: Canvases, *others: Canvases) -> Canvases:
    """All of them, the classes of each numbered on from those before it. Only `first` keeps its pens."""
    parts = (first, *others)
    starts = np.concatenate(([0], np.cumsum([int(part.classes.max()) + 1 for part in parts])))
    return Canvases(
        images=np.concatenate([part.images for part in parts]),
        classes=np.concatenate([part.classes + start for part, start in zip(parts, starts, strict=False)]),
        drawers=np.concatenate([part.drawers for part in parts]),
        groups={
            name: members + start for part, start in zip(parts, starts, strict=False) for name, members in part.groups.items()
        },
        pens=first.pens,
    )


def kept_out(canvases: Canvases, asked: Sequence[str] | None) -> tuple[Canvases, list[str]]:
    """The groups of a folder to validate on, and the canvases with such groups.

    asked: their names; ["none"] for none; None for a quarter of the groups, where there are four, or else a quarter of the
    classes of each group, where there are sixteen together. Few images hold nothing out.
    """
    if asked is not None and list(asked) == ["none"]:
        return canvases, []
    by_class = any(name.endswith(_HELD_OUT) for name in asked or ())
    if asked and not by_class:
        return canvases, list(asked)
    names = sorted(canvases.groups)
    if not by_class and len(names) >= 4:
        return canvases, names[3::4]
    if len(canvases.members()) < 16:
        return canvases, []
    rng, groups = np.random.default_rng(0), {}
    for name in names:
        members = rng.permutation(canvases.groups[name])
        count = len(members) // 4
        groups[name] = np.sort(members[count:] if count > 1 else members)
        if count > 1:
            groups[name + _HELD_OUT] = np.sort(members[:count])
    return replace(canvases, groups=groups), [name for name in groups if name.endswith(_HELD_OUT)]


def hold_out(canvases: Canvases, names: list[str]) -> tuple[Canvases, Canvases]:
    """Split by groups: everything else for training, the named groups for validation. Raises `DatasetError`."""
    validation = only(canvases, names)
    if not set(canvases.groups) - set(names):
        raise DatasetError(f"cannot hold out {', '.join(names)}: nothing would be left to train on; the groups are "
                           f"{', '.join(sorted(canvases.groups))}")  # fmt: skip
    return _subset(canvases, sorted(set(canvases.groups) - set(names))), validation


def only(canvases: Canvases, names: Sequence[str]) -> Canvases:
    """These groups of them. Raises `DatasetError`."""
    unknown = sorted(set(names) - set(canvases.groups))
    if unknown:
        raise DatasetError(f"unknown groups {', '.join(unknown)}; the groups are {', '.join(sorted(canvases.groups))}")
    return _subset(canvases, sorted(set(names)))


def by_drawers(canvases: Canvases, drawers: Container[int]) -> Canvases:
    """What these drawers drew. Raises `DatasetError` where they drew less than two images of a class."""
    kept = np.array([int(drawer) in drawers for drawer in canvases.drawers])
    counts = np.bincount(canvases.classes[kept], minlength=len(canvases.members()))
    if counts.min() < 2:
        raise DatasetError("too few drawers: each class needs two images of those that train, and of those that validate")
    pens = canvases.pens[:, kept] if canvases.pens.size else canvases.pens
    images, classes = canvases.images[kept], canvases.classes[kept]
    return replace(canvases, images=images, classes=classes, drawers=canvases.drawers[kept], pens=pens)


def _subset(canvases: Canvases, names: list[str]) -> Canvases:
    old = np.concatenate([canvases.groups[name] for name in names])
    kept = np.isin(canvases.classes, old)
    number = {int(c): index for index, c in enumerate(old)}
    return Canvases(
        images=canvases.images[kept],
        classes=np.array([number[int(c)] for c in canvases.classes[kept]]),
        drawers=canvases.drawers[kept],
        groups={name: np.array([number[int(c)] for c in canvases.groups[name]]) for name in names},
        pens=canvases.pens[:, kept] if canvases.pens.size else canvases.pens,
    )

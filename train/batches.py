"""Which images meet in a training step: alphabet by alphabet for the all-pairs loss, or classic labelled pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.canvases import Canvases

__all__ = ["BatchSampler", "PairBatch", "sample_pairs"]


class BatchSampler:
    """Draws batches of `classes` classes with up to `shots` images each, filling them alphabet by alphabet.

    Up to `per_group` classes come from one alphabet before the next is opened, so most negatives of an image are its
    neighbours in the same alphabet: the hard ones, and the ones that the within-alphabet trials ask for. weights: how often
    each group is opened, by its name, relative to the others; groups without a weight never are.
    """

    def __init__(
        self,
        canvases: Canvases,
        weights: Mapping[str, float],
        classes: int,
        shots: int,
        per_group: int,
        rng: np.random.Generator,
    ) -> None:
        self._members = canvases.members()
        names = [name for name, weight in weights.items() if weight > 0]
        self._groups = [canvases.groups[name] for name in names]
        self._chances = np.array([weights[name] for name in names]) / sum(weights[name] for name in names)
        self._classes = min(classes, sum(len(group) for group in self._groups))
        self._shots = shots
        self._per_group = per_group
        self._rng = rng

    def draw(self) -> NDArray[np.int64]:
        """Indices of one batch's images, `int64 (B,)`; images of a class are adjacent."""
        chosen: list[int] = []
        while len(chosen) < self._classes:
            for index in self._rng.choice(len(self._groups), len(self._groups), replace=False, p=self._chances):
                group = self._groups[index]
                room = min(self._per_group, len(group), self._classes - len(chosen))
                fresh = np.setdiff1d(group, chosen)
                chosen.extend(self._rng.choice(fresh, min(room, len(fresh)), replace=False).tolist())
                if len(chosen) >= self._classes:
                    break
        picks = []
        for member in chosen:
            images = self._members[member]
            picks.append(self._rng.choice(images, min(self._shots, len(images)), replace=False))
        return np.concatenate(picks)


@dataclass(frozen=True)
class PairBatch:
    """Labelled pairs of images: the classic mapping of verification to binary classification (Koch et al. 2015).

    left, right: int64 (P,), indices of images. targets: float32 (P,), 1 where both show the same character.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    targets: NDArray[np.float32]

    def __iter__(self) -> Iterator[NDArray[np.generic]]:
        return iter((self.left, self.right, self.targets))


def sample_pairs(
    canvases: Canvases, pairs: int, rng: np.random.Generator, within_group: bool = False, evenly: bool = False
) -> PairBatch:
    """Draw `pairs` pairs, half of them of one class; never an image with itself, and the same for the same `rng` state.

    With `within_group` the two characters of a different-class pair come from one alphabet, where it has two; with `evenly`
    each alphabet gives as many pairs.
    """
    members = canvases.members()
    count = len(members)
    group_of: dict[int, NDArray[np.int64]] = {int(c): group for group in canvases.groups.values() for c in group}
    groups = list(canvases.groups.values())
    targets = np.zeros(pairs, np.float32)
    targets[: (pairs + 1) // 2] = 1
    rng.shuffle(targets)
    left, right = np.empty(pairs, np.int64), np.empty(pairs, np.int64)
    for index, same in enumerate(targets):
        first = int(rng.choice(groups[rng.integers(len(groups))])) if evenly else int(rng.integers(count))
        if same:
            left[index], right[index] = rng.choice(members[first], 2, replace=False)
            continue
        group = group_of[first] if within_group and len(group_of[first]) > 1 else np.arange(count)
        second = first
        while second == first:
            second = int(rng.choice(group))
        left[index], right[index] = rng.choice(members[first]), rng.choice(members[second])
    return PairBatch(left, right, targets)

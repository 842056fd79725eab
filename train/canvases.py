"""Training data as the model sees it: preprocessed canvases with their classes and groups."""

from __future__ import annotations

import functools
import sys
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess
from train.omniglot import DatasetError
from train.processes import by_all_cores

__all__ = ["Canvases", "by_drawers", "from_folder", "hold_out", "image_files", "joined", "kept_out"]

_HELD_OUT = ", held out"
_LISTED = 50
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


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


def image_files(root: Path) -> list[Path]:
    """The images of a folder, in the order of `from_folder`."""
    return sorted(file for file in root.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())


def from_folder(
    root: str | Path, spec: PreprocessSpec, progress: bool = False, skip_bad: bool = False, processes: bool = False
) -> Canvases:
    """Preprocess a folder of images: `class/image`, or `group/class/image`; any size, any number per class.

    With `skip_bad`, images that cannot be used are left out, and named on standard error. With `processes`, many are read by
    all cores, which a script may ask for whose main is guarded.

    Raises `DatasetError` for a folder without classes, a class with fewer than two images, a mixed depth, or images that cannot
    be used, all of them at once.
    """
    root = Path(root)
    files = image_files(root)
    if not files:
        raise DatasetError(f"'{root}' holds no images; expected class/image or group/class/image")
    depths = {len(file.relative_to(root).parts) for file in files}
    if depths not in ({2}, {3}):
        raise DatasetError(f"'{root}' mixes depths: expected every image at class/image, or every one at group/class/image")
    files, images = _usable(files, root, spec, progress, skip_bad, 1_000 if processes else None)
    parents = sorted({file.parent for file in files})
    number = {parent: index for index, parent in enumerate(parents)}
    classes = np.array([number[file.parent] for file in files])
    counts = np.bincount(classes)
    if counts.min() < 2:
        raise DatasetError(f"class '{parents[int(counts.argmin())]}' has one image; a class needs at least two to train on")
    if len(parents) < 2:
        raise DatasetError(f"'{root}' has one class; training needs at least two to tell apart")
    groups: dict[str, list[int]] = {}
    for parent, index in number.items():
        groups.setdefault(parent.parent.name if depths == {3} else root.name, []).append(index)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    return Canvases(
        images=images,
        classes=classes,
        drawers=np.arange(len(files)) - starts[classes],
        groups={name: np.array(members) for name, members in groups.items()},
    )


def _usable(
    files: list[Path], root: Path, spec: PreprocessSpec, progress: bool, skip_bad: bool, few: int | None
) -> tuple[list[Path], NDArray[np.uint8]]:
    """The files that can be used, and their canvases; see `from_folder`."""
    found = by_all_cores(functools.partial(_canvas, spec=spec), files, "preprocess", "image", progress, few)
    good = [file for file, canvas in zip(files, found, strict=True) if not isinstance(canvas, str)]
    canvases = [canvas for canvas in found if not isinstance(canvas, str)]
    bad = [said for said in found if isinstance(said, str)]
    listed = "".join(f"\n  {said}" for said in bad[:_LISTED]) + (f"\n  and {len(bad) - _LISTED} more" * (len(bad) > _LISTED))
    if bad and not skip_bad:
        raise DatasetError(f"{len(bad)} of {len(files)} images of '{root}' cannot be used; mend or remove them, or leave them "
                           f"out with --skip-bad:{listed}")  # fmt: skip
    if not good:
        raise DatasetError(f"none of the {len(files)} images of '{root}' can be used:{listed}")
    if bad:
        print(f"train: {len(bad)} of {len(files)} images are left out:{listed}", file=sys.stderr)
    return good, np.stack(canvases)


def _canvas(file: Path, spec: PreprocessSpec) -> NDArray[np.uint8] | str:
    """The canvas of an image, or what is wrong with it."""
    try:
        return preprocess(file, spec)
    except ImageError as error:
        return str(error)


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
    unknown = sorted(set(names) - set(canvases.groups))
    if unknown or not set(canvases.groups) - set(names):
        what = f"unknown groups {', '.join(unknown)}" if unknown else "nothing would be left to train on"
        raise DatasetError(f"cannot hold out {', '.join(names)}: {what}; the groups are {', '.join(sorted(canvases.groups))}")
    return _subset(canvases, sorted(set(canvases.groups) - set(names))), _subset(canvases, sorted(set(names)))


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

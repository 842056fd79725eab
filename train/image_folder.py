"""A folder of one's own images, as the model sees them."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess
from train.canvases import Canvases
from train.omniglot import DatasetError
from train.processes import by_all_cores

__all__ = ["from_folder", "image_files"]

_LISTED = 50
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


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

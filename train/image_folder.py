"""Images of one's own, as the model sees them: a folder, or an .npz file of arrays."""

from __future__ import annotations

import functools
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess
from train.canvases import Canvases
from train.omniglot import DatasetError
from train.processes import by_all_cores

__all__ = ["from_folder"]

_LISTED = 50
_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif")
_LAYOUT = "expected class/image or group/class/image"


@dataclass(frozen=True)
class _Picture:
    """source: a file, or pixels uint8 that errors call `name`. place: group and class. drawer: who drew it, where known."""

    source: Path | NDArray[np.uint8]
    place: tuple[str, str]
    drawer: str | None = None
    name: str = ""


def from_folder(
    root: str | Path, spec: PreprocessSpec, progress: bool = False, skip_bad: bool = False, processes: bool = False
) -> Canvases:
    """Preprocess a folder of images: `class/image`, or `group/class/image`; any size, any number per class.

    Or an .npz file: `images` uint8 (N, H, W) or (N, H, W, 3), `labels` (N,), and if there are any `groups` (N,) and `writers`
    (N,); groups that share classes say who drew an image, too.

    With `skip_bad`, images that cannot be used are left out, and named on standard error. With `processes`, many are read by
    all cores, which a script may ask for whose main is guarded.

    Raises `DatasetError` for a folder without classes, classes with fewer than two images, a mixed depth, or images that cannot
    be used, all of them at once.
    """
    root = Path(root)
    pictures = _of_arrays(root) if root.suffix.lower() == ".npz" else _of_files(root)
    pictures, images = _usable(pictures, root, spec, progress, skip_bad, 1_000 if processes else None)
    places = sorted({picture.place for picture in pictures})
    number = {place: index for index, place in enumerate(places)}
    classes = np.array([number[picture.place] for picture in pictures])
    counts = np.bincount(classes)
    flat = len({group for group, _ in places}) == 1
    single = [name if flat else f"{group}/{name}" for (group, name), count in zip(places, counts, strict=True) if count < 2]
    if single:
        listed = ", ".join(repr(name) for name in single[:_LISTED]) + ", ..." * (len(single) > _LISTED)
        raise DatasetError(f"{len(single)} of {len(places)} classes of '{root}' have one image, and each needs two: add one "
                           f"to, or take away, {listed}")  # fmt: skip
    if len(places) < 2:
        raise DatasetError(f"'{root}' has one class, {places[0][1]!r}; at least two are needed to tell apart")
    groups: dict[str, list[int]] = {}
    for place, index in number.items():
        groups.setdefault(place[0], []).append(index)
    return Canvases(
        images=images,
        classes=classes,
        drawers=_drawers(pictures, classes),
        groups={name: np.array(members) for name, members in groups.items()},
    )


def _drawers(pictures: Sequence[_Picture], classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Who drew each image; without names, its number within its class."""
    names = [picture.drawer for picture in pictures]
    if None not in names:
        return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)
    order = np.argsort(classes, kind="stable")
    counts = np.bincount(classes)
    drawers = np.empty(len(classes), np.int64)
    drawers[order] = np.arange(len(classes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return drawers


def _of_files(root: Path) -> list[_Picture]:
    if not root.is_dir():
        raise DatasetError(f"'{root}' is no folder of images" if root.exists() else f"'{root}' does not exist")
    files = sorted(file for file in root.rglob("*") if file.suffix.lower() in _ENDINGS and file.is_file())
    files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(root).parts)]
    if not files:
        raise DatasetError(f"'{root}' holds no images, which end in {', '.join(_ENDINGS)}; {_LAYOUT}")
    first = {len(file.relative_to(root).parts): file.relative_to(root) for file in reversed(files)}
    odd = next((file for depth, file in first.items() if depth not in (2, 3)), None)
    if odd is not None:
        raise DatasetError(f"'{root}' holds '{odd}'; {_LAYOUT}")
    if len(first) > 1:
        raise DatasetError(f"'{root}' mixes depths, such as '{first[2]}' and '{first[3]}': expected every image at class/image "
                           "or every one at group/class/image")  # fmt: skip
    grouped, own = 3 in first, root.resolve().name
    return [_Picture(file, (file.parent.parent.name if grouped else own, file.parent.name)) for file in files]


def _of_arrays(root: Path) -> list[_Picture]:
    try:
        with np.load(root, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in ("images", "labels", "groups", "writers") if name in arrays}
            names = sorted(arrays.files)
    except FileNotFoundError:
        raise DatasetError(f"'{root}' does not exist") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        raise DatasetError(f"cannot read '{root}' as arrays: {error}") from error
    except (AttributeError, TypeError):  # a single array, whatever its file is called
        raise DatasetError(f"'{root}' holds one array without a name; expected images and labels") from None
    shapes = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in found.items()) or ", ".join(names) or "nothing"
    images = found.pop("images", np.empty(0))
    is_pictures = images.dtype == np.uint8 and len(images) > 0 and (images.ndim == 3 or images.shape[3:] == (3,))
    if not is_pictures or "labels" not in found or any(array.shape != (len(images),) for array in found.values()):
        raise DatasetError(f"'{root}' holds {shapes}; expected images uint8 (N, H, W) or (N, H, W, 3), labels (N,), and groups "
                           "and writers (N,) if there are any")  # fmt: skip
    labels, count = [str(label) for label in found["labels"]], len(images)
    groups = [str(group) for group in found["groups"]] if "groups" in found else [root.stem] * count
    writers: Sequence[str | None] = [str(writer) for writer in found["writers"]] if "writers" in found else [None] * count
    if len(set(zip(groups, labels, strict=True))) > len(set(labels)):
        groups, writers = [root.stem] * count, groups if "writers" not in found else writers
    return [
        _Picture(images[at], (groups[at], labels[at]), writers[at], f"image {at} of '{root}' (class {labels[at]!r})")
        for at in range(count)
    ]


def _usable(
    pictures: list[_Picture], root: Path, spec: PreprocessSpec, progress: bool, skip_bad: bool, few: int | None
) -> tuple[list[_Picture], NDArray[np.uint8]]:
    """The pictures that can be used, and their canvases; see `from_folder`."""
    found = by_all_cores(functools.partial(_canvas, spec=spec), pictures, "preprocess", "image", progress, few)
    good = [picture for picture, canvas in zip(pictures, found, strict=True) if not isinstance(canvas, str)]
    canvases = [canvas for canvas in found if not isinstance(canvas, str)]
    bad = [said for said in found if isinstance(said, str)]
    listed = "".join(f"\n  {said}" for said in bad[:_LISTED]) + (f"\n  and {len(bad) - _LISTED} more" * (len(bad) > _LISTED))
    if bad and not skip_bad:
        raise DatasetError(f"{len(bad)} of {len(pictures)} images of '{root}' cannot be used; mend or remove them, or leave "
                           f"them out with --skip-bad:{listed}")  # fmt: skip
    if not good:
        raise DatasetError(f"none of the {len(pictures)} images of '{root}' can be used:{listed}")
    if bad:
        print(f"train: {len(bad)} of {len(pictures)} images are left out:{listed}", file=sys.stderr)
    return good, np.stack(canvases)


def _canvas(picture: _Picture, spec: PreprocessSpec) -> NDArray[np.uint8] | str:
    """The canvas of an image, or what is wrong with it."""
    try:
        return preprocess(picture.source, spec)
    except ImageError as error:
        return f"{picture.name}: {error}" if picture.name else str(error)

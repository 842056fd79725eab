"""Omniglot's drawings as canvases, and as other pens would have drawn them: made by all cores, and kept."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess
from train.cache import cached
from train.canvases import Canvases
from train.omniglot import ImageSet
from train.pens import PENS, Pen, redraw_at_random
from train.processes import by_all_cores

__all__ = ["from_image_set", "kept_canvases"]

_VERSION = 1
"""Of what is kept: another one where the same drawings would give other canvases."""

_ARRAYS = ("images", "classes", "drawers", "pens")

_FEW = 2_000
"""Drawings up to which starting processes takes longer than the drawings."""


def from_image_set(
    image_set: ImageSet, spec: PreprocessSpec, pens: bool = False, progress: bool = False, processes: bool = False
) -> Canvases:
    """An Omniglot set preprocessed; with `pens`, each drawing also as narrower and wider pens would have drawn it.

    Kept in the user's cache by a digest of the drawings and of all that the canvases depend on. With `processes`, made by all
    cores, which a script may ask for whose main is guarded.
    """
    return kept_canvases(
        "drawings",
        image_set,
        (spec, PENS if pens else ()),
        lambda: _made(image_set, spec, pens, progress, _FEW if processes else None),
    )


def kept_canvases(name: str, image_set: ImageSet | None, depends: object, make: Callable[[], Canvases]) -> Canvases:
    """What `make` gives, kept in the user's cache.

    Args:
        name: the file's first part.
        image_set: what they are made of, if anything.
        depends: all else that decides what `make` gives; something whose `repr` tells it.
        make: gives the canvases.
    """
    drawings = hashlib.blake2b(image_set.images.tobytes(), digest_size=16).hexdigest() if image_set else ""
    alphabets = sorted(image_set.alphabets.items()) if image_set else []

    def arrays() -> dict[str, NDArray[np.generic]]:
        made = make()
        groups = {f"group {number}": members for number, members in enumerate(made.groups.values())}
        names = np.frombuffer("\n".join(made.groups).encode(), np.uint8)
        return {name: getattr(made, name) for name in _ARRAYS} | groups | {"names": names}

    kept: dict[str, NDArray[Any]] = cached(name, repr((_VERSION, drawings, alphabets, depends)), arrays)
    names = kept["names"].tobytes().decode().split("\n")
    groups = {group: kept[f"group {number}"] for number, group in enumerate(names)}
    return Canvases(groups=groups, **{name: kept[name] for name in _ARRAYS})


def _made(image_set: ImageSet, spec: PreprocessSpec, pens: bool, progress: bool, few: int | None) -> Canvases:
    characters, drawers = image_set.images.shape[:2]
    flat = list(image_set.images.reshape(-1, *image_set.images.shape[2:]))
    images = np.stack(by_all_cores(functools.partial(preprocess, spec=spec), flat, "preprocess", "image", progress, few))
    return Canvases(
        images=images,
        classes=image_set.labels[:, 0],
        drawers=np.tile(np.arange(drawers), characters),
        groups={name: np.arange(first, last + 1) for name, (first, last) in image_set.alphabets.items()},
        **({"pens": _by_other_pens(flat, images, spec, progress, few)} if pens else {}),
    )


def _by_other_pens(
    drawings: list[NDArray[np.uint8]], images: NDArray[np.uint8], spec: PreprocessSpec, progress: bool, few: int | None
) -> NDArray[np.uint8]:
    pens = np.stack([images] * len(PENS))
    for number, pen in enumerate(PENS):
        jobs = [(drawing, (number, index)) for index, drawing in enumerate(drawings)]
        redrawn = functools.partial(_redrawn, pen=pen, spec=spec)
        for index, canvas in enumerate(by_all_cores(redrawn, jobs, f"pen {number + 1} of {len(PENS)}", "image", progress, few)):
            if canvas is not None:
                pens[number, index] = canvas
    return pens


def _redrawn(job: tuple[NDArray[np.uint8], tuple[int, int]], pen: Pen, spec: PreprocessSpec) -> NDArray[np.uint8] | None:
    """A drawing by another pen, or None where too little ink is left: then it stays as it is."""
    drawing, seed = job
    try:
        return preprocess(redraw_at_random(drawing, pen, np.random.default_rng(seed)), spec)
    except ImageError:
        return None

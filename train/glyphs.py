"""Alphabets from fonts: the scripts of the world, print in many faces, and pictograms, drawn as people and printers draw them.

What is used for checking is left out, see `train.exclusions`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess
from train.cache import cached
from train.canvases import Canvases
from train.exclusions import HELD_OUT_SCRIPTS
from train.fonts import Font, find_fonts, glyph_mask
from train.glyph_classes import GlyphClass, hands, icons, pictograms, print_faces, scripts
from train.icons import is_private
from train.omniglot import DatasetError
from train.processes import by_all_cores
from train.restyle import Shape, Style, drawn, plain, shape_of

__all__ = ["KINDS", "GlyphSet", "glyph_sets", "held_out_scripts"]

_ALIKE = 0.965
_VERSION = 2


@dataclass(frozen=True)
class Kind:
    """A kind of glyphs. drawings: of each class. style: how they are shown."""

    name: str
    drawings: int
    style: Style


KINDS = {
    kind.name: kind
    for kind in (
        Kind("scripts", 12, Style(pen=0.66, filled=0.26, outlined=0.05, shaded=0.03, bent=0.8)),
        Kind("print", 16, Style(pen=0.18, filled=0.78, outlined=0.02, shaded=0.02, bent=0.2)),
        Kind("hands", 24, Style(pen=0.6, filled=0.4, outlined=0.0, shaded=0.0, bent=0.8)),
        Kind("pictograms", 10, Style(pen=0.15, filled=0.5, outlined=0.23, shaded=0.12, bent=0.6)),
        Kind("icons", 14, Style(pen=0.38, filled=0.3, outlined=0.22, shaded=0.1, bent=0.8)),
    )
}


@dataclass(frozen=True)
class GlyphSet:
    """Glyphs of one kind. canvases: groups are neighbours of one script or font. families: licence -> families used."""

    kind: str
    canvases: Canvases
    families: dict[str, list[str]] = field(default_factory=dict)


def glyph_sets(
    folders: Sequence[Path], spec: PreprocessSpec, kinds: Iterable[str], progress: bool = False
) -> tuple[list[GlyphSet], Canvases | None]:
    """Glyphs of these kinds from the fonts of `folders`, and those of the held-out scripts, if "scripts" is among the kinds.

    Drawn by all cores, and kept in the user's cache by a digest of all that they depend on.

    Raises:
        DatasetError: no usable font is there.
    """
    fonts = find_fonts(folders, progress)
    letters = _of_letters(fonts)
    made = {
        "scripts": lambda: scripts(letters, lambda script: script not in HELD_OUT_SCRIPTS),
        "print": lambda: print_faces(letters),
        "hands": lambda: hands(letters),
        "pictograms": lambda: pictograms([font for font in fonts if not font.handwritten]),
        "icons": lambda: icons(fonts),
    }
    sets = []
    for kind in kinds:
        classes = made[kind]()
        if len(classes) < 2:
            raise DatasetError(f"no glyphs of kind {kind} in the fonts of {', '.join(map(str, folders))}: install more fonts")
        sets.append(GlyphSet(kind, _canvases(classes, KINDS[kind], spec, progress), _families(fonts, classes)))
    return sets, held_out_scripts(folders, spec, progress) if "scripts" in kinds else None


def held_out_scripts(folders: Sequence[Path], spec: PreprocessSpec, progress: bool = False) -> Canvases | None:
    """Glyphs of `HELD_OUT_SCRIPTS`, a group for each script; None where no font draws any.

    Raises:
        DatasetError: no usable font is there.
    """
    classes = scripts(_of_letters(find_fonts(folders, progress)), HELD_OUT_SCRIPTS.__contains__)
    return _by_script(_canvases(classes, KINDS["scripts"], spec, progress)) if len(classes) > 1 else None


def _of_letters(fonts: Sequence[Font]) -> list[Font]:
    """Without fonts of icons."""
    return [font for font in fonts if sum(map(is_private, font.characters)) < len(font.characters) / 2]


def _by_script(canvases: Canvases) -> Canvases:
    """One group for each script, not for each few neighbours."""
    groups: dict[str, list[NDArray[np.int64]]] = {}
    for name, members in canvases.groups.items():
        groups.setdefault(name.split()[1], []).append(members)
    return replace(canvases, groups={name: np.concatenate(parts) for name, parts in groups.items()})


def _families(fonts: Sequence[Font], classes: Sequence[GlyphClass]) -> dict[str, list[str]]:
    used = {path for each in classes for path, _ in each.sources}
    found: dict[str, set[str]] = {}
    for font in fonts:
        if str(font.path) in used:
            found.setdefault(font.licence, set()).add(font.family)
    return {licence: sorted(names) for licence, names in sorted(found.items())}


def _canvases(classes: Sequence[GlyphClass], kind: Kind, spec: PreprocessSpec, progress: bool) -> Canvases:
    key = repr(
        (_VERSION, spec, kind, classes, sorted({(path, Path(path).stat().st_size) for c in classes for path, _ in c.sources}))
    )
    arrays = cached("glyphs", key, lambda: _draw_all(classes, kind, spec, progress))
    images, numbers = arrays["images"], arrays["classes"]
    kept = _different(images, numbers)
    remaining = {int(old): new for new, old in enumerate(kept)}
    chosen = np.isin(numbers, kept)
    groups: dict[str, list[int]] = {}
    for old, new in remaining.items():
        groups.setdefault(classes[old].group, []).append(new)
    renumbered = np.array([remaining[int(number)] for number in numbers[chosen]], np.int64)
    starts = np.concatenate(([0], np.cumsum(np.bincount(renumbered))[:-1]))
    return Canvases(
        images=images[chosen],
        classes=renumbered,
        drawers=np.arange(len(renumbered)) - starts[renumbered],
        groups={f"{kind.name} {name}": np.array(members) for name, members in groups.items() if len(members) > 1},
    )


def _draw_all(
    classes: Sequence[GlyphClass], kind: Kind, spec: PreprocessSpec, progress: bool
) -> dict[str, NDArray[np.generic]]:
    """Drawings of all classes that can be drawn: images uint8 (N, H, W), and classes int64 (N,), ascending."""
    jobs = [(each.sources, kind, spec) for each in classes]
    drawings = by_all_cores(_draw_class, jobs, kind.name, "glyph", progress)
    numbers = np.repeat(np.arange(len(drawings)), [len(each) for each in drawings])
    return {"images": np.concatenate([each for each in drawings if len(each)]), "classes": numbers}


def _draw_class(job: tuple[tuple[tuple[str, int], ...], Kind, PreprocessSpec]) -> NDArray[np.uint8]:
    sources, kind, spec = job
    rng = np.random.default_rng(zlib.crc32(repr([(Path(path).name, code) for path, code in sources]).encode()))
    shapes: list[Shape] = []
    for path, code in sources:
        mask = glyph_mask(path, code)
        if mask is not None:
            shapes.append(shape_of(mask))
    canvases = []
    for number in range(kind.drawings if shapes else 0):
        shape = shapes[number % len(shapes)]
        try:
            # The first is the glyph as it is, by which classes that look alike are found.
            canvases.append(preprocess(drawn(shape, kind.style, rng) if number else plain(shape), spec))
        except ImageError:
            continue
    return np.stack(canvases) if len(canvases) > 3 else np.empty((0, spec.height, spec.width), np.uint8)


def _different(images: NDArray[np.uint8], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Class numbers, without those that look like an earlier one: a circle is a circle in every script."""
    present, first = np.unique(numbers, return_index=True)
    small = images[first].reshape(len(first), 24, images.shape[1] // 24, 24, images.shape[2] // 24).mean(axis=(2, 4))
    flat = small.reshape(len(first), -1).astype(np.float32)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    kept: list[int] = []
    for start in range(0, len(flat), 512):
        alike = flat[start : start + 512] @ flat.T > _ALIKE
        kept += [start + row for row in range(len(alike)) if not alike[row, : start + row].any()]
    return np.asarray(present[kept])

"""What a run learns from and is judged by: a split, held-out groups, other pens, synthetic alphabets and glyphs of fonts."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oneshot_runtime.vision.preprocess import PreprocessSpec
from train.canvases import Canvases, by_drawers, hold_out, joined, kept_out
from train.drawings import from_image_set, kept_canvases
from train.episodes import within_alphabet_episodes
from train.glyphs import glyph_sets, held_out_scripts
from train.image_folder import from_folder
from train.omniglot import DatasetError, ImageSet, load_split
from train.synthetic import composed_alphabets, invented_alphabets

__all__ = ["TrainingData", "load_data", "load_held_out"]


@dataclass(frozen=True)
class TrainingData:
    """training: the split. validation: the held-out groups, if any. sources: what else is learned from, by name: "synthetic",
    and kinds of glyphs. scripts: glyphs of held-out scripts, if any. families: licence -> font families of the glyphs. holdout:
    names of the groups in `validation` that were taken out of the split.
    """

    training: Canvases
    validation: Canvases | None
    sources: dict[str, Canvases]
    scripts: Canvases | None = None
    families: Mapping[str, Sequence[str]] = field(default_factory=dict)
    holdout: tuple[str, ...] = ()


def load_data(
    data: Path,
    split: str,
    spec: PreprocessSpec,
    holdout: Sequence[str] | None = None,
    composed: int = 0,
    invented: int = 0,
    pens: bool = True,
    glyphs: Sequence[str] = (),
    fonts: Sequence[Path] = (),
    drawers: tuple[int, int] | None = None,
    skip_bad: bool = False,
) -> TrainingData:
    """Load and preprocess a split, redrawn with other `pens` too, and what else a run learns from.

    Letters of the training alphabets only are composed. A folder of images has neither these nor other pens: its
    pictures need not be drawings. All cores take part, in processes of their own: a script that calls this guards its main.

    Args:
        data: folder of Omniglot's zips, or of images.
        split: see `TrainConfig`.
        spec: how pictures become canvases.
        holdout: groups to keep for validation; None lets `kept_out` choose them of a folder.
        composed: number of alphabets to compose.
        invented: number of alphabets to invent.
        pens: whether drawings are redrawn with other pens.
        glyphs: kinds of `train.glyphs.KINDS` to draw.
        fonts: folders of fonts to draw them with.
        drawers: how many of the twenty drawers of each character train, and how many of the next validate; all do both
            without.
        skip_bad: leave out images of a folder that cannot be used.

    Raises:
        DatasetError: the data cannot be used, or a group is unknown.
    """
    images, training, validation, holdout = _real(data, split, spec, holdout, pens, skip_bad)
    if drawers is not None:
        training = by_drawers(training, range(drawers[0]))
        validation = by_drawers(validation, range(drawers[0], sum(drawers))) if validation else None
    if len(training.members()) < 2:
        raise DatasetError("training needs at least two classes to tell apart")
    if validation is not None and not within_alphabet_episodes(validation, way=20, per_group=1, seed=1):
        raise DatasetError(
            "the held-out groups give no episode: hold out a group of at least two classes drawn by the same people"
        )
    synthetic = _synthetic(images, list(training.groups), spec, composed, invented)
    sources = {"synthetic": joined(*synthetic)} if synthetic else {}
    if not glyphs:
        return TrainingData(training, validation, sources, holdout=tuple(holdout or ()))
    sets, scripts = glyph_sets(fonts, spec, glyphs, progress=True)
    sources |= {each.kind: each.canvases for each in sets}
    families: dict[str, set[str]] = {}
    for each in sets:
        for licence, names in each.families.items():
            families.setdefault(licence, set()).update(names)
    named = {name: sorted(families[name]) for name in sorted(families)}
    return TrainingData(training, validation, sources, scripts, named, tuple(holdout or ()))


def _real(
    data: Path, split: str, spec: PreprocessSpec, holdout: Sequence[str] | None, pens: bool, skip_bad: bool
) -> tuple[ImageSet | None, Canvases, Canvases | None, Sequence[str] | None]:
    """Omniglot's images, if it is those, then what trains, what was held out, and the names of the groups that were."""
    if split == "folder":
        images, validation = None, None
        training, holdout = kept_out(from_folder(data, spec, progress=True, skip_bad=skip_bad, processes=True), holdout)
    else:
        images, held_out = load_split(data, split)
        training = from_image_set(images, spec, pens=pens, progress=True, processes=True)
        validation = from_image_set(held_out, spec, progress=True, processes=True) if held_out else None
    if holdout:
        training, validation = hold_out(training, list(holdout))
    return images, training, validation, holdout


def _synthetic(
    images: ImageSet | None, alphabets: list[str], spec: PreprocessSpec, composed: int, invented: int
) -> list[Canvases]:
    """So many invented alphabets, and so many composed of letters of `alphabets`, where there are images."""
    found = []
    if invented:
        made = functools.partial(invented_alphabets, spec, invented, seed=1, progress=True)
        found.append(kept_canvases("invented", None, (spec, invented), made))
    if images is not None and composed:
        parts = {name: images.alphabets[name] for name in alphabets}
        made = functools.partial(composed_alphabets, images, parts, spec, composed, seed=2, progress=True)
        found.append(kept_canvases("composed", images, (spec, sorted(parts), composed), made))
    return found


def load_held_out(
    data: Path, split: str, spec: PreprocessSpec, holdout: Sequence[str], fonts: Sequence[Path]
) -> tuple[Canvases | None, Canvases | None]:
    """What a run is judged by, without what it learns from: its held-out groups, and held-out scripts where there are fonts.

    See `load_data` for the arguments and what is raised.
    """
    if split == "folder":
        canvases, named = kept_out(from_folder(data, spec, progress=True, processes=True), list(holdout) or ["none"])
        validation = hold_out(canvases, named)[1] if named else None
    else:
        images, held_out = load_split(data, split)
        validation = from_image_set(held_out, spec, progress=True, processes=True) if held_out else None
        if holdout:
            validation = hold_out(from_image_set(images, spec, progress=True, processes=True), list(holdout))[1]
    return validation, held_out_scripts(fonts, spec, progress=True) if fonts else None

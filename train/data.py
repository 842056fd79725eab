"""What a run learns from and is judged by, put together from a split, held-out groups, other pens and synthetic alphabets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oneshot_runtime.vision.preprocess import PreprocessSpec
from train.canvases import Canvases, from_folder, from_image_set, hold_out, joined
from train.episodes import within_alphabet_episodes
from train.omniglot import DatasetError, ImageSet, load_split
from train.synthetic import composed_alphabets, invented_alphabets

__all__ = ["TrainingData", "load_data"]


@dataclass(frozen=True)
class TrainingData:
    """training: the split. validation: the held-out groups, if any. synthetic: composed and invented alphabets, if any."""

    training: Canvases
    validation: Canvases | None
    synthetic: Canvases | None


def load_data(
    data: Path,
    split: str,
    spec: PreprocessSpec,
    holdout: Sequence[str] = (),
    composed: int = 0,
    invented: int = 0,
    pens: bool = True,
) -> TrainingData:
    """Load and preprocess a split, redrawn with other `pens` too; see `TrainConfig` for the rest. Raises `DatasetError`.

    Alphabets are composed of the training alphabets only, and a folder of images has neither these nor other pens: its
    pictures need not be drawings.
    """
    images: ImageSet | None = None
    if split == "folder":
        training, validation = from_folder(data, spec, progress=True), None
    else:
        images, held_out = load_split(data, split)
        training = from_image_set(images, spec, pens=pens, progress=True)
        validation = from_image_set(held_out, spec, progress=True) if held_out else None
    if holdout:
        training, validation = hold_out(training, list(holdout))
    if len(training.members()) < 2:
        raise DatasetError("training needs at least two classes to tell apart")
    if validation is not None and not within_alphabet_episodes(validation, way=20, per_group=1, seed=1):
        raise DatasetError(
            "the held-out groups give no episode: hold out a group of at least two classes drawn by the same people"
        )
    synthetic = [invented_alphabets(spec, invented, seed=1, progress=True)] if invented else []
    if images is not None and composed:
        parts = {name: images.alphabets[name] for name in training.groups}
        synthetic.append(composed_alphabets(images, parts, spec, composed, seed=2, progress=True))
    return TrainingData(training, validation, _all_of(synthetic))


def _all_of(parts: list[Canvases]) -> Canvases | None:
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else joined(parts[0], parts[1])

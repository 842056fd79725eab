"""Score a checkpoint or a bundle on a folder of one's own images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.quality.sheet import Cell, draw_sheet, save_sheet
from oneshot_runtime.vision.preprocess import PreprocessSpec
from train.batches import sample_pairs
from train.canvases import Canvases, hold_out
from train.checkpoint import load_model
from train.episodes import STRANGERS, Compare, Score, open_set_classes
from train.image_folder import from_folder, image_files

__all__ = ["FolderReport", "evaluate_folder"]

_EPISODES, _PAIRS, _SHOWN = 300, 5_000, 40


@dataclass(frozen=True)
class FolderReport:
    """scores: by name, which says what was asked. confused: (class shown, class given) by how often, most frequent first."""

    scores: dict[str, Score]
    confused: list[tuple[tuple[int, int], int]]
    canvases: Canvases

    def save_sheet(self, file: Path) -> None:
        """Draw the worst confusions: what was taken (left) for the query (right)."""
        first = {int(c): int(np.flatnonzero(self.canvases.classes == c)[0]) for c in np.unique(self.canvases.classes)}
        ink = 255 - self.canvases.images
        cells = [
            Cell(ink[first[given]], ink[first[shown]], f"{count} times", "", False)
            for (shown, given), count in self.confused[:_SHOWN]
        ]
        save_sheet(draw_sheet(cells, f"worst confusions: {len(self.confused)} pairs of classes"), file)


def evaluate_folder(
    model: str | None, folder: Path, groups: Sequence[str] = (), way: int = 20, shots: int = 1, precision: str = "auto"
) -> FolderReport:
    """Few-shot accuracy, verification, and strangers, all within the groups of a folder.

    Args:
        model: a `.pt` checkpoint, a bundle folder, or None for the bundle that ships.
        folder: `class/image` or `group/class/image`.
        groups: those to score; all unless named.
        way: classes in an episode; groups of fewer give what they have.
        shots: supports of each class.
        precision: of a bundle.

    Raises:
        DatasetError: the folder cannot be used, or a group is unknown.
    """
    spec, embed, compare = _network(model, precision)
    canvases = from_folder(folder, spec, progress=True, processes=True)
    embeddings = embed(canvases, folder)
    if groups and set(groups) != set(canvases.groups):
        _, canvases = hold_out(canvases, list(groups))
        embeddings = embeddings[_rows(folder, groups)]
    return _scored(canvases, embeddings, compare, way, shots)


Embed = Callable[[Canvases, Path], NDArray[np.float32]]


def _network(model: str | None, precision: str) -> tuple[PreprocessSpec, Embed, Compare]:
    if model is not None and model.endswith(".pt"):
        config, network, _ = load_model(model)

        def of_canvases(canvases: Canvases, _folder: Path) -> NDArray[np.float32]:
            with torch.inference_mode():
                parts = [network.embed(torch.from_numpy(part)) for part in _chunks(canvases.images)]
            return np.asarray(torch.cat(parts).numpy())

        def compared(queries: NDArray[np.float32], supports: NDArray[np.float32]) -> NDArray[np.float32]:
            with torch.inference_mode():
                return np.asarray(network.head(torch.from_numpy(queries), torch.from_numpy(supports)).numpy())

        return config.model.spec, of_canvases, compared
    matcher = OneShotMatcher.load(model, precision=precision, far=None)
    head = matcher.bundle.head

    def of_files(_canvases: Canvases, folder: Path) -> NDArray[np.float32]:
        files = image_files(folder)
        return np.concatenate([matcher.embed(list(files[start : start + 256])) for start in range(0, len(files), 256)])

    def by_head(queries: NDArray[np.float32], supports: NDArray[np.float32]) -> NDArray[np.float32]:
        distances = np.abs(queries[:, None] - supports[None]) @ head.weights
        return np.asarray(head.bias - distances, np.float32)

    return matcher.bundle.spec, of_files, by_head


def _chunks(images: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [images[start : start + 256] for start in range(0, len(images), 256)]


def _rows(folder: Path, groups: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([file.parent.parent.name in groups for file in image_files(folder)])


def _scored(canvases: Canvases, embeddings: NDArray[np.float32], compare: Compare, way: int, shots: int) -> FolderReport:
    rng = np.random.default_rng(0)
    members = canvases.members()
    usable = [group[[len(members[c]) > shots for c in group]] for group in canvases.groups.values()]
    usable = [group for group in usable if len(group) > 1]
    confused: Counter[tuple[int, int]] = Counter()
    correct = total = 0
    for _ in range(_EPISODES if usable else 0):
        group = usable[rng.integers(len(usable))]
        classes = rng.permutation(group)[:way]
        picks = np.stack([rng.permutation(members[c])[: shots + 1] for c in classes])
        found = _class_scores(compare, embeddings[picks[:, 0]], embeddings[picks[:, 1:]]).argmax(axis=1)
        correct += int((found == np.arange(len(classes))).sum())
        total += len(classes)
        confused.update((int(classes[n]), int(classes[given])) for n, given in enumerate(found) if n != given)
    most = max((len(group) for group in usable), default=0)
    scores = {f"{min(way, most)}-way {shots}-shot, within a group": Score(correct, total)} if usable else {}
    batch = sample_pairs(canvases, _PAIRS, rng, within_group=True)
    parts = [slice(start, start + 250) for start in range(0, _PAIRS, 250)]
    logits = np.concatenate([np.diag(compare(embeddings[batch.left[p]], embeddings[batch.right[p]])) for p in parts])
    scores["same or different, pairs within a group"] = Score(int(((logits > 0) == (batch.targets > 0)).sum()), _PAIRS)
    size = min(20, len(members) - STRANGERS)
    if size > 0:
        scores |= _strangers(canvases, embeddings, compare, size, rng)
    return FolderReport(scores, confused.most_common(), canvases)


def _class_scores(compare: Compare, queries: NDArray[np.float32], supports: NDArray[np.float32]) -> NDArray[np.float32]:
    """Similarity (Q, C) to classes with supports (C, k, D): the mean of the nearest's and the prototype's."""
    classes, shots = supports.shape[:2]
    each = compare(queries, supports.reshape(classes * shots, -1)).reshape(len(queries), classes, shots)
    return np.asarray((each.max(axis=2) + compare(queries, supports.mean(axis=1))) / 2)


def _strangers(
    canvases: Canvases, embeddings: NDArray[np.float32], compare: Compare, size: int, rng: np.random.Generator
) -> dict[str, Score]:
    """Recognised, with one support each, where the threshold lets exactly 5 or 1 % of strangers through."""
    members = canvases.members()
    known, right, strange = [], [], []
    for _ in range(_EPISODES):
        gallery, unknown = open_set_classes(list(canvases.groups.values()), size, rng)
        pairs = np.stack([rng.permutation(members[c])[:2] for c in gallery])
        found = compare(embeddings[pairs[:, 1]], embeddings[pairs[:, 0]])
        known.append(found.max(axis=1))
        right.append(found.argmax(axis=1) == np.arange(size))
        asked = embeddings[[rng.choice(members[c]) for c in unknown]]
        strange.append(compare(asked, embeddings[pairs[:, 0]]).max(axis=1))
    best, correct, refused = np.concatenate(known), np.concatenate(right), np.concatenate(strange)
    return {
        f"recognised of {size} enrolled, {100 * far:g} % of strangers accepted": Score(
            int((correct & (best >= np.quantile(refused, 1 - far))).sum()), len(best)
        )
        for far in (0.05, 0.01)
    }

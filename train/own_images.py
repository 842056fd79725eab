"""Score a checkpoint or a bundle on a folder of one's own images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from oneshot_runtime.model import Bundle
from oneshot_runtime.model.session import open_embedder
from oneshot_runtime.quality.sheet import Cell, draw_sheet, save_sheet
from oneshot_runtime.vision.preprocess import PreprocessSpec
from train.batches import sample_pairs
from train.canvases import Canvases, only
from train.checkpoint import load_model
from train.episodes import STRANGERS, Compare, Score, open_set_classes, way_of
from train.image_folder import from_folder
from train.omniglot import DatasetError

__all__ = ["FolderReport", "evaluate_folder"]

_EPISODES, _PAIRS, _SHOWN, _BATCH = 300, 5_000, 40, 256


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
    model: str | None,
    folder: Path,
    groups: Sequence[str] = (),
    way: int = 20,
    shots: int = 1,
    precision: str = "auto",
    skip_bad: bool = False,
) -> FolderReport:
    """Few-shot accuracy, verification, and strangers, all within the groups of a folder.

    Args:
        model: a `.pt` checkpoint, a bundle folder, or None for the bundle that ships.
        folder: `class/image` or `group/class/image`, or an .npz file, see `from_folder`.
        groups: those to score; all unless named.
        way: classes in an episode; groups of fewer give what they have.
        shots: supports of each class.
        precision: of a bundle.
        skip_bad: leave out images that cannot be used.

    Raises:
        DatasetError: the folder cannot be used, a group is unknown, or no class has so many supports and a query besides.
    """
    spec, embed, compare = _network(model, precision)
    canvases = from_folder(folder, spec, progress=True, skip_bad=skip_bad, processes=True)
    if groups:
        canvases = only(canvases, groups)
    most = max(len(rows) for rows in canvases.members())
    if shots >= most:
        raise DatasetError(
            f"--shots {shots}: no class has more than {most} images, and a query is one besides; at most {most - 1}"
        )
    chunks = [canvases.images[start : start + _BATCH] for start in range(0, len(canvases.images), _BATCH)]
    return _scored(canvases, np.concatenate([embed(chunk) for chunk in chunks]), compare, way, shots)


Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def _network(model: str | None, precision: str) -> tuple[PreprocessSpec, Embed, Compare]:
    """How pictures become canvases, canvases uint8 (N, H, W) embeddings, and embeddings similarities."""
    if model is not None and model.endswith(".pt"):
        config, network, _ = load_model(model)

        def embedded(canvases: NDArray[np.uint8]) -> NDArray[np.float32]:
            with torch.inference_mode():
                return np.asarray(network.embed(torch.from_numpy(canvases)).numpy())

        def compared(queries: NDArray[np.float32], supports: NDArray[np.float32]) -> NDArray[np.float32]:
            with torch.inference_mode():
                return np.asarray(network.head(torch.from_numpy(queries), torch.from_numpy(supports)).numpy())

        return config.model.spec, embedded, compared
    bundle = Bundle.open(model)

    def by_head(queries: NDArray[np.float32], supports: NDArray[np.float32]) -> NDArray[np.float32]:
        distances = np.abs(queries[:, None] - supports[None]) @ bundle.head.weights
        return np.asarray(bundle.head.bias - distances, np.float32)

    return bundle.spec, open_embedder(bundle, "cpu", precision, torch.get_num_threads()), by_head


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
    scores = {f"{way_of(usable, way)} {shots}-shot, within a group": Score(correct, total)} if usable else {}
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

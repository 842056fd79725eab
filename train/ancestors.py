"""Earlier runs that a run builds on: the weights it starts from, and the teachers whose comparisons it learns from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from oneshot_runtime.model.bundle import Bundle
from train.checkpoint import CheckpointError, load_checkpoint
from train.config import TrainConfig
from train.model import ModelConfig, SiameseNet
from train.unfold import unfolded

__all__ = ["Ancestor", "Teachers", "load_ancestor", "network_of"]


_VIEWS = ((), (-2, -1), (-1,), (-2,))
"""As it is, turned by half, and mirrored either way: the axes along which an image is flipped."""


@dataclass(frozen=True)
class Ancestor:
    """A run's averaged weights, and its record: JSON-ready, with the command that repeats it and a digest of the weights.

    folded: read from a bundle, where batch norms have no statistics left.
    """

    model: ModelConfig
    weights: dict[str, Tensor]
    record: dict[str, Any]
    folded: bool


def network_of(path: Path) -> ModelConfig:
    """The network of a run's checkpoint, or of its bundle's folder. Raises `CheckpointError` and `BundleError`."""
    return (_read_bundle(path) if path.is_dir() else _read_checkpoint(path, "cpu"))[2]


def load_ancestor(path: Path, config: TrainConfig, holdout: Sequence[str]) -> Ancestor:
    """Read a run's checkpoint, or its bundle's folder, for another run of `config` that holds out the groups `holdout`.

    Raises `CheckpointError` when it is of another split, or learned from a group that the new run holds out, and `BundleError`
    for a damaged bundle. A run on a folder of one's own images takes any Omniglot split's.
    """
    split, notes, model, weights = _read_bundle(path) if path.is_dir() else _read_checkpoint(path, config.device)
    seen = set(holdout) - set(notes.get("holdout", []))
    own_images = config.split == "folder" and split != "folder"
    if not own_images and (split != config.split or seen):
        said = f"holds out {sorted(seen)}" if seen else f"is of split {config.split}"
        raise CheckpointError(f"'{path}' may have learned from what this run is judged by: it is of split {split}, "
                              f"this run {said}; take a run of the same split and holdout")  # fmt: skip
    digest = hashlib.blake2b(digest_size=16)
    for name, value in sorted(weights.items()):
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    kept = ("command", "commit", "holdout", "started_from", "teachers", "blended_with", "fingerprint")
    record = {key: notes[key] for key in kept if key in notes} | {"weights": digest.hexdigest()}
    return Ancestor(model, weights, record, folded=path.is_dir())


def _read_checkpoint(path: Path, device: str) -> tuple[str, dict[str, Any], ModelConfig, dict[str, Tensor]]:
    """A checkpoint's split, notes, model and averaged weights."""
    config, state = load_checkpoint(path, device)
    return config.split, json.loads(state["notes"]), config.model, state["ema"]


def _read_bundle(path: Path) -> tuple[str, dict[str, Any], ModelConfig, dict[str, Tensor]]:
    """The same of a bundle, whose fingerprint joins the notes."""
    bundle = Bundle.open(path)
    training = bundle.manifest.get("training")
    if not isinstance(training, dict) or "split" not in training:
        raise CheckpointError(f"bundle '{path}' does not say what it was trained on, so nothing can be built on it")
    model = unfolded(bundle)
    return str(training["split"]), training | {"fingerprint": bundle.fingerprint}, model.config, model.state_dict()


class Teachers:
    """An ensemble of earlier runs, whose mean logits a student learns to give (Hinton, Vinyals, Dean 2015).

    With `config.views` above 1 each sees the images turned and mirrored, too: two that both are show the same symbol as before,
    and a network that judges them anew errs elsewhere. records: `Ancestor.record` of each.
    """

    def __init__(self, paths: Sequence[Path], config: TrainConfig, holdout: Sequence[str]) -> None:
        """Raises `CheckpointError`, as `load_ancestor` does, and for a run that sees images otherwise than `config` does."""
        ancestors = [load_ancestor(path, config, holdout) for path in paths]
        for path, ancestor in zip(paths, ancestors, strict=True):
            if ancestor.model.spec != config.model.spec:
                raise CheckpointError(f"'{path}' cannot teach this run: it was trained on canvases of {ancestor.model.spec}, "
                                      f"this run on {config.model.spec}")  # fmt: skip
        self.records = [ancestor.record for ancestor in ancestors]
        self._models = [_frozen(ancestor, config.device) for ancestor in ancestors]
        self._views = _VIEWS[: config.views]

    @torch.no_grad()
    def logits(self, ink: Tensor) -> Tensor:
        """Mean logits of each image against each: ink float32 (B, 1, H, W) -> float32 (B, B)."""
        found = []
        for model in self._models:
            for dims in self._views:
                embeddings = model.embed_ink(ink.flip(dims))
                found.append(model.head(embeddings, embeddings))
        return torch.stack(found).mean(dim=0)


def _frozen(ancestor: Ancestor, device: str) -> SiameseNet:
    model = SiameseNet(ancestor.model).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.load_state_dict(ancestor.weights)
    frozen: SiameseNet = model.eval().requires_grad_(False)
    return frozen

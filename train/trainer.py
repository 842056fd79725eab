"""One training run: its state, its steps, and how it is saved and resumed exactly."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from train.ancestors import Teachers, load_ancestor
from train.augment import augment
from train.batches import BatchSampler, sample_pairs
from train.blend import blended, refresh_norms
from train.canvases import Canvases, joined
from train.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from train.config import TrainConfig
from train.losses import all_pairs_loss, all_pairs_parts, distillation_loss, pairs_loss
from train.model import SiameseNet
from train.paper import distort, initialise, layerwise_sgd, set_epoch, steps_of_epoch
from train.unfold import centre_norms
from train.widen import widened

__all__ = ["Trainer"]

_CENTRED_ON = 500


class Trainer:
    """Holds model, averaged weights, optimiser and random states; `step()` advances all of them by one batch.

    done: steps so far. spent: seconds by the clock so far, which whoever drives the run adds up. start: the weights that the
    run started from, if it did.
    notes: JSON-ready facts for the record (command, commit, validation, thresholds) that travel with the checkpoint. sources:
    what `config.shares` of the batches come from, by name. teachers: what half of the all-pairs loss gives way to.
    """

    def __init__(
        self,
        config: TrainConfig,
        canvases: Canvases,
        sources: Mapping[str, Canvases] | None = None,
        teachers: Teachers | None = None,
    ) -> None:
        self.config = config
        self.done = 0
        self.spent = 0.0
        torch.manual_seed(config.seed)
        self.model = SiameseNet(config.model).to(config.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.paper is not None:
            initialise(self.model)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimizer = self._optimizer()
        self.generator = torch.Generator().manual_seed(config.seed)
        self.rng = np.random.default_rng(config.seed)
        self.best = -1.0
        self.start: dict[str, Tensor] | None = None
        self.notes: dict[str, Any] = {"data": _digest(canvases)}
        sources = dict(sources or {})
        if sources:
            self.notes["sources"] = {name: _digest(source) for name, source in sources.items()}
        if teachers is not None:
            self.notes["teachers"] = teachers.records
        self._parts: dict[str, Tensor] = {}
        self._teachers = teachers
        self._real = canvases
        everything = joined(canvases, *sources.values())
        # All of them on the device, for a GPU would wait for each batch; 64 x 64 bytes an image and pen.
        self._images = torch.from_numpy(everything.images).to(config.device)
        self._pens = torch.from_numpy(everything.pens).to(config.device)
        self._classes = torch.from_numpy(everything.classes).to(config.device)
        self._alphabets = torch.from_numpy(everything.alphabets())
        weights = _weights(canvases, sources, config.shares)
        self._sampler = BatchSampler(everything, weights, config.classes, config.shots, config.per_group, self.rng)

    @classmethod
    def resume(
        cls,
        path: Path,
        canvases: Canvases,
        sources: Mapping[str, Canvases] | None = None,
        teachers: Teachers | None = None,
        device: str = "cpu",
    ) -> Trainer:
        """Continue a run so that it ends as if it had never stopped; on another device, to its rounding.

        Raises `CheckpointError` when the run was started with other images or other teachers.
        """
        config, state = load_checkpoint(path, device)
        trainer = cls(replace(config, device=device), canvases, sources, teachers)
        notes = json.loads(state["notes"])
        for what, option in (("images", "data"), ("teachers", "teachers"), ("glyphs", "sources")):
            if notes.get(option) != trainer.notes.get(option):
                raise CheckpointError(f"'{path}' was started with other {what} than these: give --{option} what it was started "
                                      "with")  # fmt: skip
        trainer.model.load_state_dict(state["model"])
        trainer.average.load_state_dict(state["ema"])
        trainer.optimizer.load_state_dict(state["optimizer"])
        trainer.generator.set_state(state["generator"].cpu())
        trainer.rng.bit_generator.state = json.loads(state["rng"])
        trainer.done = state["done"]
        trainer.spent = state["spent"]
        trainer.best = state["best"]
        trainer.start = state["start"]
        trainer.notes = notes
        return trainer

    def extend(self, steps: int) -> None:
        """Make the run one of so many steps; its learning rate goes on along the longer run's cosine.

        Raises `CheckpointError` where that is no longer than it is, or it goes by the clock.
        """
        if self.config.minutes or steps < self.config.steps:
            said = "it goes by the clock" if self.config.minutes else f"it has {self.config.steps} steps already"
            raise CheckpointError(f"the run cannot be extended to {steps} steps: {said}")
        if steps > self.config.steps:
            self.notes["extended"] = [
                *self.notes.get("extended", []),
                {"at": self.done, "from": self.config.steps, "to": steps},
            ]
            self.notes.pop("stopped_early", None)
            self.config = replace(self.config, steps=steps)

    def start_from(self, path: Path) -> None:
        """Begin with the averaged weights of another run or its bundle, widened where this network is wider; note its command.

        Raises `CheckpointError` for other layers or a wider network, and for a run that learned from groups that this one holds
        out.
        """
        ancestor = load_ancestor(path, self.config, self.notes.get("holdout", []))
        own, begun = self.config.model, SiameseNet(ancestor.model).to(self.config.device).eval()
        if replace(ancestor.model, channels=own.channels, dim=own.dim, preset=own.preset) != own:
            raise CheckpointError(f"'{path}' is of preset {ancestor.model.preset}, this run is of {own.preset}")
        begun.load_state_dict(ancestor.weights)
        if ancestor.folded:
            centre_norms(begun, self._sample())
        weights = begun.state_dict()
        if replace(ancestor.model, preset=own.preset) != own:
            weights = widened(weights, ancestor.model, own, self.config.seed)
        self.notes["started_from"] = ancestor.record
        self.average.load_state_dict(weights)
        self.model.load_state_dict(weights)
        self.start = _copied(weights)

    @contextmanager
    def blended_with_start(self, share: float, refresh: bool = False) -> Iterator[None]:
        """While open, the averaged weights are those `share` of the way from what the run started from to its own.

        refresh: measure batch norms' statistics again on training images. Between networks that lie far apart it must be; near
        each other those between are as good, and do not lean towards the few images of a folder.

        Raises `ValueError` when it started from nothing.
        """
        if self.start is None:
            raise ValueError("a run that started from nothing has no weights to blend with")
        own = _copied(self.average.state_dict())
        self.average.load_state_dict(blended(self.start, own, share))
        if refresh:
            refresh_norms(self.average, self._sample())
        try:
            yield
        finally:
            self.average.load_state_dict(own)

    def _sample(self) -> Tensor:
        """Training canvases, moved as in a step: what statistics of batch norms are measured on."""
        images = self._images[torch.linspace(0, len(self._images) - 1, _CENTRED_ON).long()]
        return augment(images, self.config.augment, torch.Generator().manual_seed(0))

    def save(self, path: Path) -> None:
        """Write everything that `resume` needs."""
        state = {
            "model": self.model.state_dict(),
            "ema": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "rng": json.dumps(self.rng.bit_generator.state),
            "done": self.done,
            "spent": self.spent,
            "best": self.best,
            "start": self.start,
            "notes": json.dumps(self.notes),
        }
        save_checkpoint(path, self.config, state)

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch of the paper's schedule; of the whole run without one."""
        config = self.config
        return steps_of_epoch(config.paper, config.classes * config.shots // 2) if config.paper else config.steps

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or all minutes spent where those count, or the run was stopped early."""
        config = self.config
        if self.notes.get("stopped_early"):
            return True
        return self.spent >= 60 * config.minutes if config.minutes else self.done >= config.steps

    def step(self) -> tuple[Tensor, int]:
        """One optimiser step. Returns the loss, which a GPU may still be working out, and the number of images embedded."""
        if self.config.paper is not None:
            set_epoch(self.optimizer, self.config.paper, self.done // self.epoch_steps)
        else:
            rate = self._learning_rate()
            for group in self.optimizer.param_groups:
                group["lr"] = rate
        self.model.train()
        loss, images = self._pairs_step() if self.config.loss == "pairs" else self._all_pairs_step()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.done += 1
        self._update_average()
        return loss.detach(), images

    def last_step(self) -> dict[str, Any]:
        """The learning rate of the last step and the parts of its loss, and the seconds that the run has taken, for the log."""
        parts = {name: round(float(part.detach()), 5) for name, part in self._parts.items()}
        rate = self.optimizer.param_groups[0]["lr"]
        return {"learning_rate": rate, "seconds": round(self.spent, 1)} | ({"parts": parts} if parts else {})

    def embed_average(self, images: NDArray[np.uint8], batch: int = 256) -> NDArray[np.float32]:
        """Embeddings of canvases uint8 (N, H, W) by the averaged weights, float32 (N, D)."""
        with torch.inference_mode():
            chunks = [self._embed(self.average, torch.from_numpy(images[i : i + batch])) for i in range(0, len(images), batch)]
        return np.asarray(torch.cat(chunks).cpu().numpy())

    def compare_average(self, queries: NDArray[np.float32], supports: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (Q, S) by the averaged head."""
        with torch.inference_mode():
            device = self.config.device
            logits = self.average.head(torch.from_numpy(queries).to(device), torch.from_numpy(supports).to(device))
        return np.asarray(logits.cpu().numpy())

    def _all_pairs_step(self) -> tuple[Tensor, int]:
        index = torch.from_numpy(self._sampler.draw())
        images, state = self._by_any_pen(index), self.generator.get_state()
        embeddings = self._augmented_embeddings(index, images)
        logits = self.model.head(embeddings, embeddings)
        self._parts = all_pairs_parts(logits, self._classes[index].to(logits.device))
        loss = all_pairs_loss(self._parts)
        if self._teachers is not None:
            # Teachers see each drawing as it was drawn, moved like the student's, so that it learns what no pen changes.
            ink = augment(self._images[index], self.config.augment, _generator(state), self._alphabets[index])
            with self._autocast():
                taught = self._teachers.logits(ink)
            self._parts["teachers"] = distillation_loss(logits, taught)
            loss = 0.5 * loss + self._parts["teachers"]
        return loss, len(index)

    def _pairs_step(self) -> tuple[Tensor, int]:
        pairs, published = self.config.classes * self.config.shots // 2, self.config.paper is not None
        batch = sample_pairs(self._real, pairs, self.rng, within_group=published, evenly=published)
        index = torch.from_numpy(np.concatenate((batch.left, batch.right)))
        left, right = self._augmented_embeddings(index, self._by_any_pen(index)).chunk(2)
        logits = self.model.head.paired(left, right)
        return pairs_loss(logits, torch.from_numpy(batch.targets).to(logits.device)), len(index)

    def _augmented_embeddings(self, index: Tensor, images: Tensor) -> Tensor:
        config = self.config
        if config.paper is not None:
            ink = distort(images, self.generator)
        else:
            ink = augment(images, config.augment, self.generator, self._alphabets[index])
        with self._autocast():
            return self.model.embed_ink(ink)

    def _by_any_pen(self, index: Tensor) -> Tensor:
        """The images, `config.redrawn` of those that other pens have redrawn in one of these versions. uint8 (B, H, W)."""
        images = self._images[index]
        pens, redrawn = self._pens.shape[:2]
        other = torch.rand(len(index), generator=self.generator) < self.config.redrawn
        if pens:
            rows = torch.nonzero(other & (index < redrawn)).flatten()
            pen = torch.randint(pens, (len(rows),), generator=self.generator)
            images[rows.to(images.device)] = self._pens[pen, index[rows]]
        return images

    def _optimizer(self) -> torch.optim.Optimizer:
        config = self.config
        if config.paper is not None:
            return layerwise_sgd(self.model, config.paper)
        return torch.optim.AdamW(_parameter_groups(self.model, config.weight_decay), lr=config.learning_rate)

    def _embed(self, model: SiameseNet, images: Tensor) -> Tensor:
        """In full precision, as what is exported: thresholds hold for that."""
        return model.embed(images.to(self.config.device))

    def _autocast(self) -> torch.autocast:
        enabled = self.config.precision == "bf16"
        return torch.autocast(torch.device(self.config.device).type, dtype=torch.bfloat16, enabled=enabled)

    def _learning_rate(self) -> float:
        """Linear warm-up, then a cosine to zero at the end."""
        config = self.config
        warm = min(1.0, (self.done + 1) / max(1, config.warmup))
        progress = max(0, self.done - config.warmup) / max(1, config.steps - config.warmup)
        if config.minutes:
            progress = self.spent / (60 * config.minutes)
        return config.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    @torch.no_grad()
    def _update_average(self) -> None:
        """Exponential moving average of weights and of batch norm's statistics, short at the start of the run."""
        decay = 0.0 if self.config.paper else min(self.config.ema, (1 + self.done) / (10 + self.done))
        for average, current in zip(_floats(self.average), _floats(self.model), strict=True):
            average.lerp_(current, 1 - decay)


def _copied(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in weights.items()}


def _digest(canvases: Canvases) -> str:
    return hashlib.blake2b(np.ascontiguousarray(canvases.images).data, digest_size=16).hexdigest()


def _weights(canvases: Canvases, sources: Mapping[str, Canvases], shares: Mapping[str, float]) -> dict[str, float]:
    """How often each group is opened: each source its share, evenly over its groups, and the drawings what is left."""
    taken = {name: shares.get(name, 0.0) for name in sources}
    parts = [(canvases, 1 - sum(taken.values())), *((source, taken[name]) for name, source in sources.items())]
    return {group: share / len(part.groups) for part, share in parts for group in part.groups}


def _generator(state: Tensor) -> torch.Generator:
    generator = torch.Generator()
    generator.set_state(state)
    return generator


def _floats(module: nn.Module) -> list[Tensor]:
    return [value for value in module.state_dict().values() if value.is_floating_point()]


def _parameter_groups(model: SiameseNet, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for the matrices of convolutions and the fully connected layer only, not for scales, biases and head."""
    decayed = [value for value in model.parameters() if value.ndim > 1]
    rest = [value for value in model.parameters() if value.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]

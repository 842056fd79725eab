"""Everything that defines a training run, as plain values that a checkpoint and a manifest can hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from train.augment import AugmentConfig
from train.model import ModelConfig

__all__ = ["TrainConfig"]


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    steps is always set: `--minutes` was turned into it once. classes, shots, per_group: see `BatchSampler`. loss: "all-pairs"
    or "pairs" (then a step takes classes * shots / 2 labelled pairs). precision: "bf16" or "fp32" for the convolutions.
    validations: how often the held-out alphabets are looked at. redrawn: share of the drawings shown as another pen drew them,
    where such versions were made. synthetic: share of the batches that come from composed and invented alphabets, of which
    there are `composed` and `invented`.
    """

    model: ModelConfig
    split: str
    steps: int
    seed: int = 0
    loss: str = "all-pairs"
    classes: int = 40
    shots: int = 4
    per_group: int = 20
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    warmup: int = 100
    ema: float = 0.999
    precision: str = "fp32"
    device: str = "cpu"
    validations: int = 12
    redrawn: float = 0.5
    synthetic: float = 0.3
    composed: int = 60
    invented: int = 30
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as JSON-ready values."""
        return {**asdict(self), "model": self.model.to_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Inverse of `to_dict`."""
        model, augment = ModelConfig.from_dict(values["model"]), AugmentConfig(**values["augment"])
        return cls(**{**values, "model": model, "augment": augment})

"""Everything that defines a training run, as plain values that a checkpoint and a manifest can hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from train.augment import AugmentConfig
from train.model import ModelConfig
from train.paper import PaperConfig

__all__ = ["TrainConfig"]


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    steps is always set: `--minutes` was turned into it once. minutes: above 0, the run lasts as long by the clock, and its
    learning rate follows that instead of the steps; `steps` is then what it was expected to do. classes, shots, per_group: see
    `BatchSampler`. loss: "all-pairs" or "pairs" (then a step takes classes * shots / 2 labelled pairs). precision: "bf16" or
    "fp32" for the convolutions. validations: how often what was held out is looked at. redrawn: share of the drawings shown as
    another pen drew them, where such versions were made. shares: of the alphabets in a batch, those from other
    sources than the split's drawings, by the source: "synthetic" (`composed` and `invented` alphabets), and the kinds
    of `train.glyphs`; shares of sources that a run does not have count as drawings. paper: the paper's optimiser, schedule,
    initialisation and distortions in place of AdamW, the cosine, `augment` and the average.
    """

    model: ModelConfig
    split: str
    steps: int
    minutes: float = 0.0
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
    shares: dict[str, float] = field(default_factory=lambda: {"synthetic": 0.3})
    composed: int = 60
    invented: int = 30
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    paper: PaperConfig | None = None

    def to_dict(self) -> dict[str, Any]:
        """The configuration as JSON-ready values."""
        return {**asdict(self), "model": self.model.to_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Inverse of `to_dict`."""
        model, augment = ModelConfig.from_dict(values["model"]), AugmentConfig(**values["augment"])
        paper = values.get("paper")
        paper = PaperConfig(**{n: tuple(v) if isinstance(v, list) else v for n, v in paper.items()}) if paper else None
        return cls(**{**values, "model": model, "augment": augment, "paper": paper})

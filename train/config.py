"""Everything that defines a training run, as plain values that a checkpoint and a manifest can hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from train.augment import AugmentConfig
from train.model import ModelConfig
from train.paper import PaperConfig

__all__ = ["TrainConfig"]

_MOST = 10**9
_RANGES = {
    "steps": (0, _MOST), "minutes": (0, _MOST), "seed": (0, 2**63 - 1), "classes": (2, _MOST), "shots": (2, _MOST),
    "per_group": (1, _MOST), "learning_rate": (0, 1e3), "weight_decay": (0, 1e3), "warmup": (0, _MOST), "ema": (0, 1),
    "validations": (1, _MOST), "redrawn": (0, 1), "shares": (0, 1), "composed": (0, _MOST), "invented": (0, _MOST),
    "views": (1, 4),
    "model.channels": (1, 1 << 14), "model.kernels": (1, 99), "model.dim": (1, 65_535), "model.pooled": (0, 99),
    "augment.rotation": (0, 180), "augment.scale": (0, 2), "augment.aspect": (0, 2), "augment.shear": (0, 10),
    "augment.shift": (0, 1), "augment.elastic": (0, 1), "augment.pen": (0, 1), "augment.symmetry": (0, 1),
    "augment.alphabet": (0, 1),
    "paper.rates": (0, 1e3), "paper.momenta": (0, 1), "paper.decays": (0, 1e3), "paper.ramp": (0, _MOST),
    "paper.epoch": (1, _MOST), "paper.drawers": (1, _MOST), "paper.validation_drawers": (2, _MOST),
    "paper.patience": (1, _MOST), "paper.validate": (1, _MOST),
}  # fmt: skip
"""What each number may be, ends included."""


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    steps is always set: `--minutes` was turned into it once. minutes: above 0, the run lasts as long by the clock, and its
    learning rate follows that instead of the steps; `steps` is then what it was expected to do. classes, shots, per_group: see
    `BatchSampler`. loss: "all-pairs" or "pairs" (then a step takes classes * shots / 2 labelled pairs). precision: "bf16" or
    "fp32" for the convolutions. validations: how often what was held out is looked at. redrawn: share of the drawings shown as
    another pen drew them, where such versions were made. shares: of the alphabets in a batch, those from other
    sources than the split's drawings, by the source: "synthetic" (`composed` and `invented` alphabets), and the kinds
    of `train.glyphs`; shares of sources that a run does not have count as drawings. views: in how many of the square's
    symmetries teachers see a batch. paper: the paper's optimiser, schedule, initialisation and distortions in place of AdamW,
    the cosine, `augment` and the average.
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
    views: int = 1
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    paper: PaperConfig | None = None

    def problems(self) -> Iterator[str]:
        """What no run can have, in words that name the setting."""
        for name, (low, high) in _RANGES.items():
            value: Any = self
            for part in name.split("."):
                value = getattr(value, part, None)
            several = list(value.values()) if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
            if not all(one is None or low <= one <= high for one in several):
                yield f"setting {name!r} must be from {low:,} to {high:,}, got {value}"
        if self.loss not in ("all-pairs", "pairs"):
            yield f"setting 'loss' must be all-pairs or pairs, got {self.loss!r}"
        layers = len(self.model.channels)
        if len(self.model.kernels) != layers:
            both = f"{layers} and {len(self.model.kernels)}"
            yield f"settings 'model.channels' and 'model.kernels' must have a number for each convolution, got {both}"
        if self.paper is not None:
            for name in ("rates", "momenta", "decays"):
                if len(getattr(self.paper, name)) != layers + 2:
                    yield f"setting 'paper.{name}' must have {layers + 2} numbers: of convolutions, connected layer and head"

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

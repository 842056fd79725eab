"""The twin network: one embedding applied to both images, and a weighted L1 head (Koch, Zemel, Salakhutdinov 2015)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneshot_runtime.vision.preprocess import PREPROCESS_VERSION, PreprocessSpec

__all__ = ["NETWORKS", "PLAIN", "PRESETS", "ModelConfig", "SiameseNet", "UnknownNetworkError", "WeightedL1Head"]

PLAIN = "plain"


class UnknownNetworkError(ValueError):
    """A configuration names an embedding network that nobody registered in `NETWORKS`."""


@dataclass(frozen=True)
class ModelConfig:
    """The arguments that rebuild a `SiameseNet`.

    channels, kernels: one entry per convolution; max-pooling by two follows all but the last. norm: batch norm, and
    zero-padded convolutions; without it the convolutions are unpadded and have biases, as in the paper. pooled: side to
    which the last map is average-pooled before the fully connected layer, 0 for none. dim: length of the embedding.
    network: the name in `NETWORKS` of what builds the embedding; one of your own reads of the others what it likes. signed: the
    head's weights may be negative, as the paper's; such a network ranks by no distance, and is not exported.
    """

    preset: str
    spec: PreprocessSpec
    channels: tuple[int, ...]
    kernels: tuple[int, ...]
    dim: int
    norm: bool
    pooled: int = 0
    network: str = PLAIN
    signed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The configuration as JSON-ready values."""
        return {**asdict(self), "channels": list(self.channels), "kernels": list(self.kernels)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Inverse of `to_dict`."""
        return cls(
            **{
                **values,
                # Training sees clean drawings, whose canvases are the same in every version so far.
                "spec": PreprocessSpec.from_dict({**values["spec"], "version": PREPROCESS_VERSION}),
                "channels": tuple(values["channels"]),
                "kernels": tuple(values["kernels"]),
            }
        )


PRESETS = {
    "koch": ModelConfig(
        preset="koch",
        spec=PreprocessSpec(height=105, width=105, fit="frame"),
        channels=(64, 128, 128, 256),
        kernels=(10, 7, 4, 4),
        dim=4096,
        norm=False,
    ),
    "edge": ModelConfig(
        preset="edge",
        spec=PreprocessSpec(height=48, width=48),
        channels=(48, 96, 192, 384),
        kernels=(3, 3, 3, 3),
        dim=384,
        norm=True,
        pooled=3,
    ),
    "narrow": ModelConfig(
        preset="narrow",
        spec=PreprocessSpec(height=48, width=48),
        channels=(32, 64, 128, 256),
        kernels=(3, 3, 3, 3),
        dim=256,
        norm=True,
        pooled=3,
    ),
}


class SiameseNet(nn.Module):
    """Embeds images and compares embeddings; `head` holds the comparison.

    Raises `UnknownNetworkError` for a configuration whose network is not in `NETWORKS`.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        if config.network not in NETWORKS:
            raise UnknownNetworkError(
                f"network {config.network!r} is unknown, there are {', '.join(NETWORKS)}: name the module that builds it, with "
                "--network MODULE:FUNCTION, or put it into train.model.NETWORKS"
            )
        self.layers = NETWORKS[config.network](config)
        self.head = WeightedL1Head(config.dim, config.signed)

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings of canvases: uint8 (N, H, W) -> float32 (N, D) in [0, 1]."""
        return self.embed_ink(images.unsqueeze(1).float() / 255)

    def embed_ink(self, ink: Tensor) -> Tensor:
        """Embeddings of ink intensities: float32 (N, 1, H, W) in [0, 1] -> float32 (N, D)."""
        embeddings: Tensor = self.layers(ink.contiguous(memory_format=torch.channels_last))
        return embeddings.float()

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Probabilities, float32 (N,), that two stacks of canvases uint8 (N, H, W) show the same symbols, pair by pair."""
        return torch.sigmoid(self.head.paired(self.embed(left), self.embed(right)))


class WeightedL1Head(nn.Module):
    """`logit = bias - sum_j w_j |q_j - s_j|` with `w = softplus(raw) >= 0`, or `w = raw` when it is signed.

    Non-negative weights make the logit an L1 distance between pre-scaled embeddings, so supports can be cached, quantised
    and searched by any engine with a Manhattan metric; mixed signs would rank wrongly there.
    """

    def __init__(self, dim: int, signed: bool = False) -> None:
        super().__init__()
        self.signed = signed
        # Sigmoid embeddings of unrelated images are about 0.23 apart per component; this starts their distance near 8.
        start = 8 / (0.23 * dim)
        self.raw = nn.Parameter(torch.full((dim,), start if signed else math.log(math.expm1(start))))
        self.bias = nn.Parameter(torch.tensor(4.0))

    @property
    def weights(self) -> Tensor:
        """The weights, float32 (D,); non-negative unless the head is signed."""
        return self.raw if self.signed else F.softplus(self.raw)

    @torch.no_grad()
    def calibrate(self, scale: float, offset: float) -> None:
        """Make every logit `scale * logit + offset`; scale > 0."""
        self.assign(scale * self.weights, float(scale * self.bias + offset))

    @torch.no_grad()
    def assign(self, weights: Tensor, bias: float) -> None:
        """Take these constants: weights float32 (D,), positive unless the head is signed."""
        self.bias.fill_(bias)
        if self.signed:
            self.raw.copy_(weights)
            return
        # The inverse of softplus, in the form that does not overflow.
        self.raw.copy_(weights + torch.log(-torch.expm1(-weights)))

    def forward(self, queries: Tensor, supports: Tensor) -> Tensor:
        """Logits of every query against every support: (Q, D), (S, D) -> (Q, S)."""
        weights = self.weights.clamp(min=0) if self.signed else self.weights
        logits = self.bias - _distances(queries * weights, supports * weights)
        if self.signed:
            negative = (-self.weights).clamp(min=0)
            logits = logits + _distances(queries * negative, supports * negative)
        return logits

    def paired(self, left: Tensor, right: Tensor) -> Tensor:
        """Logits pair by pair: (N, D), (N, D) -> (N,)."""
        return self.bias - (left - right).abs() @ self.weights


def _distances(left: Tensor, right: Tensor) -> Tensor:
    """L1 distances of every row to every row: (Q, D), (S, D) -> (Q, S)."""
    if left.is_cuda and left.requires_grad:
        # The gradient of `torch.cdist` takes seconds there for a batch of a thousand.
        return (left.unsqueeze(1) - right.unsqueeze(0)).abs().sum(-1)
    return torch.cdist(left, right, p=1)


class PositiveBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose scale is |weight|.

    A positive scale commutes with max-pooling, so the norm can follow the pooling (a quarter of the work in training) and
    still be folded into the convolution before it at export.
    """

    def forward(self, maps: Tensor) -> Tensor:
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return F.batch_norm(
            maps,
            self.running_mean,
            self.running_var,
            self.weight.abs(),
            self.bias,
            self.training,
            0.1 if self.momentum is None else self.momentum,
            self.eps,
        )


def _plain(config: ModelConfig) -> nn.Module:
    """Convolutions with pooling between them, a fully connected layer, and a sigmoid."""
    layers: list[nn.Module] = []
    height, width, inputs = config.spec.height, config.spec.width, 1
    for index, (channels, kernel) in enumerate(zip(config.channels, config.kernels, strict=True)):
        last = index == len(config.channels) - 1
        padding = kernel // 2 if config.norm else 0
        layers.append(nn.Conv2d(inputs, channels, kernel, padding=padding, bias=not config.norm))
        height, width = height + 2 * padding - kernel + 1, width + 2 * padding - kernel + 1
        if not last:
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        if config.norm:
            layers.append(PositiveBatchNorm2d(channels))
        layers.append(nn.ReLU())
        inputs = channels
    if config.pooled:
        layers.append(nn.AvgPool2d((height // config.pooled, width // config.pooled)))
        height, width = height // (height // config.pooled), width // (width // config.pooled)
    layers += [nn.Flatten(), nn.Linear(inputs * height * width, config.dim, bias=not config.norm)]
    if config.norm:
        layers.append(nn.BatchNorm1d(config.dim))
    layers.append(nn.Sigmoid())
    for layer in layers:
        _initialise(layer)
    return nn.Sequential(*layers)


def _initialise(layer: nn.Module) -> None:
    """He initialisation: the paper's fixed standard deviations saturate its sigmoid layer under today's losses."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, std=1 / math.sqrt(layer.in_features))
    if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
        nn.init.zeros_(layer.bias)


NETWORKS: dict[str, Callable[[ModelConfig], nn.Module]] = {PLAIN: _plain}
"""What builds an embedding network, by name: any module from ink float32 (N, 1, H, W) in [0, 1] to embeddings float32 (N, D) in
[0, 1] that `torch.export` can trace. Batch norms need no care; a network initialises itself."""

"""Training as Koch, Zemel and Salakhutdinov (2015) published it: their initialisation, distortions, optimiser and schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from train.model import SiameseNet

__all__ = ["EPOCHS", "PaperConfig", "distort", "initialise", "layerwise_sgd", "set_epoch", "steps_of_epoch"]

EPOCHS = 200
"""The most that the paper trains."""

_FIRST_MOMENTUM = 0.5
_DECAY_OF_RATES = 0.99
_UNDISTORTED = 1 / 9
"""The paper adds eight distortions to each pair."""


@dataclass(frozen=True)
class PaperConfig:
    """Section 3.2 and 3.3 of the paper.

    The paper searched for a rate, a momentum and a decay of each layer, from 1e-4 to 0.1, 0 to 1 and 0 to 0.1, and does not say
    what it found: the values here are ours. With three times these rates a run fell back to chance.

    rates, momenta, decays: of the convolutions, the fully connected layer and the head, in their order. A rate falls by 1 % an
    epoch, a momentum rises from 0.5 in even steps over `ramp` epochs, a decay is the factor of the L2 penalty. epoch: labelled
    pairs. drawers, validation_drawers: how many of the twenty train, and how many of the next validate. patience: epochs
    without a better one-shot accuracy after which the run ends. validate: epochs from one look at that to the next.
    """

    rates: tuple[float, ...] = (0.0033, 0.0033, 0.0033, 0.0033, 0.001, 0.0033)
    momenta: tuple[float, ...] = (0.9, 0.9, 0.9, 0.9, 0.9, 0.9)
    decays: tuple[float, ...] = (2e-4, 2e-4, 2e-4, 2e-4, 2e-4, 1e-6)
    ramp: int = 4
    epoch: int = 30_000
    drawers: int = 12
    validation_drawers: int = 4
    patience: int = 20
    validate: int = 1


def steps_of_epoch(config: PaperConfig, pairs: int) -> int:
    """Steps of so many pairs that make an epoch."""
    return max(1, config.epoch // pairs)


@torch.no_grad()
def initialise(model: SiameseNet) -> None:
    """Normal weights, of deviation 0.01 in convolutions and 0.2 where all is connected, and biases of 0.5 with 0.01."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.01 if isinstance(module, nn.Conv2d) else 0.2)
            if module.bias is not None:
                nn.init.normal_(module.bias, mean=0.5, std=0.01)
    nn.init.normal_(model.head.raw, std=0.2)
    nn.init.normal_(model.head.bias, mean=0.5, std=0.01)


def layerwise_sgd(model: SiameseNet, config: PaperConfig) -> torch.optim.SGD:
    """Momentum and L2 of each layer's own. Raises `ValueError` for another number of layers than `config` has rates for."""
    layers = [module for module in model.layers.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    parts = [*(list(layer.parameters()) for layer in layers), list(model.head.parameters())]
    if not len(parts) == len(config.rates) == len(config.momenta) == len(config.decays):
        raise ValueError(f"the paper's schedule needs a rate, a momentum and a decay for each of {len(parts)} layers")
    return torch.optim.SGD(
        [
            # The paper's penalty is decay * |w|^2, torch's half of that.
            {"params": part, "lr": rate, "momentum": _FIRST_MOMENTUM, "weight_decay": 2 * decay}
            for part, rate, decay in zip(parts, config.rates, config.decays, strict=True)
        ]
    )


def set_epoch(optimizer: torch.optim.Optimizer, config: PaperConfig, epoch: int) -> None:
    """Give every layer the rate and the momentum of an epoch, counted from 0."""
    share = min(1.0, epoch / max(1, config.ramp))
    for group, rate, momentum in zip(optimizer.param_groups, config.rates, config.momenta, strict=True):
        group["lr"] = rate * _DECAY_OF_RATES**epoch
        group["momentum"] = _FIRST_MOMENTUM + (momentum - _FIRST_MOMENTUM) * share


def distort(images: Tensor, generator: torch.Generator) -> Tensor:
    """Eight of nine images moved by a random affine map of which each part is there with probability one half.

    Turned by up to 10 degrees, sheared by up to 0.3 and scaled by 0.8 to 1.2 along each axis, shifted by up to two pixels.
    images: uint8 (B, H, W). Returns float32 (B, 1, H, W) in [0, 1].
    """
    count, (height, width) = len(images), images.shape[-2:]

    def part(half_width: float) -> Tensor:
        value = (torch.rand(count, generator=generator) * 2 - 1) * half_width
        return value * (torch.rand(count, generator=generator) < 0.5)

    angle, shear_x, shear_y = part(math.radians(10)), part(0.3), part(0.3)
    scale_x, scale_y = 1 + part(0.2), 1 + part(0.2)
    shift_x, shift_y = 2 * part(2.0) / width, 2 * part(2.0) / height
    cos, sin = angle.cos(), angle.sin()
    turned = torch.stack((torch.stack((cos, -sin), -1), torch.stack((sin, cos), -1)), 1)
    one = torch.ones(count)
    sheared = torch.stack((torch.stack((one, shear_x), -1), torch.stack((shear_y, one), -1)), 1)
    scaled = torch.diag_embed(torch.stack((scale_x, scale_y), -1))
    theta = torch.cat((turned @ sheared @ scaled, torch.stack((shift_x, shift_y), -1)[:, :, None]), 2)
    kept = torch.rand(count, generator=generator) < _UNDISTORTED
    theta[kept] = torch.eye(2, 3)
    ink = images.unsqueeze(1).float() / 255
    grid = F.affine_grid(theta.to(ink.device), list(ink.shape), align_corners=False)
    return F.grid_sample(ink, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

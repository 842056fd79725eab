"""Weights between two networks of one descent: what fine-tuning gained, without all that it forgot (Wortsman et al. 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from train.model import SiameseNet

__all__ = ["SHARES", "blended", "refresh_norms"]

SHARES = (0.25, 0.5, 0.75)
"""How far from the start to the end of a run the blends lie that it tries."""


def blended(start: dict[str, Tensor], end: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """The state that lies `share` of the way from `start` to `end`, two states of one network; counters are those of `end`."""
    return {name: torch.lerp(start[name], value, share) if value.is_floating_point() else value for name, value in end.items()}


@torch.no_grad()
def refresh_norms(model: SiameseNet, ink: Tensor) -> None:
    """Give every batch norm the statistics that it has on `ink`, float32 (N, 1, H, W): those of a blend are no blend of two."""
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    before = [(norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        norm.train().momentum = 1.0  # what was there before counts for nothing
    model.embed_ink(ink)
    for norm, (training, momentum) in zip(norms, before, strict=True):
        norm.train(training).momentum = momentum

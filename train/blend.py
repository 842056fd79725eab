"""Weights between two networks of one descent: what fine-tuning gained, without all that it forgot (Wortsman et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from train.model import SiameseNet

__all__ = ["SHARES", "blended", "furthest", "refresh_norms"]

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
"""How far from the start to the end of a run the blends lie that it tries."""


def furthest(means: Mapping[str, float], error: float) -> str:
    """Which weights to keep by what was held out: the best, or those furthest along of the blends and the last that are within
    a standard error of it (Breiman et al. 1984), since they know the training classes better; never worse ones than the start.

    means: accuracy by name: "start", "step N", "blend S", "last". error: the standard error of the best.
    """
    best = max(means, key=lambda name: means[name])
    if "start" not in means:
        return best
    least = max(means["start"], means[best] - error)
    shares = {name: 1.0 if name == "last" else float(name.removeprefix("blend ")) for name in means
              if name == "last" or name.startswith("blend ")}  # fmt: skip
    good = [name for name in shares if means[name] >= least]
    return max(good, key=lambda name: shares[name]) if good else best


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

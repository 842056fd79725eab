"""Make a network wider without changing what it computes, so that a wider run can begin where a narrower one ended."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from train.checkpoint import CheckpointError
from train.model import PLAIN, ModelConfig, SiameseNet

__all__ = ["widened"]

_FAINT = 0.02
"""Weight of a new component in the head, where those that were there have about 0.2: it can grow, and changes little."""


@torch.no_grad()
def widened(weights: dict[str, Tensor], narrow: ModelConfig, wide: ModelConfig, seed: int = 0) -> dict[str, Tensor]:
    """The state of a `SiameseNet(wide)` that starts as `SiameseNet(narrow)` with these weights.

    New channels are initialised at random and read everything before them, but nothing that was there reads them: their weights
    into old channels and components begin at nought, and receive gradients from the first step (the idea of Net2Net, Chen,
    Goodfellow, Shlens 2016, without copies whose symmetry would have to be broken). New components of the embedding weigh
    little in the head. weights: `SiameseNet.state_dict()`.

    Raises:
        CheckpointError: `wide` is narrower somewhere, or has other layers.
    """
    if wide.network != PLAIN:
        raise CheckpointError(f"a network of one's own ({wide.network}) cannot be widened: start from one of the same sizes")
    model = SiameseNet(wide)
    state = model.state_dict()
    if set(state) != set(weights) or any(
        state[name].ndim != value.ndim or any(a < b for a, b in zip(state[name].shape, value.shape, strict=True))
        for name, value in weights.items()
    ):
        raise CheckpointError(f"a network of {_shape_of(narrow)} cannot be widened to one of {_shape_of(wide)}")
    generator = torch.Generator().manual_seed(seed)
    places = {f"layers.{index}": layer for index, layer in enumerate(model.layers)}
    for name, value in weights.items():
        layer = places.get(name.rpartition(".")[0])
        if name.endswith("weight") and isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = state[name][0].numel()
            state[name].normal_(std=math.sqrt((2 if isinstance(layer, nn.Conv2d) else 1) / fan_in), generator=generator)
            _place(state[name], value, narrow.channels[-1] if isinstance(layer, nn.Linear) else 0)
        elif value.ndim:
            state[name][: len(value)] = value
        else:
            state[name].copy_(value)
    state["head.raw"][len(weights["head.raw"]) :] = math.log(math.expm1(_FAINT))
    return state


def _place(target: Tensor, value: Tensor, maps: int) -> None:
    """Write `value` into `target`, whose old outputs then read nothing new.

    maps: of a fully connected layer, the maps that its flattened inputs were; 0 for a convolution, whose inputs are channels.
    """
    outputs = len(value)
    if not maps:
        target[:outputs] = 0
        target[:outputs, : value.shape[1]] = value
        return
    area = value.shape[1] // maps
    by_map = target.view(len(target), -1, area)
    by_map[:outputs] = 0
    by_map[:outputs, :maps] = value.view(outputs, maps, area)


def _shape_of(config: ModelConfig) -> str:
    return f"channels {'-'.join(map(str, config.channels))} and {config.dim} components"

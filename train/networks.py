"""Embedding networks of one's own, named on the command line."""

from __future__ import annotations

from argparse import ArgumentTypeError
from importlib import import_module

import torch
from torch import Tensor, nn

from oneshot_runtime.errors import OptionError
from train.model import NETWORKS, PLAIN, ModelConfig

__all__ = ["check_network", "import_network"]


def import_network(name: str) -> str:
    """An argument: import what `module:function` names and put it into `NETWORKS` under that name, which is returned.

    The function takes a `ModelConfig` and returns the module that embeds. Checkpoints only hold the name: nothing is imported
    because a file says so. Raises `ArgumentTypeError`.
    """
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise ArgumentTypeError(f"expected MODULE:FUNCTION, such as networks:residual, got {name!r}")
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ArgumentTypeError(f"{name!r}: {error}") from error
    if not callable(found):
        raise ArgumentTypeError(f"{name!r} is a {type(found).__name__}, expected a function from a ModelConfig to a module")
    NETWORKS[name] = found
    return name


def check_network(config: ModelConfig) -> None:
    """Raise `OptionError` where a network of one's own gives no embeddings: float (N, dim), components in [0, 1]."""
    if config.network == PLAIN:
        return
    ink = torch.rand(2, 1, config.spec.height, config.spec.width, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        try:
            network = NETWORKS[config.network](config)
            found = network.eval()(ink) if isinstance(network, nn.Module) else network
        except Exception as error:  # of code that is not ours, any
            raise OptionError(f"--network {config.network}: it fails on ink {tuple(ink.shape)}: {error!r}") from error
    if not isinstance(network, nn.Module) or not isinstance(found, Tensor):
        raise OptionError(f"--network {config.network} gives a {type(found).__name__}, expected a module that gives a tensor")
    low, high = float(found.min()), float(found.max())
    if found.shape != (2, config.dim) or not (low >= 0 and high <= 1):
        raise OptionError(f"--network {config.network} makes {tuple(found.shape)}, {low:.3g} to {high:.3g}, of ink "
                          f"{tuple(ink.shape)}; expected {(2, config.dim)}, 0 to 1: end it with a sigmoid")  # fmt: skip

"""Embedding networks of one's own, named on the command line."""

from __future__ import annotations

from argparse import ArgumentTypeError
from importlib import import_module

from train.model import NETWORKS

__all__ = ["import_network"]


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
    NETWORKS[name] = found
    return name

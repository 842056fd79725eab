"""Save and resume a training run. Checkpoints hold tensors, numbers and JSON text, and are loaded without unpickling code."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from train.config import TrainConfig
from train.model import SiameseNet

__all__ = ["CheckpointError", "load_checkpoint", "load_model", "save_checkpoint"]

_FORMAT = 3


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, or of another format; the message names the file."""


def save_checkpoint(path: Path, config: TrainConfig, state: dict[str, Any]) -> None:
    """Write atomically: a run killed while saving keeps its previous checkpoint."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    torch.save({"format": _FORMAT, "config": json.dumps(config.to_dict()), **state}, temporary)
    os.replace(temporary, path)


def load_checkpoint(path: str | Path, device: str = "cpu") -> tuple[TrainConfig, dict[str, Any]]:
    """The configuration and state of a run. Raises `CheckpointError`."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        if state["format"] != _FORMAT:
            raise CheckpointError(f"checkpoint '{path}' has format {state['format']}, this code reads {_FORMAT}")
        return TrainConfig.from_dict(json.loads(state["config"])), state
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        raise CheckpointError(f"checkpoint '{path}' does not exist") from error
    except Exception as error:  # a damaged file fails in many ways inside torch.load
        raise CheckpointError(f"checkpoint '{path}' is damaged or no checkpoint: {error}") from error


def load_model(path: str | Path) -> tuple[TrainConfig, SiameseNet, dict[str, Any]]:
    """The trained model (its averaged weights) in evaluation mode, with the run's configuration and state."""
    config, state = load_checkpoint(path)
    model = SiameseNet(config.model)
    model.load_state_dict(state["ema"])
    return config, model.eval(), state

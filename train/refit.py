"""Fit a run's calibration and thresholds again, on what it held out: after the method changed, or with other fonts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from train.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from train.data import load_held_out
from train.episodes import Score
from train.loop import describe, validate
from train.trainer import Trainer

__all__ = ["refit"]


def refit(checkpoint: Path, data: Path, fonts: Sequence[Path], out: Path) -> Score:
    """Write a checkpoint to `out` whose notes hold a new validation, calibration and thresholds; the weights stay.

    Args:
        checkpoint: a run's.
        data: what the run was trained on.
        fonts: folders of fonts that draw held-out scripts; none takes no scripts in.
        out: the new file.

    Returns:
        The score on held-out alphabets.

    Raises:
        CheckpointError: the file is no checkpoint, or of a run that held nothing out.
        DatasetError: the data or the fonts cannot be used.
    """
    config, state = load_checkpoint(checkpoint)
    notes = json.loads(state["notes"])
    held_out, scripts = load_held_out(data, config.split, config.model.spec, notes.get("holdout", []), fonts)
    if held_out is None:
        raise CheckpointError(f"'{checkpoint}' is of a run that held nothing out, so there is nothing to fit on")
    trainer = Trainer(config, held_out)
    trainer.average.load_state_dict(state["ema"])
    found = validate(trainer, held_out, scripts)
    weights = notes.get("validation", {}).get("weights", "last")
    record = describe(found, held_out, scripts) | {"step": state["done"], "weights": weights}
    state["notes"] = json.dumps(notes | {"validation": record} | found.notes)
    save_checkpoint(out, config, {name: value for name, value in state.items() if name not in ("format", "config")})
    return found.score

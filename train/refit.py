"""Fit a run's calibration and thresholds again, on what it held out: after the method changed, with other fonts, or between it
and other weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from train.blend import SHARES
from train.canvases import Canvases
from train.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from train.data import load_held_out
from train.episodes import Score
from train.loop import Validation, describe, validate
from train.prepared import load_prepared, made_for
from train.trainer import Trainer

__all__ = ["refit"]


def refit(
    checkpoint: Path,
    data: Path | None,
    fonts: Sequence[Path],
    out: Path,
    prepared: Path | None = None,
    blend_with: Path | None = None,
) -> Score:
    """Write a checkpoint to `out` whose notes hold a new validation, calibration and thresholds.

    The weights stay, unless they are blended.

    Args:
        checkpoint: a run's.
        data: what the run was trained on.
        fonts: folders of fonts that draw held-out scripts; none takes no scripts in.
        out: the new file.
        prepared: what `python -m train prepare` made for the run, in place of `data` and `fonts`.
        blend_with: a run, a checkpoint or a bundle of the same descent: of the weights between it and the run's (see
            `train.blend`), those are kept that recognise best what was held out. Needs `prepared`, for batch norms' statistics.

    Returns:
        The score on held-out alphabets.

    Raises:
        CheckpointError: the file is no checkpoint, or of a run that held nothing out, or is blended without `prepared`.
        DatasetError: the data or the fonts cannot be used, or the prepared file was made for another run.
    """
    config, state = load_checkpoint(checkpoint)
    notes = json.loads(state["notes"])
    if blend_with is not None and prepared is None:
        raise CheckpointError("--blend-with needs --prepared: weights between two networks need statistics of training images")
    if prepared is not None:
        made = load_prepared(prepared, made_for(config, notes.get("holdout", [])))
        training, held_out, scripts = made.training, made.validation, made.scripts
    elif data is not None:
        held_out, scripts = load_held_out(data, config.split, config.model.spec, notes.get("holdout", []), fonts)
        training = held_out
    else:
        raise CheckpointError("--data or --prepared is missing: what the run was trained on")
    if held_out is None or training is None:
        raise CheckpointError(f"'{checkpoint}' is of a run that held nothing out, so there is nothing to fit on")
    trainer = Trainer(replace(config, device="cpu"), training)
    trainer.average.load_state_dict(state["ema"])
    found, weights = validate(trainer, held_out, scripts), notes.get("validation", {}).get("weights", "last")
    if blend_with is not None:
        found, weights, state["ema"] = _best_blend(trainer, blend_with, found, held_out, scripts)
        notes["blended_with"] = trainer.notes["started_from"]
    record = describe(found, held_out, scripts) | {"step": state["done"], "weights": weights}
    state["notes"] = json.dumps(notes | {"validation": record} | found.notes)
    save_checkpoint(out, config, {name: value for name, value in state.items() if name not in ("format", "config")})
    return found.score


def _best_blend(
    trainer: Trainer, other: Path, found: Validation, held_out: Canvases, scripts: Canvases | None
) -> tuple[Validation, str, dict[str, Any]]:
    """Of the run's weights and those between `other` and them: the best validation, their name, and they."""
    own = _copied(trainer)
    trainer.start_from(other)
    trainer.average.load_state_dict(own)
    best = (found, "last", own)
    for share in SHARES:
        with trainer.blended_with_start(share, refresh=True):
            tried = validate(trainer, held_out, scripts)
            print(f"blend {share}: held-out alphabets {tried.score}, scripts {tried.scripts}", flush=True)
            if tried.mean > best[0].mean:
                best = (tried, f"blend {share}", _copied(trainer))
    return best


def _copied(trainer: Trainer) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in trainer.average.state_dict().items()}

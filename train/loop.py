"""Drive a training run: progress, log, validation, checkpoints, curves."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from train.blend import SHARES, furthest
from train.calibrate import OWN_SHARE, fit_calibration, fit_thresholds
from train.canvases import Canvases
from train.checkpoint import load_checkpoint
from train.curves import draw_curves
from train.episodes import Episode, Score, score_episodes, way_of, within_alphabet_episodes
from train.run_log import RunLog
from train.trainer import Trainer

__all__ = ["RunResult", "Validation", "describe", "run", "validate"]

_LOG_EVERY = 50
_WAY, _EPISODES, _QUERIES = 20, 20, 6_000
"""Classes in an episode of validation; episodes of each group at least, and queries altogether: where few are held out, weights
that hardly differ are compared."""

_SAVE_SECONDS = 120.0


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    checkpoint: the best by what was held out, or the last where nothing was. finished: whether all steps were done. validation:
    the last score, if there was one. chosen: what `checkpoint` is: "last", "step N", "start", or "blend S", S of the way from
    the start. means: accuracy on what was held out, by such names.
    """

    checkpoint: Path
    finished: bool
    validation: Score | None
    chosen: str = "last"
    means: Mapping[str, float] = field(default_factory=dict)


def run(
    trainer: Trainer, validation: Canvases | None, out: Path, scripts: Canvases | None = None, tensorboard: bool = False
) -> RunResult:
    """Train until `trainer.finished`, writing `last.pt`, `best.pt`, `log.jsonl` and `curves.png` into `out`.

    Ctrl-C ends the run after the current step, with a checkpoint that resumes; a second one ends it at once. `best.pt` changes
    only when validation improves. scripts: glyphs of held-out scripts, which the mean of validation and the thresholds take in.
    tensorboard: see `RunLog`.

    A run that started from another is scored before its first step, and at its end so are weights between its start and its
    end: those that `train.blend.furthest` chooses, by what was held out, are `best.pt`.
    """
    out.mkdir(parents=True, exist_ok=True)
    log, checkpoint, steps = RunLog(out, tensorboard, trainer.done), out / "last.pt", trainer.config.steps
    if trainer.done and not trainer.finished and _holds_blend(out / "best.pt"):
        # Of an end that is none any more: what was the best before it is gone.
        trainer.best = -1.0
        log.forget_steps()
    paper = trainer.config.paper
    validate_every = trainer.epoch_steps * paper.validate if paper else max(1, steps // trainer.config.validations)
    meter, saved, score = _Meter(), time.monotonic(), None
    log.add({"event": "start", "step": trainer.done, "config": trainer.config.to_dict()})
    if validation is not None and trainer.start is not None and not trainer.done:
        score = _record_validation(trainer, validation, scripts, out, log, "start").score
        print(f"start: {_what(validation)} {score}", flush=True)
    clock = time.monotonic()
    progress = tqdm(total=steps, initial=trainer.done, unit="step", desc="train", smoothing=0.05, mininterval=1.0)
    with _Interruption() as interruption:
        while not trainer.finished and not interruption.asked:
            start = time.perf_counter()
            loss, images = trainer.step()
            meter.add(loss, images, start)
            progress.update()
            now = time.monotonic()
            trainer.spent, clock = trainer.spent + now - clock, now
            if meter.steps == _LOG_EVERY or trainer.finished:
                progress.set_postfix_str(f"loss {meter.mean_loss:.4f}, {meter.images_per_second:.0f} images/s")
                log.add({"event": "step", "step": trainer.done, **meter.flush(), **trainer.last_step()})
            more = trainer.config.minutes > 0 or trainer.done + validate_every <= steps
            due = trainer.done % validate_every == 0 and more and not trainer.finished
            if validation is not None and due:
                score = _record_validation(trainer, validation, scripts, out, log).score
                progress.write(f"step {trainer.done}: {_what(validation)} {score}")
                if paper and log.validations_since_best() * paper.validate >= paper.patience:
                    trainer.notes["stopped_early"] = True
            if time.monotonic() - saved > _SAVE_SECONDS:
                trainer.save(checkpoint)
                saved = time.monotonic()
    progress.close()
    trainer.save(checkpoint)
    finished = trainer.finished
    if finished and validation is not None:
        # Also after a resume of a run that was interrupted here.
        last = _record_validation(trainer, validation, scripts, out, log, "last")
        score = last.score
        trainer.save(checkpoint)
        chosen = _choose(trainer, validation, scripts, out, log, last)
    draw_curves(log.path, out / "curves.png")
    if not finished or validation is None:
        return RunResult(checkpoint, finished, score)
    return RunResult(checkpoint if chosen == "last" else out / "best.pt", finished, score, chosen, log.means())


def _holds_blend(best: Path) -> bool:
    weights = json.loads(load_checkpoint(best)[1]["notes"])["validation"]["weights"] if best.exists() else ""
    return str(weights).startswith("blend")


def _choose(trainer: Trainer, validation: Canvases, scripts: Canvases | None, out: Path, log: RunLog, last: Validation) -> str:
    """The name of the weights to keep, which are in `best.pt` then; those between a run's start and its end are tried, too."""
    if trainer.start is None:
        means = log.means()
        return max(means, key=lambda name: means[name])
    blends = {}
    for share in SHARES:
        with trainer.blended_with_start(share):
            blends[f"blend {share}"] = share, _record_validation(trainer, validation, scripts, out, log, f"blend {share}")
        print(f"blend {share}: {_what(validation)} {blends[f'blend {share}'][1].score}", flush=True)
    means = log.means()
    best = max(means.values())
    chosen = furthest(means, math.sqrt(best * (1 - best) / max(1, last.score.total)))
    if chosen in blends:
        share, found = blends[chosen]
        trainer.best = -1.0  # of what was the best before
        with trainer.blended_with_start(share):
            _keep(trainer, found, validation, scripts, out, chosen)
    return chosen


@dataclass(frozen=True)
class Validation:
    """The averaged weights on held-out alphabets, and on held-out scripts of fonts if there are any.

    score, scripts: within an alphabet or script, 20-way, one shot, any two drawers. notes: JSON-ready `calibration` of the head
    and `thresholds` for refusing strangers, those in calibrated logits; fitted on both.
    """

    score: Score
    scripts: Score | None
    notes: dict[str, Any]

    @property
    def mean(self) -> float:
        """What runs and their checkpoints are chosen by: the mean accuracy of the two."""
        parts = [part.accuracy for part in (self.score, self.scripts) if part is not None]
        return sum(parts) / len(parts)


def validate(trainer: Trainer, validation: Canvases, scripts: Canvases | None = None) -> Validation:
    """Score the averaged weights on held-out alphabets and scripts, and fit there what training cannot give."""
    parts = [validation] if scripts is None else [validation, scripts]
    embedded = [trainer.embed_average(part.images) for part in parts]
    scores = [
        score_episodes(embeddings, _episodes(part), trainer.compare_average)
        for part, embeddings in zip(parts, embedded, strict=True)
    ]
    populations = list(zip(parts, embedded, strict=True))
    calibration = fit_calibration(populations, trainer.compare_average)
    thresholds = fit_thresholds(populations, calibration.applied(trainer.compare_average))
    notes = {"calibration": asdict(calibration), "thresholds": thresholds, "thresholds_on": _population(parts)}
    return Validation(scores[0], scores[1] if len(scores) > 1 else None, notes)


def _episodes(part: Canvases) -> list[Episode]:
    queries = sum(min(_WAY, len(group)) for group in part.groups.values() if len(group) > 1)
    return within_alphabet_episodes(part, _WAY, max(_EPISODES, -(-_QUERIES // max(1, queries))), seed=1)


def _what(part: Canvases) -> str:
    return f"{way_of(part.groups.values(), _WAY)} within held-out groups"


def describe(found: Validation, alphabets: Canvases, scripts: Canvases | None) -> dict[str, Any]:
    """The scores with their intervals, and the names of what was held out, JSON-ready."""
    record = _figures(found.score)
    if found.scripts is not None and scripts is not None:
        record["scripts"] = _figures(found.scripts) | {"names": sorted(scripts.groups)}
    return record | {"alphabets": sorted(alphabets.groups)}


def _population(parts: Sequence[Canvases]) -> dict[str, Any]:
    """What the false accept rates of the thresholds hold for, for the manifest."""
    names = [sorted(part.groups) for part in parts]
    return dict(zip(("alphabets", "scripts"), names, strict=False)) | {"strangers_of_the_gallerys_alphabet": OWN_SHARE}


def _record_validation(
    trainer: Trainer, validation: Canvases, scripts: Canvases | None, out: Path, log: RunLog, weights: str | None = None
) -> Validation:
    weights = weights or f"step {trainer.done}"
    found = validate(trainer, validation, scripts)
    figures = _keep(trainer, found, validation, scripts, out, weights)
    event = "blend" if weights.startswith("blend") else "validation"
    log.add({"event": event, "step": trainer.done, "weights": weights, "mean": round(found.mean, 5), **figures})
    draw_curves(log.path, out / "curves.png")
    return found


def _keep(
    trainer: Trainer, found: Validation, validation: Canvases, scripts: Canvases | None, out: Path, weights: str
) -> dict[str, Any]:
    """Note a validation, and save what is better than all before as `best.pt`. Returns its figures."""
    record = describe(found, validation, scripts)
    trainer.notes.update(validation=record | {"step": trainer.done, "weights": weights}, **found.notes)
    if found.mean > trainer.best:
        trainer.best = found.mean
        trainer.save(out / "best.pt")
    return {name: value for name, value in record.items() if name != "alphabets"}


def _figures(score: Score) -> dict[str, Any]:
    return {"accuracy": round(score.accuracy, 5), "interval": [round(end, 5) for end in score.interval]}


class _Interruption:
    """Turns the first Ctrl-C into a wish that the loop reads between steps, so that no step is left half done."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> _Interruption:
        self._before: Any = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


class _Meter:
    """Loss and speed since the last flush; only the steps themselves count, not validation."""

    def __init__(self) -> None:
        self.steps, self._images, self._seconds, self._total = 0, 0, 0.0, 0.0
        self._losses: list[Tensor] = []

    def add(self, loss: Tensor, images: int, start: float) -> None:
        """A step that began at `start` by `time.perf_counter`. Now and then this waits for a GPU to be done with its steps."""
        self.steps += 1
        self._images += images
        self._losses.append(loss)
        if self.steps == _LOG_EVERY:
            self._losses = [torch.stack(self._losses).mean().cpu()]
        seconds = time.perf_counter() - start
        self._seconds += seconds
        self._total += seconds

    @property
    def mean_loss(self) -> float:
        return float(torch.stack(self._losses).mean())

    @property
    def images_per_second(self) -> float:
        return self._images / max(self._seconds, 1e-9)

    def flush(self) -> dict[str, float]:
        values = {"loss": round(self.mean_loss, 5), "images_per_second": round(self.images_per_second, 1)}
        self.steps, self._images, self._seconds, self._losses = 0, 0, 0.0, []
        return values | {"training_seconds": round(self._total, 1)}

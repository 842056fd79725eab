"""The command line of training and evaluation."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from oneshot_runtime.errors import OneShotError
from train.ancestors import Teachers, network_of
from train.arguments import evaluate_parser, refit_parser, train_parser
from train.checkpoint import CheckpointError, load_checkpoint
from train.config import TrainConfig
from train.data import TrainingData, load_data
from train.episodes import STRANGERS
from train.evaluate import evaluate
from train.loop import run, validate
from train.memory import keep_freed_memory
from train.model import PRESETS, UnknownNetworkError
from train.networks import check_network
from train.omniglot import DatasetError, download
from train.overrides import overridden, read_changes
from train.own_images import evaluate_folder
from train.paper import EPOCHS, PaperConfig, steps_of_epoch
from train.prepared import load_prepared, made_for, save_prepared
from train.refit import refit
from train.speed import check_device, fastest, measure_steps, precisions
from train.trainer import Trainer

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 an error, 2 wrong usage, 130 interrupted with a checkpoint that resumes."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["evaluate"]:
            return _evaluate(evaluate_parser().parse_args(arguments[1:]))
        if arguments[:1] == ["refit"]:
            return _refit(refit_parser().parse_args(arguments[1:]))
        if arguments[:1] == ["prepare"]:
            return _prepare(train_parser().parse_args(arguments[1:]))
        return _train(train_parser().parse_args(arguments), arguments)
    except (DatasetError, CheckpointError, UnknownNetworkError, OneShotError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1


def _train(arguments: argparse.Namespace, argv: list[str]) -> int:
    keep_freed_memory()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    check_device(arguments.device)
    if arguments.download:
        download(_folder(arguments))
    changes = read_changes(arguments.config, arguments.changes)
    config = None if arguments.resume else _config(arguments, changes)
    preset = arguments.preset or ("koch" if arguments.recipe == "paper" else "edge")
    out = arguments.out or Path("runs") / f"{preset}-{arguments.split}-{arguments.seed}"
    last = out / "last.pt"
    if config is None:
        # The run goes on with what it was started with, whatever else the command line says.
        config, state = load_checkpoint(last)
        arguments.holdout = json.loads(state["notes"]).get("holdout", [])
    elif last.exists():
        raise CheckpointError(f"'{out}' holds a run already: --resume goes on with it, --out names another folder")
    data = _data(arguments, config)
    arguments.holdout = list(data.holdout)
    if arguments.resume:
        teachers = _teachers(arguments, config)
        trainer = Trainer.resume(last, data.training, data.sources, teachers, arguments.device)
        if arguments.steps:
            trainer.extend(arguments.steps)
    else:
        trainer = _new_trainer(arguments, argv, config, changes, data)
    print(f"{len(data.training.images)} images of {len(data.training.members())} classes, {trainer.config.steps} steps, "
          f"{trainer.config.precision}; writing to {out}", flush=True)  # fmt: skip
    result = run(trainer, data.validation, out, data.scripts, arguments.tensorboard)
    if not result.finished:
        print(f"interrupted at step {trainer.done}; --resume --out {out} goes on", file=sys.stderr)
        return 130
    if data.validation is not None and not trainer.notes["thresholds"]:
        few = len(data.validation.members())
        print(f"no thresholds for strangers: {few} held-out classes are too few, {1 + STRANGERS} are needed; the bundle will "
              "load with far=None only", file=sys.stderr)  # fmt: skip
    print(f"done: {out / 'last.pt'}" + (f", held-out groups {result.validation}" if result.validation else ""))
    if result.chosen == "start":
        print("training on did not help: what was held out is recognised best by the weights that the run started from, "
              "so keep those; to recognise these classes better, enroll more pictures of each")  # fmt: skip
        return 0
    start = f", {100 * result.means['start']:.2f} % at the start" if "start" in result.means else ""
    print(f"best by what was held out: {result.chosen}, {100 * result.means[result.chosen]:.2f} %{start}"
          if result.validation else "nothing was held out to choose by")  # fmt: skip
    print(f"next: python -m export {result.checkpoint} --out bundle")
    return 0


def _data(arguments: argparse.Namespace, config: TrainConfig) -> TrainingData:
    if arguments.prepared:
        return load_prepared(arguments.prepared, made_for(config, arguments.holdout))
    paper = config.paper
    return load_data(
        _folder(arguments), config.split, config.model.spec, arguments.holdout, config.composed, config.invented,
        pens=config.redrawn > 0, glyphs=[name for name in config.shares if name != "synthetic"], fonts=arguments.fonts,
        drawers=(paper.drawers, paper.validation_drawers) if paper else None, skip_bad=arguments.skip_bad,
    )  # fmt: skip


def _folder(arguments: argparse.Namespace) -> Path:
    if not arguments.data:
        raise DatasetError("--data FOLDER is missing: where Omniglot's zips or your images are")
    folder: Path = arguments.data
    return folder


def _prepare(arguments: argparse.Namespace) -> int:
    """What a run with these options learns from, as a file."""
    if arguments.download:
        download(_folder(arguments))
    config = _config(arguments, read_changes(arguments.config, arguments.changes))
    if not arguments.out:
        raise DatasetError("--out FILE is missing: where the prepared data goes")
    save_prepared(arguments.out, _data(arguments, config), made_for(config, arguments.holdout))
    print(f"done: {arguments.out}; train with the same options and --prepared {arguments.out}")
    return 0


def _config(arguments: argparse.Namespace, changes: Mapping[str, object]) -> TrainConfig:
    """What the command line asks for; steps is 0 where it is still to be found from the minutes."""
    glyphs = dict(arguments.glyphs)
    if arguments.preset is None and arguments.start_from:
        model = network_of(arguments.start_from)
    else:
        model = PRESETS[arguments.preset or ("koch" if arguments.recipe == "paper" else "edge")]
        model = replace(model, network=arguments.network) if arguments.network else model
    rate = (3e-4 if arguments.start_from else 2e-3) if arguments.learning_rate is None else arguments.learning_rate
    config = TrainConfig(
        model=model, split=arguments.split, steps=arguments.steps or 0, seed=arguments.seed, loss=arguments.loss,
        classes=arguments.classes, shots=arguments.shots, learning_rate=rate, device=arguments.device,
        composed=arguments.composed, invented=arguments.invented, redrawn=arguments.redrawn,
        shares={"synthetic": arguments.synthetic, **glyphs},
    )  # fmt: skip
    if arguments.recipe == "paper":
        # 128 pairs a step, and drawings as they are.
        signed = replace(model, signed=True)
        paper = PaperConfig()
        config = replace(config, model=signed, loss="pairs", classes=64, shots=4, redrawn=0.0, paper=paper)
        if not arguments.steps and arguments.minutes is None:
            config = replace(config, steps=EPOCHS * steps_of_epoch(paper, 128))
    config = overridden(config, changes)
    check_network(config.model)
    if config.loss == "pairs" and arguments.teachers:
        raise CheckpointError("--teachers compare every pair in a batch: they need --loss all-pairs")
    if config.loss == "pairs":  # which are drawn from real drawings only
        config = replace(config, composed=0, invented=0, shares={"synthetic": 0.0})
    if sum(config.shares.values()) > 1:
        raise DatasetError("--synthetic and the shares of --glyphs are more than 1 together")
    return config


def _new_trainer(
    arguments: argparse.Namespace, argv: list[str], config: TrainConfig, changes: Mapping[str, object], data: TrainingData
) -> Trainer:
    choices = precisions(arguments.precision, config.device)
    teachers = _teachers(arguments, config)
    configs = {name: replace(config, steps=config.steps or 1000, precision=name) for name in choices}
    chosen = len(choices) == 1 and config.steps > 0
    times = {} if chosen else measure_steps(configs, data.training, teachers)
    precision = choices[0] if chosen else fastest(times)
    steps, validations, minutes = config.steps, config.validations, 0.0
    if not steps:
        minutes = 25.0 if arguments.minutes is None else arguments.minutes
        budget = 60 * minutes
        if data.validation is not None:
            # A large network on a small budget would otherwise spend it on validation.
            each = _timed_validation(configs[precision], data)
            validations = min(validations, max(1, int(0.1 * budget / each)))
            budget -= validations * each
        steps = max(10, int(budget / times[precision].wall))
    found = {
        "steps": steps,
        "precision": precision,
        "validations": validations,
        "minutes": minutes if arguments.by_the_clock else 0.0,
        "warmup": min(100, max(1, steps // 10)),
    }
    config = replace(config, **{name: value for name, value in found.items() if name not in changes})
    trainer = Trainer(config, data.training, data.sources, teachers)
    words = [*argv, *(f"--set={name}={_text(value)}" for name, value in changes.items())]
    trainer.notes.update(
        holdout=arguments.holdout,
        command=shlex.join(["python", "-m", "train", *_repeatable(words, steps, config.precision, config.minutes)]),
        commit=_commit(),
        torch=torch.__version__,
        fonts=dict(data.families),
    )
    if arguments.start_from:
        trainer.start_from(arguments.start_from)
    return trainer


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _teachers(arguments: argparse.Namespace, config: TrainConfig) -> Teachers | None:
    return Teachers(arguments.teachers, config, arguments.holdout or []) if arguments.teachers else None


def _timed_validation(config: TrainConfig, data: TrainingData) -> float:
    assert data.validation is not None
    trainer = Trainer(config, data.training)
    start = time.perf_counter()
    validate(trainer, data.validation)
    return time.perf_counter() - start


def _repeatable(argv: list[str], steps: int, precision: str, minutes: float) -> list[str]:
    """The command line with the measured number of steps and precision in place of what was asked for, and no local paths.

    minutes: of a run by the clock, in place of steps.

    What `--start-from` and `--teachers` name is kept by the trainer, as those runs' own commands.
    """
    ours = ("--minutes", "--steps", "--precision", "--data", "--out", "--threads", "--start-from", "--teachers", "--fonts")
    ours += ("--config", "--set", "--resume", "--prepared", "--tensorboard")
    kept: list[str] = []
    skip = False
    for word in argv:
        if word.startswith("--"):
            skip = word.split("=", 1)[0] in ours and not word.startswith("--set=")
        if not skip:
            kept.append(word)
    length = ["--minutes", f"{minutes:g}"] if minutes else ["--steps", str(steps)]
    return [*kept, "--data", "DATA", *length, "--precision", precision]


def _commit() -> str | None:
    try:
        found = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def _evaluate(arguments: argparse.Namespace) -> int:
    if arguments.folder:
        report = evaluate_folder(
            arguments.model, arguments.folder, arguments.holdout, arguments.way, arguments.shots, arguments.precision,
            arguments.skip_bad,
        )  # fmt: skip
        scores = report.scores
        if arguments.sheet:
            report.save_sheet(arguments.sheet)
    else:
        scores = evaluate(arguments.model, arguments.data, arguments.precision, arguments.baseline)
    if arguments.json:
        rows = {
            name: {"accuracy": score.accuracy, "correct": score.correct, "total": score.total, "interval": score.interval}
            for name, score in scores.items()
        }
        print(json.dumps(rows))
        return 0
    for name, score in scores.items():
        print(f"{name}: {score}")
    return 0


def _refit(arguments: argparse.Namespace) -> int:
    score = refit(
        arguments.checkpoint, arguments.data, arguments.fonts, arguments.out, arguments.prepared, arguments.blend_with
    )
    print(f"done: {arguments.out}, held-out alphabets {score}")
    return 0

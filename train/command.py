"""The command line of training and evaluation."""

from __future__ import annotations

import argparse
import json
import math
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from oneshot_runtime.errors import OneShotError
from train.ancestors import Teachers, network_of
from train.checkpoint import CheckpointError, load_checkpoint
from train.config import TrainConfig
from train.data import TrainingData, load_data
from train.episodes import STRANGERS
from train.evaluate import evaluate
from train.fonts import SYSTEM_FOLDERS
from train.glyphs import KINDS
from train.loop import run, validate
from train.memory import keep_freed_memory
from train.model import PRESETS, ModelConfig, UnknownNetworkError
from train.networks import import_network
from train.omniglot import DatasetError, download
from train.own_images import evaluate_folder
from train.speed import fastest, measure_steps, precisions
from train.trainer import Trainer

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 an error, 2 wrong usage, 130 interrupted with a checkpoint that resumes."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["evaluate"]:
            return _evaluate(_evaluate_parser().parse_args(arguments[1:]))
        return _train(_train_parser().parse_args(arguments), arguments)
    except (DatasetError, CheckpointError, UnknownNetworkError, OneShotError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1


def _train_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train", allow_abbrev=False,  # the command is kept word by word
        description="Train a twin network. `python -m train evaluate --help` scores one.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--preset", choices=sorted(PRESETS),
                        help="the network; that of --start-from, or edge, unless given")  # fmt: skip
    parser.add_argument("--network", type=import_network, metavar="MODULE:FUNCTION",
                        help="an embedding network of your own: from a ModelConfig to a module from ink (N, 1, H, W) in "
                             "[0, 1] to embeddings (N, D) in [0, 1]; name it again to resume or export")  # fmt: skip
    parser.add_argument("--split", choices=("background", "koch", "folder"), default="background",
                        help="folder: --data is class/image or group/class/image")  # fmt: skip
    parser.add_argument("--data", type=Path, required=True, help="folder with Omniglot's zips or folders, or your images")
    parser.add_argument("--download", action="store_true", help="fetch Omniglot into --data first")
    parser.add_argument("--holdout", nargs="*", metavar="GROUP",
                        help="alphabets to keep out of training, for validation and thresholds; of a folder, a quarter of its "
                        "groups, or of its classes, unless named; `--holdout none` keeps nothing out")  # fmt: skip
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--minutes",
        type=_minutes,
        help="turned once into steps, from the speed measured at the start; 25 unless --steps is given",
    )
    budget.add_argument("--steps", type=_at_least(1), help="repeats a run on any machine")
    parser.add_argument("--by-the-clock", action="store_true",
                        help="--minutes of wall clock, however fast the steps are: for shared machines; cannot be repeated "
                        "exactly")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--loss", choices=("all-pairs", "pairs"), default="all-pairs", help="pairs: as the paper trains")
    parser.add_argument("--classes", type=_at_least(2), default=40, help="classes in a batch")
    parser.add_argument("--shots", type=_at_least(2), default=4, help="images of each class in a batch")
    parser.add_argument("--composed", type=_at_least(0), default=60, help="alphabets to compose of pairs of characters")
    parser.add_argument("--invented", type=_at_least(0), default=30, help="alphabets to invent")
    parser.add_argument("--synthetic", type=_share, default=0.3, help="share of the alphabets in a batch that are those")
    parser.add_argument("--glyphs", type=_glyphs, nargs="*", default=[], metavar="KIND=SHARE",
                        help=f"shares of the alphabets in a batch that come from fonts: {', '.join(KINDS)}")  # fmt: skip
    parser.add_argument("--fonts", type=Path, nargs="+", default=[*SYSTEM_FOLDERS], metavar="FOLDER",
                        help="where fonts are; those under open licences are used")  # fmt: skip
    parser.add_argument("--redrawn", type=_share, default=0.5, help="share of the drawings shown as another pen drew them")
    parser.add_argument("--learning-rate", type=float, help="the highest; 2e-3, or 3e-4 with --start-from, unless given")
    parser.add_argument("--start-from", type=Path, metavar="RUN",
                        help="begin with the weights of a run, a checkpoint or a bundle, instead of random ones")  # fmt: skip
    parser.add_argument("--teachers", type=Path, nargs="*", default=[], metavar="RUN",
                        help="earlier runs, checkpoints or bundles, to learn from besides, by their mean; --resume needs them "
                        "again")  # fmt: skip
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto",
                        help="auto measures both where the "
                        "processor has bf16")  # fmt: skip
    parser.add_argument("--threads", type=_at_least(1), help="processor threads (default: PyTorch's choice)")
    parser.add_argument("--out", type=Path, help="folder of the run (default: runs/PRESET-SPLIT-SEED)")
    parser.add_argument("--resume", action="store_true", help="go on from last.pt in --out, with its configuration")
    return parser


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a number from {least} on, got {text!r}")
        return int(text)

    return number


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1, got {text!r}")
    return value


def _glyphs(text: str) -> tuple[str, float]:
    kind, _, share = text.partition("=")
    if kind not in KINDS:
        raise argparse.ArgumentTypeError(f"expected KIND=SHARE with one of {', '.join(KINDS)}, got {text!r}")
    return kind, _share(share)


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 100_000:
        raise argparse.ArgumentTypeError(f"expected minutes above 0, got {text!r}")
    return value


def _train(arguments: argparse.Namespace, argv: list[str]) -> int:
    keep_freed_memory()
    arguments.glyphs = dict(arguments.glyphs)
    if arguments.synthetic + sum(arguments.glyphs.values()) > 1:
        raise DatasetError("--synthetic and the shares of --glyphs are more than 1 together")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        raise DatasetError(f"--device {arguments.device}: this PyTorch sees no CUDA device; use --device cpu")
    if arguments.download:
        download(arguments.data)
    out = arguments.out or Path("runs") / f"{arguments.preset or 'edge'}-{arguments.split}-{arguments.seed}"
    last = out / "last.pt"
    if arguments.resume:
        config, state = load_checkpoint(last)
        # The run goes on with what it was started with, whatever else the command line says.
        arguments.split = config.split
        arguments.composed, arguments.invented, arguments.redrawn = config.composed, config.invented, config.redrawn
        arguments.holdout = json.loads(state["notes"]).get("holdout", [])
        arguments.glyphs = {name: share for name, share in config.shares.items() if name != "synthetic"}
    elif last.exists():
        raise CheckpointError(f"'{out}' holds a run already: --resume goes on with it, --out names another folder")
    elif arguments.loss == "pairs" and arguments.teachers:
        raise CheckpointError("--teachers compare every pair in a batch: they need --loss all-pairs")
    elif arguments.loss == "pairs":  # which are drawn from real drawings only
        arguments.composed = arguments.invented = arguments.synthetic = 0
        arguments.glyphs = {}
    model = config.model if arguments.resume else _network(arguments)
    data = load_data(
        arguments.data, arguments.split, model.spec, arguments.holdout, arguments.composed, arguments.invented,
        pens=arguments.redrawn > 0, glyphs=list(arguments.glyphs), fonts=arguments.fonts,
    )  # fmt: skip
    arguments.holdout = list(data.holdout)
    if arguments.resume:
        teachers = _teachers(arguments, config)
        trainer = Trainer.resume(last, data.training, data.sources, teachers, arguments.device)
    else:
        trainer = _new_trainer(arguments, argv, model, data)
    print(f"{len(data.training.images)} images of {len(data.training.members())} classes, {trainer.config.steps} steps, "
          f"{trainer.config.precision}; writing to {out}", flush=True)  # fmt: skip
    result = run(trainer, data.validation, out, data.scripts)
    if not result.finished:
        print(f"interrupted at step {trainer.done}; --resume --out {out} goes on", file=sys.stderr)
        return 130
    if data.validation is not None and not trainer.notes["thresholds"]:
        few = len(data.validation.members())
        print(f"no thresholds for strangers: {few} held-out classes are too few, {1 + STRANGERS} are needed; the bundle will "
              "load with far=None only", file=sys.stderr)  # fmt: skip
    print(f"done: {out / 'last.pt'}" + (f", held-out alphabets {result.validation}" if result.validation else ""))
    if result.chosen == "start":
        print("training on did not help: what was held out is recognised best by the weights that the run started from, "
              "so keep those; to recognise these classes better, enroll more pictures of each")  # fmt: skip
        return 0
    print(f"best by what was held out: {result.chosen}" if result.validation else "nothing was held out to choose by")
    print(f"next: python -m export {result.checkpoint} --out bundle")
    return 0


def _network(arguments: argparse.Namespace) -> ModelConfig:
    if arguments.preset is None and arguments.start_from:
        return network_of(arguments.start_from)
    preset = PRESETS[arguments.preset or "edge"]
    return replace(preset, network=arguments.network) if arguments.network else preset


def _new_trainer(arguments: argparse.Namespace, argv: list[str], model: ModelConfig, data: TrainingData) -> Trainer:
    rate = (3e-4 if arguments.start_from else 2e-3) if arguments.learning_rate is None else arguments.learning_rate
    settings = {
        "model": model, "split": arguments.split, "seed": arguments.seed, "loss": arguments.loss, "classes": arguments.classes,
        "shots": arguments.shots, "learning_rate": rate, "device": arguments.device,
        "composed": arguments.composed, "invented": arguments.invented,
        "shares": {"synthetic": arguments.synthetic, **arguments.glyphs}, "redrawn": arguments.redrawn,
    }  # fmt: skip
    choices = precisions(arguments.precision, arguments.device)
    teachers = _teachers(arguments, TrainConfig(steps=1000, **settings))
    configs = {name: TrainConfig(steps=1000, precision=name, **settings) for name in choices}
    chosen = len(choices) == 1 and arguments.steps is not None
    times = {} if chosen else measure_steps(configs, data.training, teachers)
    precision = choices[0] if chosen else fastest(times)
    steps, validations, minutes = arguments.steps, configs[precision].validations, 0.0
    if steps is None:
        minutes = 25.0 if arguments.minutes is None else arguments.minutes
        budget = 60 * minutes
        if data.validation is not None:
            # A large network on a small budget would otherwise spend it on validation.
            each = _timed_validation(configs[precision], data)
            validations = min(validations, max(1, int(0.1 * budget / each)))
            budget -= validations * each
        steps = max(10, int(budget / times[precision].wall))
    settings["minutes"] = minutes if arguments.by_the_clock else 0.0
    settings["warmup"] = min(100, max(1, steps // 10))
    config = TrainConfig(steps=steps, precision=precision, validations=validations, **settings)
    trainer = Trainer(config, data.training, data.sources, teachers)
    trainer.notes.update(
        holdout=arguments.holdout,
        command=shlex.join(["python", "-m", "train", *_repeatable(argv, steps, precision, settings["minutes"])]),
        commit=_commit(),
        torch=torch.__version__,
        fonts=dict(data.families),
    )
    if arguments.start_from:
        trainer.start_from(arguments.start_from)
    return trainer


def _teachers(arguments: argparse.Namespace, config: TrainConfig) -> Teachers | None:
    return Teachers(arguments.teachers, config, arguments.holdout) if arguments.teachers else None


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
    kept: list[str] = []
    skip = False
    for word in argv:
        if word.startswith("--"):
            skip = word.split("=", 1)[0] in ours
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


def _evaluate_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train evaluate",
        description="Score a checkpoint or a bundle on Lake's 400 one-shot trials, or on a folder of your own images.",
    )
    parser.add_argument("model", nargs="?", help="a checkpoint (.pt) or a bundle folder; leave out for the one that ships")
    parser.add_argument("--network", type=import_network, metavar="MODULE:FUNCTION", help="as in training, of a checkpoint")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, help="folder with all_runs.zip: the 400 trials")
    what.add_argument("--folder", type=Path, help="folder of images, class/image or group/class/image")
    parser.add_argument("--holdout", nargs="*", default=[], metavar="GROUP", help="of --folder: score these groups only")
    parser.add_argument("--way", type=_at_least(2), default=20, help="of --folder: classes in an episode")
    parser.add_argument("--shots", type=_at_least(1), default=1, help="of --folder: supports of each class")
    parser.add_argument("--sheet", type=Path, help="of --folder: draw the worst confusions into this PNG file")
    parser.add_argument("--baseline", action="store_true", help="also run the Modified Hausdorff baseline (published: 61.2 %%)")
    parser.add_argument("--precision", choices=("auto", "fp32", "int8"), default="auto", help="of a bundle")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _evaluate(arguments: argparse.Namespace) -> int:
    if arguments.folder:
        report = evaluate_folder(
            arguments.model, arguments.folder, arguments.holdout, arguments.way, arguments.shots, arguments.precision
        )
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

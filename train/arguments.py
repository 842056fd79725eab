"""The options of `python -m train`, and how their texts are read."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from train.fonts import SYSTEM_FOLDERS
from train.glyphs import KINDS
from train.model import PRESETS
from train.networks import import_network

__all__ = ["evaluate_parser", "refit_parser", "train_parser"]


def train_parser() -> argparse.ArgumentParser:
    """Of `python -m train`."""
    parser = argparse.ArgumentParser(
        prog="python -m train", allow_abbrev=False,  # the command is kept word by word
        description="Train a twin network. `python -m train evaluate --help` scores one; `python -m train prepare`, with the "
        "same options, only makes what a run learns from, as the file that --prepared takes elsewhere.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--preset", choices=sorted(PRESETS),
                        help="the network; that of --start-from, or edge, unless given")  # fmt: skip
    parser.add_argument("--network", type=import_network, metavar="MODULE:FUNCTION",
                        help="an embedding network of your own: from a ModelConfig to a module from ink (N, 1, H, W) in "
                             "[0, 1] to embeddings (N, D) in [0, 1]; name it again to resume or export")  # fmt: skip
    parser.add_argument("--split", choices=("background", "koch", "folder"), default="background",
                        help="folder: --data is class/image or group/class/image, or an .npz file")  # fmt: skip
    parser.add_argument("--data", type=Path, help="folder with Omniglot's zips or folders, or your images")
    parser.add_argument("--download", action="store_true", help="fetch Omniglot into --data first")
    parser.add_argument("--prepared", type=Path, metavar="FILE",
                        help="what `python -m train prepare` made with the same options: --data and --fonts are not "
                        "read")  # fmt: skip
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
    parser.add_argument("--recipe", choices=("ours", "paper"), default="ours",
                        help="paper: Koch et al. as published: network, pairs, optimiser, schedule, drawers")  # fmt: skip
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML of settings, as --set gives one")
    parser.add_argument("--set", nargs="+", default=[], action="extend", metavar="NAME=VALUE", dest="changes",
                        help="any value of the configuration, such as augment.rotation=10; log.jsonl lists them")  # fmt: skip
    parser.add_argument("--skip-bad", action="store_true", help="leave out images of a folder that cannot be used")
    parser.add_argument("--device", default="cpu", help="where to train: cpu, cuda, mps")
    parser.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto",
                        help="auto measures both where the "
                        "processor has bf16")  # fmt: skip
    parser.add_argument("--threads", type=_at_least(1), help="processor threads (default: PyTorch's choice)")
    parser.add_argument("--tensorboard", action="store_true", help="also write tensorboard/ into the run's folder")
    parser.add_argument("--out", type=Path, help="folder of the run (default: runs/PRESET-SPLIT-SEED), or the file of prepare")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from last.pt in --out, with its configuration; more --steps than it has extend it",
    )
    return parser


def evaluate_parser() -> argparse.ArgumentParser:
    """Of `python -m train evaluate`."""
    parser = argparse.ArgumentParser(
        prog="python -m train evaluate",
        description="Score a checkpoint or a bundle on Lake's 400 one-shot trials, or on a folder of your own images.",
    )
    parser.add_argument("model", nargs="?", help="a checkpoint (.pt) or a bundle folder; leave out for the one that ships")
    parser.add_argument("--network", type=import_network, metavar="MODULE:FUNCTION", help="as in training, of a checkpoint")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, help="folder with all_runs.zip: the 400 trials")
    what.add_argument("--folder", type=Path, help="folder of images, class/image or group/class/image, or an .npz "
                      "file with images, labels and, if there are any, groups and writers")  # fmt: skip
    parser.add_argument("--holdout", nargs="*", default=[], metavar="GROUP", help="of --folder: score these groups only")
    parser.add_argument("--way", type=_at_least(2), default=20, help="of --folder: classes in an episode")
    parser.add_argument("--shots", type=_at_least(1), default=1, help="of --folder: supports of each class")
    parser.add_argument("--sheet", type=Path, help="of --folder: draw the worst confusions into this PNG file")
    parser.add_argument("--skip-bad", action="store_true", help="of --folder: leave out images that cannot be used")
    parser.add_argument("--baseline", action="store_true", help="also run the Modified Hausdorff baseline (published: 61.2 %%)")
    parser.add_argument("--precision", choices=("auto", "fp32", "int8"), default="auto", help="of a bundle")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def refit_parser() -> argparse.ArgumentParser:
    """Of `python -m train refit`."""
    parser = argparse.ArgumentParser(
        prog="python -m train refit",
        description="Fit the calibration and the thresholds of a checkpoint again, on what its run held out.",
    )
    parser.add_argument("checkpoint", type=Path, help="a run's last.pt or best.pt")
    parser.add_argument("--network", type=import_network, metavar="MODULE:FUNCTION", help="as in training")
    parser.add_argument("--data", type=Path, help="what the run was trained on")
    parser.add_argument("--prepared", type=Path, metavar="FILE", help="what `python -m train prepare` made for it, instead")
    parser.add_argument("--blend-with", type=Path, metavar="RUN",
                        help="try weights between this run, checkpoint or bundle and the checkpoint, and keep the best by what "
                        "was held out")  # fmt: skip
    parser.add_argument("--fonts", type=Path, nargs="*", default=[*SYSTEM_FOLDERS], metavar="FOLDER",
                        help="fonts that draw held-out scripts; none leaves scripts out")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="the new checkpoint")
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

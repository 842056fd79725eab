"""What the sub-commands share: options, argument types, loading a matcher and printing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from oneshot_runtime.errors import GalleryError, OptionError
from oneshot_runtime.matcher import OneShotMatcher
from oneshot_runtime.results import Match
from oneshot_runtime.stores.address import redacted, scheme_of
from oneshot_runtime.stores.registry import gallery_exists

__all__ = [
    "add_command",
    "count",
    "load",
    "load_existing",
    "load_options",
    "match_json",
    "print_result",
    "rate",
    "require_file",
    "seed",
]

_DEFAULT_GALLERY = "oneshot.db"


def add_command(
    commands: Any, name: str, run: Callable[..., int], text: str, *, gallery: bool = False, far: float | None = 0.01
) -> argparse.ArgumentParser:
    """A sub-parser with the options of every command; `run` gets the arguments and returns the exit code."""
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.set_defaults(run=run, gallery=None)
    if gallery:
        text_of_gallery = f"gallery file, or postgresql://user@host/database (default: {_DEFAULT_GALLERY})"
        command.add_argument("--gallery", default=_DEFAULT_GALLERY, help=text_of_gallery)
    command.add_argument("--bundle", help="model bundle folder (default: the one in the package)")
    command.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    command.add_argument("--precision", default="auto", choices=("auto", "fp32", "int8"))
    command.add_argument("--threads", type=count, help="threads of one embedding (default: the processors available)")
    text = f"false accept rate; 'none' never refuses (default: {'none' if far is None else far})"
    command.add_argument("--far", type=rate, default=far, help=text)
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def rate(text: str) -> float | None:
    """An argument that is a number, or 'none' for None."""
    if text.lower() == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number or 'none', got {text!r}") from None


def seed(text: str) -> int:
    """An argument that is a number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, got {text!r}")
    return int(text)


def count(text: str) -> int:
    """An argument that is a number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {text!r}")
    return int(text)


def load_existing(arguments: argparse.Namespace) -> OneShotMatcher:
    """For commands that only make sense on a gallery that is there: a mistyped path must not create one."""
    if not gallery_exists(arguments.gallery):
        raise GalleryError(f"gallery '{redacted(arguments.gallery)}' does not exist; `oneshot enroll` creates it")
    return load(arguments)


def require_file(arguments: argparse.Namespace, what: str, instead: str) -> None:
    """Raise `OptionError` where `what` a command does is for gallery files only."""
    if scheme_of(arguments.gallery) is not None:
        raise OptionError(f"{what} is for gallery files, '{redacted(arguments.gallery)}' is none: {instead}")


def load(arguments: argparse.Namespace) -> OneShotMatcher:
    """The matcher that the command's options ask for."""
    return OneShotMatcher.load(**load_options(arguments))


def load_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `OneShotMatcher.load` takes, from the command's options."""
    return {name: getattr(arguments, name) for name in ("bundle", "gallery", "device", "precision", "threads", "far")}


def match_json(match: Match) -> dict[str, Any]:
    """A match as JSON-ready values."""
    candidates = [{"label": c.label, "probability": c.probability} for c in match.candidates]
    return {"label": match.label, "probability": match.probability, "threshold": match.threshold, "candidates": candidates}


def print_result(arguments: argparse.Namespace, values: dict[str, Any], text: str) -> None:
    """Print `values` as JSON where `--json` asks for it, else `text`."""
    print(json.dumps(values) if arguments.json else text)

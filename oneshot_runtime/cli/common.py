"""What the sub-commands share: options, argument types, loading a matcher and printing."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from oneshot_runtime.cli.parser import Parser, did_you_mean
from oneshot_runtime.errors import DeviceError, GalleryError, LabelError, OneShotError, OneShotWarning, OptionError
from oneshot_runtime.matcher import MAX_THREADS, OneShotMatcher
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.providers import DEVICES, device_named
from oneshot_runtime.model.session import import_onnxruntime
from oneshot_runtime.model.thresholds import DEFAULT_FAR, check_far
from oneshot_runtime.results import Match
from oneshot_runtime.stores.address import redacted, scheme_of
from oneshot_runtime.stores.base import GalleryStore
from oneshot_runtime.stores.registry import gallery_exists, open_store

if TYPE_CHECKING:
    from oneshot_runtime.transfer.encoder import ImageEncoder

__all__ = [
    "add_command",
    "completes_labels",
    "count",
    "existing_store",
    "load",
    "load_existing",
    "load_options",
    "match_json",
    "open_encoder",
    "print_result",
    "rate",
    "require_file",
    "seed",
    "unknown_labels",
]

_GALLERY, _DEFAULT_GALLERY = "ONESHOT_GALLERY", "oneshot.db"


def add_command(
    commands: Any,
    name: str,
    run: Callable[..., int],
    text: str,
    *,
    gallery: bool = False,
    model: bool = False,
    far: bool = False,
    examples: Sequence[str] = (),
) -> Parser:
    """A sub-parser with the options that matter for a command; `run` gets the arguments and returns the exit code.

    gallery: whether it has one. model: whether it runs the model. far: whether it refuses. examples: for its help.
    """
    description = text[0].upper() + text[1:] + "."
    command: Parser = commands.add_parser(name, help=text, description=description, examples=examples)
    command.set_defaults(run=run, parser=command, gallery=None, device="auto", precision="auto", threads=None, far=None)
    command.set_defaults(provider_option=[])
    if gallery:
        default = os.environ.get(_GALLERY) or _DEFAULT_GALLERY
        text = f"file, or postgresql://user@host/database (default: ${_GALLERY}, else {_DEFAULT_GALLERY})"
        command.add_argument("--gallery", default=default, metavar="PLACE", help=text)
    command.add_argument("--bundle", metavar="FOLDER", help="model bundle (default: the one in the package)")
    if model:
        text = "where it runs: cpu, cuda, openvino, ... (`oneshot doctor` lists those that are installed; default: auto)"
        command.add_argument("--device", type=device, default="auto", metavar="NAME", help=text)
        text = "an option of the device's execution provider; may be given several times"
        command.add_argument("--provider-option", action="append", type=option, metavar="NAME=VALUE", help=text)
        text = "how the network computes; auto takes int8 where that is faster and as right (default: auto)"
        command.add_argument("--precision", default="auto", choices=("auto", "fp32", "int8"), help=text)
        text = "processor threads (default: all that are available)"
        command.add_argument("--threads", type=threads, metavar="N", help=text)
    if far:
        text = "false accept rate: the share of unknown symbols that may be given a name, at most 0.5; 'none' refuses nothing "
        text += f"(default: {DEFAULT_FAR})"
        command.add_argument("--far", type=rate, default=DEFAULT_FAR, metavar="RATE", help=text)
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def rate(text: str) -> float | None:
    """An argument that is a false accept rate, or 'none' for None."""
    if text.lower() == "none":
        return None
    try:
        return check_far(float(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and at most 0.5, or 'none', got {text!r}") from None


def device(text: str) -> str:
    """An argument that names a device; whether it is installed is found out when the model is loaded."""
    try:
        return text if text in ("auto", *DEVICES) else device_named(text, import_onnxruntime().get_available_providers())
    except DeviceError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def option(text: str) -> tuple[str, str]:
    """An argument that is NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def threads(text: str) -> int:
    """An argument that is a number of threads."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_THREADS:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {MAX_THREADS}, got {text!r}")
    return int(text)


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
    require_gallery(arguments)
    return load(arguments)


def require_gallery(arguments: argparse.Namespace) -> None:
    """Raise `GalleryError` where the gallery is not there."""
    if not gallery_exists(arguments.gallery):
        raise GalleryError(
            f"gallery '{redacted(arguments.gallery)}' does not exist; `oneshot enroll LABEL IMAGE` creates it, and --gallery "
            "or "
            f"{_GALLERY} names another"
        )


def completes_labels(action: argparse.Action) -> None:
    """Has argcomplete offer the enrolled labels for an argument."""

    def labels(parsed_args: argparse.Namespace, **_: object) -> list[str]:
        try:
            with existing_store(parsed_args) as store:
                return list(store.counts())
        except OneShotError:
            return []  # the command itself will say what is wrong

    action.completer = labels  # type: ignore[attr-defined]  # where argcomplete looks for it


@contextmanager
def existing_store(arguments: argparse.Namespace) -> Iterator[GalleryStore]:
    """The store of a gallery that is there, without the model's session and without reading its codes."""
    require_gallery(arguments)
    bundle = Bundle.open(arguments.bundle)
    store = open_store(arguments.gallery, bundle.fingerprint, bundle.dim)
    try:
        yield store
    finally:
        store.close()


def unknown_labels(labels: Sequence[str], known: Collection[str]) -> LabelError:
    """The error for labels that are not enrolled, with what was probably meant."""
    if not known:
        return LabelError(f"{', '.join(map(repr, labels))}: nothing is enrolled yet")
    hints = [hint for label in labels if (hint := did_you_mean(label, known))]
    return LabelError(f"not in the gallery, so nothing was changed: {', '.join(map(repr, labels))}{hints[0] if hints else ''}")


def require_file(arguments: argparse.Namespace, what: str, instead: str) -> None:
    """Raise `OptionError` where `what` a command does is for gallery files only."""
    if scheme_of(arguments.gallery) is not None:
        raise OptionError(f"{what} is for gallery files, '{redacted(arguments.gallery)}' is none: {instead}")


def load(arguments: argparse.Namespace) -> OneShotMatcher:
    """The matcher that the command's options ask for; what it warns of goes to the error output."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OneShotWarning)
        matcher = OneShotMatcher.load(**load_options(arguments))
    for warning in caught:
        print(f"oneshot: {warning.message}", file=sys.stderr)
    return matcher


def load_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `OneShotMatcher.load` takes, from the command's options."""
    options = {name: getattr(arguments, name) for name in ("bundle", "gallery", "device", "precision", "threads", "far")}
    return {**options, "provider_options": dict(arguments.provider_option) or None}


def open_encoder(bundle: Bundle, arguments: argparse.Namespace) -> ImageEncoder:
    """The encoder of pictures that the command's options ask for."""
    from oneshot_runtime.transfer.encoder import ImageEncoder

    options = dict(arguments.provider_option) or None
    return ImageEncoder(bundle, arguments.device, arguments.precision, arguments.threads, options)


def match_json(match: Match) -> dict[str, Any]:
    """A match as JSON-ready values."""
    candidates = [{"label": c.label, "probability": c.probability} for c in match.candidates]
    values: dict[str, Any] = {"label": match.label, "probably": match.probably, "probability": match.probability}
    values |= {"threshold": match.threshold, "candidates": candidates}
    values |= {} if match.symbols == 1 else {"symbols": match.symbols}
    return values if match.page is None else {**values, "page": match.page}


def print_result(arguments: argparse.Namespace, values: dict[str, Any], text: str) -> None:
    """Print `values` as JSON where `--json` asks for it, else `text`."""
    print(json.dumps(values) if arguments.json else text)

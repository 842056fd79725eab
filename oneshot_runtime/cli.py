"""The `oneshot` command: enrol, match, verify and look after a gallery from the shell."""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from oneshot_runtime import __version__
from oneshot_runtime.bundle import DEFAULT_BUNDLE, Bundle
from oneshot_runtime.errors import GalleryError, LabelError, OneShotError
from oneshot_runtime.matcher import Match, OneShotMatcher

__all__ = ["main"]

_DEFAULT_GALLERY = "oneshot.db"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 an error or a failed check, 2 wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a label need not fit the console's encoding
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        return code
    except OneShotError as error:
        if arguments.json:
            print(json.dumps({"error": type(error).__name__, "message": str(error)}))
        print(f"oneshot: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe left, as head does
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="oneshot", description="Recognise symbols after seeing each of them once.")
    parser.add_argument("--version", action="version", version=f"oneshot {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = _command(commands, "demo", _demo, "draw twenty symbols by two hands, enrol one drawing each, match the other")
    demo.add_argument("--symbols", type=_count, default=20, help="how many to invent, at most 70 (default: 20)")
    demo.add_argument("--seed", type=_seed, default=7, help="another seed invents another alphabet (default: 7)")
    demo.add_argument("--sheet", type=Path, default=Path("oneshot-demo.png"), help="where the contact sheet goes")

    enroll = _command(commands, "enroll", _enroll, "add pictures of a symbol to the gallery", gallery=True)
    enroll.add_argument("label", help="the symbol's name")
    enroll.add_argument("images", nargs="+", metavar="IMAGE", help="one picture is enough, more help")

    match = _command(commands, "match", _match, "say which enrolled symbol each picture shows", gallery=True)
    match.add_argument("images", nargs="+", metavar="IMAGE")
    match.add_argument("--top-k", type=_count, default=5, help="candidates to list (default: 5)")

    verify = _command(commands, "verify", _verify, "probability that two pictures show the same symbol")
    verify.add_argument("image_a", metavar="IMAGE_A")
    verify.add_argument("image_b", metavar="IMAGE_B")

    _command(commands, "list", _list, "list the enrolled symbols", gallery=True)
    remove = _command(commands, "remove", _remove, "forget symbols", gallery=True)
    remove.add_argument("labels", nargs="+", metavar="LABEL")
    _command(commands, "info", _info, "describe the model bundle")
    _command(commands, "doctor", _doctor, "check installation, provider, golden images and latency (exit code for CI)")
    return parser


def _command(commands: Any, name: str, run: Callable[..., int], text: str, gallery: bool = False) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.set_defaults(run=run, gallery=None)
    if gallery:
        command.add_argument("--gallery", default=_DEFAULT_GALLERY, help=f"gallery file (default: {_DEFAULT_GALLERY})")
    command.add_argument("--bundle", help="model bundle folder (default: the one in the package)")
    command.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    command.add_argument("--precision", default="auto", choices=("auto", "fp32", "int8"))
    command.add_argument("--threads", type=_count, help="threads of one embedding (default: the processors available)")
    # Every query of the demo is of an enrolled symbol, so it need not refuse any.
    command.add_argument(
        "--far",
        type=_rate,
        default=None if name == "demo" else 0.01,
        help="false accept rate; 'none' never refuses (default: 0.01; demo: none)",
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def _rate(text: str) -> float | None:
    if text.lower() == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number or 'none', got {text!r}") from None


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, got {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {text!r}")
    return int(text)


def _load_existing(arguments: argparse.Namespace) -> OneShotMatcher:
    """For commands that only make sense on a gallery that is there: a mistyped path must not create one."""
    if not Path(arguments.gallery).exists():
        raise GalleryError(f"gallery '{arguments.gallery}' does not exist; `oneshot enroll` creates it")
    return _load(arguments)


def _load(arguments: argparse.Namespace) -> OneShotMatcher:
    return OneShotMatcher.load(
        arguments.bundle,
        gallery=arguments.gallery,
        device=arguments.device,
        precision=arguments.precision,
        threads=arguments.threads,
        far=arguments.far,
    )


def _demo(arguments: argparse.Namespace) -> int:
    from oneshot_runtime.demo import run_demo, sheet_cells
    from oneshot_runtime.sheet import draw_sheet, save_sheet

    if not 2 <= arguments.symbols <= 70:
        raise SystemExit("oneshot demo: --symbols must be from 2 to 70")
    with _load(arguments) as matcher:
        result = run_demo(matcher, arguments.symbols, arguments.seed)
    median = statistics.median(result.milliseconds)
    total = len(result.names)
    summary = f"{result.correct} of {total} recognised from one drawing each, {median:.2f} ms per match on {matcher.device}"
    save_sheet(draw_sheet(sheet_cells(result), f"{summary} (left: enrolled, right: query)"), arguments.sheet)
    rows = list(zip(result.names, result.matches, result.milliseconds, strict=True))
    if arguments.json:
        print(json.dumps({
            "correct": result.correct, "total": total, "median_ms": median, "device": matcher.device,
            "precision": matcher.precision, "sheet": str(arguments.sheet),
            "matches": [{"symbol": name, "ms": ms, **_as_json(match)} for name, match, ms in rows],
        }))  # fmt: skip
        return 0
    print(f"{'symbol':8} {'answer':8} {'probability':>11} {'runner-up':>14} {'ms':>6}")
    for name, match, ms in rows:
        second = f"{match.candidates[1].label} {match.candidates[1].probability:.3f}"
        mark = "" if match.label == name else "  <- wrong" if match.label else "  <- refused"
        print(f"{name:8} {match.label or 'unknown':8} {match.probability:11.3f} {second:>14} {ms:6.2f}{mark}")
    print(f"{summary} ({matcher.precision}, {matcher.threads} threads)\ncontact sheet: {arguments.sheet}")
    return 0


def _enroll(arguments: argparse.Namespace) -> int:
    with _load(arguments) as matcher:
        matcher.enroll(arguments.label, arguments.images)
        supports, classes = matcher.gallery.count(arguments.label), len(matcher.labels)
    _print(
        arguments,
        {"label": arguments.label, "supports": supports, "classes": classes, "gallery": arguments.gallery},
        f"{arguments.label}: {supports} support(s); {arguments.gallery} now holds {classes} symbol(s)",
    )
    return 0


def _match(arguments: argparse.Namespace) -> int:
    with _load_existing(arguments) as matcher:
        matches = matcher.match_batch(arguments.images, arguments.top_k)
    lines = []
    for image, match in zip(arguments.images, matches, strict=True):
        others = ", ".join(f"{c.label} {c.probability:.3f}" for c in match.candidates)
        verdict = match.label if match.label is not None else "unknown"
        lines.append(f"{image}: {verdict} (p = {match.probability:.3f}, known from {match.threshold:.3f}) [{others}]")
    results = [{"image": image, **_as_json(m)} for image, m in zip(arguments.images, matches, strict=True)]
    _print(arguments, {"matches": results}, "\n".join(lines))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    with _load(arguments) as matcher:
        probability = matcher.verify(arguments.image_a, arguments.image_b)
    _print(arguments, {"probability": probability}, f"probability that both show the same symbol: {probability:.4f}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    with _load_existing(arguments) as matcher:
        classes = [{"label": label, "supports": matcher.gallery.count(label)} for label in matcher.labels]
    text = "\n".join(f"{entry['label']}  ({entry['supports']})" for entry in classes)
    _print(arguments, {"gallery": arguments.gallery, "classes": classes}, text or f"{arguments.gallery} is empty")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    with _load_existing(arguments) as matcher:
        unknown = [label for label in arguments.labels if not matcher.gallery.count(label)]
        if unknown:
            raise LabelError(f"not in the gallery, so nothing was removed: {', '.join(map(repr, unknown))}")
        for label in dict.fromkeys(arguments.labels):
            matcher.remove(label)
        classes = len(matcher.labels)
    text = f"removed {', '.join(arguments.labels)}; {arguments.gallery} now holds {classes} symbol(s)"
    _print(arguments, {"removed": arguments.labels, "classes": classes}, text)
    return 0


def _info(arguments: argparse.Namespace) -> int:
    bundle = Bundle.open(arguments.bundle)
    hidden = {"head", "sha256"}
    details = {key: value for key, value in bundle.manifest.items() if key not in hidden}
    details["path"] = str(bundle.path if arguments.bundle else DEFAULT_BUNDLE.name + " (in the package)")
    text = "\n".join(
        f"{key}: {json.dumps(value) if isinstance(value, dict | list) else value}" for key, value in details.items()
    )
    _print(arguments, details, text)
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from oneshot_runtime.doctor import as_json, diagnose

    checks = diagnose(arguments.bundle, arguments.device, arguments.precision, arguments.threads)
    text = "\n".join(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.detail}" for check in checks)
    _print(arguments, as_json(checks), text)
    return 0 if all(check.ok for check in checks) else 1


def _as_json(match: Match) -> dict[str, Any]:
    candidates = [{"label": c.label, "probability": c.probability} for c in match.candidates]
    return {"label": match.label, "probability": match.probability, "threshold": match.threshold, "candidates": candidates}


def _print(arguments: argparse.Namespace, values: dict[str, Any], text: str) -> None:
    print(json.dumps(values) if arguments.json else text)

"""`oneshot demo`, `enroll`, `match` and `verify`: pictures in, answers out."""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from oneshot_runtime.cli.common import add_command, count, load, load_existing, match_json, print_result, seed
from oneshot_runtime.cli.folder_load import load_folder
from oneshot_runtime.stores.address import redacted

__all__ = ["register"]


def register(commands: Any) -> None:
    """Add this group's parsers to the command line's sub-parsers."""
    text = "draw twenty symbols by two writers, enroll one drawing each, match the other"
    demo = add_command(commands, "demo", _demo, text, far=None)  # every query is enrolled, so none need be refused
    demo.add_argument("--symbols", type=count, default=20, help="how many to invent, at most 70 (default: 20)")
    demo.add_argument("--seed", type=seed, default=7, help="another seed invents another alphabet (default: 7)")
    demo.add_argument("--sheet", type=Path, default=Path("oneshot-demo.png"), help="where the contact sheet goes")

    enroll = add_command(commands, "enroll", _enroll, "add pictures of a symbol, or of many, to the gallery", gallery=True)
    enroll.add_argument("label", nargs="?", help="the symbol's name")
    enroll.add_argument("images", nargs="*", metavar="IMAGE", help="one picture is enough, more help")
    text = "instead of LABEL and IMAGE: a folder of folders, one a label; a load that was cut off can be run again"
    enroll.add_argument("--folder", metavar="DIR", help=text)
    enroll.add_argument("--strict", action="store_true", help="with --folder: stop at the first picture that cannot be used")
    enroll.set_defaults(run=partial(_enroll, enroll))

    match = add_command(commands, "match", _match, "say which enrolled symbol each picture shows", gallery=True)
    match.add_argument("images", nargs="+", metavar="IMAGE")
    match.add_argument("--top-k", type=count, default=5, help="candidates to list (default: 5)")
    match.add_argument("--explain", type=Path, metavar="FILE.png", help="save a picture of why IMAGE gets its answer")

    verify = add_command(commands, "verify", _verify, "probability that two pictures show the same symbol")
    verify.add_argument("image_a", metavar="IMAGE_A")
    verify.add_argument("image_b", metavar="IMAGE_B")


def _demo(arguments: argparse.Namespace) -> int:
    from oneshot_runtime.cli.demo import run_demo, sheet_cells
    from oneshot_runtime.quality.sheet import draw_sheet, save_sheet

    if not 2 <= arguments.symbols <= 70:
        raise SystemExit("oneshot demo: --symbols must be from 2 to 70")
    with load(arguments) as matcher:
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
            "matches": [{"symbol": name, "ms": ms, **match_json(match)} for name, match, ms in rows],
        }))  # fmt: skip
        return 0
    print(f"{'symbol':8} {'answer':8} {'probability':>11} {'runner-up':>14} {'ms':>6}")
    for name, match, ms in rows:
        second = f"{match.candidates[1].label} {match.candidates[1].probability:.3f}"
        mark = "" if match.label == name else "  <- wrong" if match.label else "  <- refused"
        print(f"{name:8} {match.label or 'unknown':8} {match.probability:11.3f} {second:>14} {ms:6.2f}{mark}")
    print(f"{summary} ({matcher.precision}, {matcher.threads} threads)\ncontact sheet: {arguments.sheet}")
    return 0


def _enroll(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    if arguments.folder is not None:
        if arguments.label is not None:
            parser.error("--folder takes its labels from the folders: leave out LABEL and IMAGE")
        return load_folder(arguments, arguments.folder, arguments.strict)
    if not arguments.images or arguments.strict:
        parser.error("give a LABEL and one IMAGE at least, or --folder DIR, to which --strict belongs")
    with load(arguments) as matcher:
        report = matcher.enroll(arguments.label, arguments.images)
        supports, classes = matcher.gallery.count(arguments.label), len(matcher.labels)
    lines = [f"{arguments.label}: {supports} support(s); {redacted(arguments.gallery)} now holds {classes} symbol(s)"]
    lines += [f"look at {arguments.images[finding.image]}: {finding.message}" for finding in report.findings]
    values = {"label": arguments.label, "supports": supports, "classes": classes, "gallery": redacted(arguments.gallery)}
    findings = [{**asdict(finding), "image": arguments.images[finding.image]} for finding in report.findings]
    print_result(arguments, {**values, "findings": findings}, "\n".join(lines))
    return 0


def _match(arguments: argparse.Namespace) -> int:
    from oneshot_runtime.quality.sheet import save_sheet

    if arguments.explain and len(arguments.images) != 1:
        raise SystemExit("oneshot match: --explain takes one IMAGE")
    with load_existing(arguments) as matcher:
        matches = matcher.match_batch(arguments.images, arguments.top_k)
        explanation = matcher.explain(arguments.images[0]) if arguments.explain else None
    lines = []
    for image, match in zip(arguments.images, matches, strict=True):
        others = ", ".join(f"{c.label} {c.probability:.3f}" for c in match.candidates)
        verdict = match.label if match.label is not None else "unknown"
        lines.append(f"{image}: {verdict} (p = {match.probability:.3f}, known from {match.threshold:.3f}) [{others}]")
    results = [{"image": image, **match_json(m)} for image, m in zip(arguments.images, matches, strict=True)]
    if explanation:
        save_sheet(explanation.draw(), arguments.explain)
        results[0] |= {"explanation": str(arguments.explain), "margin_logits": explanation.margin}
        lines.append(f"explanation: {arguments.explain}")
    print_result(arguments, {"matches": results}, "\n".join(lines))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    with load(arguments) as matcher:
        probability = matcher.verify(arguments.image_a, arguments.image_b)
    print_result(arguments, {"probability": probability}, f"probability that both show the same symbol: {probability:.4f}")
    return 0

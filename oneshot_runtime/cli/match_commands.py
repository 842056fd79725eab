"""`oneshot demo`, `enroll`, `match` and `verify`: pictures in, answers out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from oneshot_runtime.cli.common import add_command, completes_labels, count, load, load_existing, match_json, print_result, seed
from oneshot_runtime.cli.folder_load import load_folder
from oneshot_runtime.cli.pictures import add_page, named_pictures
from oneshot_runtime.cli.terminal import match_line, verdict
from oneshot_runtime.errors import ImageError, counted, visible
from oneshot_runtime.gallery import check_label
from oneshot_runtime.matcher import OneShotMatcher
from oneshot_runtime.model.codes import encode
from oneshot_runtime.results import Match
from oneshot_runtime.stores.address import redacted
from oneshot_runtime.vision.image_source import ImageSource

__all__ = ["register"]

_Named = tuple[str, ImageSource]

_NAMED = 10
"""Pictures that one message names at most."""


def register(commands: Any) -> None:
    """Add this group's parsers to the command line's sub-parsers."""
    text = "draw twenty symbols by two writers, enroll one drawing each, match the other"
    demo = add_command(commands, "demo", _demo, text, model=True, far=True, examples=["oneshot demo --symbols 40 --seed 3"])
    demo.add_argument("--symbols", type=_symbols, default=20, metavar="N", help="how many to invent, 2 to 70 (default: 20)")
    demo.add_argument("--seed", type=seed, default=7, help="another seed invents another alphabet (default: 7)")
    demo.add_argument(
        "--sheet", type=Path, default=Path("oneshot-demo.png"), metavar="FILE", help="where the contact sheet goes"
    )

    examples = ["oneshot enroll alef alef.png", "oneshot enroll alef more-of-it/", "oneshot enroll --folder alphabet"]
    text = "add pictures of a symbol, or of many, to the gallery"
    enroll = add_command(commands, "enroll", _enroll, text, gallery=True, model=True, far=True, examples=examples)
    completes_labels(enroll.add_argument("label", nargs="?", metavar="LABEL", help="the symbol's name"))
    text = "picture, folder of pictures, or - for the standard input; one is enough, more make it surer"
    enroll.add_argument("images", nargs="*", metavar="IMAGE", help=text)
    add_page(enroll)
    text = (
        "instead of LABEL and IMAGE: a folder that holds a folder of pictures for each label; what is there already is left out"
    )
    enroll.add_argument("--folder", metavar="DIR", help=text)
    enroll.add_argument("--follow-links", action="store_true", help="with --folder: read links that lead out of DIR too")
    enroll.add_argument("--strict", action="store_true", help="with --folder: stop at the first picture that cannot be used")

    examples = ["oneshot match photo.png", "oneshot match drawings/ --json", "curl -s URL | oneshot match -"]
    text = "say which enrolled symbol each picture shows"
    match = add_command(commands, "match", _match, text, gallery=True, model=True, far=True, examples=examples)
    match.add_argument("images", nargs="+", metavar="IMAGE", help="picture, folder of pictures, or - for the standard input")
    match.add_argument("--top-k", type=count, default=5, metavar="N", help="candidates to list (default: 5)")
    add_page(match)
    match.add_argument("--explain", type=Path, metavar="FILE.png", help="save a picture of why IMAGE gets its answer")

    text = "probability that two pictures show the same symbol"
    verify = add_command(commands, "verify", _verify, text, model=True, examples=["oneshot verify a.png b.png"])
    verify.add_argument("image_a", metavar="IMAGE_A", help="picture, or - for the standard input")
    verify.add_argument("image_b", metavar="IMAGE_B", help="picture")


def _symbols(text: str) -> int:
    """An argument that is a number of symbols that can be invented."""
    if not text.isdecimal() or not 2 <= int(text) <= 70:
        raise argparse.ArgumentTypeError(f"expected a number from 2 to 70, got {text!r}")
    return int(text)


def _demo(arguments: argparse.Namespace) -> int:
    import statistics

    from oneshot_runtime.cli.demo import run_demo, sheet_cells
    from oneshot_runtime.quality.sheet import draw_sheet, save_sheet

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
    print(f"{'symbol':8} {'answer':14} {'probability':>11} {'runner-up':>14} {'ms':>6}")
    for name, match, ms in rows:
        second = f"{match.candidates[1].label} {match.candidates[1].probability:.3f}"
        mark = "" if match.label == name else "  <- wrong" if match.label else "  <- refused"
        print(f"{name:8} {verdict(match):14} {match.probability:11.3f} {second:>14} {ms:6.2f}{mark}")
    print(f"{summary} ({matcher.precision}, {matcher.threads} threads)\ncontact sheet: {arguments.sheet}")
    return 0


def _enroll(arguments: argparse.Namespace) -> int:
    if arguments.folder is not None:
        if arguments.label is not None:
            arguments.parser.error("--folder takes its labels from the folders: leave out LABEL and IMAGE")
        return load_folder(arguments, arguments.folder, arguments.strict, arguments.follow_links)
    if not arguments.images or arguments.strict:
        arguments.parser.error("give a LABEL and one IMAGE at least, or --folder DIR, to which --strict belongs")
    label, place = check_label(arguments.label), redacted(arguments.gallery)
    pictures = named_pictures(arguments.images, arguments.page)
    with load(arguments) as matcher:
        codes, failed = _codes(matcher, pictures)
        present = [name for name, _ in pictures if name in codes and matcher.gallery.store.holds(label, codes[name])]
        fresh = [(name, picture) for name, picture in pictures if name in codes and name not in present]
        report = matcher.enroll(label, [picture for _, picture in fresh]) if fresh else None
        supports, classes = matcher.gallery.count(label), len(matcher.labels)
    findings = [{**asdict(found), "image": fresh[found.image][0]} for found in (report.findings if report else ())]
    lines = []
    if fresh or present:
        added, symbols = counted(len(fresh), "picture"), counted(classes, "symbol")
        lines = [f"{label}: {added} added, {supports} in all; {place} now holds {symbols}"]
    lines += [f"{visible(name)} was enrolled as {label!r} already" for name in present]
    lines += [f"look at {visible(finding['image'])}: {finding['message']}" for finding in findings]
    values: dict[str, Any] = {"label": label, "supports": supports, "classes": classes, "gallery": place, "added": len(fresh)}
    values |= {"present": present, "failed": failed, "findings": findings, **_failures(failed, len(pictures))}
    if lines or arguments.json:
        print_result(arguments, values, "\n".join(lines))
    _name_failures(failed)
    return 1 if failed else 0


def _codes(matcher: OneShotMatcher, pictures: Sequence[_Named]) -> tuple[dict[str, bytes], list[dict[str, str]]]:
    """The code of each picture that can be used, by its name, and the others' errors."""
    codes, failed = {}, []
    for name, picture in pictures:
        try:
            codes[name] = encode(matcher.embed(picture), matcher.bundle.head)[0].tobytes()
        except ImageError as error:
            failed.append(_failure(name, error))
    return codes, failed


def _failure(image: str, error: BaseException) -> dict[str, str]:
    return {"image": image, "error": type(error).__name__, "message": str(error)}


def _failures(failed: Sequence[dict[str, Any]], count: int) -> dict[str, str]:
    """What a program reads where one picture cannot be used, as of any other error."""
    if not failed:
        return {}
    message = "; ".join(f"{failure['image']}: {failure['message']}" for failure in failed[:_NAMED])
    return {"error": failed[0]["error"], "message": f"{len(failed)} of {counted(count, 'picture')} cannot be used: {message}"}


def _name_failures(failed: Sequence[dict[str, Any]]) -> None:
    """On the error output, in JSON mode too, where a program reads the other one."""
    for failure in failed:
        print(f"oneshot: {visible(failure['image'])}: {failure['message']}", file=sys.stderr)


def _match(arguments: argparse.Namespace) -> int:
    pictures = named_pictures(arguments.images, arguments.page)
    if arguments.explain and len(pictures) != 1:
        arguments.parser.error("--explain takes one IMAGE")
    names = [name for name, _ in pictures]
    with load_existing(arguments) as matcher:
        answers = matcher.match_batch([picture for _, picture in pictures], arguments.top_k, on_error="return")
        explain = arguments.explain and isinstance(answers[0], Match)
        explanation = matcher.explain(pictures[0][1]) if explain else None
    results: list[dict[str, Any]] = []
    lines: list[str] = []
    width = max(map(len, names)) + 1 if sys.stdout.isatty() else 0
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, ImageError):
            plain = answer.__cause__  # without its place in the batch: it is named here
            results.append(_failure(name, plain if isinstance(plain, ImageError) else answer))
        else:
            results.append({"image": name, **match_json(answer)})
            lines.append(match_line(name, answer, width))
            if answer.symbols > 1:
                lines.append(f"  {answer.symbols} symbols here: read them with `oneshot read {visible(name)}`")
            if answer.page is not None:
                lines.append(f"  page {answer.page} of a file of several: --page takes another")
    if explanation:
        from oneshot_runtime.quality.sheet import save_sheet

        save_sheet(explanation.draw(), arguments.explain)
        results[0] |= {"explanation": str(arguments.explain), "margin_logits": explanation.margin}
        lines.append(f"explanation: {arguments.explain}")
    failed = [result for result in results if "error" in result]
    if arguments.json:
        print(json.dumps({"matches": results, **_failures(failed, len(results))}))
    else:
        print(*lines, sep="\n", end="\n" if lines else "")
    _name_failures(failed)
    return 1 if failed else 0


def _verify(arguments: argparse.Namespace) -> int:
    pictures = named_pictures([arguments.image_a, arguments.image_b])
    if len(pictures) != 2:
        arguments.parser.error("give two pictures, not folders")
    with load(arguments) as matcher:
        probability = matcher.verify(pictures[0][1], pictures[1][1])
    print_result(arguments, {"probability": probability}, f"probability that both show the same symbol: {probability:.4f}")
    return 0

"""`python -m benchmarks.domains --sets DIR`: one-shot accuracy on symbols of other kinds, each set with its interval.

Writes `domains.json`, its tables as `domains.md`, and a sheet of mistakes for each set into `--out`. The sheets show the sets'
images: do not commit them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.accuracy import protocols
from benchmarks.accuracy.scoreboard import held_out_images
from benchmarks.domains.embeddings import Embedding, of_bundle, ready_made
from benchmarks.domains.image_sets import SymbolSet, load_sets
from benchmarks.domains.one_shot import Outcome, one_shot
from benchmarks.domains.open_set import Alphabet, open_set_curve
from benchmarks.domains.rendered import VIEWS, icons, printed
from benchmarks.domains.report import tables
from oneshot_runtime import OneShotError, OneShotMatcher
from oneshot_runtime.quality.sheet import Cell, draw_sheet, save_sheet
from train.episodes import Score
from train.fonts import SYSTEM_FOLDERS
from train.omniglot import DatasetError

__all__ = ["main"]

_SHOWN = 30


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.domains", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sets", type=Path, required=True, help="folder of NAME.npz files with images and labels")
    parser.add_argument(
        "--data", type=Path, help="folder with Omniglot's zips: its held-out alphabets join the open-set curves"
    )
    parser.add_argument("--bundle", help="a bundle folder (default: the one that ships)")
    parser.add_argument("--precision", choices=("auto", "fp32", "int8"), default="auto")
    parser.add_argument("--fonts", type=Path, nargs="+", default=[*SYSTEM_FOLDERS], help="for print and icons rendered here")
    parser.add_argument("--no-ready-made", action="store_true", help="leave out EfficientNet-Lite0, which takes minutes")
    parser.add_argument("--out", type=Path, default=Path("out/domains"))
    arguments = parser.parse_args(argv)
    try:
        return _measure(arguments)
    except (DatasetError, OneShotError) as error:
        print(f"domains: {error}", file=sys.stderr)
        return 1


def _measure(arguments: argparse.Namespace) -> int:
    sets = load_sets(arguments.sets)
    arguments.out.mkdir(parents=True, exist_ok=True)
    matcher = OneShotMatcher.load(arguments.bundle, precision=arguments.precision, far=None)
    ours = of_bundle(matcher)
    other = None if arguments.no_ready_made else ready_made()
    report: dict[str, Any] = {"bundle": matcher.bundle.fingerprint, "precision": matcher.precision, "sets": {}}
    rendered = printed(arguments.fonts)
    alphabets = []
    for each in [*sets, *([rendered] if rendered else [])]:
        vectors = ours.embed(each.images)
        report["sets"][each.name] = _row(each, vectors, ours, other, arguments.out)
        if (each.groups < 0).all():
            alphabets.append(_alphabet(each, vectors))
    report["icons"] = _icons(icons(arguments.fonts), ours)
    if arguments.data:
        images = held_out_images(arguments.data, matcher)
        coded = protocols.coded(matcher, images)
        names = list(images.alphabets)
        omniglot = [Alphabet(name, coded.codes[group]) for name, group in zip(names, coded.groups, strict=True)]
        report["open set, held-out alphabets of Omniglot"] = _open_set(omniglot, ours, matcher)
    report["open set, these sets"] = _open_set(alphabets, ours, matcher)
    (arguments.out / "domains.json").write_text(json.dumps(report, indent=1) + "\n")
    (arguments.out / "domains.md").write_text(tables(report))
    print(f"domains.json, its tables in domains.md, and sheets of mistakes: {arguments.out}")
    return 0


def _row(each: SymbolSet, vectors: NDArray[np.float32], ours: Embedding, other: Embedding | None, out: Path) -> dict[str, Any]:
    outcome = one_shot(vectors, each.labels, each.groups, ours)
    row = {"way": outcome.way, "seen": each.seen, "score": _score(outcome.score)}
    if other is not None:
        row["ready-made"] = _score(one_shot(other.embed(each.images), each.labels, each.groups, other).score)
    beside = f", {other.name} {100 * row['ready-made']['accuracy']:.1f} %" if other else ""  # type: ignore[index]
    print(f"  {each.name:20} {outcome.way}-way {outcome.score}{beside}", flush=True)
    _sheet(each, outcome, out / f"{each.name}.png")
    return row


def _sheet(each: SymbolSet, outcome: Outcome, file: Path) -> None:
    """The most frequent confusions first: what was taken (left) for the query (right)."""
    often = sorted(
        {(each.labels[query], each.labels[support]): (support, query) for support, query in outcome.mistakes}.items(),
        key=lambda item: -outcome.taken[int(item[0][0]), int(item[0][1])],
    )[:_SHOWN]
    cells = [
        Cell(each.images[support], each.images[query], f"{outcome.taken[int(pair[0]), int(pair[1])]} times", "", False)
        for pair, (support, query) in often
    ]
    save_sheet(draw_sheet(cells, f"{each.name}: {len(outcome.mistakes)} of {outcome.score.total} wrong"), file)


def _icons(pictures: list[NDArray[np.uint8]], ours: Embedding) -> dict[str, Any]:
    if len(pictures) < 2:
        print("  icons: left out, no font here draws emoji under an open licence (fonts-symbola does)")
        return {}
    supports = ours.embed(pictures)
    rows = {}
    for name, view in VIEWS.items():
        queries = ours.embed([np.asarray(view(Image.fromarray(picture))) for picture in pictures])
        right = int((ours.similarity(queries, supports).argmax(axis=1) == np.arange(len(pictures))).sum())
        rows[name] = _score(Score(right, len(pictures)))
        print(f"  icon, {name:20} {Score(right, len(pictures))}", flush=True)
    return rows


def _alphabet(each: SymbolSet, vectors: NDArray[np.float32]) -> Alphabet:
    rows = [vectors[each.labels == label] for label in np.unique(each.labels)]
    fewest = min(map(len, rows))
    return Alphabet(each.name, np.stack([row[:fewest] for row in rows]))


def _open_set(alphabets: Sequence[Alphabet], ours: Embedding, matcher: OneShotMatcher) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for enrolled in (5, 20, 100):
        for supports in (1, 5):
            for own in (False, True):
                thresholds = None if own else matcher.bundle.thresholds
                curve = open_set_curve(alphabets, ours, enrolled, supports, own, thresholds)
                if curve is not None:
                    name = f"{enrolled} enrolled, {supports} each, strangers {'of the gallery' if own else 'from everywhere'}"
                    rows[name] = {"recognised": curve.recognised, "asked": curve.asked}
                    print(
                        f"  {name:62} {100 * curve.recognised[0.01]:.1f} % at 1 %, {100 * curve.recognised[0.05]:.1f} % at 5 %"
                    )
    return rows


def _score(score: Score) -> dict[str, Any]:
    return {"accuracy": score.accuracy, "correct": score.correct, "total": score.total, "interval": score.interval}


if __name__ == "__main__":
    sys.exit(main())

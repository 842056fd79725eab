"""Accuracy against training minutes, from logs: `python -m benchmarks.accuracy.training_minutes runs/* --out FILE.png`.

Minutes are those of the training steps as they were measured, resumed runs added up; a machine that did other work beside them
makes them longer. Accuracy is within-alphabet 20-way one-shot on the alphabets that the run held out.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from train.curves import read_log

__all__ = ["Point", "main", "points"]


@dataclass(frozen=True)
class Point:
    """A validation: minutes of training before it, accuracy, and its 95 % interval."""

    minutes: float
    accuracy: float
    interval: tuple[float, float]


def main(argv: list[str] | None = None) -> int:
    """Draw the picture and print the last point of each run as JSON; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.training_minutes", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs, each with a log.jsonl")
    parser.add_argument("--out", type=Path, default=Path("out/training-minutes.png"))
    arguments = parser.parse_args(argv)
    curves = {run.name: points(run / "log.jsonl") for run in arguments.runs}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    _draw(curves, arguments.out)
    print(json.dumps({name: vars(curve[-1]) for name, curve in curves.items() if curve}, indent=1))
    return 0


def points(log: Path) -> list[Point]:
    """The validations of a run's log, in order."""
    found, before, minutes = [], 0.0, 0.0
    for record in read_log(log):
        if record["event"] == "start":  # a resumed run counts its seconds anew
            before = minutes
        elif record["event"] == "step":
            minutes = before + float(str(record["training_seconds"])) / 60
        elif record["event"] == "validation":
            low, high = record["interval"]  # type: ignore[misc]
            found.append(Point(minutes, float(str(record["accuracy"])), (low, high)))
    return found


def _draw(curves: dict[str, list[Point]], picture: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves.items():
        minutes = [point.minutes for point in curve]
        (line,) = axes.plot(minutes, [100 * point.accuracy for point in curve], marker="o", markersize=3, label=name)
        low, high = ([100 * point.interval[end] for point in curve] for end in (0, 1))
        axes.fill_between(minutes, low, high, color=line.get_color(), alpha=0.12)
    axes.set_xlabel("minutes of training")
    axes.set_ylabel("within-alphabet 20-way one-shot, held-out alphabets [%]")
    axes.grid(True, alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    sys.exit(main())

"""Draw a run's log: loss and held-out accuracy against steps."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["draw_curves", "read_log"]


def read_log(path: Path) -> list[dict[str, object]]:
    """The records of a JSON-lines log; a half-written last line of a killed run is skipped."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def draw_curves(log: Path, picture: Path) -> None:
    """Write a PNG with the loss (log scale) above the validation error (log scale, with its 95 % interval)."""
    from matplotlib.figure import Figure

    records = read_log(log)
    steps = [r for r in records if r["event"] == "step"]
    scores = [r for r in records if r["event"] == "validation"]
    figure = Figure(figsize=(8, 6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    losses, errors = [r["loss"] for r in steps], [100 * (1 - r["accuracy"]) for r in scores]
    top.plot([r["step"] for r in steps], losses, color="tab:blue")
    top.set_ylabel("training loss")
    if scores:
        x = [r["step"] for r in scores]
        bottom.plot(x, errors, marker="o", color="tab:red")
        low, high = [100 * (1 - r["interval"][1]) for r in scores], [100 * (1 - r["interval"][0]) for r in scores]
        bottom.fill_between(x, low, high, color="tab:red", alpha=0.15)
        bottom.set_title(f"held-out groups: {100 * scores[-1]['accuracy']:.2f} %", fontsize=10)
    bottom.set_ylabel("error [%]")
    bottom.set_xlabel("step")
    for axes, values in ((top, losses), (bottom, errors)):
        if max(values, default=0) > 0:  # a logarithm needs one: a run without steps has no loss, a perfect one no error
            axes.set_yscale("log")
        axes.grid(True, which="both", alpha=0.3)
    figure.savefig(picture, dpi=100)

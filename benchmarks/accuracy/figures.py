"""Pictures of the accuracy scoreboard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

__all__ = ["draw_open_set", "draw_reliability", "draw_shots"]


def draw_reliability(rows: Sequence[tuple[float, float, int]], error: float, picture: Path) -> None:
    """Stated probability against the true share, a point for each bin, its area the number of pairs."""
    figure, axes = _axes("stated probability", "share that really is the same symbol")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    stated, true, sizes = zip(*rows, strict=True)
    axes.plot(stated, true, color="tab:blue", linewidth=1)
    axes.scatter(stated, true, s=[20 + 400 * n / sum(sizes) for n in sizes], color="tab:blue")
    axes.set_title(f"reliability, expected calibration error {100 * error:.1f} %")
    figure.savefig(picture, dpi=100)


def draw_open_set(known: NDArray[np.float64], right: NDArray[np.bool_], strangers: NDArray[np.float64], picture: Path) -> None:
    """Recognised queries against accepted strangers, as the threshold moves."""
    figure, axes = _axes("strangers accepted [%]", "enrolled symbols recognised [%]")
    rates = np.geomspace(1e-3, 0.5, 60)
    limits = np.quantile(strangers, 1 - rates)
    axes.semilogx(100 * rates, [100 * float((right & (known >= limit)).mean()) for limit in limits], color="tab:blue")
    axes.axhline(100 * float(right.mean()), color="0.7", linewidth=1)
    axes.set_title("20 enrolled, one support each; grey: nothing refused")
    figure.savefig(picture, dpi=100)


def draw_shots(curves: dict[str, dict[int, float]], picture: Path) -> None:
    """Accuracy against the number of supports, a line for each aggregation."""
    figure, axes = _axes("supports a class", "within-alphabet 20-way accuracy [%]")
    for name, values in curves.items():
        axes.plot(list(values), [100 * value for value in values.values()], marker="o", label=name)
    axes.legend()
    figure.savefig(picture, dpi=100)


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(True, alpha=0.3)
    return figure, axes

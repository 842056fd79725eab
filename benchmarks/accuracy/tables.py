"""The scoreboard's figures as Markdown tables, as `docs/accuracy.md` shows them."""

from __future__ import annotations

from typing import Any

__all__ = ["tables"]


def tables(report: dict[str, Any]) -> str:
    """All tables of an `accuracy.json`, each under its heading."""
    shots = report["shots"]
    verification = report["verification"]
    parts = [
        "### The 400 trials (Lake et al. 2015)",
        _scores(report["400 trials"]),
        "### Few-shot episodes",
        _scores(report["few-shot"]),
        "### By alphabet (within-alphabet 20-way 1-shot)",
        _scores(report["by alphabet"]),
        "### More than one picture (within-alphabet 20-way)",
        _table(
            ["supports", *shots],
            [[str(k), *(_percent(curve[k]["accuracy"]) for curve in shots.values())] for k in next(iter(shots.values()))],
        ),
        "### Verification and calibration (balanced pairs)",
        _scores(
            {
                "probability on the right side of one half, pairs within alphabets": verification,
                "the same, pairs from all of these alphabets": verification["between"],
            }
        ),
        f"Expected calibration error of the probability: {_percent(verification['expected_calibration_error'])} on the "
        "alphabets that its scale and offset were fitted on. On each alphabet in turn, fitted on the others: "
        f"{', '.join(map(_percent, verification['unseen_calibration_errors']))}.",
        "### Strangers (20 classes enrolled, one support each)",
        *(_open_set(name, rows) for name, rows in report["open set"].items()),
        "### Other pens, other pixels (within-alphabet 20-way, supports as drawn, queries changed)",
        _scores(report["shifts"]),
    ]
    return "\n\n".join(parts) + "\n"


def _scores(rows: dict[str, dict[str, Any]]) -> str:
    return _table(
        ["", "correct", "95 % interval"],
        [
            [name, _percent(row["accuracy"]), " to ".join(f"{100 * end:.1f}" for end in row["interval"])]
            for name, row in rows.items()
        ],
    )


def _open_set(name: str, rows: dict[str, Any]) -> str:
    lines = [
        [f"{100 * float(far):g} %", _percent(row["accepted"]["accuracy"]), _percent(row["recognised"]["accuracy"])]
        for far, row in rows.items()
    ]
    return f"With {name}:\n\n" + _table(["asked for", "strangers accepted", "enrolled symbols recognised"], lines)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"

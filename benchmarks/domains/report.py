"""The figures of `benchmarks.domains` as Markdown tables."""

from __future__ import annotations

from typing import Any

__all__ = ["tables"]


def tables(report: dict[str, Any]) -> str:
    """All tables of a `domains.json`, each under its heading; sets that nothing was learned of come first."""
    rows = sorted(report["sets"].items(), key=lambda item: (bool(item[1]["seen"]), item[0]))
    parts = ["### Sets", _sets(rows)]
    if report.get("icons"):
        lines = [[name, _percent(row["accuracy"]), _interval(row)] for name, row in report["icons"].items()]
        parts += ["### The same icon of 100, shown otherwise", _table(["query", "correct", "95 % interval"], lines)]
    for name, curves in report.items():
        if name.startswith("open set"):
            parts += [f"### {name[0].upper()}{name[1:]}", _curves(curves)]
    return "\n\n".join(parts) + "\n"


def _sets(rows: list[tuple[str, dict[str, Any]]]) -> str:
    lines = [
        [
            name,
            str(row["way"]),
            _percent(row["score"]["accuracy"]),
            _interval(row["score"]),
            _percent(row["ready-made"]["accuracy"]) if "ready-made" in row else "-",
            row["seen"] or "no",
        ]
        for name, row in rows
    ]
    return _table(["set", "way", "correct", "95 % interval", "EfficientNet-Lite0", "seen in training"], lines)


def _curves(curves: dict[str, Any]) -> str:
    rates = [str(rate) for rate in next(iter(curves.values()))["recognised"]] if curves else []
    lines = []
    for name, curve in curves.items():
        found = {str(rate): value for rate, value in curve["recognised"].items()}
        asked = "; ".join(
            f"{100 * float(rate):g} %: {_percent(accepted)}, {_percent(recognised)}"
            for rate, (accepted, recognised) in curve["asked"].items()
        )
        lines.append([name, *(_percent(found[rate]) for rate in rates), asked or "-"])
    heads = [f"recognised at {100 * float(rate):g} %" for rate in rates]
    return _table(["gallery", *heads, "asked: accepted, recognised"], lines)


def _interval(row: dict[str, Any]) -> str:
    return " to ".join(f"{100 * end:.1f}" for end in row["interval"])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _table(head: list[str], lines: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines])

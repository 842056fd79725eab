"""How answers look: colour and columns on a terminal, plain text in a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from oneshot_runtime.results import Match

__all__ = ["coloured", "columns", "match_line", "percent", "verdict"]

_CODES = {"green": "32", "yellow": "33", "red": "31", "dim": "2", "bold": "1"}


def coloured(text: str, colour: str) -> str:
    """The text in a colour, where the output is a terminal that shows it and NO_COLOR is not set."""
    shows = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if shows else text


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with the cells of all but the last column padded to the same width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    return ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def percent(share: float) -> str:
    """A probability for people."""
    if share >= 0.999:
        return "over 99.9 %"
    return f"{100 * share:.1f} %" if share >= 0.99 or share < 0.01 else f"{100 * share:.0f} %"


def verdict(match: Match) -> str:
    """What an answer comes to: a label, "probably" one, or "unknown"."""
    if match.label is not None:
        return match.label
    return "unknown" if match.probably is None else f"probably {match.probably}"


def match_line(image: str, match: Match, width: int = 0) -> str:
    """One line for one picture. width: characters that the picture's name takes at least."""
    said = verdict(match)
    colour = "green" if match.label is not None else "yellow" if match.probably is not None else "dim"
    if match.best is None:
        return f"{f'{image}:':{width}} {coloured(said, colour)} (nothing is enrolled yet)"
    known = match.threshold or 0.0
    sure = f"{percent(match.probability)}, threshold {percent(known)}" if known else percent(match.probability)
    others = ", ".join(f"{candidate.label} {candidate.probability:.3f}" for candidate in match.candidates)
    return f"{f'{image}:':{width}} {coloured(said, colour)} ({sure}) {coloured(f'[{others}]', 'dim')}"

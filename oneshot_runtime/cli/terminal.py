"""How answers look: colour and columns on a terminal, plain text in a pipe, and no control of somebody else's in either."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from oneshot_runtime.errors import visible
from oneshot_runtime.results import Match

__all__ = ["coloured", "columns", "controls_shown", "match_line", "percent", "verdict"]

_CODES = {"green": "32", "yellow": "33", "dim": "2", "plain": "0"}
_MARK = "\0"
"""Begins a colour until it is written: no name of a file and no label can hold it."""


class _Stream:
    """A stream that writes controls as escapes, but for line ends, and a return at the start, which progress needs."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text."""
        start, rest = (text[:1], text[1:]) if text.startswith("\r") else ("", text)
        shown = visible(rest, keep=f"\n\t{_MARK}")
        for code in _CODES.values() if _MARK in shown else ():
            shown = shown.replace(f"{_MARK}[{code}m", f"\x1b[{code}m")
        self._stream.write(start + visible(shown, keep="\n\t\x1b"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def controls_shown() -> Iterator[None]:
    """Inside it, what is printed shows the controls that names of files and fingerprints hold; no terminal obeys them."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (None if stream is None else _Stream(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def coloured(text: str, colour: str) -> str:
    """The text in a colour, where the output is a terminal that shows it and NO_COLOR is not set."""
    shows = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"{_MARK}[{_CODES[colour]}m{text}{_MARK}[{_CODES['plain']}m" if shows else text


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
    image, said = visible(image), verdict(match)
    colour = "green" if match.label is not None else "yellow" if match.probably is not None else "dim"
    if match.best is None:
        return f"{f'{image}:':{width}} {coloured(said, colour)} (nothing is enrolled yet)"
    known = match.threshold or 0.0
    sure = f"{percent(match.probability)}, threshold {percent(known)}" if known else percent(match.probability)
    others = ", ".join(f"{candidate.label} {candidate.probability:.3f}" for candidate in match.candidates)
    return f"{f'{image}:':{width}} {coloured(said, colour)} ({sure}) {coloured(f'[{others}]', 'dim')}"

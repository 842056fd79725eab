"""What the library answers with: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Candidate", "Match", "ReadSymbol", "clearly_ahead", "shortened"]

_LEAST, _LEAD = 0.5, 7.0
"""Probability of the best candidate, and how many times the runner-up's odds its odds must be. On alphabets that the network
never saw, with 5 to 20 symbols enrolled, 95 to 98 % of the refused pictures of enrolled symbols that this named were named
rightly."""

_LONGEST = 40


@dataclass(frozen=True)
class Candidate:
    """A class that the query may show, with the probability in [0, 1] that it does."""

    label: str
    probability: float

    def __repr__(self) -> str:
        return f"Candidate({shortened(self.label)}, {self.probability:.4f})"


@dataclass(frozen=True)
class Match:
    """The answer to one query.

    Attributes:
        label: The best class, None when the query is unknown at the matcher's false accept rate.
        probability: Of the best candidate, in [0, 1], whether it was accepted or not; 0 with an empty gallery.
        candidates: Best first, whatever the threshold.
        threshold: The probability from which this gallery's best candidate is accepted; 0 where none is refused, None with an
            empty gallery, which has nothing to accept.
        probably: The best class where it is refused, but clearly ahead: as likely as not at least, and with seven times the
            odds of the runner-up; else None.
        symbols: How many the picture seems to show; `OneShotMatcher.read` names each of several.
        readings: In how many ways the picture was tried.
        page: Of a file of several pages or frames, which one was looked at; None for a file of one.
    """

    label: str | None
    probability: float
    candidates: tuple[Candidate, ...]
    threshold: float | None
    probably: str | None = None
    symbols: int = 1
    readings: int = 1
    page: int | None = None

    @property
    def best(self) -> Candidate | None:
        """The best candidate, accepted or not; None with an empty gallery."""
        return self.candidates[0] if self.candidates else None

    def __repr__(self) -> str:
        label = "None" if self.label is None else shortened(self.label)
        probably = "" if self.probably is None else f", probably={shortened(self.probably)}"
        threshold = "None" if self.threshold is None else f"{self.threshold:.4f}"
        return (
            f"Match({label}, probability={self.probability:.4f}, threshold={threshold}{probably}, "
            f"{len(self.candidates)} candidate{'' if len(self.candidates) == 1 else 's'})"
        )


@dataclass(frozen=True, eq=False)
class ReadSymbol:
    """One symbol of a picture.

    Attributes:
        box: x, y, width and height of its ink in pixels.
        crop: uint8 (h, w), its ink dark on white.
        match: What it is.
    """

    box: tuple[int, int, int, int]
    crop: NDArray[np.uint8] = field(repr=False)
    match: Match


def clearly_ahead(best: float, runner_up: float | None) -> bool:
    """Whether a best candidate is worth naming though it was refused. Probabilities in [0, 1]; no runner-up in a gallery of
    one."""
    if best < _LEAST:
        return False
    return runner_up is None or best * (1 - runner_up) >= _LEAD * runner_up * (1 - best)


def shortened(text: str) -> str:
    """A text as it looks in a repr, cut where it would not fit a line."""
    return repr(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")

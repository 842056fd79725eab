"""What the library answers with: plain data."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Candidate", "Match"]


@dataclass(frozen=True)
class Candidate:
    """A class that the query may show, with the probability that it does."""

    label: str
    probability: float


@dataclass(frozen=True)
class Match:
    """The answer to one query.

    label: the best class, None when the query is unknown at the matcher's false accept rate. probability: that of the best
    candidate, in [0, 1], whether it was accepted or not; 0 with an empty gallery. candidates: best first, whatever the
    threshold. threshold: the probability from which this gallery's best candidate is accepted.
    """

    label: str | None
    probability: float
    candidates: tuple[Candidate, ...]
    threshold: float

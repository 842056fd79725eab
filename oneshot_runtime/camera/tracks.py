"""Symbols followed from frame to frame, and a vote over what was read in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from oneshot_runtime.camera.frame_symbols import Box, Found
from oneshot_runtime.results import Candidate, Match

__all__ = ["Track", "Tracker", "Vote"]

_MEMORY = 15
"""Views that a vote remembers: the mean of all so far, later a moving one, so that a symbol that is redrawn is read anew."""

_HYSTERESIS = 0.75
"""Logits by which a label may fall below the threshold before it is given up, and another must lead before it takes over."""

_REACH, _GROWTH = 0.7, 2.0
"""How far a symbol moves between two frames, in its own sizes, and how much it grows or shrinks at most."""

_PATIENCE = 10
"""Frames after which a symbol that is not seen is forgotten."""

_TINY = 1e-9


@dataclass
class Vote:
    """The mean logit of each label over a track's views, and the label it comes to.

    label: None when no label's mean reaches the threshold. probability: that the best label is right, as the mean logit says.
    """

    label: str | None = None
    probability: float = 0.0
    views: int = 0
    _means: dict[str, float] = field(default_factory=dict)

    def add(self, match: Match) -> None:
        """Take another view into account."""
        self.views += 1
        seen = {candidate.label: _logit(candidate.probability) for candidate in match.candidates}
        if not seen:
            self.label, self.probability, self._means = None, 0.0, {}
            return
        least = min(seen.values())  # a label that is no candidate is no more likely than the last of them
        weight = 1 / min(self.views, _MEMORY)
        before = min(self._means.values(), default=least)
        for label in self._means.keys() | seen.keys():
            old = self._means.get(label, before)
            self._means[label] = old + weight * (seen.get(label, min(least, old)) - old)
        self._decide(_logit(match.threshold or 0.0))

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The labels seen, with the probability of their mean logit, best first."""
        ranked = sorted(self._means.items(), key=lambda pair: -pair[1])
        return tuple(Candidate(label, _probability(mean)) for label, mean in ranked)

    def _decide(self, limit: float) -> None:
        best = max(self._means, key=lambda label: self._means[label])
        mean = self._means[best]
        if self.label in self._means and self.label != best and mean < self._means[self.label] + _HYSTERESIS:
            best, mean = self.label, self._means[self.label]
        self.label = best if mean >= (limit - _HYSTERESIS if best == self.label else limit) else None
        self.probability = _probability(mean)


@dataclass
class Track:
    """A symbol that is followed. number: its own, from 1 on. seen: frames it was found in. missed: frames since then."""

    number: int
    found: Found
    seen: int = 1
    missed: int = 0
    vote: Vote = field(default_factory=Vote)
    velocity: tuple[float, float] = (0.0, 0.0)

    @property
    def box(self) -> Box:
        """x, y, width, height in pixels, where it was found last."""
        return self.found.box

    @property
    def label(self) -> str | None:
        """What it is read as, None when unknown."""
        return self.vote.label

    @property
    def probability(self) -> float:
        """That of the label, or of the best candidate when unknown."""
        return self.vote.probability

    def move(self, found: Found) -> None:
        """It was found again."""
        before, after = _middle(self.box), _middle(found.box)
        steps = self.missed + 1
        self.velocity = ((after[0] - before[0]) / steps, (after[1] - before[1]) / steps)
        self.found, self.seen, self.missed = found, self.seen + 1, 0


class Tracker:
    """Gives each symbol of a frame the track it belongs to."""

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._next = 1

    def follow(self, symbols: Sequence[Found]) -> list[Track]:
        """The tracks of a frame's symbols, in their order: known ones go on, others begin."""
        result: list[Track | None] = [None] * len(symbols)
        taken = set()
        for _, symbol, index in sorted(self._possible(symbols)):
            if result[symbol] is None and index not in taken:
                result[symbol] = self._tracks[index]
                taken.add(index)
        for track in self._tracks:
            track.missed += 1
        tracks = [self._assign(known, found) for known, found in zip(result, symbols, strict=True)]
        self._tracks = [track for track in self._tracks if track.missed <= _PATIENCE]
        return tracks

    def forget(self) -> None:
        """The next frame shows something else."""
        self._tracks = []

    def forget_votes(self) -> None:
        """What was read no longer holds: the gallery has changed."""
        for track in self._tracks:
            track.vote = Vote()

    def _assign(self, track: Track | None, found: Found) -> Track:
        if track is None:
            track = Track(self._next, found)
            self._tracks.append(track)
            self._next += 1
        else:
            track.missed -= 1
            track.move(found)
        return track

    def _possible(self, symbols: Sequence[Found]) -> list[tuple[float, int, int]]:
        """Distance, in sizes, of each symbol to each track that it may belong to."""
        if not symbols or not self._tracks:
            return []
        where = np.array([(*_middle(found.box), max(found.box[2:])) for found in symbols], np.float64)
        expected = np.array([(*_expected(track), max(track.box[2:])) for track in self._tracks], np.float64)
        size = np.maximum(where[:, None, 2], expected[None, :, 2])
        growth = size / np.minimum(where[:, None, 2], expected[None, :, 2])
        distance = np.hypot(*np.moveaxis(where[:, None, :2] - expected[None, :, :2], 2, 0)) / size
        pairs = np.argwhere((distance < _REACH) & (growth < _GROWTH)).tolist()
        return [(float(distance[symbol, track]), symbol, track) for symbol, track in pairs]


def _middle(box: Box) -> tuple[float, float]:
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def _expected(track: Track) -> tuple[float, float]:
    x, y = _middle(track.box)
    steps = track.missed + 1
    return x + track.velocity[0] * steps, y + track.velocity[1] * steps


def _logit(probability: float) -> float:
    inside = min(max(probability, _TINY), 1 - _TINY)
    return math.log(inside / (1 - inside))


def _probability(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))

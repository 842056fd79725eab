"""Reads the symbols of one frame after another: segment, follow, match, vote."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.camera.aim import aimed_at
from oneshot_runtime.camera.frame_symbols import Box, as_found, checked_ink, grey_of_frame
from oneshot_runtime.camera.tracks import Track, Tracker
from oneshot_runtime.matcher import OneShotMatcher
from oneshot_runtime.results import Candidate, clearly_ahead
from oneshot_runtime.vision.frame import Focus, symbols_of_frame

__all__ = ["MOVE_CLOSER", "FrameReader", "Reading", "Sighting"]

MOVE_CLOSER = "move closer: the symbols are too small to be read"

_SETTLED = 8
"""Views after which a track is matched only in every so many frames as `_EVERY` says: its vote hardly changes any more."""

_EVERY = 4

_FOCUS_EVERY = 15
"""Frames after which a film is looked at anew: whether ink is dark or light, and whether there is a sheet far away."""

_LATELY, _FAR, _NOT_FAR = 10, 6, 3
"""Frames that say whether symbols are too small to be read: from so many of them on that is said, below so many no more."""

_CONFIRMED = 2
"""Frames in which something must be found before it counts in a moving picture: specks of noise rarely last."""


@dataclass(frozen=True)
class Sighting:
    """A symbol in a frame.

    Attributes:
        track: A number that it keeps from frame to frame.
        box: x, y, width and height in pixels.
        label: Its class, None when it is unknown.
        probability: In [0, 1], that of the label or of the best candidate.
        candidates: The labels it may have by all its frames so far, best first.
        crop: uint8 (h, w), its ink dark on white, as it was matched.
    """

    track: int
    box: Box
    label: str | None
    probability: float
    candidates: tuple[Candidate, ...] = field(repr=False)
    crop: NDArray[np.uint8] = field(compare=False, repr=False)

    @property
    def probably(self) -> str | None:
        """The best candidate where it is refused but clearly ahead, as `Match.probably` is."""
        if self.label is not None or not self.candidates:
            return None
        best, *others = self.candidates
        return best.label if clearly_ahead(best.probability, others[0].probability if others else None) else None


@dataclass(frozen=True)
class Reading:
    """What a frame shows.

    Attributes:
        symbols: The symbols in it.
        milliseconds: By stage: "segment", "track" and "match".
        hint: What to do for more symbols to be read; empty where nothing is to be done.
    """

    symbols: tuple[Sighting, ...]
    milliseconds: dict[str, float]
    hint: str = ""

    def __repr__(self) -> str:
        return f"Reading({len(self.symbols)} symbols, {sum(self.milliseconds.values()):.1f} ms)"


class FrameReader:
    """Reads frames with a matcher. Not for use by several threads at once; the matcher may be shared.

    Args:
        matcher: Knows the symbols.
        ink: "dark", "light", or "auto", which takes what a frame has more of.
        still: Every frame is another picture, and nothing carries over from one to the next.

    Raises:
        OptionError: For any other ink.
    """

    def __init__(self, matcher: OneShotMatcher, *, ink: str = "auto", still: bool = False) -> None:
        self.matcher = matcher
        self._ink = checked_ink(ink)
        self._still = still
        self._focus: Focus | None = None
        self._far: deque[bool] = deque(maxlen=1 if still else _LATELY)
        self._is_far = False
        self._frames = 0
        self._tracker = Tracker()
        self._tracks: list[Track] = []
        self._size = (0, 0)
        self._revision = matcher.gallery.revision

    def use(self, matcher: OneShotMatcher) -> None:
        """Read on with another matcher, such as `matcher.with_far(0.01)`: symbols keep their tracks, and votes begin anew.

        Args:
            matcher: Knows the symbols from now on.
        """
        self.matcher = matcher
        self._tracker.forget_votes()

    def read(self, frame: NDArray[np.uint8]) -> Reading:
        """The symbols of the next frame.

        Args:
            frame: uint8 (H, W, 3) in OpenCV's order blue, green, red, or (H, W) grey.

        Returns:
            The symbols in it, and the milliseconds that it took.

        Raises:
            ImageError: For an array of another shape or dtype.
        """
        start = time.perf_counter()
        anew = self._still or self._frames % _FOCUS_EVERY == 0
        shown = symbols_of_frame(grey_of_frame(frame), self._ink, None if anew else self._focus)
        self._focus = shown.focus
        symbols = as_found(shown.symbols)
        segmented = time.perf_counter()
        if self._still:
            self._tracker.forget()
        self._size = (frame.shape[1], frame.shape[0])
        tracks = self._tracker.follow(symbols)
        self._tracks = [track for track in tracks if self._still or track.seen >= _CONFIRMED]
        tracked = time.perf_counter()
        self._match(self._tracks)
        self._frames += 1
        seen = tuple(_sighting(track) for track in self._tracks)
        stages = {"segment": segmented - start, "track": tracked - segmented, "match": time.perf_counter() - tracked}
        return Reading(seen, {name: 1000 * seconds for name, seconds in stages.items()}, self._hint(shown.far))

    def enroll(self, label: str, *, track: int | None = None) -> Sighting | None:
        """Teach a symbol of the frame read last. It is recognised from the next frame on.

        Args:
            label: The class.
            track: The track of the symbol; by default the one that is alone in the middle of the frame, within an eighth of its
                shorter side.

        Returns:
            The symbol as it was taken; None when it is not there.

        Raises:
            LabelError: For a name that can be none.
            GalleryError: When the gallery cannot be written.
        """
        chosen = self._middle() if track is None else next((one for one in self._tracks if one.number == track), None)
        if chosen is None:
            return None
        self.matcher.enroll(label, chosen.found.crop)
        return Sighting(chosen.number, chosen.box, label, 1.0, (Candidate(label, 1.0),), chosen.found.crop)

    def _hint(self, far: bool) -> str:
        """What is said when the symbols were too small in most frames of late, so that it does not flicker."""
        self._far.append(far)
        least = 1 if self._still else _NOT_FAR if self._is_far else _FAR
        self._is_far = sum(self._far) >= least
        return MOVE_CLOSER if self._is_far else ""

    def _middle(self) -> Track | None:
        """The symbol between the corners in the middle of the frame; None when there is none, or several."""
        inside = aimed_at(self._tracks, *self._size)
        return inside[0] if len(inside) == 1 else None

    def _match(self, tracks: list[Track]) -> None:
        """Embed, in one batch, the symbols whose vote is not settled, and of the others each in its turn."""
        known = self.matcher.gallery.snapshot()
        if known.revision != self._revision:
            self._revision = known.revision
            self._tracker.forget_votes()
        due = [track for track in tracks if track.vote.views < _SETTLED or (track.number + self._frames) % _EVERY == 0]
        if due and known.supports:
            for track, match in zip(due, self.matcher.match_batch([track.found.crop for track in due]), strict=True):
                track.vote.add(match)


def _sighting(track: Track) -> Sighting:
    return Sighting(track.number, track.box, track.label, track.probability, track.vote.candidates, track.found.crop)

"""One camera's frames, as they come over a WebSocket: read, and taught by pointing at a symbol."""

from __future__ import annotations

import base64
import time
from typing import Any

from oneshot_runtime.camera.frame_reader import FrameReader, Sighting
from oneshot_runtime.errors import ImageError
from oneshot_runtime.gallery import check_label
from oneshot_runtime.matcher import OneShotMatcher
from oneshot_runtime.vision.decode import claim_of_bytes, to_grey
from oneshot_runtime.vision.grey_png import thumbnail

__all__ = ["LiveSession"]

_NAMES = 3
"""Candidates that are offered as names for a symbol."""

_MAX_PIXELS = 4_000_000
"""Of a frame: more would only take longer, ink is looked for in a smaller copy."""


class LiveSession:
    """Reads frames one after the other. Not for several threads at once."""

    def __init__(self, matcher: OneShotMatcher) -> None:
        self._matcher = matcher
        self._reader = FrameReader(matcher)
        self._seen: dict[int, Sighting] = {}
        self._looked_at: Sighting | None = None
        self._taught: dict[int, tuple[str, bytes]] = {}

    def read(self, frame: bytes) -> dict[str, Any]:
        """The symbols of an encoded frame, with the milliseconds of each stage. Raises `ImageError`."""
        start = time.perf_counter()
        claim = claim_of_bytes(frame)
        if claim is not None and claim.pixels > _MAX_PIXELS:
            raise ImageError(f"a frame of {claim.width}x{claim.height} pixels is larger than live reading takes")
        grey = to_grey(frame)
        decoded = 1000 * (time.perf_counter() - start)
        reading = self._reader.read(grey)
        self._seen = {symbol.track: symbol for symbol in reading.symbols}
        return {
            "width": grey.shape[1],
            "height": grey.shape[0],
            "symbols": [
                {
                    "track": s.track,
                    "box": list(s.box),
                    "label": s.label,
                    "probably": s.probably,
                    "probability": round(s.probability, 4),
                }
                for s in reading.symbols
            ],
            "hint": reading.hint,
            "milliseconds": {name: round(value, 2) for name, value in {"decode": decoded, **reading.milliseconds}.items()},
        }

    def use(self, matcher: OneShotMatcher) -> dict[str, Any]:
        """Read on with this matcher, one of the same gallery at another false accept rate."""
        self._matcher = matcher
        self._reader.use(matcher)
        return {"far": matcher.far}

    def look(self, track: int) -> dict[str, Any]:
        """What is known of a symbol in view, with its crop: it is what `teach` teaches, also when the camera moves on."""
        self._looked_at = self._seen.get(track)
        if self._looked_at is None:
            raise ImageError("that symbol is out of sight: point the camera at it and choose it again")
        seen = self._looked_at
        return {
            "track": track,
            "label": seen.label,
            "candidates": [candidate.label for candidate in seen.candidates[:_NAMES]],
            "crop": base64.b64encode(thumbnail(seen.crop)).decode(),
        }

    def teach(self, label: str) -> dict[str, Any]:
        """Enrol the symbol looked at. Raises `LabelError`, `GalleryError`, or `ImageError` when none was looked at.

        A symbol that this camera has taught under another name before is corrected: that picture is taken back. still: another
        symbol that it is taken for all the same, because a picture of that one shows it too.
        """
        check_label(label)
        if self._looked_at is None:
            raise ImageError("choose a symbol in the picture first")
        seen = self._looked_at
        report = self._matcher.enroll(label, seen.crop)
        before = self._taught.get(seen.track)
        self._taught[seen.track] = label, thumbnail(seen.crop)
        if before is not None and before[0] != label:
            self._take_back(*before)
        now = self._matcher.match(seen.crop, 1).label
        return {
            "label": label,
            "track": seen.track,
            "findings": [found.message for found in report.findings],
            "still": now if now not in (None, label) else None,
        }

    def _take_back(self, label: str, picture: bytes) -> None:
        """Forget the support of a symbol that this picture was enrolled as; its newest one where several look the same."""
        gallery = self._matcher.gallery
        if gallery.count(label):
            places = [place for place, support in enumerate(gallery.supports(label)) if support.thumbnail == picture]
            if places:
                gallery.remove(label, places[-1])

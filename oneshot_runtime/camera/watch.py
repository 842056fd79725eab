"""The loop of `oneshot camera`: read frames, teach, show, record and report until the source ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.camera.frame_reader import FrameReader, Reading
from oneshot_runtime.camera.overlay import annotate, draw_aim
from oneshot_runtime.camera.recorder import Recorder
from oneshot_runtime.camera.sources import Frame, Source
from oneshot_runtime.camera.window import Prompt, Window
from oneshot_runtime.errors import OneShotError

__all__ = ["Summary", "Watch"]

_SMOOTH = 0.9
"""Share of the old value in the rate and the stages shown: they are to be read, not to flicker."""

_HELP = "t: teach the symbol in the middle   q: quit"


@dataclass
class Summary:
    """What a watch came to. enrolled: whether the symbol in the middle was taught, where that was asked for."""

    frames: int = 0
    seconds: float = 0.0
    enrolled: bool = False


class Watch:
    """Runs a source through a reader.

    enroll: name of the symbol to take from the middle of the first frame that has one there. recorder, window: where frames are
    shown. emit: gets a JSON-ready line for each symbol of each frame. report: gets messages for people.
    """

    def __init__(
        self,
        source: Source,
        reader: FrameReader,
        *,
        enroll: str | None = None,
        recorder: Recorder | None = None,
        window: Window | None = None,
        emit: Callable[[dict[str, Any]], None] | None = None,
        report: Callable[[str], None] = print,
    ) -> None:
        self.summary = Summary()
        self._source, self._reader = source, reader
        self._enroll, self._recorder, self._window = enroll, recorder, window
        self._emit, self._report = emit, report
        self._rate = 0.0
        self._stages: dict[str, float] = {}

    def run(self) -> Summary:
        """Until the source ends, or the user closes the window. Whatever ends it, all files and devices are closed."""
        start = before = time.perf_counter()
        try:
            for frame in self._source:
                reading = self._reader.read(frame.image)
                now = time.perf_counter()
                self._smooth(reading, now - before)
                before = now
                self.summary.frames += 1
                self._lines(frame, reading)
                if self._enroll is not None and not self.summary.enrolled:
                    self.summary.enrolled = self._teach(self._enroll, frame.number)
                if not self._show(frame, reading) or self._is_done():
                    break
        finally:
            self.summary.seconds = time.perf_counter() - start
            for thing in (self._recorder, self._window, self._source):
                if thing is not None:
                    thing.close()
        return self.summary

    def _is_done(self) -> bool:
        """Whether the symbol is taught and nobody watches the rest."""
        return self.summary.enrolled and self._recorder is None and self._window is None and self._emit is None

    def _smooth(self, reading: Reading, seconds: float) -> None:
        keep = _SMOOTH if self.summary.frames else 0.0
        self._rate = keep * self._rate + (1 - keep) / max(seconds, 1e-6)
        for name, value in reading.milliseconds.items():
            self._stages[name] = keep * self._stages.get(name, value) + (1 - keep) * value

    def _lines(self, frame: Frame, reading: Reading) -> None:
        if self._emit is None:
            return
        for symbol in reading.symbols:
            self._emit(
                {
                    "time": round(frame.seconds, 4),
                    "frame": frame.number,
                    "track": symbol.track,
                    "box": list(symbol.box),
                    "label": symbol.label,
                    "probability": round(symbol.probability, 6),
                }
            )

    def _teach(self, label: str, number: int) -> bool:
        taught = self._reader.enroll(label)
        if taught is not None:
            self._report(f"taught {label!r} from the symbol at {list(taught.box)} in frame {number}")
        return taught is not None

    def _show(self, frame: Frame, reading: Reading) -> bool:
        """Record and show a frame; whether to go on."""
        if self._recorder is None and self._window is None:
            return True
        image = annotate(frame.image, reading.symbols, self._rate, self._stages)
        if self._recorder is not None:
            self._recorder.write(image, frame.seconds)
        return self._window is None or self._interact(self._window, image, frame.number)

    def _interact(self, window: Window, image: NDArray[np.uint8], number: int) -> bool:
        shown = image.copy()
        draw_aim(shown, _HELP)
        key = window.show(shown)
        if key == ord("t"):
            self._ask(window, image, number)
        return key not in (27, ord("q"))

    def _ask(self, window: Window, image: NDArray[np.uint8], number: int) -> None:
        """Type a name while the picture stands still, so that the symbol taught is the one seen."""
        prompt = Prompt()
        while not (prompt.done or prompt.cancelled):
            shown = image.copy()
            draw_aim(shown, f"name of the symbol in the middle, then Enter (Escape: none): {prompt.text}_")
            prompt.press(window.show(shown))
            time.sleep(0.01)
        if prompt.done:
            try:
                if not self._teach(prompt.text.strip(), number):
                    self._report("no symbol in the middle of the picture")
            except OneShotError as error:  # a name that cannot be used must not end the show
                self._report(str(error))

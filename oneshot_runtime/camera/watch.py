"""The loop of `oneshot camera`: read frames, teach, show, record and report until the source ends."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.camera.frame_reader import FrameReader, Reading
from oneshot_runtime.camera.frame_symbols import Box
from oneshot_runtime.camera.overlay import annotate, draw_aim
from oneshot_runtime.camera.recorder import PictureWriter, Recorder
from oneshot_runtime.camera.sources import Frame, Source
from oneshot_runtime.camera.teaching import Take, Teacher
from oneshot_runtime.camera.window import Prompt, Window
from oneshot_runtime.errors import OneShotError
from oneshot_runtime.vision.grey_png import thumbnail

__all__ = ["Summary", "Watch"]

_SMOOTH = 0.9
"""Share of the old value in the rate and the stages shown: they are to be read, not to flicker."""

_HELP = "click a symbol to name it   t: the one in the middle   q: quit"


@dataclass
class Summary:
    """What a watch came to. enrolled: whether a symbol was taught, where that was asked for. problem: why not."""

    frames: int = 0
    seconds: float = 0.0
    enrolled: bool = False
    problem: str = ""


class Watch:
    """Runs a source through a reader.

    enroll: name of the symbol to teach, as `Teacher` chooses it. recorder, window: where frames are
    shown. emit: gets a JSON-ready line for each symbol of each frame. report: gets messages for people.
    """

    def __init__(
        self,
        source: Source,
        reader: FrameReader,
        *,
        enroll: str | None = None,
        recorder: Recorder | PictureWriter | None = None,
        window: Window | None = None,
        emit: Callable[[dict[str, Any]], None] | None = None,
        report: Callable[[str], None] = print,
    ) -> None:
        self.summary = Summary()
        self._source, self._reader = source, reader
        self._teacher = Teacher(live=source.live, still=source.still)
        self._enroll, self._recorder, self._window = enroll, recorder, window
        self._emit, self._report = emit, report
        self._rate = 0.0
        self._hint = ""
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
                self._say(reading.hint)
                if self._enroll is not None and not self.summary.enrolled:
                    self._take(self._enroll, self._teacher.watch(frame, reading.symbols))
                if not self._show(frame, reading) or self._is_done():
                    break
            if self._enroll is not None and not self.summary.enrolled:
                self._take(self._enroll, self._teacher.best)
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
                    "probably": symbol.probably,
                    "probability": round(symbol.probability, 6),
                }
            )

    def _say(self, hint: str) -> None:
        """Report a hint when it begins to hold."""
        if hint and hint != self._hint:
            self._report(hint)
        self._hint = hint

    def _take(self, label: str, take: Take | None) -> None:
        """Teach what the teacher has chosen, and say what that was."""
        if take is None:
            self.summary.problem = self._teacher.problem
            return
        self._reader.matcher.enroll(label, take.symbol.crop)
        self.summary.enrolled = True
        of = f", the sharpest of {take.frames}" if take.frames > 1 else ""
        where = f"frame {take.number} at {take.seconds:.1f} s{of}, box {list(take.symbol.box)}"
        try:
            with tempfile.NamedTemporaryFile(prefix="oneshot-", suffix=".png", delete=False) as file:
                file.write(thumbnail(take.symbol.crop))
            kept = f"its picture is in {file.name}"
        except OSError as error:  # it is taught all the same
            kept = f"no temporary file of its picture can be written: {error.strerror or error}"
        self._report(f"taught {label!r} from {where}; {kept}")

    def _show(self, frame: Frame, reading: Reading) -> bool:
        """Record and show a frame; whether to go on."""
        if self._recorder is None and self._window is None:
            return True
        image = annotate(frame.image, reading.symbols, self._rate, self._stages, reading.hint)
        if self._recorder is not None:
            self._recorder.write(image, frame.seconds)
        return self._window is None or self._interact(self._window, image, reading)

    def _interact(self, window: Window, image: NDArray[np.uint8], reading: Reading) -> bool:
        shown = image.copy()
        draw_aim(shown, _HELP)
        key = window.show(shown)
        clicked = window.clicked()
        if clicked is not None:
            at = [symbol.track for symbol in reading.symbols if _holds(symbol.box, clicked)]
            if at:
                self._ask(window, image, at[0])
        elif key == ord("t"):
            self._ask(window, image, None)
        return key not in (27, ord("q"))

    def _ask(self, window: Window, image: NDArray[np.uint8], track: int | None) -> None:
        """Type a name while the picture stands still, so that the symbol taught is the one seen."""
        prompt = Prompt()
        which = "that symbol" if track is not None else "the symbol in the middle"
        while not (prompt.done or prompt.cancelled):
            shown = image.copy()
            draw_aim(shown, f"name of {which}, then Enter (Escape: none): {prompt.text}_")
            prompt.press(window.show(shown))
            time.sleep(0.01)
        if prompt.done:
            try:
                taught = self._reader.enroll(prompt.text.strip(), track=track)
                if taught is None:
                    self._report("no symbol is alone between the corners: click the one you mean")
                else:
                    self._report(f"taught {taught.label!r} from the symbol at {list(taught.box)}")
            except OneShotError as error:  # a name that cannot be used must not end the show
                self._report(str(error))


def _holds(box: Box, point: tuple[int, int]) -> bool:
    """Whether a point lies in a box, or just beside it."""
    x, y, width, height = box
    margin = 12
    return x - margin <= point[0] <= x + width + margin and y - margin <= point[1] <= y + height + margin

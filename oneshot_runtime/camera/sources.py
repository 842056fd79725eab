"""Where frames come from: a camera, an address, a video file or a folder of pictures.

A live source gives the newest frame and drops those in between, so that a slow reader never falls behind, and is opened again
when it is lost; files give every frame and end.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.camera.optional_opencv import cv2
from oneshot_runtime.errors import SourceError

__all__ = ["Capture", "FolderSource", "Frame", "LiveSource", "Source", "VideoSource", "open_source"]

_ADDRESSES = ("rtsp://", "rtsps://", "rtmp://", "http://", "https://", "udp://", "tcp://")
_PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

_TIMEOUT_MS = 5000
"""How long an address may take to answer, or to send the next frame."""

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
"""Seconds before a lost source is opened again, doubled each time up to the longest."""

_MAX_PIXELS = 64_000_000


def _quietly(_: str) -> None:
    pass


@dataclass(frozen=True, eq=False)
class Frame:
    """image: uint8 (H, W, 3) in blue, green, red. seconds: since the source began, by its own clock where it is a file.
    number: from 0 on; those of a live source skip the frames that were dropped."""

    image: NDArray[np.uint8] = field(repr=False)
    seconds: float
    number: int


class Capture(Protocol):
    """What a live source needs of `cv2.VideoCapture`."""

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        """Whether there was another frame, and it."""

    def release(self) -> None:
        """Give the device back."""


class Source(ABC):
    """Frames to iterate over, once; a context manager. fps: as the source states it, else 30. still: each frame is another
    picture. live: frames come in their own time."""

    fps = 30.0
    still = False
    live = False

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Frames until the source ends or is closed. Raises `SourceError`."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_source(name: str, report: Callable[[str], None] = _quietly) -> Source:
    """Open a camera, a video, or pictures.

    Args:
        name: The index of a camera ("0"), an address (rtsp://...), a folder of pictures, a picture, or a video file.
        report: Is told when a live source is lost and when it is back.

    Returns:
        The source, an iterable of frames.

    Raises:
        SourceError: When it cannot be opened.
    """
    if name.isdecimal() and len(name) < 4:
        return LiveSource(lambda: _open(int(name), f"camera {name}"), f"camera {name}", report)
    if name.lower().startswith(_ADDRESSES):
        # Not the address itself, which may hold a password.
        title = f"the address at {name.split('://', 1)[1].split('/')[0].rsplit('@')[-1]}"
        return LiveSource(lambda: _open(name, title), title, report)
    path = Path(name)
    if path.is_dir():
        pictures = sorted(file for file in path.iterdir() if file.suffix.lower() in _PICTURES)
        if not pictures:
            raise SourceError(f"folder '{name}' holds no pictures ({', '.join(sorted(_PICTURES))})")
        return FolderSource(pictures, report)
    if not path.is_file():
        raise SourceError(f"source '{name}' is no file or folder; a camera is given by its number, a stream by its address")
    return FolderSource([path]) if path.suffix.lower() in _PICTURES else VideoSource(path)


class VideoSource(Source):
    """A video file, frame by frame."""

    def __init__(self, path: Path) -> None:
        self._capture = _open(str(path), f"video '{path}'")
        stated = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = stated if 0.1 < stated < 1000 else 30.0

    def __iter__(self) -> Iterator[Frame]:
        number = 0
        while (image := _image(self._capture.read())) is not None:
            yield Frame(image, number / self.fps, number)
            number += 1

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


class FolderSource(Source):
    """Pictures, in the order given, one a second. One of several that cannot be read is reported and passed over."""

    fps = 1.0
    still = True

    def __init__(self, paths: list[Path], report: Callable[[str], None] = _quietly) -> None:
        self._paths, self._report = paths, report

    def __iter__(self) -> Iterator[Frame]:
        read = 0
        for number, path in enumerate(self._paths):
            try:
                image = _picture(path)
            except SourceError as error:
                if len(self._paths) == 1:
                    raise
                self._report(f"{error}; it is passed over")
                continue
            read += 1
            yield Frame(image, float(number), number)
        if not read:
            raise SourceError(f"none of the {len(self._paths)} pictures in '{self._paths[0].parent}' can be read")

    def close(self) -> None:
        """Nothing is open between pictures."""


class LiveSource(Source):
    """A camera or an address: a thread reads it and keeps the newest frame only."""

    live = True

    def __init__(self, connect: Callable[[], Capture], title: str, report: Callable[[str], None] = _quietly) -> None:
        """connect: opens the source, or raises `SourceError`; called again, with growing pauses, whenever it is lost."""
        self._connect, self._title, self._report = connect, title, report
        self._news = threading.Condition()
        self._newest: Frame | None = None
        self._failure: Exception | None = None
        self._stop = threading.Event()
        self._start = time.monotonic()
        capture = connect()  # here, so that a source that isn't there is an error at once
        self._thread = threading.Thread(target=self._run, args=(capture,), name="oneshot camera", daemon=True)
        self._thread.start()

    @property
    def newest_number(self) -> int:
        """The number of the frame that arrived last, -1 before the first."""
        newest = self._newest
        return -1 if newest is None else newest.number

    def __iter__(self) -> Iterator[Frame]:
        last = -1
        while not self._stop.is_set():
            with self._news:
                if self.newest_number <= last and self._failure is None:
                    self._news.wait(timeout=0.5)
                frame = self._newest
            if self._failure is not None:
                raise SourceError(f"{self._title} failed: {self._failure}") from self._failure
            if frame is not None and frame.number > last and not self._stop.is_set():
                last = frame.number
                yield frame

    def close(self) -> None:
        """Stop the thread, which gives the device back."""
        self._stop.set()
        with self._news:
            self._news.notify_all()
        self._thread.join(timeout=2 * _TIMEOUT_MS / 1000)

    def _run(self, capture: Capture | None) -> None:
        number, wait = 0, _FIRST_WAIT
        try:
            while not self._stop.is_set():
                image = _image(capture.read()) if capture is not None else None
                if image is not None:
                    with self._news:
                        self._newest = Frame(image, time.monotonic() - self._start, number)
                        self._news.notify_all()
                    number, wait = number + 1, _FIRST_WAIT
                    continue
                if capture is not None:
                    capture.release()
                capture = self._again(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
        except Exception as error:  # handed to the thread that reads frames
            self._failure = error
        finally:
            if capture is not None:
                capture.release()
            with self._news:
                self._news.notify_all()

    def _again(self, wait: float) -> Capture | None:
        self._report(f"{self._title} is lost; opening it again in {wait:g} s")
        if self._stop.wait(wait):
            return None
        try:
            capture = self._connect()
        except SourceError:
            return None
        self._report(f"{self._title} is open again")
        return capture


def _picture(path: Path) -> NDArray[np.uint8]:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)  # imread cannot open every path on every system
        image: NDArray[np.uint8] | None = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error) as error:
        raise SourceError(f"cannot read picture '{path}': {error}") from error
    if image is None or image.shape[0] * image.shape[1] > _MAX_PIXELS:
        raise SourceError(f"picture '{path}' is damaged, too large, or in a format that OpenCV does not read")
    return image


def _image(answer: tuple[bool, NDArray[np.uint8] | None]) -> NDArray[np.uint8] | None:
    there, image = answer
    return image if there else None


def _open(name: int | str, title: str) -> Any:
    try:
        if isinstance(name, str) and "://" in name:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]
            capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG, limits)
        else:
            capture = cv2.VideoCapture(name)
    except cv2.error as error:
        raise SourceError(f"cannot open {title}: {error}") from error
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"cannot open {title}: it is not there, in use, or in a format that OpenCV cannot read")
    return capture

"""Write annotated frames to a video file, or to pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.camera.optional_opencv import cv2
from oneshot_runtime.camera.sources import Source
from oneshot_runtime.errors import SourceError

__all__ = ["PictureWriter", "Recorder", "open_output"]

_CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}

PICTURES = (".png", ".jpg", ".jpeg", ".webp")

_LONGEST_GAP = 10.0
"""Seconds: a live source that was away longer leaves no longer gap in the recording."""


def open_output(path: Path, source: Source) -> Recorder | PictureWriter:
    """What writes a source to `path`, by its ending. Raises `SourceError` for one that does not fit."""
    if path.suffix.lower() not in PICTURES:
        return Recorder(path, source.fps)
    if not source.still:
        raise SourceError(f"cannot write '{path}': the source is a video; the ending must be one of {', '.join(_CODECS)}")
    return PictureWriter(path)


class PictureWriter:
    """Pictures: the first goes to the path itself, others beside it, numbered from 2 on."""

    def __init__(self, path: Path) -> None:
        """Raises `SourceError` for a folder that isn't there."""
        _check_folder(path)
        self._path = path
        self._written = 0

    def write(self, image: NDArray[np.uint8], seconds: float) -> None:  # noqa: ARG002
        """Write another picture uint8 (H, W, 3). Raises `SourceError` when it cannot be written."""
        self._written += 1
        path = self._path if self._written == 1 else self._path.with_stem(f"{self._path.stem}-{self._written}")
        try:
            path.write_bytes(cv2.imencode(path.suffix.lower(), image)[1].tobytes())
        except (OSError, cv2.error) as error:
            raise SourceError(f"cannot write '{path}': {error}") from error

    def close(self) -> None:
        """Nothing is open between pictures."""


class Recorder:
    """A video file that grows frame by frame; `close` completes it."""

    def __init__(self, path: Path, fps: float) -> None:
        """fps: of the file. Raises `SourceError` for an ending that names no video format, or a folder that isn't there."""
        if path.suffix.lower() not in _CODECS:
            raise SourceError(f"cannot write '{path}': the ending must be one of {', '.join((*_CODECS, *PICTURES))}")
        _check_folder(path)
        self._path, self._fps = path, fps
        self._writer: Any | None = None
        self._size = (0, 0)
        self._written = 0

    def write(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Add a frame uint8 (H, W, 3) as of `seconds` from the start: repeated or left out so that the file runs in real time.

        All frames get the first one's size; others are fitted into it. Raises `SourceError` when the file cannot be written.
        """
        if self._writer is None:
            self._size = (image.shape[1], image.shape[0])
            code = cv2.VideoWriter.fourcc(*_CODECS[self._path.suffix.lower()])
            self._writer = cv2.VideoWriter(str(self._path), code, self._fps, self._size)
            if not self._writer.isOpened():
                self._writer = None
                raise SourceError(f"cannot write '{self._path}': no permission, or this OpenCV cannot write the format")
        fitted = _fit(image, self._size)
        due = round(seconds * self._fps) + 1 - self._written
        for _ in range(min(due, round(_LONGEST_GAP * self._fps))):
            self._writer.write(fitted)
        self._written += max(0, due)

    def close(self) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None


def _check_folder(path: Path) -> None:
    if not path.absolute().parent.is_dir() or path.is_dir():
        raise SourceError(f"cannot write '{path}': its folder does not exist, or it is one itself")


def _fit(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture within width and height `size`, on black where its proportions differ."""
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    scale = min(size[0] / width, size[1] / height)
    small = cv2.resize(image, (max(1, int(width * scale)), max(1, int(height * scale))), interpolation=cv2.INTER_AREA)
    fitted = np.zeros((size[1], size[0], 3), np.uint8)
    y, x = (size[1] - small.shape[0]) // 2, (size[0] - small.shape[1]) // 2
    fitted[y : y + small.shape[0], x : x + small.shape[1]] = small
    return fitted

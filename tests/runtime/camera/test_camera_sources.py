from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")

from oneshot_runtime import SourceError  # noqa: E402
from oneshot_runtime.camera import sources  # noqa: E402
from oneshot_runtime.camera.recorder import Recorder  # noqa: E402
from oneshot_runtime.camera.sources import LiveSource, open_source  # noqa: E402


def picture(level: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def write_video(path: Path, levels: list[int], fps: float = 25) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (64, 48))
    for level in levels:
        writer.write(picture(level))
    writer.release()
    return path


class Device:
    """A camera whose frames come when the test says so; a None is a failure to read."""

    def __init__(self, frames: list[np.ndarray | None], pause: float = 0.0) -> None:
        self.frames = frames
        self.pause = pause
        self.released = False

    def read(self) -> tuple[bool, np.ndarray | None]:
        time.sleep(self.pause)
        if not self.frames:
            return False, None
        image = self.frames.pop(0)
        return image is not None, image

    def release(self) -> None:
        self.released = True


def test_a_video_gives_every_frame_and_ends(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", list(range(0, 240, 20)))
    with open_source(str(path)) as source:
        frames = list(source)
    assert (source.fps, source.still, source.live) == (25, False, False)
    assert [frame.number for frame in frames] == list(range(12))
    assert frames[5].seconds == pytest.approx(0.2)
    assert [round(frame.image.mean() / 20) for frame in frames] == list(range(12))


def test_a_folder_gives_its_pictures_in_order(tmp_path: Path) -> None:
    for name, level in (("b.png", 100), ("a.jpg", 50), ("c.PNG", 150)):
        cv2.imwrite(str(tmp_path / name), picture(level))
    (tmp_path / "notes.txt").write_text("not a picture")
    with open_source(str(tmp_path)) as source:
        levels = [round(frame.image.mean()) for frame in source]
    assert source.still
    assert levels == [50, 100, 150]


def test_one_picture_is_a_source(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "one.png"), picture(7))
    assert [frame.image.mean() for frame in open_source(str(tmp_path / "one.png"))] == [7]


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    for name in ("empty", "broken.mp4", "missing.mp4"):
        with pytest.raises(SourceError, match=name):
            open_source(str(tmp_path / name))


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG but no more")
    with pytest.raises(SourceError, match=r"bad\.png"), open_source(str(tmp_path)) as source:
        list(source)


def test_an_address_that_fails_does_not_tell_its_password() -> None:
    with pytest.raises(SourceError) as caught:
        open_source("http://name:secret@127.0.0.1:9/stream")
    assert "127.0.0.1:9" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_live_source_drops_what_a_slow_reader_misses() -> None:
    device = Device([picture(number) for number in range(100)], pause=0.002)
    behind, numbers = [], []
    with LiveSource(lambda: device, "the camera", lambda message: None) as source:
        assert isinstance(source, LiveSource)
        for frame in source:
            behind.append(source.newest_number - frame.number)
            numbers.append(frame.number)
            assert frame.image.mean() == frame.number
            time.sleep(0.02)
            if frame.number >= 60:
                break
    assert max(behind) <= 2
    assert numbers == sorted(set(numbers))
    assert len(numbers) < 40
    assert device.released


def test_a_lost_source_is_reported_and_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_FIRST_WAIT", 0.01)
    devices = [Device([picture(1)]), Device([]), Device([picture(2)] * 50, pause=0.01)]
    attempts: list[Device] = []

    def connect() -> Device:
        if len(attempts) == 1:
            attempts.append(devices[1])
            raise SourceError("not there")
        attempts.append(devices[len(attempts)])
        return attempts[-1]

    messages: list[str] = []
    with LiveSource(connect, "the camera", messages.append) as source:
        levels = []
        for frame in source:
            levels.append(int(frame.image.mean()))
            if levels[-1] == 2:
                break
    assert levels in ([1, 2], [2])
    assert [("lost" in message, "open again" in message) for message in messages] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert devices[0].released
    assert devices[2].released


def test_closing_ends_a_live_source_whose_device_is_silent() -> None:
    device = Device([], pause=0.01)
    source = LiveSource(lambda: device, "the camera", lambda message: None)
    threading.Timer(0.1, source.close).start()
    start = time.monotonic()
    assert list(source) == []
    assert time.monotonic() - start < 5


def test_a_device_that_fails_badly_ends_the_source_with_an_error() -> None:
    class Failing(Device):
        def read(self) -> tuple[bool, np.ndarray | None]:
            raise RuntimeError("wires cut")

    with pytest.raises(SourceError, match="wires cut"), LiveSource(lambda: Failing([]), "the camera", print) as source:
        list(source)


def test_a_recording_runs_in_real_time_and_takes_any_size(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    recorder = Recorder(path, fps=10)
    recorder.write(picture(50), 0.0)
    recorder.write(picture(100), 0.01)  # sooner than the file's next frame
    recorder.write(picture(150, height=24, width=64), 0.5)
    recorder.close()
    frames = list(open_source(str(path)))
    assert len(frames) == 6
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}


@pytest.mark.parametrize("name", ["out.txt", "out", "missing/out.mp4"])
def test_a_recording_that_cannot_be_written_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="out"):
        Recorder(tmp_path / name, fps=10)

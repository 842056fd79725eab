from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

cv2 = pytest.importorskip("cv2")

from benchmarks.film import Film, film, lay_out  # noqa: E402
from oneshot_runtime import LabelError, OneShotMatcher  # noqa: E402
from oneshot_runtime.camera import FrameReader, annotate, open_source  # noqa: E402
from oneshot_runtime.camera.watch import Watch  # noqa: E402
from oneshot_runtime.camera.window import Prompt  # noqa: E402
from oneshot_runtime.cli.main import main  # noqa: E402
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer  # noqa: E402

FILM = Film(height=360, width=640, motion=0.3, noise=2.0)


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """A sheet with one symbol in its middle."""
    rng = np.random.default_rng(1)
    symbol = max(invent_alphabet(9, seed=6), key=lambda symbol: len(symbol.strokes))
    scene = lay_out([("sign", draw(symbol, random_writer(rng), rng, 210))], rng, columns=1)
    return [image for image, _ in film(scene, FILM, 30, rng)]


@pytest.fixture(scope="module")
def video(frames: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (640, 360))
    for image in frames:
        writer.write(image)
    writer.release()
    return path


def teach_something(gallery: Path) -> None:
    """Make a gallery file: its first symbol does."""
    with OneShotMatcher.load(gallery=gallery) as matcher:
        drawing = np.full((60, 60), 255, np.uint8)
        drawing[10:50, 26:33] = 0
        matcher.enroll("line", drawing)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_symbol_taught_by_pointing_is_read_from_the_next_frame_on(frames: list[np.ndarray], matcher: OneShotMatcher) -> None:
    reader = FrameReader(matcher)
    assert reader.enroll("sign") is None  # nothing was read yet
    assert reader.read(frames[0]).symbols == ()
    assert [symbol.label for symbol in reader.read(frames[1]).symbols] == [None]
    with pytest.raises(LabelError):
        reader.enroll("")
    taught = reader.enroll("sign")
    assert taught is not None
    assert matcher.labels == ["sign"]
    for image in frames[2:]:
        (symbol,) = reader.read(image).symbols
        assert (symbol.label, symbol.track) == ("sign", taught.track)
        assert symbol.probability > 0.5
    matcher.remove("sign")
    assert [symbol.label for symbol in reader.read(frames[-1]).symbols] == [None]


def test_votes_last_while_the_gallery_does_not_change(
    frames: list[np.ndarray], matcher: OneShotMatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where each look at the gallery gives another object, as one that searches in its database does."""
    taken = matcher.gallery.snapshot
    monkeypatch.setattr(matcher.gallery, "snapshot", lambda where=None: copy.copy(taken(where)))
    reader = FrameReader(matcher)
    reader.read(frames[0])
    reader.read(frames[1])
    reader.enroll("sign")
    for image in frames[2:8]:
        reader.read(image)
    (track,) = reader._tracks
    assert track.vote.views == 6
    reader.enroll("another")
    reader.read(frames[8])
    assert track.vote.views == 1


def test_stills_carry_nothing_over(frames: list[np.ndarray], matcher: OneShotMatcher) -> None:
    reader = FrameReader(matcher, still=True)
    numbers = [symbol.track for image in frames[:3] for symbol in reader.read(image).symbols]
    assert len(numbers) == len(set(numbers)) == 3


def test_a_film_is_taught_read_and_recorded(video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    gallery, output = str(tmp_path / "signs.db"), tmp_path / "out.mp4"
    arguments = ["camera", str(video), "--gallery", gallery, "--json", "--precision", "fp32"]
    assert main([*arguments, "--enroll", "sign"]) == 0
    first = capfd.readouterr()
    assert {line["label"] for line in lines(first.out)} == {None}  # a file is taught from its best stretch, known at its end
    assert "sharpest of" in first.err
    with Image.open(first.err.split("its picture is in ")[1].splitlines()[0]) as picture:
        assert picture.getextrema() == (0, 255)
    assert main([*arguments, "--output", str(output)]) == 0  # the gallery is durable
    second = lines(capfd.readouterr().out)
    assert {line["label"] for line in second} == {"sign"}
    assert set(second[0]) == {"time", "frame", "track", "box", "label", "probably", "probability"}
    assert all(0 <= line["probability"] <= 1 and len(line["box"]) == 4 for line in second)
    with open_source(str(output)) as source:
        assert len(list(source)) == 30


def test_nothing_to_teach_is_an_error_and_teaches_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "blank.png"), np.full((120, 160), 200, np.uint8))
    gallery = str(tmp_path / "g.db")
    assert main(["camera", str(tmp_path / "blank.png"), "--gallery", gallery, "--enroll", "sign"]) == 1
    assert "sign" in capfd.readouterr().err
    assert main(["camera", str(tmp_path / "blank.png"), "--gallery", gallery, "--enroll", " "]) == 1


def test_errors_name_the_source_the_output_and_the_way_without_a_window(
    tmp_path: Path, video: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = ["--gallery", str(tmp_path / "g.db")]
    assert main(["camera", "nowhere.mp4", "--json", *gallery]) == 1
    assert "nowhere.mp4" in capfd.readouterr().err
    assert main(["camera", str(video), "--output", str(tmp_path / "out.gif"), *gallery]) == 1
    assert "out.gif" in capfd.readouterr().err
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    if sys.platform.startswith("linux"):
        assert main(["camera", str(video), *gallery]) == 1
        assert "--output" in capfd.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_completes_the_recording(video: Path, tmp_path: Path, kind: signal.Signals) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    image = next(iter(open_source(str(video)))).image
    for number in range(3000):
        path = pictures / f"{number:04}.jpg"
        if number:
            path.hardlink_to(pictures / "0000.jpg")
        else:
            cv2.imwrite(str(path), image)
    output = tmp_path / "out.mp4"
    teach_something(tmp_path / "g.db")
    # A shell that runs this in the background has its children ignore the signal.
    code = (
        "import signal, sys; from oneshot_runtime.cli.main import main; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(main())"
    )
    command = ["camera", str(pictures), "--json", "--output", str(output), "--gallery", str(tmp_path / "g.db")]
    with subprocess.Popen([sys.executable, "-c", code, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["frame"] < 2:  # the frames before are recorded then
            pass
        process.send_signal(kind)
        process.communicate(timeout=120)
    assert process.returncode == 128 + kind
    with open_source(str(output)) as source:
        assert len(list(source)) >= 1


def test_the_overlay_marks_symbols_and_leaves_the_frame_alone(frames: list[np.ndarray], matcher: OneShotMatcher) -> None:
    reader = FrameReader(matcher)
    reader.read(frames[0])
    reading = reader.read(frames[1])
    before = frames[1].copy()
    image = annotate(frames[1], reading.symbols, 30.0, reading.milliseconds)
    assert (frames[1] == before).all()
    x, y, width, height = reading.symbols[0].box
    around = np.s_[y - 15 : y + height + 15, x - 15 : x + width + 15]
    assert (image[around] != before[around]).any()
    assert (image[:15, :100] != before[:15, :100]).any()
    assert set(reading.milliseconds) == {"segment", "track", "match"}


def test_a_name_is_typed_key_by_key() -> None:
    prompt = Prompt()
    for key in [None, 13, *map(ord, "alex"), 8, ord("f")]:
        prompt.press(key)
    assert (prompt.text, prompt.done) == ("alef", False)
    prompt.press(13)
    assert prompt.done
    prompt = Prompt()
    prompt.press(27)
    assert prompt.cancelled


def test_a_gallery_that_is_not_there_is_a_question(
    video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = tmp_path / "mistyped.db"
    command = ["camera", str(video), "--json", "--gallery", str(gallery)]
    assert main(command) == 1
    assert "mistyped.db" in capfd.readouterr().err
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda: "n")
    assert main(command) == 1
    assert not gallery.exists()
    monkeypatch.setattr("builtins.input", lambda: "y")
    assert main(command) == 0
    assert not gallery.exists()  # the first symbol that is taught makes it


def test_pictures_are_annotated_one_by_one_and_a_damaged_one_is_passed_over(
    frames: list[np.ndarray], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), frames[number])
    (folder / "1b.png").write_bytes(b"damaged")
    gallery = ["--gallery", str(tmp_path / "g.db")]
    assert main(["camera", str(folder / "0.png"), "--enroll", "sign", *gallery]) == 0
    assert main(["camera", str(folder), "--output", str(tmp_path / "seen.png"), "--json", *gallery]) == 0
    told = capfd.readouterr()
    assert {line["label"] for line in lines(told.out)} == {"sign"}
    assert "1b.png" in told.err
    assert "passed over" in told.err
    for number, name in enumerate(["seen.png", "seen-2.png"]):
        seen = cv2.imread(str(tmp_path / name))
        assert seen.shape == frames[number].shape
        assert (seen != frames[number]).any()
    assert not (tmp_path / "seen-3.png").exists()
    assert main(["camera", str(folder / "1b.png"), "--json", *gallery]) == 1


def test_a_video_is_not_written_as_pictures(video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["camera", str(video), "--output", str(tmp_path / "out.png"), "--gallery", str(tmp_path / "g.db")]) == 1
    assert ".mp4" in capfd.readouterr().err


def test_a_camera_is_shown_in_the_browser_where_there_are_no_windows(
    frames: list[np.ndarray], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Camera:
        def read(self) -> tuple[bool, np.ndarray]:
            return True, frames[0]

        def release(self) -> None:
            released.append(True)

    released: list[bool] = []
    served: list[str] = []
    monkeypatch.setattr("oneshot_runtime.camera.sources._open", lambda name, title: Camera())
    monkeypatch.setattr("oneshot_runtime.cli.serve_command.serve_live", lambda matcher, gallery: served.append(gallery))
    monkeypatch.setattr("oneshot_runtime.camera.window.window_problem", lambda: "no display here")
    gallery = str(tmp_path / "g.db")
    teach_something(tmp_path / "g.db")
    assert main(["camera", "0", "--gallery", gallery]) == 0
    assert served == [gallery]
    assert released  # the browser could not open it otherwise
    assert "no display here" in capfd.readouterr().err
    assert main(["camera", "0", "--window", "--json", "--gallery", gallery]) == 1


class FakeWindow:
    """Clicks a point in the third frame, types a name, and quits in the fifth."""

    def __init__(self, point: tuple[int, int]) -> None:
        self.keys: list[int | None] = [None, None, None, *map(ord, "fish"), 13, None, ord("q")]
        self.point: tuple[int, int] | None = point
        self.shown = 0
        self.closed = False

    def show(self, image: np.ndarray) -> int | None:
        self.shown += 1
        return self.keys.pop(0)

    def clicked(self) -> tuple[int, int] | None:
        point, self.point = (self.point, None) if self.shown == 3 else (None, self.point)
        return point

    def close(self) -> None:
        self.closed = True


def test_a_symbol_is_named_by_a_click_in_the_window(video: Path, matcher: OneShotMatcher) -> None:
    window, told = FakeWindow((320, 180)), []
    source = open_source(str(video))
    Watch(source, FrameReader(matcher), window=window, report=told.append).run()  # type: ignore[arg-type]
    assert matcher.labels == ["fish"]
    assert "fish" in told[0]
    assert window.closed
    window = FakeWindow((5, 5))  # beside every symbol: nothing is asked
    window.keys = [None, None, None, ord("q")]
    Watch(open_source(str(video)), FrameReader(matcher), window=window, report=told.append).run()  # type: ignore[arg-type]
    assert len(told) == 1

from __future__ import annotations

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")

from benchmarks.film import Film, Shown, film, lay_out  # noqa: E402
from oneshot_runtime import ImageError, OneShotMatcher, OptionError  # noqa: E402
from oneshot_runtime.camera import FrameReader, find_symbols  # noqa: E402
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer  # noqa: E402
from oneshot_runtime.vision.grouping import group_parts  # noqa: E402


def page(height: int = 300, width: int = 480, level: int = 220) -> np.ndarray:
    return np.full((height, width), level, np.uint8)


def cross(image: np.ndarray, x: int, y: int, size: int = 60, ink: int = 30, pen: int = 5) -> np.ndarray:
    cv2.line(image, (x, y), (x + size, y + size), ink, pen, cv2.LINE_AA)
    cv2.line(image, (x + size, y), (x, y + size), ink, pen, cv2.LINE_AA)
    return image


def boxes(image: np.ndarray, ink: str = "auto") -> list[tuple[int, int, int, int]]:
    return [found.box for found in find_symbols(image, ink)]


def is_about(box: tuple[int, int, int, int], expected: tuple[int, int, int, int], off: int = 7) -> bool:
    return all(abs(a - b) <= off for a, b in zip(box, expected, strict=True))


def test_an_empty_page_holds_nothing() -> None:
    noise = np.random.default_rng(0).normal(0, 4, (300, 480))
    assert boxes(page()) == []
    assert boxes(np.clip(page() + noise, 0, 255).astype(np.uint8)) == []


def test_ink_is_found_where_it_is() -> None:
    (box,) = boxes(cross(page(), 100, 80))
    assert is_about(box, (98, 78, 65, 65))


def test_boxes_are_in_pixels_of_a_large_frame() -> None:
    (box,) = boxes(cross(page(1080, 1920), 900, 300, size=150, pen=9))
    assert is_about(box, (896, 296, 159, 159), off=12)


def test_chalk_on_a_dark_board_is_found_and_becomes_dark_ink_on_white() -> None:
    image = cross(page(level=45), 100, 80, ink=210)
    (found,) = find_symbols(image)
    assert is_about(found.box, (98, 78, 65, 65))
    assert found.crop[0].min() == 255
    assert found.crop.min() < 20


def test_the_kind_of_ink_can_be_told() -> None:
    image = cross(page(level=45), 100, 80, ink=210)
    assert len(boxes(image, "light")) == 1
    assert boxes(image, "dark") == []
    with pytest.raises(OptionError, match="blue"):
        find_symbols(image, "blue")


def test_a_shadow_is_no_symbol_and_hides_none() -> None:
    light = np.ones((300, 480))
    light[:, 200:] = 0.45
    light = cv2.GaussianBlur(light, (0, 0), 3)
    image = cross(cross(cross(page(), 60, 80), 170, 80), 330, 80)
    found = boxes((image * light).astype(np.uint8))
    assert len(found) == 3


def test_the_edges_of_sheet_and_table_are_no_symbols() -> None:
    image = page(level=70)
    corners = np.array([(60, 40), (420, 70), (400, 270), (40, 250)])
    cv2.fillPoly(image, [corners], 215)
    assert boxes(image) == []
    (box,) = boxes(cross(image, 200, 120))
    assert is_about(box, (198, 118, 65, 65))


def test_a_symbol_cut_off_by_the_border_is_left_out() -> None:
    assert len(boxes(cross(cross(page(), -30, 80), 200, 80))) == 1


def test_a_dot_belongs_to_its_stem_and_is_kept() -> None:
    image = page()
    cv2.line(image, (150, 100), (150, 160), 30, 6)
    cv2.circle(image, (150, 84), 4, 30, -1)
    (found,) = find_symbols(image)
    assert is_about(found.box, (147, 80, 7, 83))
    rows = np.flatnonzero((found.crop < 128).any(axis=1))
    assert np.diff(rows).max() > 3  # the white between dot and stem


def test_a_crop_holds_nothing_of_a_neighbour() -> None:
    image = cross(page(), 100, 100, size=60)
    cv2.line(image, (205, 100), (205, 160), 30, 5)
    crops = {found.box[2] > 30: found.crop for found in find_symbols(image)}
    alone = find_symbols(cross(page(), 100, 100, size=60))[0].crop
    assert crops[True].shape == alone.shape
    assert np.abs(crops[True].astype(int) - alone).mean() < 3


def test_strokes_far_apart_join_when_they_are_as_large_as_the_other_symbols() -> None:
    others = [(0, 0, 60, 60), (200, 0, 60, 60), (400, 0, 60, 60)]
    halves = [(600, 0, 60, 10), (600, 40, 60, 20)]
    groups = group_parts(np.array(others + halves))
    assert sorted(map(sorted, groups)) == [[0], [1], [2], [3, 4]]
    assert len(group_parts(np.array([(0, 0, 60, 60), (120, 0, 60, 60)]))) == 2
    assert group_parts(np.empty((0, 4), np.int64)) == []


@pytest.mark.parametrize(
    "frame", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 5), np.uint8), "frame.png"]
)
def test_what_is_no_frame_is_refused(frame: object) -> None:
    with pytest.raises(ImageError):
        find_symbols(frame)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (9, 9)])
def test_tiny_frames_hold_nothing(shape: tuple[int, int]) -> None:
    assert find_symbols(np.random.default_rng(0).integers(0, 256, shape, np.uint8)) == []


def filmed(settings: Film, frames: int, contrast: float | None = None) -> list[tuple[np.ndarray, list[Shown]]]:
    """A film of eight symbols on a sheet."""
    rng = np.random.default_rng(4)
    alphabet = [symbol for symbol in invent_alphabet(16, seed=4) if len(symbol.strokes) > 1][:8]
    drawings = [(str(number), draw(symbol, random_writer(rng), rng, 210)) for number, symbol in enumerate(alphabet)]
    return list(film(lay_out(drawings, rng, contrast=contrast), settings, frames, rng))


@pytest.mark.parametrize(
    ("settings", "contrast"), [(Film(fps=2), None), (Film(fps=2), 0.35), (Film(fps=2, distance=2.8), None)]
)
def test_ink_pencil_and_a_sheet_that_is_far_away_are_found(settings: Film, contrast: float | None) -> None:
    shown = found = 0
    for image, truth in filmed(settings, 4, contrast):
        near = [symbol.box for symbol in find_symbols(image)]
        shown += len(truth)
        found += sum(any(is_about(box, there.box, off=16) for box in near) for there in truth)
    assert found >= 0.75 * shown > 0


def test_symbols_that_are_too_far_away_to_be_read_are_told_and_those_near_enough_are_not(matcher: OneShotMatcher) -> None:
    far, near = (filmed(Film(360, 640, fps=10, distance=distance), 10) for distance in (6, 1))
    reader = FrameReader(matcher)
    hints = [reader.read(image).hint for image, _ in far]
    assert hints[0] == ""  # not for a frame or two
    assert "move closer" in hints[-1]
    assert [reader.read(image).hint for image, _ in near][-1] == ""
    assert "move closer" in FrameReader(matcher, still=True).read(far[0][0]).hint


def test_a_camera_that_is_turned_on_its_side_is_read_on(matcher: OneShotMatcher) -> None:
    image = filmed(Film(360, 640, distance=3), 1)[0][0]  # small enough to be looked at closely
    reader = FrameReader(matcher)
    reader.read(image)
    for turned in (np.rot90(image).copy(), image[-120:, -120:].copy(), image):
        reader.read(turned)
    assert len(reader.read(image).symbols) >= 6


@pytest.mark.parametrize("board", [False, True])
def test_a_filmed_sheet_is_found_and_read(matcher: OneShotMatcher, board: bool) -> None:
    rng = np.random.default_rng(4)
    alphabet = [symbol for symbol in invent_alphabet(16, seed=4) if len(symbol.strokes) > 1][:8]
    teacher, writer = random_writer(rng), random_writer(rng)
    for number, symbol in enumerate(alphabet):
        matcher.enroll(str(number), draw(symbol, teacher, rng))
    scene = lay_out([(str(number), draw(symbol, writer, rng, 210)) for number, symbol in enumerate(alphabet)], rng, board)
    (image, truth) = next(film(scene, Film(), 1, rng))
    found = find_symbols(image)
    there = [(shown.name, symbol.crop) for shown in truth for symbol in found if is_about(symbol.box, shown.box, off=16)]
    assert len(truth) == 8
    assert len(there) >= 7
    assert len(found) <= 10
    labels = [match.label for match in matcher.match_batch([crop for _, crop in there])]
    assert sum(label == name for label, (name, _) in zip(labels, there, strict=True)) >= len(there) - 1

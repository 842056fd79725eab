"""Rows of print: each symbol is one, and what is no row stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.vision.grouping import common_side, group_parts
from oneshot_runtime.vision.page import symbols_of_page
from oneshot_runtime.vision.picture import Picture
from oneshot_runtime.vision.rows import are_row, group_symbols


def printed(lines: list[str], size: int, degrees: float = 0.0, shape: tuple[int, int] = (640, 400)) -> Image.Image:
    """Lines of print on a shaded sheet, photographed a little aslant."""
    ink = Image.new("L", shape, 0)
    pen = ImageDraw.Draw(ink)
    for at, line in enumerate(lines):
        pen.text((shape[0] // 2, (at + 1) * shape[1] // (len(lines) + 1)), line, 255, ImageFont.load_default(size), "mm")
    covered = np.asarray(ink.rotate(degrees, Image.Resampling.BICUBIC)) / 255.0
    light = np.linspace(1, 0.55, shape[0])
    return Image.fromarray(((225 - 185 * covered) * light).round().astype(np.uint8))


def tall(numbers: list[int], width: int, gap: int) -> np.ndarray:
    """Boxes beside each other, 40 pixels high."""
    return np.array([(10 + at * (width + gap), 10, width, 40) for at in numbers])


@pytest.mark.parametrize("degrees", [0.0, 6.0, -6.0])
def test_the_letters_of_words_are_read_one_by_one(degrees) -> None:
    found = OneShotMatcher.load(far=0.05).read(printed(["HERE", "NORTH", "SUN"], 70, degrees))
    assert len(found) == 12
    assert max(max(one.box[2:]) for one in found) < 80


def test_a_dot_and_an_accent_stay_with_their_letter() -> None:
    found = OneShotMatcher.load(far=0.05).read(printed(["midi", "hôtel"], 110))
    assert len(found) == 9


def test_several_sizes_of_print_are_read() -> None:
    """What is small beside a heading is there, and a line that touches another is none of its symbols."""
    image = printed(["BOLT"], 130)
    ImageDraw.Draw(image).text((320, 300), "FASTEN HERE", 40, ImageFont.load_default(48), "mm")
    assert len(OneShotMatcher.load(far=0.05).read(image)) == 14


@pytest.mark.parametrize("ink", [70, 200])
def test_bold_letters_that_fill_a_picture_are_read_one_by_one(ink) -> None:
    """As a word is cut out of a photograph."""
    word = Image.new("L", (250, 80), 130)
    pen = ImageDraw.Draw(word)
    for at, letter in enumerate("NEUES"):
        pen.text((35 + 45 * at, 40), letter, ink, ImageFont.load_default(50), "mm", stroke_width=3, stroke_fill=ink)
    shaded = np.asarray(word.filter(ImageFilter.GaussianBlur(1))) * np.linspace(1, 0.8, 250)
    found = OneShotMatcher.load(far=0.05).read(Image.fromarray(shaded.round().astype(np.uint8)))
    assert len(found) == 5


def test_smaller_print_below_a_word_is_none_of_it() -> None:
    image = printed(["PRO"], 110)
    ImageDraw.Draw(image).text((320, 265), "MULTIMEDIA", 40, ImageFont.load_default(32), "mm")
    assert len(OneShotMatcher.load(far=0.05).read(image)) == 13


def test_a_row_of_symbols_is_said() -> None:
    matcher = OneShotMatcher.load(far=0.05)
    matcher.enroll("A", printed(["A"], 120))
    assert matcher.match(printed(["HERE"], 110)).symbols == 4
    assert matcher.match(printed(["R"], 110)).symbols == 1
    report = matcher.enroll("word", printed(["HERE"], 110))
    assert any(finding.kind == "several" for finding in report.findings)


def test_strokes_beside_each_other_are_no_row() -> None:
    three, many = tall([0, 1, 2], 8, 16), tall(list(range(6)), 8, 10)
    assert group_symbols(three) == group_parts(three)
    assert group_symbols(many) == group_parts(many)
    assert not are_row(many)


def test_symbols_of_a_row_are_apart_from_top_to_bottom_too() -> None:
    across = tall([0, 1, 2, 3], 30, 5)
    down = across[:, [1, 0, 3, 2]]
    assert len(group_parts(across)) == 1
    for boxes in (across, down):
        assert sorted(group_symbols(boxes)) == [[0], [1], [2], [3]]
        assert are_row(boxes)


def test_the_common_side_is_that_of_most() -> None:
    assert common_side(np.array([20, 21, 22, 20, 24, 20, 300]), 1) == 0
    assert common_side(np.array([20, 21, 22, 20, 24, 20, 100]), 1) == 20.5
    assert common_side(np.array([20, 21, 22]), 1) == 0
    assert common_side(np.array([], np.int64), 1) == 0


def test_a_page_that_is_full_of_print_is_read() -> None:
    rng = np.random.default_rng(1)
    page = Image.new("L", (880, 880), 255)
    for line in range(17):
        letters = "".join(rng.choice(list("ABCDEFGHKLMNOPRSTUVXYZ"), 20))
        ImageDraw.Draw(page).text((20, 10 + 50 * line), letters, 0, ImageFont.load_default(50))
    assert len(symbols_of_page(Picture(np.asarray(page)))) == 340

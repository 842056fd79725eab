"""A symbol in a crop that cuts its neighbours in half, as people cut one out of a photograph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.vision.loose_crop import middle_symbol

PAPERS = {
    "print": (230, 40, 0, 1.0),
    "light on dark": (70, 220, 2, 0.8),
    "bold": (120, 200, 3, 0.9),
    "bold print": (200, 60, 3, 0.9),
}


def loose_crops(word: str, paper: int, ink: int, stroke: int, light: float) -> Iterator[Image.Image]:
    """Each letter of a word on a sign, with more than half of its size around it. light: what is left of it at the right."""
    font = ImageFont.load_default(60)
    sign = Image.new("L", (460, 220), paper)
    pen = ImageDraw.Draw(sign)
    boxes, x = [], 60
    for letter in word:
        pen.text((x, 80), letter, ink, font, stroke_width=stroke, stroke_fill=ink)
        boxes.append(pen.textbbox((x, 80), letter, font, stroke_width=stroke))
        x = boxes[-1][2] + 6
    shaded = np.asarray(sign.filter(ImageFilter.GaussianBlur(1))) * np.linspace(1, light, 460)
    sign = Image.fromarray(shaded.round().astype(np.uint8))
    for left, top, right, bottom in boxes:
        around = round(0.6 * max(right - left, bottom - top))
        yield sign.crop((left - around, top - around, right + around, bottom + around))


def taught(letters: str) -> OneShotMatcher:
    matcher = OneShotMatcher.load(far=0.05)
    for letter in sorted(set(letters)):
        image = Image.new("L", (105, 105), 255)
        ImageDraw.Draw(image).text((52, 52), letter, 0, ImageFont.load_default(70), "mm")
        matcher.enroll(letter, image)
    return matcher


@pytest.mark.parametrize("word", ["NORTH", "customer"])
@pytest.mark.parametrize("way", PAPERS)
def test_a_letter_of_a_sign_is_named_in_a_crop_with_halves_of_others(word, way) -> None:
    matcher = taught(word)
    assert [matcher.match(crop).label for crop in loose_crops(word, *PAPERS[way])] == list(word)


def test_the_symbol_in_the_middle_is_what_a_crop_teaches() -> None:
    """Where the crop's edges say nothing of its paper."""
    matcher = OneShotMatcher.load(far=0.05)
    matcher.enroll("s", list(loose_crops("customer", *PAPERS["bold"]))[2])
    assert matcher.match(next(iter(loose_crops("s", 255, 0, 0, 1.0)))).label == "s"


def test_nothing_is_in_the_middle_where_nothing_is_cut_off() -> None:
    image = Image.new("L", (140, 120), 225)
    ImageDraw.Draw(image).text((70, 60), "K", 40, ImageFont.load_default(70), "mm")
    assert middle_symbol(np.asarray(image)) is None
    assert middle_symbol(np.full((30, 40), 128, np.uint8)) is None
    assert middle_symbol(np.zeros((1, 1), np.uint8)) is None

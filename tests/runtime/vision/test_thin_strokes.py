from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from oneshot_runtime import BundleError
from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess

SPEC = PreprocessSpec(height=48, width=48)
AS_DRAWN = dataclasses.replace(SPEC, thin=0)


def zigzag(pen: int, side: int = 210) -> np.ndarray:
    sheet = Image.new("L", (side, side), 255)
    ImageDraw.Draw(sheet).line([(30, 170), (60, 40), (110, 160), (150, 60), (180, 150)], fill=0, width=pen)
    return np.asarray(sheet)


def ink(image: np.ndarray, spec: PreprocessSpec) -> float:
    return float(preprocess(image, spec).sum()) / 255


def test_a_hairline_looks_as_a_pen_stroke_does() -> None:
    pen = ink(zigzag(13), SPEC)
    for thin in (3, 4, 5):
        assert ink(zigzag(thin), AS_DRAWN) < 0.5 * pen
        assert 0.75 * pen < ink(zigzag(thin), SPEC) < 1.33 * pen


@pytest.mark.parametrize("pen", [11, 14, 20])
def test_a_pen_that_is_wide_enough_is_left_alone(pen) -> None:
    assert np.array_equal(preprocess(zigzag(pen), SPEC), preprocess(zigzag(pen), AS_DRAWN))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), thin=st.floats(0.25, 16))
def test_no_ink_is_taken_away_and_none_laid_far_from_it(seed: int, thin: float) -> None:
    rng = np.random.default_rng(seed)
    sheet = Image.new("L", (90, 70), 255)
    points = [(int(x), int(y)) for x, y in rng.uniform(5, 65, (5, 2))]
    ImageDraw.Draw(sheet).line(points, fill=0, width=int(rng.integers(1, 8)))
    before, after = (preprocess(sheet, dataclasses.replace(SPEC, thin=t)).astype(int) for t in (0, thin))
    assert (after >= before).all()
    near = np.pad(before, 1) > 0
    reach = np.zeros(before.shape, bool)
    for y in range(3):
        for x in range(3):
            reach |= near[y : y + 48, x : x + 48]
    assert not after[~reach].any()


@pytest.mark.parametrize("thin", [-1, 17, "wide", None])
def test_an_impossible_limit_is_refused(thin) -> None:
    with pytest.raises(BundleError, match="thin"):
        PreprocessSpec(height=48, width=48, thin=thin)

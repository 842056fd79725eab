from __future__ import annotations

import numpy as np
import pytest

from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from oneshot_runtime.vision.preprocess import PreprocessSpec
from train.canvases import hold_out, joined
from train.drawings import from_image_set
from train.omniglot import DatasetError, load_images
from train.pens import PENS, Pen, redraw, redraw_at_random, thumbnail
from train.synthetic import composed_alphabets, invented_alphabets

SPEC = PreprocessSpec(height=48, width=48)


@pytest.fixture(scope="module")
def evaluation(data):
    return load_images(data, "images_evaluation")


def test_more_layers_lay_more_ink() -> None:
    rng = np.random.default_rng(0)
    drawing = np.where(draw(invent_alphabet(1, 3)[0], random_writer(rng), rng) < 128, 0, 255).astype(np.uint8)
    ink = [int((255 - redraw(drawing, layers).astype(int)).sum()) for layers in range(-2, 8)]
    assert ink == sorted(ink)
    assert ink[0] < 0.75 * ink[2]
    assert ink[-1] > 2 * ink[2]


@pytest.mark.parametrize("layers", [-3, 0, 1, 2, 5])
def test_a_line_becomes_as_wide_as_it_should(layers) -> None:
    drawing = np.full((40, 60), 255, np.uint8)
    drawing[18:22] = 0
    profile = 255 - redraw(drawing, layers)[:, 30].astype(float)
    assert profile.sum() / 255 == pytest.approx(4 + layers, abs=0.01)
    pads = max(0, -(-layers // 2))
    assert redraw(drawing, layers).shape == (40 + 2 * pads, 60 + 2 * pads)


@pytest.mark.parametrize(("sheet", "ink", "expected"), [(100, 20, 20), (100, 14, 14), (100, 90, 50), (100, 1, 1)])
def test_a_thumbnail_has_ink_as_large_as_asked_for(sheet, ink, expected) -> None:
    drawing = np.full((sheet, 2 * sheet), 255, np.uint8)
    drawing[30:80, 40:70] = 0  # 50 by 30 pixels
    dark = thumbnail(drawing, ink) < 128
    assert np.flatnonzero(dark.any(axis=1)).size == pytest.approx(expected, abs=1)
    blank = np.full((5, 5), 255, np.uint8)
    assert thumbnail(blank, ink) is blank


def test_a_pen_stays_within_its_ranges() -> None:
    drawing = np.full((90, 90), 255, np.uint8)
    drawing[20:70, 40:46] = 0
    rng = np.random.default_rng(0)
    redrawn = [255 - redraw_at_random(drawing, Pen(layers=(-2, 4)), rng).astype(float) for _ in range(99)]
    widths = {round(ink[len(ink) // 2].sum() / 255) for ink in redrawn}
    assert widths == set(range(4, 11))
    heights = {int((redraw_at_random(drawing, Pen((0, 0), ink=(20, 24)), rng) < 128).any(axis=1).sum()) for _ in range(99)}
    assert heights <= set(range(19, 26))
    assert len(heights) >= 3


def test_pens_are_other_drawings_of_the_same_images(evaluation) -> None:
    canvases = from_image_set(evaluation, SPEC, pens=True)
    assert canvases.pens.shape == (len(PENS), *canvases.images.shape)
    ink = canvases.pens.mean(axis=(1, 2, 3))
    assert ink[0] < ink[1] < ink[2]
    _, held_out = hold_out(canvases, ["He"])
    assert held_out.pens.shape == (len(PENS), *held_out.images.shape)


def test_composed_alphabets_have_every_pair_of_parts_by_every_drawer(evaluation) -> None:
    found = composed_alphabets(evaluation, {"He": evaluation.alphabets["He"]}, SPEC, 2, seed=0)
    assert found.images.shape == (2 * 20 * 20, 48, 48)
    assert [len(members) for members in found.groups.values()] == [20, 20]
    assert len({image.tobytes() for image in found.images}) == len(found.images)
    again = composed_alphabets(evaluation, {"He": evaluation.alphabets["He"]}, SPEC, 2, seed=0)
    assert np.array_equal(found.images, again.images)


def test_small_alphabets_cannot_be_composed_of(images) -> None:
    with pytest.raises(DatasetError, match="--composed 0"):
        composed_alphabets(images, images.alphabets, SPEC, 1, seed=0)


def test_joined_numbers_classes_on(canvases) -> None:
    invented = invented_alphabets(SPEC, 2, seed=0)
    both = joined(canvases, invented)
    assert len(both.members()) == len(canvases.members()) + 40
    for name, members in invented.groups.items():
        shown = both.images[np.isin(both.classes, both.groups[name])]
        assert np.array_equal(shown, invented.images[np.isin(invented.classes, members)])

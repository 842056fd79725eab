from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import train.drawings
from oneshot_runtime.vision.preprocess import PreprocessSpec
from train.drawings import from_image_set
from train.omniglot import load_images
from train.processes import by_all_cores

SPEC = PreprocessSpec(height=48, width=48)


@pytest.fixture(scope="module")
def evaluation(data):
    images = load_images(data, "images_evaluation")
    return images.select([min(images.alphabets, key=lambda name: images.alphabets[name][1] - images.alphabets[name][0])])


def test_canvases_are_made_once(evaluation, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ONESHOT_TRAIN_CACHE", str(tmp_path))
    made = from_image_set(evaluation, SPEC, pens=True)
    monkeypatch.setattr(train.drawings, "preprocess", None)
    again = from_image_set(evaluation, SPEC, pens=True)
    for name in ("images", "classes", "drawers", "pens"):
        np.testing.assert_array_equal(getattr(made, name), getattr(again, name))
    assert {name: list(members) for name, members in made.groups.items()} == {
        name: list(members) for name, members in again.groups.items()
    }
    other = evaluation._replace(images=255 - evaluation.images)
    for changed in ((evaluation, replace(SPEC, thin=2.0), True), (evaluation, SPEC, False), (other, SPEC, True)):
        with pytest.raises(TypeError):  # nothing was kept for these
            from_image_set(changed[0], changed[1], pens=changed[2])


def test_a_damaged_file_is_made_again(evaluation, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ONESHOT_TRAIN_CACHE", str(tmp_path))
    made = from_image_set(evaluation, SPEC)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    np.testing.assert_array_equal(from_image_set(evaluation, SPEC).images, made.images)


def test_results_of_many_processes_keep_their_order() -> None:
    assert by_all_cores(abs, range(-150, 0), "abs", "number", few=1) == list(range(150, 0, -1))
    assert by_all_cores(abs, [-3, 2], "abs", "number") == [3, 2]

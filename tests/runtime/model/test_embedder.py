from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshot_runtime import ImageError, OneShotMatcher
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.embedder import BatchEmbedder
from oneshot_runtime.model.session import Embedder, open_embedder
from oneshot_runtime.vision.preprocess import preprocess


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return open_embedder(Bundle.open(), "cpu", "fp32", 2)


class Recorder:
    """Stands for a session on a GPU: notes the shapes that it is given, and embeds a canvas as its first pixels."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def get_outputs(self):
        return [SimpleNamespace(shape=["N", Bundle.open().dim])]

    def run(self, names, inputs):
        self.shapes.append(inputs["images"].shape)
        return [first_pixels(inputs["images"])]


def first_pixels(canvases: np.ndarray) -> np.ndarray:
    return canvases.reshape(len(canvases), -1)[:, : Bundle.open().dim].astype(np.float32)


@pytest.mark.parametrize("count", [0, 1, 2, 16, 17, 50])
def test_batches_give_what_single_images_give(embedder, drawings, count) -> None:
    images = (drawings[0] + drawings[1])[:24] * 3
    images = images[:count]
    bundle = Bundle.open()
    found = BatchEmbedder(bundle, embedder, threads=2).embed_images(images)
    assert found.shape == (count, bundle.dim)
    if count:
        single = np.concatenate([embedder(preprocess(image, bundle.spec)[None]) for image in images])
        np.testing.assert_allclose(found, single, atol=1e-5)
        canvases = [preprocess(image, bundle.spec) for image in images]
        assert np.array_equal(BatchEmbedder(bundle, embedder, threads=2).embed_canvases(canvases), found)


@settings(max_examples=15, deadline=None)
@given(count=st.integers(1, 600))
def test_a_gpu_sees_few_shapes_and_answers_alike(count: int) -> None:
    recorder = Recorder()
    bundle = Bundle.open()
    batches = BatchEmbedder(bundle, Embedder(recorder, "cuda", "fp32"), threads=2)
    batches.warmup()
    warm = set(recorder.shapes)
    canvases = np.random.default_rng(count).integers(0, 256, (count, bundle.spec.height, bundle.spec.width), np.uint8)
    assert np.array_equal(batches.embed_canvases(list(canvases)), first_pixels(canvases))
    assert set(recorder.shapes) == warm


def test_an_unusable_image_in_a_batch_is_named(drawings) -> None:
    with OneShotMatcher.load(precision="fp32", threads=2, far=None) as matcher:
        matcher.enroll("a", drawings[0][0])
        with pytest.raises(ImageError, match="blank"):
            matcher.match_batch(drawings[0] * 3 + [np.full((40, 40), 255, np.uint8)])


def test_warmup_changes_no_answer_and_starts_no_thread_for_one(drawings) -> None:
    before = set(threading.enumerate())
    with OneShotMatcher.load(precision="fp32", threads=1, far=None) as matcher:
        matcher.enroll("a", drawings[0][0])
        expected = matcher.match(drawings[1][0])
        matcher.warmup()
        assert matcher.match(drawings[1][0]) == expected
        assert matcher.match_batch([drawings[1][0]] * 40)[-1].candidates[0].label == "a"
    assert set(threading.enumerate()) <= before


def test_a_small_network_gets_one_thread_and_a_large_one_all(monkeypatch) -> None:
    monkeypatch.setattr("oneshot_runtime.model.session._WORTH_THREADS", 1 << 40)
    assert open_embedder(Bundle.open(), "cpu", "fp32", 2).threads == 1
    monkeypatch.setattr("oneshot_runtime.model.session._WORTH_THREADS", 0)
    assert open_embedder(Bundle.open(), "cpu", "fp32", 2).threads == 2
    assert open_embedder(Bundle.open(), "cpu", "fp32", 1).threads == 1

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from oneshot_runtime import GalleryError, OneShotMatcher
from oneshot_runtime.cli.main import main
from oneshot_runtime.model.codes import encode
from oneshot_runtime.quality.audit import support_picture
from oneshot_runtime.quality.explanation import occlusion_map
from oneshot_runtime.quality.sheet import elide, font
from oneshot_runtime.stores.base import Block
from oneshot_runtime.vision.preprocess import preprocess


@pytest.fixture
def known(matcher, drawings) -> OneShotMatcher:
    for index, drawing in enumerate(drawings[0]):
        matcher.enroll(f"s{index}", drawing)
    return matcher


def test_an_explanation_agrees_with_the_match(known, drawings) -> None:
    for query in drawings[1][:4]:
        match, why = known.match(query, top_k=3), known.explain(query)
        assert why.match == match
        assert [(n.label, n.probability) for n in why.nearest] == [(c.label, c.probability) for c in match.candidates]
        assert why.margin == pytest.approx(why.nearest[0].logit - why.nearest[1].logit)
        assert why.margin_probability == pytest.approx(match.candidates[0].probability - match.candidates[1].probability)
        for near in why.nearest:
            assert near.probability == pytest.approx(1 / (1 + np.exp(-near.logit)))


def test_the_map_has_the_canvas_shape_and_lies_on_the_ink(known, drawings) -> None:
    why = known.explain(drawings[1][0])
    assert np.array_equal(why.canvas, preprocess(drawings[1][0], known.bundle.spec))
    assert why.influence.shape == why.canvas.shape
    assert why.influence.dtype == np.float32
    assert not why.influence[why.canvas == 0].any()
    assert why.influence.any()


def test_the_stroke_that_tells_two_symbols_apart_speaks_for_its_symbol(matcher) -> None:
    """Two symbols share a ring; a bar on the right makes the one."""
    plain, barred = (Image.new("L", (120, 120), 255) for _ in range(2))
    for image in (plain, barred):
        ImageDraw.Draw(image).ellipse((20, 35, 70, 85), outline=0, width=4)
    ImageDraw.Draw(plain).line((95, 58, 100, 62), fill=0, width=4)
    ImageDraw.Draw(barred).line((98, 25, 98, 95), fill=0, width=4)
    matcher.enroll("plain", plain)
    matcher.enroll("barred", barred)
    why = matcher.explain(barred)
    assert why.nearest[0].label == "barred"
    ink = why.canvas > 0
    right = np.arange(ink.shape[1])[None, :] >= 32
    assert why.influence[ink & right].mean() > 1.3 * why.influence[ink & ~right].mean()


def test_shots_of_a_class_are_explained_by_the_nearest_of_them(matcher, drawings) -> None:
    first, second = drawings
    matcher.enroll("a", [first[3], first[0], first[5]])
    matcher.enroll("b", first[1])
    near = matcher.explain(second[0]).nearest[0]
    assert near.label == "a"
    assert near.picture is not None
    assert np.array_equal(near.picture, first[0])


def test_one_class_explains_its_own_logit(matcher, drawings) -> None:
    matcher.enroll("only", drawings[0][0])
    why = matcher.explain(drawings[0][0])
    assert why.margin == why.nearest[0].logit == pytest.approx(matcher.bundle.head.bias)
    assert why.margin_probability == why.nearest[0].probability
    # Nothing is nearer than the same drawing: any ink that goes can only take from it.
    assert why.influence.min() >= 0
    assert why.draw().mode == "RGB"


def test_an_empty_gallery_has_nothing_to_explain(matcher, drawings) -> None:
    with pytest.raises(GalleryError, match="empty"):
        matcher.explain(drawings[0][0])


def test_supports_without_pictures_are_drawn_too(matcher, drawings) -> None:
    matcher.gallery.extend(["a", "b"], matcher.embed(drawings[0][:2]))
    why = matcher.explain(drawings[1][0])
    assert [near.picture for near in why.nearest] == [None, None]
    assert why.draw().width > 400


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kept", ["junk", "huge"])
def test_a_thumbnail_that_is_no_picture_is_drawn_as_none(tmp_path, drawings, kept) -> None:
    """As a gallery's file may hold it: what an application stores, or an import brought, is not decoded on the way in."""
    png = b"\x89PNG junk"
    if kept == "huge":
        file = io.BytesIO()
        Image.new("1", (13_300, 13_300)).save(file, "PNG")
        png = file.getvalue()
    with OneShotMatcher.load(gallery=tmp_path / "g.db", precision="fp32", threads=1, far=None) as matcher:
        codes = encode(matcher.embed(drawings[0][:2]), matcher.bundle.head)
        matcher.gallery.add_blocks(iter([Block(["a", "b"], codes, [png, None], [None, None])]))
        why = matcher.explain(drawings[1][0])
        assert [near.picture for near in why.nearest] == [None, None]
        assert why.draw().width > 400
        assert support_picture(matcher.gallery, "a", 0) is None


def ink_right_of_the_middle(canvases: np.ndarray) -> np.ndarray:
    return canvases[:, :, canvases.shape[2] // 2 :].sum(axis=(1, 2)) / 255


def test_an_occlusion_map_shows_where_the_margin_comes_from() -> None:
    canvas = np.zeros((48, 64), np.uint8)
    canvas[20:28, 4:60] = 255
    found = occlusion_map(canvas, ink_right_of_the_middle)
    assert found.shape == (48, 64)
    assert (found[20:28, 40:60] > 0).all()
    assert not found[:, :24].any()
    assert not found[canvas == 0].any()


@settings(deadline=None, max_examples=40)
@given(
    st.integers(8, 40), st.integers(8, 40), st.integers(0, 2**32 - 1), st.floats(0.01, 0.9)
)  # canvases of any shape, with any ink
def test_a_margin_that_ignores_the_drawing_has_an_empty_map(height, width, seed, share) -> None:
    canvas = (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8) * 200
    seen = []

    def constant(canvases: np.ndarray) -> np.ndarray:
        seen.append(canvases)
        return np.full(len(canvases), 3.5)

    assert not occlusion_map(canvas, constant).any()
    (batch,) = seen
    assert np.array_equal(batch[-1], canvas)
    assert (batch <= canvas).all()
    # Every inked pixel is erased in some patch, and each patch erases something.
    assert np.array_equal((batch[:-1] < canvas).any(axis=0), canvas > 0)
    assert (batch[:-1] < canvas).any(axis=(1, 2)).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_the_map_of_a_mirrored_drawing_is_mirrored(seed) -> None:
    half = (np.random.default_rng(seed).random((48, 24)) < 0.2).astype(np.uint8) * 255
    canvas = np.concatenate((half, half[:, ::-1]), axis=1)
    found = occlusion_map(canvas, lambda canvases: canvases.sum(axis=(1, 2)) / 255.0)
    assert np.allclose(found, found[:, ::-1])


@settings(deadline=None, max_examples=20)
@given(st.text(max_size=80), st.integers(40, 300))
def test_long_texts_are_cut_to_the_width(text, width) -> None:
    cut = elide(text, width, 14)
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))
    if cut not in ("…", text):
        assert font(14).getlength(cut) <= width


def test_the_command_saves_the_picture(tmp_path, drawings, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for index, page in enumerate(drawings[0][:3]):
        Image.fromarray(page).save(f"{index}.png")
        assert main(["enroll", f"s{index}", f"{index}.png"]) == 0
    capsys.readouterr()
    assert main(["match", "1.png", "--explain", "why.png", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)["matches"][0]
    assert (answer["label"], answer["explanation"]) == ("s1", "why.png")
    assert answer["margin_logits"] > 0
    with Image.open("why.png") as picture:
        # Blue ink for the answer is in it.
        red, green, blue = (channel.astype(int) for channel in np.moveaxis(np.asarray(picture.convert("RGB")), 2, 0))
        assert ((blue > red + 100) & (blue > green + 50)).sum() > 500
    with pytest.raises(SystemExit, match="2"):
        main(["match", "1.png", "2.png", "--explain", "why.png"])
    assert "one IMAGE" in capsys.readouterr().err
    assert main(["match", "1.png", "--explain", "why.nonsense"]) == 1

from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from oneshot_runtime import ImageError
from oneshot_runtime.vision.claim import MAX_PIXELS
from oneshot_runtime.vision.decode import FORMATS, decode, to_grey
from oneshot_runtime.vision.grey_png import thumbnail
from oneshot_runtime.vision.picture import Picture
from oneshot_runtime.vision.preprocess import PreprocessSpec, canvas_of, preprocess
from oneshot_runtime.vision.readings import whole_picture

SPEC = PreprocessSpec(48, 48)
PAGE = np.full((60, 80), 255, np.uint8)
PAGE[20:40, 30:34] = 0
PAGE[36:40, 30:50] = 0


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"])
def test_every_mode_gives_the_same_canvas(mode: str) -> None:
    image = Image.fromarray(PAGE)
    if mode == "I;16":
        image = Image.fromarray(PAGE.astype(np.uint16) * 257)
    elif mode in ("HSV", "LAB", "YCbCr", "CMYK"):
        image = image.convert("RGB")
        if mode != "LAB":
            image = image.convert(mode)
    else:
        image = image.convert(mode)
    np.testing.assert_array_equal(preprocess(image, SPEC), preprocess(PAGE, SPEC))


def test_sources_agree(tmp_path) -> None:
    path = tmp_path / "page.png"
    Image.fromarray(PAGE).save(path)
    expected = preprocess(PAGE, SPEC)
    with Image.open(path) as image:
        sources = path, str(path), path.read_bytes(), image, np.stack([PAGE] * 3, axis=2)
        for source in sources:
            np.testing.assert_array_equal(preprocess(source, SPEC), expected)


def test_light_on_dark_equals_dark_on_light() -> None:
    np.testing.assert_array_equal(preprocess(255 - PAGE, SPEC), preprocess(PAGE, SPEC))


@pytest.mark.parametrize("ink", [0, 255])
def test_a_transparent_drawing_shows_its_ink(ink: int) -> None:
    alpha = 255 - PAGE
    image = Image.merge("LA", (Image.new("L", (80, 60), ink), Image.fromarray(alpha)))
    np.testing.assert_array_equal(preprocess(image, SPEC), preprocess(PAGE, SPEC))


@pytest.mark.parametrize("mode", ["RGBA", "PA"])
def test_a_picture_with_alpha_that_hides_nothing_keeps_its_colours(mode) -> None:
    image = Image.new("RGB", (60, 40), (40, 150, 60))
    image.paste((190, 70, 60), (20, 10, 40, 30))
    opaque = image.convert("RGBA") if mode == "RGBA" else image.convert("P").convert("PA")
    found = decode(opaque)
    np.testing.assert_array_equal(found.grey, decode(opaque.convert("RGB")).grey)
    assert found.colours is not None
    np.testing.assert_array_equal(found.colours(), np.asarray(opaque.convert("RGB")))
    opaque.putpixel((0, 0), (0, 0, 0, 0) if mode == "RGBA" else (0, 0))
    assert decode(opaque).colours is None


def test_palette_transparency_is_laid_on_paper() -> None:
    data = encoded(Image.fromarray(PAGE).convert("P"), transparency=255)
    np.testing.assert_array_equal(preprocess(data, SPEC), preprocess(PAGE, SPEC))


def test_exif_orientation_is_applied() -> None:
    turned = Image.fromarray(np.rot90(PAGE).copy())  # stored rotated, the tag says how to look at it
    exif = Image.Exif()
    exif[0x0112] = 6
    np.testing.assert_array_equal(to_grey(encoded(turned, exif=exif.tobytes())), PAGE)


def test_sixteen_bits_keep_their_shades() -> None:
    deep = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    found = to_grey(encoded(Image.fromarray(deep)))
    np.testing.assert_array_equal(found.ravel(), np.arange(256))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 4), np.float32), "float32"),
        (np.full((4, 4), np.nan), "float64"),
        (np.zeros((4, 4), np.int8), "int8"),
        (np.zeros((4, 4, 4), np.uint8), r"\(4, 4, 4\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"\(2, 4, 4, 3\)"),
        (np.zeros(16, np.uint8), r"\(16,\)"),
        (np.zeros((0, 4), np.uint8), "empty"),
    ],
)
def test_wrong_arrays_are_named(array: np.ndarray, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        preprocess(array, SPEC)


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_blank_page_is_refused(level: int) -> None:
    with pytest.raises(ImageError, match="blank"):
        preprocess(np.full((50, 40), level, np.uint8), SPEC)


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ImageError, match="not finite"):
        preprocess(Image.fromarray(np.array([[0, np.nan], [1, 2]], np.float32)), SPEC)


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    side = 60_000
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    with pytest.raises(ImageError, match="bomb|pixels"):
        preprocess(bomb, SPEC)
    with pytest.raises(ImageError, match=str(MAX_PIXELS)):
        preprocess(encoded(Image.new("1", (9000, 9000), 1)), SPEC)


@pytest.mark.parametrize("kind", [*FORMATS, "MPO"])
def test_each_promised_format_is_read_and_the_pictures_of_phones_that_are_several_jpegs(kind: str) -> None:
    np.testing.assert_allclose(to_grey(encoded(Image.fromarray(PAGE), kind)), PAGE, atol=40)


@pytest.mark.parametrize("kind", ["ICO", "ICNS", "EPS", "PCX", "TGA"])
def test_formats_that_decode_before_their_size_is_known_or_start_programs_are_refused(kind: str) -> None:
    with pytest.raises(ImageError, match="unsupported image format: .* none of PNG, JPEG, BMP, TIFF, WEBP, GIF, PPM"):
        to_grey(encoded(Image.fromarray(PAGE).convert("RGB"), kind))


def test_files_that_are_no_images_are_named(tmp_path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no image")
    for source, words in (
        (path, "notes.txt"),
        (tmp_path / "missing.png", "missing.png"),
        (tmp_path, "cannot read"),
        (b"", "empty"),
    ):
        with pytest.raises(ImageError, match=words):
            preprocess(source, SPEC)
    with pytest.raises(ImageError, match="cannot read an image from"):
        preprocess(3, SPEC)  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(FORMATS),
    cut=st.floats(0, 1),
    flips=st.lists(st.floats(0, 1), max_size=8),
)
def test_damaged_files_raise_an_image_error_or_decode(kind: str, cut: float, flips: list[float]) -> None:
    data = bytearray(encoded(Image.fromarray(PAGE), kind))
    data = data[: max(1, int(len(data) * cut))]
    for flip in flips:
        data[int(flip * (len(data) - 1))] ^= 0x55
    try:
        canvas = preprocess(bytes(data), SPEC)
    except ImageError:
        return
    assert canvas.shape == (48, 48)


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 700), width=st.integers(1, 700), seed=st.integers(0, 1000))
def test_any_size_gives_a_canvas_or_says_why_not(height: int, width: int, seed: int) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    spec = PreprocessSpec(height=40, width=56)
    try:
        canvas = preprocess(grey, spec)
    except ImageError:
        return
    assert canvas.shape == (40, 56)
    assert canvas.dtype == np.uint8


@settings(max_examples=40, deadline=None)
@given(dy=st.integers(-18, 18), dx=st.integers(-28, 28), zoom=st.sampled_from([1, 2, 3]))
def test_the_fit_ignores_place_and_whole_zoom(dy: int, dx: int, zoom: int) -> None:
    moved = np.roll(PAGE, (dy, dx), axis=(0, 1)).repeat(zoom, axis=0).repeat(zoom, axis=1)
    difference = preprocess(moved, SPEC).astype(int) - preprocess(PAGE, SPEC)
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize(
    ("spec", "shade", "expected"),
    [(SPEC, 0, 3165261605), (PreprocessSpec(40, 64, fit="frame"), 0, 3027177747), (SPEC, 4, 3579637709)],
    ids=["ink", "frame", "uneven-paper"],
)
def test_a_tall_picture_has_the_same_canvas_with_every_pillow(spec, shade, expected) -> None:
    """Checksums by Pillow 11.3; 13.0 gave others where it chose the order of a resize itself."""
    y, x = np.mgrid[:230, :140]
    tall = np.where((x * y // 90 + x // 7) % 5 == 0, 30, 240)
    tall[:20] = tall[-20:] = tall[:, :30] = tall[:, -30:] = 240
    if shade:
        tall = (tall - y // shade).clip(0, 255)
    canvas = canvas_of(whole_picture(Picture(tall.astype(np.uint8))), spec)
    assert zlib.crc32(canvas.tobytes()) == expected


def test_a_dot_stays_small() -> None:
    page = np.full((105, 105), 255, np.uint8)
    page[50:54, 50:54] = 0
    assert (preprocess(page, SPEC) > 127).sum() < 0.1 * 48 * 48


def test_a_shadow_and_noise_do_not_hide_the_ink() -> None:
    rng = np.random.default_rng(0)
    shade = np.linspace(120, 230, 80)[None, :] - np.linspace(0, 30, 60)[:, None]
    photo = np.where(PAGE == 0, shade * 0.3, shade) + rng.normal(0, 3, PAGE.shape)
    canvas = preprocess(photo.clip(0, 255).astype(np.uint8), SPEC)
    expected = preprocess(PAGE, SPEC)
    overlap = np.minimum(canvas, expected).sum() / np.maximum(canvas, expected).sum()
    assert overlap > 0.75


def test_twelve_bits_in_sixteen_are_read() -> None:
    twelve = Image.fromarray(PAGE.astype(np.uint16) * 16)
    np.testing.assert_array_equal(preprocess(twelve, SPEC), preprocess(PAGE, SPEC))


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_deep_paper_without_ink_is_blank(kind) -> None:
    paper = 40_000 + np.random.default_rng(0).integers(-1, 2, (50, 50))
    with pytest.raises(ImageError, match="blank"):
        preprocess(Image.fromarray(paper.astype(kind)), SPEC)


def test_a_pillow_image_that_fails_late_is_an_image_error(tmp_path) -> None:
    path = tmp_path / "cut.png"
    path.write_bytes(encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8)))[:2000])
    with Image.open(path) as image, pytest.raises(ImageError, match="damaged"):
        preprocess(image, SPEC)


def test_paths_that_are_no_files(tmp_path) -> None:
    for path in ("a\0b", "\ud800", tmp_path):
        with pytest.raises(ImageError, match="cannot read"):
            preprocess(path, SPEC)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ImageError, match="no regular file"):
            preprocess(tmp_path / "pipe", SPEC)


def test_a_blank_file_is_named(tmp_path) -> None:
    path = tmp_path / "empty-page.png"
    Image.new("L", (30, 30), 255).save(path)
    with pytest.raises(ImageError, match="empty-page.png"):
        preprocess(path, SPEC)


def test_a_frame_fit_keeps_the_place() -> None:
    canvas = preprocess(PAGE, PreprocessSpec(height=60, width=80, fit="frame"))
    np.testing.assert_array_equal(canvas, 255 - PAGE)


@given(size=st.tuples(st.integers(1, 128), st.integers(1, 128)), seed=st.integers(0, 99), levels=st.integers(1, 256))
@settings(max_examples=30, deadline=None)
def test_a_thumbnail_of_what_is_small_has_its_pixels_for_every_reader(size, seed, levels) -> None:
    grey = np.random.default_rng(seed).integers(0, levels, size, np.uint8)
    png = thumbnail(grey)
    with Image.open(io.BytesIO(png)) as image:
        image.verify()  # every checksum
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), grey)


def test_a_thumbnail_embeds_like_its_image() -> None:
    big = PAGE.repeat(4, axis=0).repeat(4, axis=1)
    small = to_grey(thumbnail(big))
    assert max(small.shape) == 128
    assert np.abs(preprocess(small, SPEC).astype(int) - preprocess(big, SPEC)).mean() < 8

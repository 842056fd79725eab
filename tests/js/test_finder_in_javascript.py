"""The port of `oneshot_runtime/vision` beside Python: the same pixels in, the same bytes out."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import skimage.data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from benchmarks.picture_kinds import KINDS, tight
from benchmarks.pictures import galleries
from oneshot_runtime.vision.preprocess import PreprocessSpec
from tests.js_engine import SYMBOLS, assert_equal, page_of, readings_of, vectors, written
from tests.runtime.vision.test_loose_crop import PAPERS, loose_crops
from tests.whole_symbols import face, runs_out, two_strokes

SPEC = PreprocessSpec(48, 48)
SIDE = 480
"""Longer side of the pictures of most kinds: what JSON carries, and two processes look at, in little time."""


def pixels(image: Image.Image) -> np.ndarray:
    if max(image.size) > SIDE:
        image.thumbnail((SIDE, SIDE))
    return np.asarray(image if image.mode in ("L", "RGB", "RGBA") else image.convert("L"))


def test_pictures_of_every_kind_are_read_as_python_reads_them(in_node) -> None:
    drawings = galleries(1, None)[0]
    images = []
    for place, kind in enumerate(KINDS):
        strength = kind.strengths[min(place % 2, len(kind.strengths) - 1)]
        rng = np.random.default_rng(zlib.crc32(kind.name.encode()))
        images.append(pixels(kind.make(tight(drawings[place % len(drawings)]), strength, rng)))
    for found, image in zip(in_node.readings(images, SPEC), images, strict=True):
        assert_equal(found, readings_of(image, SPEC))


def test_drawings_are_read_as_python_reads_them(engine) -> None:
    blank = [np.full((30, 40), 250, np.uint8), np.full((20, 20, 3), 7, np.uint8), np.zeros((1, 1), np.uint8)]
    whole = [face(), face(4), face(12), two_strokes(150, True), two_strokes(180, False), runs_out(False), runs_out(True)]
    images = [*vectors(), *blank, *map(np.asarray, whole)]
    for found, image in zip(engine.readings(images, SPEC), images, strict=True):
        assert_equal(found, readings_of(image, SPEC))


def sheet(rng: np.random.Generator) -> np.ndarray:
    """A shaded page of symbols, ruled."""
    page = np.full((420, 640), 230.0)
    page[40::60] = 190
    for row in range(3):
        for column in range(5):
            ink = written(int(rng.integers(20)), rng, 0.05, 90) < 128
            page[25 + 130 * row : 115 + 130 * row, 20 + 125 * column : 110 + 125 * column][ink] = 60
    page *= np.linspace(1, 0.6, 640)
    return (page + rng.normal(0, 2, page.shape)).clip(0, 255).astype(np.uint8)


def test_pages_of_symbols_are_read_as_python_reads_them(engine) -> None:
    rng = np.random.default_rng(4)
    even = np.block([[written(place + 5 * row, rng, 0.04, 120) for place in range(5)] for row in range(2)])
    shaded = sheet(rng)
    slanted = np.asarray(Image.fromarray(shaded).rotate(9, Image.Resampling.BICUBIC, expand=True, fillcolor=200))
    images = [shaded, even, 255 - even, slanted, np.full((80, 90), 200, np.uint8), np.zeros((300, 300), np.uint8)]
    pages = [page_of(image, SPEC) for image in images]
    assert [len(page) for page in (*pages[:3], pages[4])] == [15, 10, 10, 0]
    for found, expected in zip(engine.pages(images, SPEC), pages, strict=True):
        assert_equal(found, expected)


def test_photographs_are_read_as_python_reads_them(in_node) -> None:
    """Those of scikit-image: a person, a table, coins, print, handwriting."""
    folder = Path(skimage.data.__file__).parent
    names = ("astronaut", "coffee", "coins", "page", "text")
    images = [pixels(Image.open(folder / f"{name}.png")) for name in names]
    for found, image in zip(in_node.readings(images, SPEC), images, strict=True):
        assert_equal(found, readings_of(image, SPEC))
    for found, image in zip(in_node.pages(images, SPEC), images, strict=True):
        assert_equal(found, page_of(image, SPEC))


def on_a_desk(seed: int, rough: bool, ruled: bool) -> np.ndarray:
    """A sheet, squared or not, on a desk that is full of marks, or smooth and dark."""
    rng = np.random.default_rng(seed)
    marks = rng.integers(0, 256, (90, 30), np.uint8) if rough else np.full((90, 30), 60, np.uint8)
    desk = np.asarray(Image.fromarray(marks).resize((400, 300), Image.Resampling.BILINEAR)).astype(float)
    paper = np.full((300, 400), 235.0)
    if ruled:
        paper[::22] = paper[:, ::22] = 150
    ink = written(seed % len(SYMBOLS), rng, 0.05, 110) < 128
    paper[100:210, 140:250][ink] = 50
    turned = Image.new("L", (400, 300))
    turned.paste(255, (70, 45, 340, 262))
    mask = np.asarray(turned.rotate(float(rng.uniform(-9, 9)), Image.Resampling.BICUBIC)) / 255.0
    return (mask * paper + (1 - mask) * desk + rng.normal(0, 2, desk.shape)).clip(0, 255).astype(np.uint8)


def test_sheets_on_desks_are_read_as_python_reads_them(in_node) -> None:
    images = [on_a_desk(seed, bool(seed & 1), bool(seed & 2)) for seed in range(8)]
    for found, image in zip(in_node.readings(images, SPEC), images, strict=True):
        assert_equal(found, readings_of(image, SPEC))
    for found, image in zip(in_node.pages(images, SPEC), images, strict=True):
        assert_equal(found, page_of(image, SPEC))


def test_bold_letters_are_read_as_python_reads_them(in_node) -> None:
    """In noise, in uneven light, on tiles and on sheets that lie on a desk."""
    rng = np.random.default_rng(5)
    images = []
    for place, letter in enumerate("ABO8QR4e"):
        ground, tone, ink = [(255, 255, 20), (230, 60, 240), (70, 235, 20)][place % 3]
        image = Image.new("L", (240, 200), ground)
        pen = ImageDraw.Draw(image)
        pen.rounded_rectangle((40, 30, 190, 170), 4 * place, fill=tone)
        pen.text((115, 100), letter, ink, ImageFont.load_default(90), "mm", stroke_width=5, stroke_fill=ink)
        shaded = np.asarray(image) * np.linspace(1, 1 - place / 16, 240) + rng.normal(0, 2 * place, (200, 240))
        images.append(shaded.clip(0, 255).astype(np.uint8))
    for found, image in zip(in_node.readings(images, SPEC), images, strict=True):
        assert_equal(found, readings_of(image, SPEC))
    for found, image in zip(in_node.pages(images, SPEC), images, strict=True):
        assert_equal(found, page_of(image, SPEC))


def test_rows_of_print_are_read_as_python_reads_them(in_node) -> None:
    """From left to right and from top to bottom, straight and aslant, beside a wide heading and many small things."""
    images = []
    for place, lines in enumerate(
        [["HERE", "NORTH", "SUN"], ["FASTEN BELTS", "midi"], ["8 1 7", "9 3 2"], ["IIII llll", "W M W"]]
    ):
        image = Image.new("L", (420, 300), 225)
        pen = ImageDraw.Draw(image)
        for at, line in enumerate(lines):
            pen.text((210, 70 + 80 * at), line, 50, ImageFont.load_default(40 + 6 * place), "mm")
        pen.rectangle((20, 5, 400, 18), fill=60)
        pen.text((210, 275), "SMALL PRINT", 50, ImageFont.load_default(18), "mm")
        for turned in (
            image,
            image.rotate(7, Image.Resampling.BICUBIC, fillcolor=225),
            image.transpose(Image.Transpose.ROTATE_90),
        ):
            images.append(np.asarray(turned))
    word = Image.new("L", (250, 80), 70)
    for at, letter in enumerate("NEUES"):
        place = (35 + 45 * at, 40)
        ImageDraw.Draw(word).text(place, letter, 190, ImageFont.load_default(50), "mm", stroke_width=3, stroke_fill=190)
    images.append(np.asarray(word))
    for found, image in zip(in_node.readings(images, SPEC), images, strict=True):
        assert_equal(found, readings_of(image, SPEC))
    for found, image in zip(in_node.pages(images, SPEC), images, strict=True):
        assert_equal(found, page_of(image, SPEC))


def test_loose_crops_are_read_as_python_reads_them(in_node) -> None:
    """Of signs, with halves of other letters at the edges."""
    images = [np.asarray(crop) for paper in PAPERS.values() for crop in loose_crops("NIgh", *paper)]
    for found, image in zip(in_node.readings(images, SPEC), images, strict=True):
        assert_equal(found, readings_of(image, SPEC))


@st.composite
def pictures(draw_from: st.DrawFn) -> tuple[np.ndarray, PreprocessSpec]:
    """Patches, lines, frames and symbols on grainy paper, grey, coloured or transparent, and a preprocessing of any kind."""
    rng = np.random.default_rng(draw_from(st.integers(0, 2**32 - 1)))
    height, width = draw_from(st.integers(1, 200)), draw_from(st.integers(1, 200))
    bands = draw_from(st.sampled_from([1, 1, 3, 4]))
    image = np.empty((height, width, bands))
    image[:] = rng.integers(0, 256, bands)
    for _ in range(draw_from(st.integers(0, 9))):
        y, x, tone = rng.integers(0, height), rng.integers(0, width), rng.integers(0, 256, bands)
        bottom, right = y + rng.integers(1, 90), x + rng.integers(1, 90)
        what = draw_from(st.sampled_from(["patch", "line", "column", "frame", "symbol", "symbol", "symbol"]))
        if what == "patch":
            image[y:bottom, x:right] = tone
        elif what == "line":
            image[y : y + 2] = tone
        elif what == "column":
            image[:, x : x + 2] = tone
        elif what == "frame":
            for part in (np.s_[y : y + 3, x:right], np.s_[bottom - 3 : bottom, x:right], np.s_[y:bottom, x : x + 3]):
                image[part] = tone
            image[y:bottom, right - 3 : right] = tone
        else:
            ink = written(int(rng.integers(len(SYMBOLS))), rng, 0.05, int(rng.integers(12, 120))) < 128
            part = image[y : y + len(ink), x : x + len(ink)]
            part[ink[: part.shape[0], : part.shape[1]]] = tone
    image *= np.linspace(1, draw_from(st.sampled_from([1, 1, 0.5])), width)[None, :, None]
    image += rng.normal(0, 1, image.shape) * draw_from(st.sampled_from([0, 0, 2, 10, 40]))
    found = image.clip(0, 255).astype(np.uint8)
    spec = PreprocessSpec(
        draw_from(st.integers(8, 90)),
        draw_from(st.integers(8, 90)),
        draw_from(st.sampled_from(["ink", "ink", "frame"])),
        draw_from(st.floats(0.1, 1)),
        draw_from(st.floats(0.01, 1)),
        draw_from(st.floats(0, 16)),
    )
    return found[:, :, 0] if bands == 1 else found, spec


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(picture=pictures())
def test_any_picture_is_read_as_python_reads_it(in_node, picture) -> None:
    image, spec = picture
    assert_equal(in_node.readings([image], spec)[0], readings_of(image, spec))
    assert_equal(in_node.pages([image], spec)[0], page_of(image, spec))


def test_transparent_pictures_lie_on_the_paper_that_python_finds(engine) -> None:
    rng = np.random.default_rng(3)
    ink = 255 - written(2, rng, 0.04, 90)
    alone = [np.dstack([np.full((*ink.shape, 3), level, np.uint8), ink]) for level in (0, 40, 230)]
    card = np.dstack([np.repeat((255 - ink)[..., None], 3, axis=2), np.full_like(ink, 255)])
    card[:9, :9] = card[-9:, :9] = 0
    half = card.copy()
    half[:, :45, 3] = 130
    opaque = np.dstack([np.where(ink[..., None] > 127, [190, 70, 60], [40, 150, 60]).astype(np.uint8), np.full_like(ink, 255)])
    images = [*alone, card, half, half // 2, opaque]
    for found, image in zip(engine.readings(images, SPEC), images, strict=True):
        assert_equal(found, readings_of(image, SPEC))

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from picture_bombs import BOMBS, PNG, chunk, png, scans
from PIL import Image, ImageOps

from oneshot_runtime import ImageError
from oneshot_runtime.vision.claim import MAX_DECODE_BYTES
from oneshot_runtime.vision.decode import FORMATS, claim_of_bytes, to_grey

SECONDS = 0.5
"""Of processor time that refusing a file may take; decoding the mildest of these files takes longer."""


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_take_minutes_or_gigabytes_to_decode_is_refused_at_once(name: str) -> None:
    data = BOMBS[name]()
    start = time.process_time()
    with pytest.raises(ImageError, match=r"is refused: "):
        to_grey(data)
    assert time.process_time() - start < SECONDS


def test_a_header_that_contradicts_the_first_is_damage() -> None:
    small, large = png(8, 8), png(900, 900)
    end = small.index(b"IDAT") - 4
    both = small[:end] + large[len(PNG) : len(PNG) + 25] + small[end:]
    with pytest.raises(ImageError, match="contradict"):
        to_grey(both)


def test_files_that_only_look_like_bombs_are_read() -> None:
    assert to_grey(scans(40, side=200)).shape == (200, 200)
    many = png(64, 64, *[chunk(b"tEXt", b"a\0" + bytes([65 + n % 26]) * 9) for n in range(500)])
    assert to_grey(many).shape == (64, 64)
    profile = encoded(Image.new("RGB", (32, 32)), "JPEG", icc_profile=bytes(3_000_000), comment=b"a" * 60_000)
    assert to_grey(profile).shape == (32, 32)
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg", "group4"):
        image = Image.new("1" if compression == "group4" else "L", (700, 500), 1)
        assert to_grey(encoded(image, "TIFF", compression=compression)).shape == (500, 700)
    frames = [Image.new("L", (90, 60), level) for level in range(0, 250, 5)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        np.testing.assert_allclose(to_grey(data), 0, atol=8)
    assert to_grey(b"P2 # a comment\n3 # and another\n1\n15\n0 7 15").tolist() == [[0, 119, 255]]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_a_claim_is_the_size_and_at_least_the_memory_of_the_pixels(kind: str, mode: str) -> None:
    image = Image.new(mode, (300, 200))
    try:
        data = encoded(image, kind)
    except (OSError, ValueError, KeyError):  # not every format has every mode
        image = image.convert("RGB") if mode not in ("I;16", "F") else Image.new("L", (300, 200))
        data = encoded(image, kind)
    claim = claim_of_bytes(data)
    assert claim is not None
    assert (claim.width, claim.height) == (300, 200)
    assert 300 * 200 * 2 <= claim.memory <= MAX_DECODE_BYTES


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(FORMATS), place=st.integers(0, 300), junk=st.binary(max_size=40))
def test_whatever_a_header_holds_a_claim_is_made_or_refused(kind: str, place: int, junk: bytes) -> None:
    data = encoded(Image.new("L", (40, 30), 255), kind)
    try:
        claim_of_bytes(data[:place] + junk + data[place + len(junk) :])
    except ImageError:
        return


def slowly(image: Image.Image) -> NDArray[np.uint8]:
    """A picture without levels or alpha as grey, in Pillow's own words."""
    turned = ImageOps.exif_transpose(image)
    return np.asarray(turned.convert("RGB").convert("L"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_picture_is_turned_as_pillow_turns_it(kind: str, orientation: int) -> None:
    rng = np.random.default_rng(orientation)
    image = Image.fromarray(rng.integers(0, 256, (23, 31, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a description that is longer than four bytes"
    data = encoded(image, kind, exif=exif)
    with Image.open(io.BytesIO(data)) as opened:
        expected = slowly(opened)
    found = to_grey(data)
    np.testing.assert_array_equal(found, expected)
    assert found.shape == ((23, 31) if orientation < 5 else (31, 23))


def test_xmp_turns_a_picture_too() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    image = Image.fromarray(np.arange(35 * 9, dtype=np.uint8).reshape(35, 9))
    assert to_grey(encoded(image, "JPEG", xmp=xmp)).shape == (9, 35)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK", "I;16", "F", "L"])
def test_a_large_picture_is_the_same_in_pieces_as_at_once(mode: str, monkeypatch) -> None:
    rng = np.random.default_rng(3)
    noise = Image.fromarray(rng.integers(0, 256, (97, 61, 4), np.uint8), "RGBA")
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 60_000, (97, 61)).astype(np.uint16))
    elif mode == "F":
        image = Image.fromarray(rng.normal(0, 5, (97, 61)).astype(np.float32))
    else:
        image = noise.convert(mode) if mode in ("RGBA", "LA") else noise.convert("RGB").convert(mode)
    whole = to_grey(image)
    monkeypatch.setattr("oneshot_runtime.vision.picture._STRIP_PIXELS", 500)
    np.testing.assert_array_equal(to_grey(image), whole)

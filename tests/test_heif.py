"""HEIC: read where pillow-heif is installed, named where it is not, bounded like the others; AVIF: refused with the way out."""

import io
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pillow_heif import from_pillow

from oneshot_runtime import ImageError, OneShotMatcher
from oneshot_runtime.vision.decode import claim_of_bytes, to_grey

PAGE = np.full((90, 120), 255, np.uint8)
PAGE[20:70, 30:40] = PAGE[60:70, 30:90] = 0


def encoded() -> bytes:
    file = io.BytesIO()
    from_pillow(Image.fromarray(PAGE).convert("RGB")).save(file, quality=90)
    return file.getvalue()


HEIC = encoded()


def test_pictures_of_phones_are_read(tmp_path) -> None:
    np.testing.assert_allclose(to_grey(HEIC), PAGE, atol=40)
    claim = claim_of_bytes(HEIC)
    assert claim is not None
    assert (claim.width, claim.height) == (120, 90)
    (tmp_path / "ell.heic").write_bytes(HEIC)
    matcher = OneShotMatcher.load(far=None)
    matcher.enroll("ell", tmp_path / "ell.heic")
    assert matcher.match(PAGE).label == "ell"


def test_what_cannot_be_read_says_what_to_do(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"pip install 'oneshot-runtime\[heic\]'"):
        to_grey(HEIC)
    with pytest.raises(ImageError, match="AVIF is not read, .* pass the Pillow image"):
        to_grey(HEIC[:8] + b"avif" + HEIC[12:])


def replaced(data: bytes, kind: bytes, offset: int, value: bytes) -> bytes:
    place = data.index(kind) + offset
    return data[:place] + value + data[place + len(value) :]


def test_a_size_that_is_not_the_pictures_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ImageError, match="is refused: it has 90x4294967295 pixels"):
        to_grey(replaced(HEIC, b"ispe", 8, b"\xff" * 4))
    with pytest.raises(ImageError, match="exceeds|contradict|damaged"):
        to_grey(replaced(HEIC, b"ispe", 8, b"\0\0\0\x01"))


def box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def made_of(*images: tuple[int, list[int]]) -> bytes:
    """The picture with images that are made of others: (number, numbers of its tiles)."""
    references = b""
    for number, tiles in images:
        content = b"".join(part.to_bytes(2, "big") for part in (number, len(tiles), *tiles))
        references += box(b"dimg", content)
    added = box(b"iref", bytes(4) + references)
    meta = HEIC.index(b"meta")
    size = int.from_bytes(HEIC[meta - 4 : meta], "big")
    end = meta - 4 + size
    return HEIC[: meta - 4] + (size + len(added)).to_bytes(4, "big") + HEIC[meta:end] + added + HEIC[end:]


def test_an_image_that_many_times_is_a_tile_counts_many_times() -> None:
    with pytest.raises(ImageError, match="pixels together"):
        to_grey(made_of((2, [1] * 30_000)))
    with pytest.raises(ImageError, match="pixels together"):
        to_grey(made_of((2, [1] * 200), (3, [2] * 200)))  # 400 references, 40,000 times the picture
    for deep in (made_of(*((number, [number - 1]) for number in range(2, 9))), made_of((1, [1]))):
        with pytest.raises(ImageError, match="made of images"):
            to_grey(deep)
    assert claim_of_bytes(made_of((2, [1] * 48), (3, [2]))) is not None  # as a telephone's: a grid, and its range of light
    wide = [*range(1000, 1200)]
    start = time.process_time()
    levels = [(n, [*range(400, 600)]) for n in range(200, 400)] + [(n, wide) for n in range(400, 600)]
    with pytest.raises(ImageError):
        to_grey(made_of(*levels, (1000, [1] * 999)))
    assert time.process_time() - start < 2


def test_a_header_may_end_anywhere() -> None:
    for end in range(len(HEIC)):
        cut = HEIC[:end]
        with pytest.raises(ImageError):
            to_grey(cut)
    size = box(b"ispe", bytes(4) + (90).to_bytes(4, "big") * 2)
    for last in (box(b"ipma", b""), box(b"ipma", bytes(4) + b"\0\0\0\x09" + b"\0\x01\x05")):
        cut = HEIC[:28] + box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", size) + last))
        with pytest.raises(ImageError, match="damaged or truncated"):
            to_grey(cut)


@settings(max_examples=150, deadline=None)
@given(cut=st.floats(0, 1), places=st.lists(st.floats(0, 1), max_size=6), junk=st.integers(1, 255))
def test_damaged_files_raise_an_image_error_or_decode(cut, places, junk) -> None:
    data = bytearray(HEIC[: max(1, int(len(HEIC) * (0.3 + 0.7 * cut)))])
    for place in places:
        data[int(place * (len(data) - 1))] ^= junk
    try:
        assert to_grey(bytes(data)).ndim == 2
    except ImageError:
        return

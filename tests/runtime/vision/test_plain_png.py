from __future__ import annotations

import importlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from oneshot_runtime import ImageError
from oneshot_runtime.vision.decode import to_grey
from oneshot_runtime.vision.plain_png import plain_grey

DECODE = importlib.import_module("oneshot_runtime.vision.decode")


def png(image: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def drawing(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8))


def outcome(data: bytes) -> tuple:
    try:
        grey = to_grey(data)
        return grey.shape, grey.tobytes()
    except ImageError as error:
        return (str(error),)


@given(width=st.integers(1, 40), height=st.integers(1, 40), mode=st.sampled_from(["L", "1"]), level=st.integers(0, 9))
def test_a_plain_png_has_the_pixels_that_pillow_reads(width, height, mode, level) -> None:
    data = png(drawing(width, height, seed=width).convert(mode), compress_level=level)
    found = plain_grey(data)
    assert found is not None
    assert np.array_equal(found, np.asarray(Image.open(io.BytesIO(data)).convert("L")))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "I;16"])
def test_any_other_is_left_to_pillow(mode) -> None:
    image = Image.fromarray(np.zeros((4, 4), np.uint16)) if mode == "I;16" else drawing(4, 4).convert(mode)
    assert plain_grey(png(image)) is None
    assert plain_grey(png(drawing(4, 4), dpi=(72, 72))) is None  # has a chunk more
    assert plain_grey(png(drawing(4, 4), transparency=3)) is None


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def with_size(data: bytes, width: int, height: int) -> bytes:
    return data[:8] + chunk(b"IHDR", struct.pack(">II", width, height) + data[24:29]) + data[33:]


def test_whatever_is_wrong_with_it_is_found_as_pillow_finds_it(monkeypatch) -> None:
    data = png(drawing(3, 3))
    wrong = [bytes([*data[:place], data[place] ^ bit, *data[place + 1 :]]) for place in range(len(data)) for bit in (1, 128)]
    wrong += [data[:length] for length in range(len(data))]
    wrong += [with_size(data, *size) for size in ((3, 2), (3, 4), (2, 3), (4, 3), (0, 3), (3, 0), (10**6, 10**6))]
    end, packed = data[-12:], zlib.compress(bytes(12))
    for parts in ([packed[:5], packed[5:]], [packed, b"more"], [packed[:-1]], [b"", packed], [packed, b""], []):
        wrong.append(data[:33] + b"".join(chunk(b"IDAT", part) for part in parts) + end)
    wrong += [data + b"more", data[:-12] + chunk(b"tEXt", b"a\0b") + end]
    found = [outcome(each) for each in wrong]
    monkeypatch.setattr(DECODE, "plain_grey", lambda _: None)
    assert found == [outcome(each) for each in wrong]
    assert len(set(found)) > 5

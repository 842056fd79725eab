"""Files of several pages or frames: one is read, which one is said, and `page=` takes another."""

from __future__ import annotations

import io
import json
import struct

import numpy as np
import pytest
from PIL import Image, ImageDraw

from oneshot_runtime import ImageError, OneShotMatcher, OptionError
from oneshot_runtime.cli.main import main

FORMATS = ("TIFF", "GIF", "PNG", "WEBP")


def drawn(kind: str) -> Image.Image:
    image = Image.new("L", (90, 80), 255)
    pen = ImageDraw.Draw(image)
    if kind == "cross":
        pen.line((20, 20, 70, 60), 0, 5)
        pen.line((70, 20, 20, 60), 0, 5)
    elif kind == "hook":
        pen.line((20, 20, 20, 60, 70, 60), 0, 5)
    return image


def pages(kind: str, *names: str) -> bytes:
    file = io.BytesIO()
    first, *others = (drawn(name) for name in names)
    options = {"lossless": True} if kind == "WEBP" else {}
    first.save(file, kind, save_all=True, append_images=others, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def knowing() -> OneShotMatcher:
    matcher = OneShotMatcher.load(far=0.05)
    for name in ("cross", "hook"):
        matcher.enroll(name, drawn(name))
    return matcher


@pytest.mark.parametrize("kind", FORMATS)
def test_a_page_is_chosen_and_said(knowing, kind) -> None:
    data = pages(kind, "cross", "hook", "blank")
    first, second = knowing.match(data), knowing.match(data, page=2)
    assert (first.label, first.page) == ("cross", 1)
    assert (second.label, second.page) == ("hook", 2)
    assert [(one.match.label, one.match.page) for one in knowing.read(data, page=2)] == [("hook", 2)]
    assert knowing.match(drawn("hook")).page is None
    with pytest.raises(ImageError, match="blank.*; page 3 was read, and page= takes another"):
        knowing.match(data, page=3)
    with pytest.raises(ImageError, match="has no page 4|it has no page 4: its pages are 1 to 3"):
        knowing.match(data, page=4)


def test_a_blank_first_page_is_named() -> None:
    with OneShotMatcher.load() as matcher, pytest.raises(ImageError, match="page 1 was read, and page= takes another"):
        matcher.enroll("hook", pages("TIFF", "blank", "hook"))


def test_enroll_takes_a_page_and_says_that_there_are_others() -> None:
    with OneShotMatcher.load() as matcher:
        data = pages("TIFF", "cross", "hook")
        [finding] = [one for one in matcher.enroll("hook", data, page=2).findings if one.kind == "pages"]
        assert "page 2 was read" in finding.message
        assert matcher.match(drawn("hook")).label == "hook"
        assert "pages" not in [one.kind for one in matcher.enroll("cross", drawn("cross")).findings]


@pytest.mark.parametrize("page", [0, -1, True, 1.5, "2", None])
def test_what_can_be_no_page_is_refused(knowing, page) -> None:
    with pytest.raises(OptionError, match="page must be"):
        knowing.match(pages("TIFF", "cross", "hook"), page=page)


def test_arrays_and_drawings_have_one_page(knowing) -> None:
    for image in (np.asarray(drawn("cross")), drawn("cross")):
        with pytest.raises(ImageError, match="there is no page 2"):
            knowing.match(image, page=2)


def test_later_pages_of_a_tiff_are_bounded_like_the_first(knowing) -> None:
    data = bytearray(pages("TIFF", "cross", "hook"))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    second = struct.unpack_from("<I", data, first + 2 + 12 * count)[0]
    for place in range(second + 2, second + 2 + 12 * struct.unpack_from("<H", data, second)[0], 12):
        if struct.unpack_from("<H", data, place)[0] in (256, 257):
            struct.pack_into("<HII", data, place + 2, 4, 1, 100_000)
    assert knowing.match(bytes(data)).label == "cross"
    with pytest.raises(ImageError, match="100000x100000 pixels"):
        knowing.match(bytes(data), page=2)


def test_a_tiff_whose_pages_go_round_in_circles_ends(knowing) -> None:
    data = bytearray(pages("TIFF", "cross"))
    first = struct.unpack_from("<I", data, 4)[0]
    struct.pack_into("<I", data, first + 2 + 12 * struct.unpack_from("<H", data, first)[0], first)
    with pytest.raises(ImageError):
        knowing.match(bytes(data), page=1000)


def test_the_commands_take_a_page(tmp_path, capsys) -> None:
    file, gallery = tmp_path / "scan.tif", str(tmp_path / "g.oneshot")
    file.write_bytes(pages("TIFF", "cross", "hook"))
    for page, label in (("1", "cross"), ("2", "hook")):
        assert main(["enroll", label, str(file), "--page", page, "--gallery", gallery]) == 0
    assert "page 2 was read" in capsys.readouterr().out
    assert main(["match", str(file), "--page", "2", "--gallery", gallery]) == 0
    said = capsys.readouterr().out
    assert "hook" in said
    assert "page 2 of a file of several: --page takes another" in said
    assert main(["read", str(file), "--page", "2", "--json", "--gallery", gallery]) == 0
    [read] = json.loads(capsys.readouterr().out)["pictures"]
    assert [(one["label"], one["page"]) for one in read["symbols"]] == [("hook", 2)]

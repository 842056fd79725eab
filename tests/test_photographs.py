"""The score of photographs, on a picture whose symbols are where we put them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from benchmarks.photographs import Photograph, known_photographs, main, score


def test_what_is_found_missed_and_named_is_counted() -> None:
    image = Image.new("L", (420, 160), 225)
    pen = ImageDraw.Draw(image)
    boxes = []
    for at, letter in enumerate("AKS"):
        place = (70 + 140 * at, 80)
        pen.text(place, letter, 40, ImageFont.load_default(70), "mm")
        left, top, right, bottom = pen.textbbox(place, letter, ImageFont.load_default(70), "mm")
        boxes.append((left, top, right - left, bottom - top))
    right = score(Photograph("", "", list("AKS"), np.array(boxes)), image, rounds=1)
    assert (right.symbols, right.found, right.right, right.wrong, right.others, right.named) == (3, 3, 3, 0, 0, 0)
    assert right.crops + right.crops_wrong <= 3

    elsewhere = [boxes[0], (0, 0, 20, 20), boxes[2]]
    wrong = score(Photograph("", "", list("SKA"), np.array(elsewhere)), image, rounds=1)
    assert (wrong.found, wrong.right, wrong.wrong, wrong.others, wrong.named) == (2, 0, 2, 1, 1)


def test_symbols_of_the_known_photographs_have_boxes() -> None:
    known = known_photographs()
    assert len(known) == 10
    for one in known:
        assert one.boxes.shape == (len(one.labels), 4)
        assert one.boxes.min() >= 0
        assert one.boxes[:, 2:].min() > 8


def test_a_photograph_that_is_not_there_is_said(tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--folder", str(tmp_path)])
    assert "opencv-doc" in capsys.readouterr().err

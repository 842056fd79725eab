"""The same picture gets the same answer in every way that it can be asked about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("cv2")
pytest.importorskip("fastapi")
pytest.importorskip("httpx")

from every_way import matches, readings, sightings

from oneshot_runtime import OneShotMatcher

KNOWN = 8
"""Of the twelve symbols: pictures of the others are strangers."""


@pytest.fixture(scope="module", params=["memory", "file"])
def asked(request, drawings, tmp_path_factory) -> Iterator[tuple[OneShotMatcher, Path]]:
    """A matcher, and a file with its gallery for the command line; two supports a class, so that there is an average."""
    file = tmp_path_factory.mktemp("asked") / "letters.db"
    with OneShotMatcher.load(gallery=None if request.param == "memory" else file, precision="fp32", threads=1) as matcher:
        for number in range(KNOWN):
            matcher.enroll(f"s{number}", [drawings[0][number], np.fliplr(drawings[1][(number + 1) % KNOWN])])
        if request.param == "memory":
            matcher.gallery.save(file)
        yield matcher, file


def pages(drawings) -> dict[str, np.ndarray]:
    """Pictures uint8 (H, W): a clean drawing, a stranger, one on a page, one in a shadow, several."""
    second = drawings[1]
    page = np.full((360, 480), 255, np.uint8)
    page[120:225, 180:285] = second[2]
    several = np.full((300, 640), 255, np.uint8)
    for place, number in enumerate((0, 3, 6, 10)):
        several[90:195, 30 + 150 * place : 135 + 150 * place] = second[number]
    shadow = (page * np.linspace(0.55, 0.95, 480)).astype(np.uint8)
    return {"drawing": second[1], "stranger": second[9], "page": page, "shadow": shadow, "several": several}


def saved(page: np.ndarray, folder: Path) -> Path:
    path = folder / "page.png"
    Image.fromarray(page).save(path)
    return path


@pytest.mark.parametrize("top_k", [1, 3])
@pytest.mark.parametrize("name", ["drawing", "stranger", "page", "shadow", "several"])
def test_a_picture_of_one_symbol(asked, drawings, tmp_path, name, top_k) -> None:
    matcher, file = asked
    answers = matches(matcher, file, saved(pages(drawings)[name], tmp_path), top_k)
    expected = answers["match"]
    assert len(expected.candidates) == top_k
    assert expected.label == {"drawing": "s1", "page": "s2", "shadow": "s2"}.get(name, expected.label)
    for way, answer in answers.items():
        assert (way, answer[:2], [label for label, _ in answer.candidates]) == (
            way,
            expected[:2],
            [label for label, _ in expected.candidates],
        )
        assert (answer.probability, answer.threshold) == pytest.approx((expected.probability, expected.threshold), abs=1e-6)
        assert [p for _, p in answer.candidates] == pytest.approx([p for _, p in expected.candidates], abs=1e-6)


@pytest.mark.parametrize("name", ["drawing", "page", "several"])
def test_all_symbols_of_a_picture(asked, drawings, tmp_path, name) -> None:
    matcher, file = asked
    path = saved(pages(drawings)[name], tmp_path)
    answers = readings(matcher, file, path, 5)
    expected = answers["read"]
    assert len(expected) == (4 if name == "several" else 1)
    for answer in answers.values():
        assert [one._replace(candidates=[]) for one in answer] == [one._replace(candidates=[]) for one in expected]
        assert [one.candidates for one in answer] == [one.candidates for one in expected]
    seen = sightings(matcher, path)
    names = [sorted(str((one.label, one.probably)) for one in found) for found in (seen, expected)]
    assert names[0] == names[1]
    if name == "drawing":
        one, matched = seen[0], matcher.match(path)
        assert (one.label, one.probability) == (matched.label, pytest.approx(matched.probability, abs=1e-6))
        assert one.candidates == [
            (candidate.label, pytest.approx(candidate.probability, abs=1e-6)) for candidate in matched.candidates
        ]

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.accuracy import protocols
from oneshot_runtime.model.bundle import Head
from oneshot_runtime.model.thresholds import ThresholdTable

HEAD = Head(np.ones(8, np.float32), bias=10.0, code_scale=1.0)
DRAWERS = 4


def alphabets(classes: int, apart: int) -> protocols.CodedSet:
    """Three alphabets of `classes` characters: drawings of one differ by 1, characters by `apart`, alphabets by 200."""
    codes = np.zeros((3 * classes, DRAWERS, 8), np.float32)
    for number in range(3 * classes):
        alphabet, place = divmod(number, classes)
        codes[number, :, alphabet] = 100
        codes[number, :, 3] = apart * place
        codes[number, :, 4] = np.arange(DRAWERS) % 2
    groups = tuple(np.arange(start, start + classes) for start in range(0, 3 * classes, classes))
    return protocols.CodedSet(codes, groups, HEAD)


def test_verification_counts_what_the_head_takes_for_one_symbol() -> None:
    """The head says yes up to a distance of 10: to every pair of an alphabet of which characters lie 2 apart, not across."""
    near = alphabets(classes=3, apart=2)
    for within, expected in ((True, 0.5), (False, 1 - 0.5 * (2 / 8))):  # of 8 others, 2 are of the same alphabet
        found, truth = protocols.verification_pairs(near, 4000, seed=0, within=within)
        assert truth.mean() == 0.5
        assert ((found > 0) == truth).mean() == pytest.approx(expected, abs=0.02)
    found, truth = protocols.verification_pairs(alphabets(classes=3, apart=20), 400, seed=0)
    assert ((found > 0) == truth).all()


@pytest.mark.parametrize("native", [True, False])
def test_galleries_of_one_alphabet_accept_natives_before_strangers_from_elsewhere(native) -> None:
    data = alphabets(classes=24, apart=4)
    table = ThresholdTable((20,), {0.01: (3.0,)})  # accepts up to a distance of 7
    found = protocols.alphabet_galleries(data, table, 0.01, enrolled=20, native=native, episodes=40, seed=0)
    accepted, recognised = found["manifest"]
    assert recognised.accuracy == 1
    # A native between two that are not enrolled is 8 away.
    assert 0.9 < accepted.accuracy <= 1 if native else accepted.correct == 0
    assert accepted.total == 40 * (4 if native else 20)
    # Fitted to the supports, which are 4 apart: a class that is asked for in the gallery without it must be refused.
    accepted, recognised = found["fitted to the gallery"]
    assert recognised.accuracy == 1
    assert accepted.accuracy < 0.5


def test_an_alphabet_that_the_gallery_fills_gives_no_strangers_of_its_own() -> None:
    table = ThresholdTable((20,), {0.01: (3.0,)})
    with pytest.raises(ValueError, match="more than 24 classes"):
        protocols.alphabet_galleries(alphabets(24, 4), table, 0.01, enrolled=24, native=True, episodes=1, seed=0)


def test_perfect_codes_are_ranked_right_from_one_support_and_from_three() -> None:
    data = alphabets(classes=6, apart=20)
    assert protocols.way_shot(data, 6, 1, True, episodes=5, seed=0).accuracy == 1
    assert protocols.way_shot(data, 6, 3, False, episodes=5, seed=0).accuracy == 1


def test_a_probability_that_says_what_happens_has_no_calibration_error() -> None:
    truth = np.arange(1000) % 4 == 0
    assert protocols.calibration_error(np.full(1000, 0.25), truth)[0] == pytest.approx(0)
    assert protocols.calibration_error(np.full(1000, 0.75), truth)[0] == pytest.approx(0.5)

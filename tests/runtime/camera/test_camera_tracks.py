from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("cv2")

from hypothesis import given
from hypothesis import strategies as st

from oneshot_runtime import Candidate, Match
from oneshot_runtime.camera import Found
from oneshot_runtime.camera.frame_reader import Sighting
from oneshot_runtime.camera.overlay import annotate
from oneshot_runtime.camera.tracks import Tracker, Vote


def match(threshold: float = 0.5, **probabilities: float) -> Match:
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])
    candidates = tuple(Candidate(label, value) for label, value in ranked)
    label = ranked[0][0] if ranked and ranked[0][1] >= threshold else None
    return Match(label, ranked[0][1] if ranked else 0.0, candidates, threshold)


def found(x: int, y: int, size: int = 40) -> Found:
    return Found((x, y, size, size), np.full((8, 8), 255, np.uint8))


def test_one_view_decides_until_there_are_more() -> None:
    vote = Vote()
    vote.add(match(a=0.9, b=0.2))
    assert vote.label == "a"
    assert vote.probability == pytest.approx(0.9)


def test_a_stranger_has_no_label() -> None:
    vote = Vote()
    for _ in range(5):
        vote.add(match(a=0.3, b=0.2))
    assert vote.label is None


def test_a_single_bad_view_changes_nothing() -> None:
    vote = Vote()
    labels = []
    for view in [match(a=0.9, b=0.1)] * 6 + [match(a=0.2, b=0.8)] + [match(a=0.9, b=0.1)] * 3:
        vote.add(view)
        labels.append(vote.label)
    assert labels == ["a"] * 10


def test_what_hovers_at_the_threshold_does_not_flicker() -> None:
    vote = Vote()
    labels = []
    for view in [match(a=0.52), *[match(a=0.47), match(a=0.53)] * 20]:
        vote.add(view)
        labels.append(vote.label)
    assert labels == ["a"] * 41


def test_a_lasting_change_is_followed() -> None:
    vote = Vote()
    for _ in range(30):
        vote.add(match(a=0.95, b=0.05))
    for _ in range(40):
        vote.add(match(a=0.05, b=0.95))
    assert vote.label == "b"


def test_an_empty_gallery_gives_no_label() -> None:
    vote = Vote()
    vote.add(match())
    assert (vote.label, vote.probability) == (None, 0.0)


@given(
    st.lists(st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1), min_size=1), min_size=1, max_size=40), st.floats(0, 1)
)
def test_a_vote_is_always_a_probability(views: list[dict[str, float]], threshold: float) -> None:
    vote = Vote()
    for view in views:
        vote.add(match(threshold, **view))
        assert 0 <= vote.probability <= 1
        assert vote.label is None or vote.label in "abcd"
        assert not math.isnan(vote.probability)


def test_symbols_keep_their_numbers_while_they_move_and_pass_out_of_sight() -> None:
    tracker = Tracker()
    first = [track.number for track in tracker.follow([found(0, 0), found(100, 0)])]
    for step in range(1, 6):
        moved = tracker.follow([found(100 + 8 * step, 0), found(8 * step, 0)])
        assert [track.number for track in moved] == first[::-1]
    tracker.follow([found(48, 0)])
    back = tracker.follow([found(56, 0), found(156, 0)])
    assert [track.number for track in back] == first


def test_another_symbol_gets_another_number_and_forgotten_ones_are_not_used_again() -> None:
    tracker = Tracker()
    (first,) = tracker.follow([found(0, 0)])
    (second,) = tracker.follow([found(500, 0)])
    assert second.number != first.number
    for _ in range(20):
        tracker.follow([])
    (third,) = tracker.follow([found(0, 0)])
    assert third.number not in (first.number, second.number)


def test_a_symbol_of_another_size_is_another_symbol() -> None:
    tracker = Tracker()
    (first,) = tracker.follow([found(0, 0, size=40)])
    (second,) = tracker.follow([found(-40, -40, size=120)])
    assert second.number != first.number


@pytest.mark.parametrize(
    ("label", "shares", "expected"),
    [
        (None, (0.9, 0.2), "a"),
        (None, (0.9, 0.8), None),
        (None, (0.4, 0.0), None),
        (None, (0.8,), "a"),
        (None, (), None),
        ("a", (0.9, 0.2), None),
    ],
)
def test_a_refused_symbol_that_is_clearly_ahead_is_probably_known(label, shares, expected) -> None:
    candidates = tuple(Candidate(name, share) for name, share in zip("ab", shares, strict=False))
    sighting = Sighting(1, (0, 0, 9, 9), label, shares[0] if shares else 0.0, candidates, np.zeros((9, 9), np.uint8))
    assert sighting.probably == expected
    frame = np.zeros((40, 300, 3), np.uint8)
    assert (annotate(frame, [sighting]) != annotate(frame, [])).any()

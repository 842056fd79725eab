"""Classes of several supports: ranked by the mean of the nearest support's distance and the prototype's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model.codes import encode, probability
from oneshot_runtime.search.index import CodeIndex

DIM = 12


def prototype(codes: np.ndarray) -> np.ndarray:
    return np.floor(codes.astype(np.float64).mean(axis=0) + 0.5)


@given(seed=st.integers(0, 10_000), removals=st.integers(0, 6))
@settings(max_examples=60, deadline=None)
def test_prototypes_equal_a_plain_mean(seed, removals) -> None:
    rng = np.random.default_rng(seed)
    index, kept = CodeIndex(DIM), {}
    for step in range(12):
        labels = [f"c{number}" for number in rng.integers(0, 5, rng.integers(1, 4))]
        codes = rng.integers(0, 256, (len(labels), DIM), dtype=np.uint8)
        index.add(labels, codes)
        for label, code in zip(labels, codes, strict=True):
            kept.setdefault(label, []).append(code)
        query = rng.integers(0, 256, DIM, dtype=np.uint8)
        for neighbour in index.snapshot.nearest(query, 5):
            own = np.array(kept[neighbour.label])
            assert neighbour.distance == np.abs(own.astype(int) - query).sum(axis=1).min()
            assert neighbour.prototype == np.abs(prototype(own) - query).sum()
        if step < removals:
            index.remove(labels[0])
            del kept[labels[0]]


def test_a_reader_of_an_older_state_keeps_its_prototype() -> None:
    index = CodeIndex(2)
    index.add(["a", "a"], np.array([[0, 0], [10, 20]], np.uint8))
    before = index.snapshot
    index.add(["a", "b"], np.array([[200, 201], [9, 9]], np.uint8))
    after, query = index.snapshot, np.zeros(2, np.uint8)
    assert [n.prototype for n in after.nearest(query, 2) if n.label == "a"] == [70 + 74]
    assert [n.prototype for n in before.nearest(query, 2)] == [5 + 10]
    assert [n.prototype for n in after.nearest(query, 2) if n.label == "a"] == [70 + 74]


def test_packing_keeps_prototypes() -> None:
    index = CodeIndex(2)
    index.add(["a", "a"], np.array([[0, 0], [10, 20]], np.uint8))
    for number in range(3000):
        index.add([f"gone{number}"], np.full((1, 2), 255, np.uint8))
        index.remove(f"gone{number}")
    assert index.snapshot.rows < 3000
    assert index.snapshot.nearest(np.zeros(2, np.uint8), 1)[0].prototype == 15


def test_the_prototype_decides_between_near_classes() -> None:
    matcher = OneShotMatcher.load(precision="fp32", threads=1, far=None)
    rng = np.random.default_rng(3)
    centre = rng.random((1, matcher.bundle.dim)) * 0.5 + 0.25
    spread = (centre + np.array([[0.12], [-0.12]]) * rng.choice([-1, 1], matcher.bundle.dim)).astype(np.float32)
    lone = (centre + 0.11 * rng.choice([-1, 1], matcher.bundle.dim)).astype(np.float32)
    matcher.gallery.extend(["lone", "both", "both"], np.concatenate((lone, spread)))
    code = encode(centre.astype(np.float32), matcher.bundle.head)[0]
    nearest = matcher.gallery.snapshot().nearest(code, 2)
    assert [neighbour.label for neighbour in nearest] == ["lone", "both"]
    assert nearest[1].class_distance < nearest[0].class_distance


def test_match_ranks_and_states_the_class_distance(matcher, drawings) -> None:
    first, second = drawings
    for number in range(6):
        matcher.enroll(f"s{number}", [first[number], second[number]])
    head = matcher.bundle.head
    for image in first[6:] + second[6:]:
        code = encode(matcher.embed(image), head)[0]
        expected = sorted(neighbour.class_distance for neighbour in matcher.gallery.snapshot().nearest(code, 6))
        for top_k in (1, 3, 6):
            found = [candidate.probability for candidate in matcher.match(image, top_k=top_k).candidates]
            assert found == pytest.approx([probability(distance, head) for distance in expected[:top_k]], abs=1e-6)

"""The order of the classes: that of a plain loop over all of them, however many are asked for and whoever searches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model.codes import encode
from oneshot_runtime.search import ranking
from oneshot_runtime.search.index import CodeIndex
from oneshot_runtime.search.ranking import class_distances, ranked, ranked_batch
from oneshot_runtime.search.snapshot import LEAST_SHARE, Neighbour


def plain_distance(rows: np.ndarray, query: np.ndarray) -> tuple[float, int]:
    nearest = int(np.abs(rows.astype(int) - query).sum(axis=1).min())
    prototype = np.floor(rows.astype(float).mean(axis=0) + 0.5)
    return (nearest + max(np.abs(prototype - query).sum(), nearest / 2)) / 2, nearest


def plain_order(supports: list[tuple[str, np.ndarray]], query: np.ndarray) -> list[str]:
    """All labels, best first: by class distance, then the nearest support's, then the place of that support."""
    order = []
    for label in {label for label, _ in supports}:
        rows = np.array([code for name, code in supports if name == label])
        whole, nearest = plain_distance(rows, query)
        first = next(
            place
            for place, (name, code) in enumerate(supports)
            if name == label and np.abs(code.astype(int) - query).sum() == nearest
        )
        order.append((whole, nearest, first, label))
    return [label for *_, label in sorted(order)]


@pytest.mark.parametrize("pool", [1, 2, 32])
def test_the_order_equals_a_loop_over_all_classes(pool, monkeypatch) -> None:
    """With pools so small that they have to grow too."""
    monkeypatch.setattr(ranking, "_POOL", pool)

    @settings(max_examples=80, deadline=None)
    @given(
        seed=st.integers(0, 100_000),
        dim=st.sampled_from([1, 2, 6, 24]),
        levels=st.sampled_from([2, 5, 256]),
        classes=st.integers(1, 20),
        supports=st.integers(1, 50),
        removals=st.integers(0, 8),
    )
    def check(seed, dim, levels, classes, supports, removals) -> None:
        rng = np.random.default_rng(seed)
        draw = lambda rows: (rng.integers(0, levels, (rows, dim)) * (255 // (levels - 1))).astype(np.uint8)  # noqa: E731
        index, kept = CodeIndex(dim), []
        codes = draw(supports)
        labels = [f"c{number}" for number in rng.integers(0, classes, supports)]
        index.add(labels, codes)
        kept += zip(labels, codes, strict=True)
        for _ in range(removals):
            label = f"c{rng.integers(0, classes)}"
            own = [place for place, (name, _) in enumerate(kept) if name == label]
            shot = int(rng.integers(0, 3))
            assert index.remove_support(label, shot) == (shot < len(own))
            if shot < len(own):
                del kept[own[shot]]
            index.snapshot.nearest(draw(1)[0], 3)  # means that are kept must not outlive what they are of
        assert index.labels() == list(dict.fromkeys(label for label, _ in kept))
        assert index.counts() == {label: sum(name == label for name, _ in kept) for label in index.labels()}
        queries = draw(3)
        expected = [plain_order(kept, query) for query in queries]
        for count in (1, 2, 3, 7, 100):
            found = ranked_batch(index.snapshot, queries, count)
            assert [[near.label for near in one] for one in found] == [order[:count] for order in expected]
            assert ranked(index.snapshot, queries[0], count) == found[0]

    check()


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_class_is_never_much_nearer_than_its_nearest_support(distance, prototype) -> None:
    """What lets a pool of the nearest be enough."""
    assert Neighbour("a", distance, prototype).class_distance >= LEAST_SHARE * distance


@given(st.integers(1, 9), st.integers(0, 1000))
@settings(deadline=None)
def test_distances_to_one_class_equal_a_plain_loop(supports, seed) -> None:
    rng = np.random.default_rng(seed)
    queries, rows = (rng.integers(0, 256, (count, 7), np.uint8) for count in (4, supports))
    assert class_distances(queries, rows).tolist() == [plain_distance(rows, query)[0] for query in queries]


@pytest.mark.parametrize("place", [None, "letters.db"])
def test_the_answer_does_not_depend_on_how_many_candidates_are_asked_for(place, tmp_path) -> None:
    """Embeddings of which some of the nearest supports' classes rank behind classes whose supports surround the query."""
    rng = np.random.default_rng(5)
    with OneShotMatcher.load(gallery=place and tmp_path / place, precision="fp32", threads=1, far=None) as matcher:
        dim = matcher.bundle.dim
        query = rng.uniform(0.35, 0.65, dim)
        signs = rng.choice([-1, 1], (60, dim))
        lone = [query + 0.10 * sign for sign in signs[:20]]
        pairs = [query + step * sign for sign in signs[20:] for step in (0.12, -0.12)]
        labels = [f"lone{n}" for n in range(20)] + [f"pair{n // 2}" for n in range(80)]
        matcher.gallery.extend(labels, np.array(lone + pairs, np.float32))
        code = encode(query[None].astype(np.float32), matcher.bundle.head)[0]
        whole = [near.label for near in ranked(matcher.gallery.snapshot(), code, 100)]
        assert whole[0].startswith("pair")
        assert matcher.gallery.snapshot().nearest(code, 20)[0].label.startswith("lone")
        for count in (1, 2, 5, 6, 21, 59, 60):
            assert [near.label for near in ranked(matcher.gallery.snapshot(), code, count)] == whole[:count]


def test_a_matcher_says_the_same_for_every_top_k(matcher, drawings) -> None:
    first, second = drawings
    for number, drawing in enumerate(first):
        matcher.enroll(f"s{number}", [drawing, second[number], second[number - 1]])
    whole = matcher.match_batch(second, top_k=100)
    for top_k in range(1, len(first) + 2):
        for full, part in zip(whole, matcher.match_batch(second, top_k=top_k), strict=True):
            assert (part.label, part.probability, part.probably) == (full.label, full.probability, full.probably)
            assert part.candidates == full.candidates[:top_k]
        assert matcher.match(second[0], top_k).candidates == matcher.match(second[0], 100).candidates[:top_k]

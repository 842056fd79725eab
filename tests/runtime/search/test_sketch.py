"""Search by sums of components gives the answers of the plain scan, whatever the codes, the sums and the engine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshot_runtime.errors import BundleError
from oneshot_runtime.model.bundle import Bundle, Sketch
from oneshot_runtime.search import index as index_module
from oneshot_runtime.search import scan, sketch_scan
from oneshot_runtime.search.index import CodeIndex
from oneshot_runtime.search.scan import Rows, Scanner
from oneshot_runtime.search.sketch import Sums, asked, sums
from oneshot_runtime.search.sketch_scan import SketchScanner


@pytest.fixture(params=[("numpy", 0.2), ("opencv", 0.2), ("opencv", 1.0)], ids="{0[0]}-{0[1]}".format)
def engine(request, monkeypatch):
    """Search by one engine, with sizes so small that a few hundred rows take every path; at 1 no part is scanned whole."""
    if request.param[0] == "opencv":
        pytest.importorskip("cv2")
    else:
        monkeypatch.setattr(scan, "opencv", lambda: None)
    monkeypatch.setattr(sketch_scan, "_SEARCHED_FROM", 1)
    monkeypatch.setattr(sketch_scan, "_UP_TO", 256)
    for name, value in {"_PIECE": 16, "_PROBED": 4, "_LIKELIEST": 2, "_SAMPLED": 3, "_FIRST": 2, "_SUMMED": 250}.items():
        monkeypatch.setattr(sketch_scan, name, value)
    monkeypatch.setattr(sketch_scan, "_MOST_LEFT", request.param[1])
    monkeypatch.setattr(sketch_scan, "_MOST_SAMPLED", request.param[1])
    return request.param


def any_sketch(rng: np.random.Generator, dim: int) -> Sketch:
    count = int(rng.integers(1, dim + 1))
    signs = rng.choice(np.array([-1, 1], np.float32), dim)
    offsets = rng.integers(-255 * dim, 255 * dim + 1, count).astype(np.float32)
    if rng.random() < 0.7:  # else most sums are clipped
        offsets = np.zeros(count, np.float32)
    return Sketch(rng.integers(0, count, dim), signs, offsets, int(rng.integers(1, dim + 1)))


def any_codes(rng: np.random.Generator, shape: tuple[int, int], levels: int) -> np.ndarray:
    """Few levels make ties; all of them extremes."""
    return (rng.integers(0, levels, shape) * (255 // max(1, levels - 1))).astype(np.uint8)


@settings(max_examples=200, deadline=None)
@given(dim=st.integers(1, 40), levels=st.sampled_from([1, 2, 3, 256]), seed=st.integers(0, 9999))
def test_the_bound_is_never_above_the_distance(dim: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sketch, codes, query = any_sketch(rng, dim), any_codes(rng, (50, dim), levels), any_codes(rng, (1, dim), levels)[0]
    question = asked(query, sketch)
    far = np.abs(sums(codes, sketch).astype(int) - question.sums.astype(int)).sum(axis=1)
    distances = np.abs(codes.astype(int) - query.astype(int)).sum(axis=1)
    assert (question.step * far - question.slack <= distances).all()
    # So every code within a radius has sums within the limit.
    for radius in {0, int(distances.min()), int(np.median(distances)), int(distances.max())}:
        assert (far[distances <= radius] <= question.limit(radius)).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_the_nearest_rows_are_those_of_the_plain_scan(engine, threads) -> None:
    @settings(max_examples=50, deadline=None)
    @given(
        sizes=st.lists(st.integers(0, 300), min_size=1, max_size=4),
        dim=st.integers(1, 24),
        levels=st.sampled_from([1, 2, 3, 256]),
        clustered=st.booleans(),
        count=st.sampled_from([1, 2, 5, 40, 300]),
        alive=st.sampled_from([None, 0.0, 0.02, 0.6]),
        seed=st.integers(0, 9999),
    )
    def check(sizes, dim, levels, clustered, count, alive, seed) -> None:
        rng = np.random.default_rng(seed)
        sketch, centre = any_sketch(rng, dim), any_codes(rng, (1, dim), levels)
        parts = []
        for size in sizes:
            codes = any_codes(rng, (size, dim), levels)
            if clustered:  # near the query, and the further on the farther
                codes = np.where(rng.random((size, dim)) < np.linspace(0, 1, size)[:, None] ** 2, codes, centre)
            kept = None if alive is None else rng.random(size) < alive
            parts.append(Rows(codes, kept, sums=Sums(codes, sketch) if rng.random() < 0.8 else None))
        expected = Scanner(1).nearest(parts, centre[0], count)
        scanner = SketchScanner(sketch, threads)
        for _ in range(4):  # while sums are worked out, and then by them
            found = scanner.nearest(parts, centre[0], count)
            assert found[0].tolist() == expected[0].tolist()
            assert found[1].tolist() == expected[1].tolist()

    check()


def test_most_codes_are_not_read(monkeypatch) -> None:
    """Clusters far apart: what is read in full is a small share, and less than a plain scan reads."""
    pytest.importorskip("cv2")
    monkeypatch.setattr(sketch_scan, "_SEARCHED_FROM", 1)
    rng = np.random.default_rng(0)
    centres = any_codes(rng, (2000, 64), 2)
    codes = np.repeat(centres, 20, axis=0)
    noisy = rng.random(codes.shape) < 0.05
    codes[noisy] = rng.integers(0, 256, int(noisy.sum()))
    sketch = Sketch(np.arange(64) // 2, np.ones(64, np.float32), np.zeros(32, np.float32), 2)
    read = []
    plain = scan.by_opencv

    def watched(cv2, rows, query, count):
        read.append(rows.codes.size)
        return plain(cv2, rows, query, count)

    monkeypatch.setattr(scan, "by_opencv", watched)
    monkeypatch.setattr(sketch_scan, "_SUMMED", 30_000)
    parts = [Rows(codes, None, sums=Sums(codes, sketch))]
    SketchScanner(sketch).nearest(parts, codes[123], 5)
    assert sum(read) == codes.size  # by plain scan: some codes had no sums yet
    read.clear()
    SketchScanner(sketch).nearest(parts, codes[123], 5)
    assert sum(read) < codes.size // 5


def test_an_index_with_a_sketch_answers_as_one_without(engine, monkeypatch) -> None:
    """Through additions, removals, labels that return and packing, with many supports of some classes."""
    for name, value in {"_FIRST_SEGMENT": 32, "_LAST_SEGMENT": 128, "_WASTE": 40, "SKETCHED_FROM": 64}.items():
        monkeypatch.setattr(index_module, name, value)
    rng = np.random.default_rng(3)
    dim = 12
    sketch = any_sketch(rng, dim)
    with_sums, without = CodeIndex(dim, 2, sketch=sketch), CodeIndex(dim, 2)
    for step in range(60):
        size = int(rng.integers(1, 60))
        labels = [f"class {number}" for number in (rng.integers(0, 40, size) ** 2 // 40).tolist()]
        codes = any_codes(rng, (size, dim), 3)
        for index in (with_sums, without):
            index.add(labels, codes)
        if step % 3 == 0:
            gone = f"class {int(rng.integers(0, 40))}"
            assert with_sums.remove(gone) == without.remove(gone)
        query = any_codes(rng, (1, dim), 3)[0]
        for count in (1, 5, 30):
            assert with_sums.snapshot.nearest_rows(query, count) == without.snapshot.nearest_rows(query, count)
    sizes = [(segment.sums, len(segment.codes)) for segment in with_sums.snapshot.segments]
    assert any(kept is not None and kept.of(size) is not None for kept, size in sizes)


def test_the_shipped_bundle_has_a_sketch() -> None:
    bundle = Bundle.open()
    assert bundle.sketch is not None
    assert bundle.sketch.count == bundle.dim // 4
    assert Sketch.from_dict(bundle.sketch.to_dict(), bundle.dim).to_dict() == bundle.sketch.to_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"groups": [0, 1]},
        {"groups": [0, 1, 2, 0]},
        {"groups": [0, 1, -1, 0]},
        {"signs": [1, 1, 0, 1]},
        {"signs": [1, 1, 0.5, 1]},
        {"offsets": []},
        {"offsets": [0, 10**6]},
        {"step": 0},
        {"step": 2.5},
        {"step": 1000},
        {"step": True},
    ],
)
def test_a_sketch_that_gives_no_bound_is_refused(change) -> None:
    good = {"groups": [0, 1, 1, 0], "signs": [1, -1, 1, 1], "offsets": [0, -255], "step": 2}
    assert Sketch.from_dict(good, 4).count == 2
    with pytest.raises(BundleError, match="sketch"):
        Sketch.from_dict(good | change, 4)

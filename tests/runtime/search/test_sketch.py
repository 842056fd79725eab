"""Search by sums of components gives the answers of the plain scan, whatever the codes, the sums and the engine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshot_runtime.errors import BundleError
from oneshot_runtime.model.bundle import Bundle, Sketch
from oneshot_runtime.search import index as index_module
from oneshot_runtime.search import kernels, scan, sketch_scan
from oneshot_runtime.search.index import CodeIndex
from oneshot_runtime.search.scan import Rows, Scanner
from oneshot_runtime.search.sketch import Sums, asked, sums
from oneshot_runtime.search.sketch_scan import SketchScanner

_WIDTHS = (2, 5, 12, 24)
"""Of codes and of sums: each has a kernel compiled."""


@pytest.fixture(params=[("numpy", 0.2), ("numba", 0.2), ("numba", 1.0)], ids="{0[0]}-{0[1]}".format)
def engine(request, monkeypatch):
    """Search by one engine, with sizes so small that a few hundred rows take every path; at 1 bounds are always gone by."""
    if request.param[0] == "numba":
        pytest.importorskip("numba")
        for width in _WIDTHS:
            kernels.compile_for(width, width)
    else:
        monkeypatch.setattr(kernels, "_kernels", {})
        monkeypatch.setattr(kernels, "_bounding", {})
        monkeypatch.setattr(kernels, "_summing", [])
        monkeypatch.setattr(kernels, "_given_up", True)
        monkeypatch.setattr(scan, "opencv", lambda: None)
    sizes = {
        "_SEARCHED_FROM": 1,
        "_PIECE": (16, 16),
        "_LEAST_APART": 1,
        "_APART": 5,
        "_SAMPLED": 3,
        "_SUMMED": 50,
        "_UNSUMMED": 9,
        "_FEW": 10**9,  # so that no thread prepares anything behind a test's back
    }
    for name, value in sizes.items():
        monkeypatch.setattr(sketch_scan, name, value)
    monkeypatch.setattr(sketch_scan, "_MOST_LEFT", request.param[1])
    return request.param


def any_sketch(rng: np.random.Generator, dim: int) -> Sketch:
    count = int(rng.choice([width for width in _WIDTHS if width <= dim] or [1]))
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


@pytest.mark.parametrize("width", [1, 32, 257])
def test_compiled_distances_and_sums_are_those_of_numpy(width: int) -> None:
    pytest.importorskip("numba")
    kernels.compile_for(width, width)
    kernel, bounding, rng = kernels.of(width), kernels.bounding(width), np.random.default_rng(width)
    assert kernel is not None
    assert bounding is not None
    for rows, levels in ((0, 2), (1, 256), (70, 2), (1000, 256)):
        codes, query = any_codes(rng, (rows, width), levels), any_codes(rng, (1, width), levels)[0]
        expected = np.abs(codes.astype(int) - query.astype(int)).sum(axis=1)
        assert kernel.every(codes, query).tolist() == expected.tolist()
        codes.flags.writeable = query.flags.writeable = False
        bounds, likely = np.empty(rows, np.uint16), np.empty(-(-rows // 70), np.int64)
        bounding(codes, query, 70, bounds, likely)
        assert bounds.tolist() == np.minimum(expected, kernels.REMOVED - 1).tolist()
        assert likely.tolist() == [start + expected[start : start + 70].argmin() for start in range(0, rows, 70)]
        for count in (1, 9, 300):
            for radius in (-1, int(np.median(expected)) if rows else 0, 2**31 - 2):
                order = np.argsort(expected, kind="stable")
                order = order[expected[order] <= radius][:count]
                found = kernel.within(codes, query, (bounds // 4).astype(np.uint16), radius, (7, 4), count)
                assert found[0].tolist() == expected[order].tolist()
                assert found[1].tolist() == order.tolist()
        sketch = any_sketch(rng, width)
        by_hand = (codes.astype(int) @ sketch.matrix.astype(int) - sketch.offsets.astype(int)) // sketch.step
        assert sums(codes, sketch).tolist() == np.clip(by_hand, 0, 255).tolist()


@pytest.mark.parametrize("threads", [1, 3])
def test_the_nearest_rows_are_those_of_the_plain_scan(engine, threads) -> None:
    @settings(max_examples=50, deadline=None)
    @given(
        sizes=st.lists(st.integers(0, 300), min_size=1, max_size=4),
        dim=st.sampled_from(_WIDTHS),
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
        for summed in (0.0, 0.3, 0.7, 1.0):  # while sums are worked out, and then by them
            for rows in parts:
                if rows.sums is not None:
                    rows.sums.grow(len(rows.codes), int(summed * len(rows.codes)))
            found = scanner.nearest(parts, centre[0], count)
            assert found[0].tolist() == expected[0].tolist()
            assert found[1].tolist() == expected[1].tolist()

    check()


def test_most_codes_are_not_read(monkeypatch) -> None:
    """Clusters far apart: what is read in full is a small share, and less than a plain scan reads."""
    pytest.importorskip("numba")
    monkeypatch.setattr(sketch_scan, "_SEARCHED_FROM", 1)
    rng = np.random.default_rng(0)
    kernels.compile_for(24, 12)
    centres = any_codes(rng, (2000, 24), 2)
    codes = np.repeat(centres, 20, axis=0)
    noisy = rng.random(codes.shape) < 0.05
    codes[noisy] = rng.integers(0, 256, int(noisy.sum()))
    sketch = Sketch(np.arange(24) // 2, np.ones(24, np.float32), np.zeros(12, np.float32), 2)
    parts, scanner = [Rows(codes, None, sums=Sums(codes, sketch))], SketchScanner(sketch)
    expected = Scanner().nearest(parts, codes[123], 5)
    scanner.prepare(parts)
    monkeypatch.setattr(Scanner, "nearest", lambda *_: pytest.fail("a plain scan"))
    monkeypatch.setattr(kernels.Kernel, "every", lambda *_: pytest.fail("all codes of a piece"))
    read, within = [], kernels.Kernel.within

    def watched(kernel, codes, query, bounds, radius, limit, count):
        read.append(int((bounds <= (radius + limit[0]) // limit[1]).sum()))
        return within(kernel, codes, query, bounds, radius, limit, count)

    monkeypatch.setattr(kernels.Kernel, "within", watched)
    monkeypatch.setattr(
        scan, "distances", lambda rows, query: np.abs(rows.astype(np.int32) - query).sum(axis=1, dtype=np.int32)
    )
    found = scanner.nearest(parts, codes[123], 5)
    assert [values.tolist() for values in found] == [values.tolist() for values in expected]
    assert 0 < sum(read) < len(codes) // 5


def test_a_search_prepares_the_next_ones(engine, monkeypatch) -> None:
    """Not the first few: a process that asks no more should not wait for it at its end."""
    monkeypatch.setattr(sketch_scan, "_FEW", 3)
    rng = np.random.default_rng(0)
    codes = any_codes(rng, (300, 12), 256)
    sketch = any_sketch(rng, 12)
    parts, scanner = [Rows(codes, None, sums=Sums(codes, sketch))], SketchScanner(sketch)
    expected = Scanner().nearest(parts, codes[7], 3)
    for search in range(5):
        assert [values.tolist() for values in scanner.nearest(parts, codes[7], 3)] == [values.tolist() for values in expected]
        for thread in threading.enumerate():
            if thread.name == "oneshot-prepare":
                thread.join()
        assert len(parts[0].sums.of(300)) == (300 if search > 2 else 0)


def test_an_index_with_a_sketch_answers_as_one_without(engine, monkeypatch) -> None:
    """Through additions, removals, labels that return and packing, with many supports of some classes."""
    for name, value in {"_FIRST_SEGMENT": 32, "_LAST_SEGMENT": 128, "_WASTE": 40}.items():
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
        if step % 4 == 1:
            snapshot = with_sums.snapshot
            snapshot.scanner.prepare(snapshot.segments)
        query = any_codes(rng, (1, dim), 3)[0]
        for count in (1, 5, 30):
            assert with_sums.snapshot.nearest_rows(query, count) == without.snapshot.nearest_rows(query, count)
    assert any(len(segment.sums.of(len(segment.codes))) for segment in with_sums.snapshot.segments)


def test_the_shipped_bundle_has_a_sketch() -> None:
    bundle = Bundle.open()
    assert bundle.sketch is not None
    assert bundle.sketch.count == 80
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


def test_numba_that_compiles_nothing_is_done_without() -> None:
    pytest.importorskip("numba")
    script = """
from oneshot_runtime.search import kernels
assert kernels.possible()
kernels.compile_for(24, 5)
print(kernels.of(24), kernels.bounding(5), kernels.possible())
"""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=200)
    assert done.stdout == "None None False\n", done.stderr


def test_a_numba_that_fails_is_done_without(monkeypatch) -> None:
    numba = pytest.importorskip("numba")

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no such processor")

    monkeypatch.setattr(numba, "njit", fails)
    monkeypatch.setattr(kernels, "_kernels", {})
    monkeypatch.setattr(kernels, "_bounding", {})
    monkeypatch.setattr(kernels, "_summing", [])
    monkeypatch.setattr(kernels, "_given_up", False)
    kernels.compile_for(24, 5)
    assert not kernels.possible()

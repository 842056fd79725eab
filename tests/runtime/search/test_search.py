from __future__ import annotations

import os
import threading
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshot_runtime.model.bundle import Bundle, Head
from oneshot_runtime.model.codes import encode, logits, probabilities
from oneshot_runtime.model.session import create_session
from oneshot_runtime.search import scan as search
from oneshot_runtime.search.index import CodeIndex
from oneshot_runtime.search.scan import Rows, Scanner


@pytest.fixture(params=["numpy", "opencv"])
def engine(request, monkeypatch):
    """Search by one engine, whatever the size, in small blocks that several threads take."""
    if request.param == "opencv":
        pytest.importorskip("cv2")
        monkeypatch.setattr(search, "_OPENCV_FROM_BYTES", 0)
    else:
        monkeypatch.setattr(search, "opencv", lambda: None)
    monkeypatch.setattr(search, "_THREADS_FROM_BYTES", 512)
    monkeypatch.setattr(search, "_BLOCK_BYTES", 256)
    return request.param


def by_hand(parts: list[Rows], query: np.ndarray, count: int) -> list[tuple[int, int]]:
    rows, number = [], 0
    for part in parts:
        for place, code in enumerate(part.codes):
            if part.alive is None or part.alive[place]:
                rows.append((sum(abs(int(a) - int(b)) for a, b in zip(code, query, strict=True)), number))
            number += 1
    return sorted(rows)[:count]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_nearest_rows_equal_a_naive_loop(engine, threads) -> None:
    scanner = Scanner(threads)

    @settings(max_examples=60, deadline=None)
    @given(
        sizes=st.lists(st.integers(0, 40), min_size=1, max_size=4),
        dim=st.integers(1, 40),
        levels=st.sampled_from([1, 2, 3, 256]),
        count=st.integers(1, 60),
        removed=st.booleans(),
        seed=st.integers(0, 999),
    )
    def check(sizes, dim, levels, count, removed, seed) -> None:
        rng = np.random.default_rng(seed)
        # Few levels make ties; all of them extremes, whose distances reach 255 * dim.
        draw = lambda shape: (rng.integers(0, levels, shape) * (255 // max(1, levels - 1))).astype(np.uint8)  # noqa: E731
        parts = [Rows(draw((size, dim)), rng.random(size) < 0.6 if removed else None) for size in sizes]
        query = draw(dim)
        found, numbers = scanner.nearest(parts, query, count)
        assert list(zip(found.tolist(), numbers.tolist(), strict=True)) == by_hand(parts, query, count)

    check()


def test_classes_equal_the_head_on_decoded_codes(engine) -> None:
    """The five best of a gallery, and their probabilities, against `head.onnx` on what the codes stand for."""
    bundle = Bundle.open()
    graph, _ = create_session(bundle.head_graph(), "cpu", 1)
    rng = np.random.default_rng(0)
    scale = bundle.head.code_weights
    used = scale > 0
    for embeddings in (
        rng.random((300, bundle.dim), np.float32),
        rng.beta(0.1, 0.1, (300, bundle.dim)).astype(np.float32),  # nearly binary, as saturated units are
        np.repeat(rng.random((30, bundle.dim), np.float32), 10, axis=0),  # every distance ten times
    ):
        codes = encode(embeddings, bundle.head)
        decoded = np.divide(codes, scale, out=np.zeros_like(embeddings), where=used).astype(np.float32)
        index = CodeIndex(bundle.dim, threads=2)
        index.add([str(number) for number in range(len(codes))], codes)
        for query in (0, 7, 299):
            (expected,) = graph.run(None, {"queries": decoded[query : query + 1], "supports": decoded})[0]
            neighbours = index.snapshot.nearest(codes[query], 5)
            stated = probabilities(logits(np.array([n.distance for n in neighbours]), bundle.head))
            labels = [int(n.label) for n in neighbours]
            np.testing.assert_allclose(stated, expected[labels], atol=1e-5)
            np.testing.assert_allclose(stated, np.sort(expected)[::-1][:5], atol=1e-5)


def test_a_class_with_many_near_supports_does_not_hide_the_others(engine) -> None:
    index = CodeIndex(4)
    index.add(["crowd"] * 3000 + ["far", "farther"], np.array([[1] * 4] * 3000 + [[9] * 4, [11] * 4], np.uint8))
    found = index.snapshot.nearest(np.zeros(4, np.uint8), 5)
    assert [(n.label, n.distance) for n in found] == [("crowd", 4), ("far", 36), ("farther", 44)]


def test_opencv_is_asked_for_few_rows_only() -> None:
    cv2 = pytest.importorskip("cv2")
    asked = []

    class Watched:
        CV_32S, NORM_L1 = cv2.CV_32S, cv2.NORM_L1

        @staticmethod
        def batchDistance(*arguments, **options):  # noqa: N802
            asked.append(options["K"])
            return cv2.batchDistance(*arguments, **options)

    codes = np.random.default_rng(0).integers(0, 9, (20_000, 16), np.uint8)
    index = CodeIndex(16)
    index.add(["crowd"] * len(codes), codes)
    index.add(["far", "farther"], np.array([[200] * 16, [201] * 16], np.uint8))
    with mock.patch.object(search, "opencv", return_value=Watched):
        found = index.snapshot.nearest(np.zeros(16, np.uint8), 3)
    assert [n.label for n in found] == ["crowd", "far", "farther"]
    assert asked
    assert max(asked) <= 256


def test_opencv_is_imported_only_for_galleries_that_repay_it() -> None:
    with mock.patch.object(search, "opencv", return_value=None) as asked:
        for rows in (10, 900, 2000):
            Scanner().nearest([Rows(np.zeros((rows, 256), np.uint8), None)], np.zeros(256, np.uint8), 3)
    assert asked.call_count == 1


def test_threads_are_as_many_as_were_asked_for_and_sleep(engine) -> None:
    before = set(threading.enumerate())
    one, two = Scanner(1), Scanner(2)
    rows = Rows(np.zeros((400, 16), np.uint8), None)
    for scanner in (one, two):
        for _ in range(5):
            scanner.nearest([rows], np.zeros(16, np.uint8), 3)
    assert len(set(threading.enumerate()) - before) <= 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # 3.12 warns of any fork with threads
def test_a_forked_process_searches_too(engine) -> None:
    scanner, rows, query = Scanner(2), Rows(np.zeros((400, 16), np.uint8), None), np.zeros(16, np.uint8)
    scanner.nearest([rows], query, 3)
    child = os.fork()
    if not child:
        os._exit(int(scanner.nearest([rows], query, 3)[1].tolist() != [0, 1, 2]))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_codes_far_apart_reach_the_largest_distance() -> None:
    head = Head(np.ones(4096, np.float32), 0.0, 255.0)
    index = CodeIndex(4096)
    index.add(["white"], encode(np.ones((1, 4096), np.float32), head))
    (found,) = index.snapshot.nearest(encode(np.zeros((1, 4096), np.float32), head)[0], 1)
    assert found.distance == 255 * 4096

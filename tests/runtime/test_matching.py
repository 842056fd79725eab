from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshot_runtime import BundleError, DeviceError, GalleryError, ImageError, LabelError, Match, OneShotMatcher, OptionError
from oneshot_runtime.model.bundle import Bundle, Head
from oneshot_runtime.model.codes import encode, logits, probabilities, sum_absolute_differences
from oneshot_runtime.model.session import create_session
from oneshot_runtime.model.thresholds import ThresholdTable
from oneshot_runtime.search.index import CodeIndex

DIM = Bundle.open().dim


def test_another_hand_is_recognised(matcher, drawings) -> None:
    first, second = drawings
    for index, drawing in enumerate(first):
        matcher.enroll(f"s{index}", drawing)
    matches = matcher.match_batch(second, top_k=3)
    assert sum(match.label == f"s{index}" for index, match in enumerate(matches)) >= 10
    for match in matches:
        found = [candidate.probability for candidate in match.candidates]
        assert len(found) == 3
        assert found == sorted(found, reverse=True)
        assert match.probability == found[0]


def test_match_and_match_batch_agree_in_a_larger_gallery(drawings) -> None:
    matcher = OneShotMatcher.load(threads=2)
    embeddings = np.random.default_rng(0).random((1500, matcher.bundle.dim), np.float32)
    matcher.gallery.extend([str(number) for number in range(1500)], embeddings)
    for number, drawing in enumerate(drawings[0]):
        matcher.enroll(f"drawn {number}", drawing)
    batched = matcher.match_batch(drawings[1])
    assert [match.candidates[0].label for match in batched] == [matcher.match(d).candidates[0].label for d in drawings[1]]


def test_match_and_match_batch_agree(matcher, drawings) -> None:
    first, second = drawings
    for index, drawing in enumerate(first):
        matcher.enroll(f"s{index}", drawing)
    for one, batched in zip((matcher.match(d) for d in second), matcher.match_batch(second), strict=True):
        assert [c.label for c in one.candidates][:1] == [c.label for c in batched.candidates][:1]
        assert one.probability == pytest.approx(batched.probability, abs=0.02)


def test_an_enrolled_picture_matches_itself_best(matcher, drawings) -> None:
    first, _ = drawings
    for index, drawing in enumerate(first):
        matcher.enroll(f"s{index}", drawing)
    head = matcher.bundle.head
    for index, drawing in enumerate(first):
        match = matcher.match(drawing)
        assert match.label == f"s{index}"
        assert match.probability == pytest.approx(1 / (1 + np.exp(-head.bias)))


def test_classes_come_and_go(matcher, drawings) -> None:
    first, second = drawings
    assert matcher.match(first[0]) == Match(None, 0.0, (), None)
    matcher.enroll("a", first[0])
    matcher.enroll("b", [first[1], second[1]])
    assert matcher.labels == ["a", "b"]
    assert len(matcher.gallery) == 3
    assert matcher.gallery.count("b") == 2
    matcher.remove("a")
    assert matcher.labels == ["b"]
    assert matcher.match(first[0]).label == "b"
    matcher.enroll("a", second[0])
    assert matcher.labels == ["b", "a"]
    assert matcher.match(first[0]).label == "a"
    with pytest.raises(LabelError, match="'nobody'"):
        matcher.remove("nobody")


def test_a_bad_picture_in_a_list_changes_nothing(matcher, drawings) -> None:
    with pytest.raises(ImageError):
        matcher.enroll("a", [drawings[0][0], np.full((20, 20), 255, np.uint8)])
    with pytest.raises(ImageError, match="empty"):
        matcher.enroll("a", [])
    assert matcher.labels == []


@pytest.mark.parametrize("label", ["", "  ", "a\nb", "x" * 257, 3, None])
def test_unusable_labels_are_refused(matcher, drawings, label) -> None:
    with pytest.raises(LabelError):
        matcher.enroll(label, drawings[0][0])
    assert len(matcher.gallery) == 0


def test_verify_tells_same_from_different(matcher, drawings) -> None:
    first, second = drawings
    same = [matcher.verify(a, b) for a, b in zip(first, second, strict=True)]
    other = [matcher.verify(a, b) for a, b in zip(first, second[1:] + second[:1], strict=True)]
    assert np.median(same) > 0.5 > np.median(other)
    assert matcher.verify(first[0], second[3]) == pytest.approx(matcher.verify(second[3], first[0]))


def test_embed_shapes(matcher, drawings) -> None:
    first, _ = drawings
    assert matcher.embed(first[0]).shape == (1, matcher.bundle.dim)
    many = matcher.embed(first * 7)
    assert many.shape == (84, matcher.bundle.dim)
    assert many.dtype == np.float32
    assert ((many >= 0) & (many <= 1)).all()
    assert matcher.embed([]).shape == (0, matcher.bundle.dim)


def test_strangers_are_refused_at_the_false_accept_rate(drawings) -> None:
    first, second = drawings
    strict, lax = (OneShotMatcher.load(precision="fp32", far=far) for far in (0.001, 0.05))
    for loaded in (strict, lax):
        for index in range(6):
            loaded.enroll(f"s{index}", first[index])
    thresholds = [loaded.match(second[0]).threshold for loaded in (strict, lax)]
    assert thresholds[0] > thresholds[1] > 0
    for query in second[6:]:
        match = strict.match(query)
        assert match.label is None
        assert match.candidates[0].probability == match.probability


def test_a_threshold_grows_with_the_gallery(drawings) -> None:
    table = Bundle.open().thresholds
    for far in (0.05, 0.01, 0.001):
        assert table.logit(far, 100) > table.logit(far, 5) > table.logit(far, 1)
        assert table.logit(far, 10_000) >= table.logit(far, 100)
        assert table.logit(far, 20, 5) > table.logit(far, 20, 2) > table.logit(far, 20, 1)
    assert table.own is not None
    assert table.own.logit(0.05, 20) > table.logit(0.05, 20)  # strangers of one's own alphabet come closer


def test_more_supports_need_a_higher_threshold() -> None:
    """As the manifest says it, between what it says, and no further beyond."""
    rows = [{"classes": 10, "logits": {"0.1": 1.0, "0.01": 2.0}, "by_supports": {"4": {"0.1": 3.0, "0.01": 5.0}}}]
    table = ThresholdTable.from_list(rows)
    found = [table.logit(0.1, 10, supports) for supports in (1, 2, 4, 8, 1000)]
    assert found == pytest.approx([1, 2, 3, 3, 3])
    assert table.logit(0.01, 10, 2) == pytest.approx(3.5)
    for damaged in ({"1": {"0.1": 1}}, {"4": {"0.1": float("nan")}}):
        with pytest.raises(BundleError, match="thresholds"):
            ThresholdTable.from_list([rows[0] | {"by_supports": damaged}])


def test_a_match_is_held_to_the_threshold_of_its_number_of_supports(drawings) -> None:
    first, second = drawings
    matcher = OneShotMatcher.load(precision="fp32")
    for index in range(4):
        matcher.enroll(f"s{index}", [first[index]])
    one = matcher.match(second[0]).threshold
    for index in range(4):
        matcher.enroll(f"s{index}", [second[index]])
    two = matcher.match(second[0]).threshold
    table = matcher.bundle.thresholds
    expected = [table.logit(0.05, 4, supports) for supports in (1, 2)]
    assert [one, two] == pytest.approx([1 / (1 + np.exp(-logit)) for logit in expected])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"far": 2}, OptionError, "far"),
        ({"far": 0.51}, OptionError, "far=0.51.*at most 0.5"),
        ({"far": 0}, OptionError, "far=0:"),
        ({"far": True}, OptionError, "far=True"),
        ({"far": float("nan")}, OptionError, "far=nan"),
        ({"threads": True}, OptionError, "threads"),
        ({"device": "tpu"}, DeviceError, "tpu"),
        ({"precision": "int4"}, DeviceError, "int4"),
        ({"threads": 0}, OptionError, "threads"),
        ({"threads": 2**40}, OptionError, "threads"),
        ({"bundle": 5}, BundleError, "int"),
        ({"gallery": 5}, GalleryError, "int"),
        ({"gallery": "a\0b"}, GalleryError, "a"),
        ({"bundle": "a\0b"}, BundleError, "a"),
        ({"bundle": "/nowhere/at/all"}, BundleError, "nowhere"),
    ],
)
def test_impossible_options_are_named(options, error, words) -> None:
    with pytest.raises(error, match=words):
        OneShotMatcher.load(**options)


def test_cuda_raises_where_there_is_none() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine's onnxruntime has CUDA")
    with pytest.raises(DeviceError, match=r"oneshot-runtime\[gpu\]"):
        OneShotMatcher.load(device="cuda")
    assert OneShotMatcher.load(device="auto").device == "cpu"


def test_both_precisions_decide_the_same(drawings) -> None:
    first, second = drawings
    loaded = [OneShotMatcher.load(precision=precision, far=None) for precision in ("fp32", "int8")]
    assert [m.precision for m in loaded] == ["fp32", "int8"]
    for one in loaded:
        for index, drawing in enumerate(first):
            one.enroll(f"s{index}", drawing)
    labels = [[match.label for match in one.match_batch(second)] for one in loaded]
    assert sum(a != b for a, b in zip(*labels, strict=True)) <= 1


def test_the_head_graph_the_codes_and_the_formula_are_one(matcher, drawings) -> None:
    """One parity test over all implementations of the head: ONNX, naive numpy, and codes (within what rounding allows)."""
    head = matcher.bundle.head
    embeddings = matcher.embed(drawings[0] + drawings[1])
    session, _ = create_session(matcher.bundle.head_graph(), "cpu", 1)
    graph = session.run(None, {"queries": embeddings, "supports": embeddings})[0]
    naive = np.array(
        [
            [head.bias - sum(w * abs(x - y) for w, x, y in zip(head.weights, a, b, strict=True)) for b in embeddings]
            for a in embeddings
        ]
    )
    np.testing.assert_allclose(graph, 1 / (1 + np.exp(-naive)), atol=1e-5)
    codes = encode(embeddings, head)
    coded = np.stack([logits(sum_absolute_differences(codes, code), head) for code in codes])
    assert np.abs(coded - naive).max() < 0.35
    assert np.abs(coded - naive).mean() < 0.1


def test_coding_costs_no_decision(matcher, drawings) -> None:
    embeddings = matcher.embed(drawings[0] + drawings[1])
    head = matcher.bundle.head
    exact = np.abs(embeddings[:, None] - embeddings[None]) @ head.weights
    codes = encode(embeddings, head)
    coded = np.stack([sum_absolute_differences(codes, code) for code in codes]).astype(float)
    np.fill_diagonal(exact, np.inf)
    np.fill_diagonal(coded, np.inf)
    assert (exact.argmin(axis=1) == coded.argmin(axis=1)).mean() >= 0.95


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(0, 40), dim=st.integers(1, 2100), seed=st.integers(0, 99), extreme=st.booleans())
def test_sad_equals_a_naive_loop(rows: int, dim: int, seed: int, extreme: bool) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (rows, dim), np.uint8)
    query = rng.integers(0, 256, dim, np.uint8)
    if extreme:
        codes, query = (codes // 128) * 255, (query // 128) * 255
    expected = [sum(abs(int(a) - int(b)) for a, b in zip(row, query, strict=True)) for row in codes]
    assert sum_absolute_differences(codes, query).tolist() == expected


def test_probabilities_do_not_overflow() -> None:
    assert probabilities(np.array([-1e6, 0, 1e6])).tolist() == [0, 0.5, 1]


def test_codes_use_the_byte_and_never_leave_it() -> None:
    head = Head(np.array([1, 0.5, 0], np.float32), 2.0, 255.0)
    assert encode(np.array([[1, 1, 1], [0, 0.5, 1]], np.float32), head).tolist() == [[255, 128, 0], [0, 64, 0]]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_the_index_equals_a_list(data) -> None:
    """Random additions, removals and queries against the obvious implementation, with distances that often tie."""
    index, plain = CodeIndex(8), []
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.booleans()) or not plain:
            labels = [f"c{n}" for n in rng.integers(0, 6, data.draw(st.integers(1, 400)))]
            codes = rng.integers(0, 3, (len(labels), 8), np.uint8)
            index.add(labels, codes)
            plain += list(zip(labels, codes, strict=True))
        else:
            label = f"c{rng.integers(0, 6)}"
            assert index.remove(label) == sum(name == label for name, _ in plain)
            plain = [(name, code) for name, code in plain if name != label]
    query = rng.integers(0, 3, 8, np.uint8)
    expected: dict[str, int] = {}
    for name, code in sorted(plain, key=lambda row: np.abs(row[1].astype(int) - query).sum()):
        expected.setdefault(name, int(np.abs(code.astype(int) - query).sum()))
    found = index.snapshot.nearest(query, 4)
    assert [(n.label, n.distance) for n in found] == list(expected.items())[:4]
    assert index.snapshot.supports == len(plain)
    assert sorted(index.labels()) == sorted({name for name, _ in plain})


def test_churn_does_not_grow_the_index() -> None:
    index = CodeIndex(8)
    codes = np.arange(80, dtype=np.uint8).reshape(10, 8)
    index.add([f"kept{n}" for n in range(10)], codes)
    before = index.snapshot
    for n in range(6000):
        index.add([f"passing{n}"], codes[:1])
        index.remove(f"passing{n}")
    assert sum(len(segment.codes) for segment in index.snapshot.segments) < 3000
    assert len(index.snapshot.labels) < 3000
    assert index.labels() == [f"kept{n}" for n in range(10)]
    for snapshot in (before, index.snapshot):
        assert [n.label for n in snapshot.nearest(codes[4], 2)] == ["kept4", "kept3"]


def test_a_snapshot_never_changes() -> None:
    index = CodeIndex(4)
    index.add(["a", "b"], np.array([[0] * 4, [9] * 4], np.uint8))
    before = index.snapshot
    index.remove("a")
    index.add(["c"], np.zeros((1, 4), np.uint8))
    query = np.zeros(4, np.uint8)
    assert [n.label for n in before.nearest(query, 3)] == ["a", "b"]
    assert [n.label for n in index.snapshot.nearest(query, 3)] == ["c", "b"]


@pytest.mark.parametrize("label", [5, ["a"], None, "\ud800"])
def test_labels_that_are_no_text_are_never_known(matcher, drawings, label) -> None:
    matcher.enroll("5", drawings[0][0])
    for call in (matcher.remove, matcher.gallery.count):
        with pytest.raises(LabelError):
            call(label)
    assert matcher.labels == ["5"]


def test_threads_see_whole_enrollments(matcher, drawings) -> None:
    """Each batch enrolls two classes at once; a reader must never see one without the other."""
    first, _ = drawings
    embeddings = matcher.embed(first[:2])
    torn, stop = [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            if matcher.gallery.snapshot().classes % 2:
                torn.append(1)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for index in range(300):
        matcher.gallery.extend([f"a{index}", f"b{index}"], embeddings)
    stop.set()
    for reader in readers:
        reader.join()
    assert not torn
    assert len(matcher.labels) == 600


@pytest.mark.parametrize(
    ("labels", "embeddings"),
    [
        (["a"], np.zeros((2, DIM), np.float32)),
        (["a"], np.zeros((1, 3), np.float32)),
        (["a"], np.zeros((1, DIM), np.float64)),
        (["a"], np.full((1, DIM), np.nan, np.float32)),
        (["a"], np.full((1, DIM), 2, np.float32)),
        (["a"], [0.0] * DIM),
    ],
)
def test_foreign_embeddings_are_refused(matcher, labels, embeddings) -> None:
    with pytest.raises(GalleryError):
        matcher.gallery.extend(labels, embeddings)
    assert len(matcher.gallery) == 0


def test_top_k_must_be_positive(matcher, drawings) -> None:
    matcher.enroll("a", drawings[0][0])
    assert matcher.match(drawings[0][0], top_k=np.int64(3)).label == "a"
    with pytest.raises(OptionError, match="top_k"):
        matcher.match(drawings[0][0], top_k=0)

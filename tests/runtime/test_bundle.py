from __future__ import annotations

import numpy as np
import pytest

from oneshot_runtime import BundleError, OneShotError, OneShotMatcher
from oneshot_runtime.bundle import DEFAULT_BUNDLE, Bundle
from oneshot_runtime.sessions import Embedder, create_session, golden_error


def test_the_shipped_bundle_proves_itself() -> None:
    bundle = Bundle.open()
    golden = bundle.golden()
    for precision in ("fp32", "int8"):
        session, device = create_session(bundle.embedding_graph(precision), "cpu", 1)
        assert golden_error(Embedder(session, device, precision), golden, bundle) is None


def test_the_shipped_bundle_is_small() -> None:
    assert sum(file.stat().st_size for file in DEFAULT_BUNDLE.iterdir()) <= 8_000_000
    assert (DEFAULT_BUNDLE / "embedding.int8.onnx").stat().st_size <= 1_500_000


def test_golden_images_in_any_batch(matcher) -> None:
    golden = matcher.bundle.golden()
    for size in (1, 2, 7, 64):
        found = matcher._embedder(golden.images[:size])
        np.testing.assert_allclose(found, golden.embeddings[:size], atol=1e-3)


@pytest.mark.parametrize("name", ["embedding.onnx", "head.onnx", "golden.npz"])
def test_an_altered_or_missing_file_is_named(altered_bundle, name) -> None:
    folder = altered_bundle()
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    reader = {
        "embedding.onnx": lambda b: b.embedding_graph("fp32"),
        "head.onnx": Bundle.head_graph,
        "golden.npz": Bundle.golden,
    }[name]
    with pytest.raises(BundleError, match=f"{name} was altered"):
        reader(Bundle.open(folder))
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name):
        reader(Bundle.open(folder))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(schema_version=2), "schema version 2"),
        (lambda m: m.pop("head"), "'head'"),
        (lambda m: m["head"]["weights"].pop(), "weights"),
        (lambda m: m["head"].update(weights=[-1.0] * m["embedding_dim"]), "negative"),
        (lambda m: m["head"].update(code_scale=0), "code_scale"),
        (lambda m: m["preprocess"].update(height=10**9), "height"),
        (lambda m: m["preprocess"].update(fit="stretch"), "stretch"),
        (lambda m: m["preprocess"].update(surprise=1), "surprise"),
        (lambda m: m.update(fingerprint="0" * 32), "fingerprint"),
        (lambda m: m["sha256"].pop("head.onnx"), "head.onnx"),
        (lambda m: m.update(thresholds=[{"classes": 1, "logits": {"0.01": float("nan")}}]), "finite"),
        (lambda m: m.update(thresholds=[{"classes": "many"}]), "manifest.json"),
    ],
)
def test_a_garbled_manifest_is_named(altered_bundle, change, words) -> None:
    with pytest.raises(BundleError, match=words):
        OneShotMatcher.load(altered_bundle(change))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"schema_version": 1}'])
def test_a_manifest_that_is_no_manifest(altered_bundle, text) -> None:
    folder = altered_bundle()
    (folder / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        Bundle.open(folder)


def test_without_thresholds_only_far_none_loads(altered_bundle) -> None:
    folder = altered_bundle(lambda m: m.update(thresholds=[]))
    with pytest.raises(BundleError, match="far=None"):
        OneShotMatcher.load(folder)
    assert OneShotMatcher.load(folder, far=None).far is None


def test_without_int8_auto_takes_fp32(altered_bundle) -> None:
    folder = altered_bundle(lambda m: m["sha256"].pop("embedding.int8.onnx"))
    (folder / "embedding.int8.onnx").unlink()
    assert OneShotMatcher.load(folder).precision == "fp32"
    with pytest.raises(OneShotError, match="int8"):
        OneShotMatcher.load(folder, precision="int8")

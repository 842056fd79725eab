from __future__ import annotations

import hashlib
import json
import shutil
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneshot_runtime import BundleError, DeviceError, OneShotError, OneShotMatcher, OneShotWarning, OptionError
from oneshot_runtime.model.bundle import DEFAULT_BUNDLE, Bundle, checksum_of, fingerprint_of
from oneshot_runtime.model.onnx_guard import why_refused
from oneshot_runtime.model.session import Embedder, create_session, golden_error
from oneshot_runtime.vision.preprocess import PreprocessSpec


def test_the_shipped_bundle_proves_itself() -> None:
    bundle = Bundle.open()
    golden = bundle.golden()
    for precision in ("fp32", "int8"):
        session, device = create_session(bundle.embedding_graph(precision), "cpu", 1)
        assert golden_error(Embedder(session, device, precision), golden, bundle) is None


def test_the_shipped_bundle_is_small() -> None:
    assert sum(file.stat().st_size for file in DEFAULT_BUNDLE.iterdir()) <= 12_000_000
    assert (DEFAULT_BUNDLE / "embedding.int8.onnx").stat().st_size <= 2_500_000


def test_golden_images_in_any_batch(matcher) -> None:
    golden = matcher.bundle.golden()
    for size in (1, 2, 7, 64):
        found = matcher._embedder(golden.images[:size])
        np.testing.assert_allclose(found, golden.embeddings[:size], atol=1e-3)


def bind(manifest: dict[str, Any]) -> None:
    """Make fingerprint and checksum right again, as whoever forges a bundle would."""
    spec = PreprocessSpec.from_dict(manifest["preprocess"])
    manifest["fingerprint"] = fingerprint_of(manifest["sha256"], spec, manifest["head"])
    manifest["checksum"] = checksum_of(manifest)


def rehash(folder: Path, name: str) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    bind(manifest)
    path.write_text(json.dumps(manifest))


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
        (lambda m: (m["head"]["weights"].pop(), bind(m)), "weights"),
        (lambda m: (m["head"].update(weights=[-1.0] * m["embedding_dim"]), bind(m)), "negative"),
        (lambda m: (m["head"].update(code_scale=0), bind(m)), "code_scale"),
        (lambda m: m["preprocess"].update(height=10**9), "height"),
        (lambda m: m["preprocess"].update(fit="stretch"), "stretch"),
        (lambda m: m["preprocess"].update(surprise=1), "surprise"),
        (lambda m: m.update(fingerprint="0" * 32), "fingerprint"),
        (lambda m: m["head"].update(bias=-3.0), "fingerprint"),
        (lambda m: m.update(sha256=[1]), "manifest.json"),
        (lambda m: m.update(embedding_dim=10**400), "manifest.json"),
        (lambda m: m.update(thresholds=[{"classes": 0, "logits": {"0.01": 1.0}}]), "from 1 on"),
        (lambda m: m.update(thresholds=[{"classes": 1, "logits": {"0.01": 1.0}}] * 2), "different numbers"),
        (lambda m: m.update(thresholds=[{"classes": float("inf"), "logits": {"0.01": 1.0}}]), "manifest.json"),
        (lambda m: m["sha256"].pop("head.onnx"), "head.onnx"),
        (lambda m: m.update(thresholds=[{"classes": 1, "logits": {"0.01": float("nan")}}]), "finite"),
        (lambda m: m.update(thresholds=[{"classes": "many"}]), "manifest.json"),
        (lambda m: m["thresholds"][0].update(by_supports={"5": {"0.01": 1.0}}), "manifest.json"),  # the other sizes have none
        (lambda m: m["thresholds"][0].update(by_supports=[5]), "manifest.json"),
        (lambda m: m["thresholds"][0]["own"].update({"0.01": float("inf")}), "finite"),
    ],
)
def test_a_garbled_manifest_is_named(altered_bundle, change, words) -> None:
    with pytest.raises(BundleError, match=words):
        OneShotMatcher.load(altered_bundle(change))


def test_a_changed_threshold_is_found(altered_bundle) -> None:
    path = altered_bundle() / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["thresholds"][0]["logits"]["0.01"] -= 0.1
    path.write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="altered"):
        Bundle.open(path.parent)


def varint(number: int) -> bytes:
    head, rest = number & 0x7F, number >> 7
    return bytes([head | (0x80 if rest else 0)]) + (varint(rest) if rest else b"")


def message(field: int, content: bytes | int) -> bytes:
    """A protocol buffer field: a number, or bytes with their length."""
    if isinstance(content, int):
        return varint(field << 3) + varint(content)
    return varint(field << 3 | 2) + varint(len(content)) + content


OUTSIDE = message(13, message(1, b"location") + message(2, b"/etc/passwd"))
IN_A_BRANCH = message(7, message(1, message(5, message(6, message(5, OUTSIDE)))))  # model.graph.node.attribute.graph.tensor


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (message(7, message(5, OUTSIDE)), "another file"),
        (message(7, message(5, message(14, 1))), "another file"),
        (IN_A_BRANCH, "another file"),
        (message(7, message(1, message(7, b"my.company"))), "my.company"),
        (message(25, message(7, message(7, b"my.company"))), "my.company"),
        (b"\xff" * 40, "no ONNX model"),
        (message(7, b"")[:-1] + b"\x7f", "no ONNX model"),
    ],
)
def test_a_graph_that_reaches_outside_itself_is_refused(altered_bundle, graph, words) -> None:
    folder = altered_bundle()
    for name in ("embedding.onnx", "head.onnx"):
        (folder / name).write_bytes(graph)
        rehash(folder, name)
    with pytest.raises(BundleError, match=words):
        OneShotMatcher.load(folder, precision="fp32")
    with pytest.raises(BundleError, match=words):
        Bundle.open(folder).head_graph()


def test_nesting_has_a_bound() -> None:
    graph = b""
    for _ in range(40):
        graph = message(1, message(5, message(6, graph)))
    assert "nested" in (why_refused(message(7, graph)) or "")


def test_golden_vectors_that_unpack_too_large_are_refused(altered_bundle) -> None:
    folder = altered_bundle()
    with zipfile.ZipFile(folder / "golden.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", bytes(70_000_000))
    rehash(folder, "golden.npz")
    with pytest.raises(BundleError, match="unpacks"):
        Bundle.open(folder).golden()


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"schema_version": 1}'])
def test_a_manifest_that_is_no_manifest(altered_bundle, text) -> None:
    folder = altered_bundle()
    (folder / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        Bundle.open(folder)


@pytest.mark.parametrize("content", ["cut", "no archive", "one image", "texts", "no array"])
def test_golden_vectors_that_do_not_fit_are_named(altered_bundle, content) -> None:
    folder = altered_bundle()
    path = folder / "golden.npz"
    if content == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif content == "no array":
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("images", "embeddings", "probabilities"):
                archive.writestr(f"{name}.npy", b"no array")
    elif content == "no archive":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        with np.load(path) as arrays:
            kept = {name: arrays[name][:1] for name in arrays}
        kept["probabilities"] = kept["probabilities"][:, :1]
        if content == "texts":
            kept["embeddings"] = kept["embeddings"].astype(str)
        np.savez(path, **kept)
    rehash(folder, "golden.npz")
    with pytest.raises(BundleError, match=r"golden\.npz"):
        OneShotMatcher.load(folder, precision="int8")  # which reads them on any processor


def test_a_graph_of_another_shape_is_refused_at_load(altered_bundle) -> None:
    folder = altered_bundle()
    shutil.copy(folder / "head.onnx", folder / "embedding.onnx")
    rehash(folder, "embedding.onnx")
    with pytest.raises(BundleError, match="takes"):
        OneShotMatcher.load(folder, precision="fp32")


def test_an_int8_graph_that_does_not_load_falls_back_to_fp32(altered_bundle) -> None:
    folder = altered_bundle()
    (folder / "embedding.int8.onnx").write_bytes(b"\x08\xe7\x07")  # a model of IR version 999
    rehash(folder, "embedding.int8.onnx")
    assert OneShotMatcher.load(folder).precision == "fp32"
    with pytest.raises(DeviceError):
        OneShotMatcher.load(folder, precision="int8")


def test_without_thresholds_nothing_is_refused(altered_bundle, drawings) -> None:
    folder = altered_bundle(lambda m: m.update(thresholds=[]))
    with pytest.warns(OneShotWarning, match="far=None") as warned:
        matcher = OneShotMatcher.load(folder)
    assert (matcher.far, len(warned)) == (None, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert OneShotMatcher.load(folder, far=None).far is None
        for number in range(3):
            matcher.enroll(f"s{number}", [drawings[0][number], drawings[1][number]])
        match = matcher.match(drawings[1][0])
        assert (match.label, match.threshold) == (match.candidates[0].label, 0.0)
        matcher.explain(drawings[1][0])
    with pytest.raises(OptionError, match="no thresholds"):
        matcher.gallery.calibrate()


def test_without_int8_auto_takes_fp32(altered_bundle) -> None:
    folder = altered_bundle(lambda m: m["sha256"].pop("embedding.int8.onnx"))
    (folder / "embedding.int8.onnx").unlink()
    assert OneShotMatcher.load(folder).precision == "fp32"
    with pytest.raises(OneShotError, match="int8"):
        OneShotMatcher.load(folder, precision="int8")


@pytest.mark.parametrize("version", [None, 1, 3])
def test_a_model_for_another_way_of_finding_symbols_is_refused(altered_bundle, version) -> None:
    def change(manifest) -> None:
        del manifest["preprocess"]["version"]
        if version is not None:
            manifest["preprocess"]["version"] = version

    folder = altered_bundle(change)
    with pytest.raises(BundleError, match=f"version {version or 1} .* export the model again"):
        Bundle.open(folder)


def test_the_way_of_finding_symbols_is_part_of_what_binds_a_gallery() -> None:
    bundle = Bundle.open()
    head, checksums = bundle.manifest["head"], bundle.manifest["sha256"]
    assert bundle.manifest["preprocess"]["version"] == bundle.spec.version
    assert fingerprint_of(checksums, replace(bundle.spec, thin=2.5), head) != bundle.fingerprint

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from PIL import Image

import export.bundle as bundle_module
from export.__main__ import main
from export.bundle import export_bundle
from export.drawings import golden_canvases
from export.fold import FoldedEmbedding
from export.graphs import embedding_graph
from export.parity import ParityError, check_embedding, check_head, reference
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model.bundle import DEFAULT_BUNDLE, Bundle, checksum_of
from oneshot_runtime.model.codes import logits, probabilities, sum_absolute_differences
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from train.__main__ import main as train
from train.ancestors import load_ancestor
from train.checkpoint import CheckpointError, load_checkpoint, load_model, save_checkpoint
from train.config import TrainConfig
from train.model import PRESETS, PositiveBatchNorm2d
from train.unfold import centre_norms, unfolded


@pytest.fixture(scope="module")
def edge_bundle(checkpoints, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundles") / "edge"
    export_bundle(checkpoints / "edge.pt", out)
    return out


@pytest.mark.parametrize("preset", ["edge", "koch"])
@pytest.mark.parametrize("for_int8", [False, True])
def test_folding_changes_nothing(checkpoints, preset, for_int8) -> None:
    _, model, _ = load_model(checkpoints / f"{preset}.pt")
    with torch.no_grad():
        for layer in model.layers:
            if isinstance(layer, PositiveBatchNorm2d):  # scales of either sign, as training may leave them
                layer.weight.normal_()
                layer.running_mean.normal_()
    canvases = torch.from_numpy(golden_canvases(model.config.spec)[:8])
    folded = FoldedEmbedding(model, for_int8)
    assert not any(isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d) for layer in folded.layers)
    with torch.inference_mode():
        torch.testing.assert_close(folded(canvases), model.embed(canvases), atol=1e-5, rtol=0)


def test_the_graphs_equal_pytorch_for_every_batch(edge_bundle, checkpoints) -> None:
    _, model, _ = load_model(checkpoints / "edge.pt")
    expected = reference(model, golden_canvases(model.config.spec))
    bundle = Bundle.open(edge_bundle)
    assert check_embedding(bundle.embedding_graph("fp32"), expected) <= 1e-4
    assert check_head(bundle.head_graph(), expected) <= 1e-4


def test_int8_keeps_bytes_between_its_convolutions(edge_bundle, tmp_path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4  # warns that the file fits this processor only
    graph = (edge_bundle / "embedding.int8.onnx").read_bytes()
    onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    nodes = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert nodes.count("QuantizeLinear") == nodes.count("DequantizeLinear") == 1  # behind the first stage, and at the end
    assert nodes.count("QLinearConv") == 4
    assert "QLinearAveragePool" not in nodes


def test_the_contract_of_the_graphs(edge_bundle) -> None:
    graph = onnx.load(edge_bundle / "embedding.onnx")
    (images,), (embeddings,) = graph.graph.input, graph.graph.output
    assert (images.name, images.type.tensor_type.elem_type) == ("images", onnx.TensorProto.UINT8)
    assert [d.dim_param or d.dim_value for d in images.type.tensor_type.shape.dim] == ["N", 48, 48]
    assert [d.dim_param or d.dim_value for d in embeddings.type.tensor_type.shape.dim] == ["N", PRESETS["edge"].dim]
    assert not any(node.op_type == "BatchNormalization" for node in graph.graph.node)
    head = onnx.load(edge_bundle / "head.onnx")
    assert [value.name for value in (*head.graph.input, *head.graph.output)] == ["queries", "supports", "probabilities"]
    for name in ("embedding.onnx", "head.onnx"):
        assert b".py" not in (edge_bundle / name).read_bytes()  # no traces of the machine that exported


def test_a_second_export_is_the_same(edge_bundle, checkpoints, tmp_path) -> None:
    export_bundle(checkpoints / "edge.pt", tmp_path / "again", int8=False)
    for name in ("embedding.onnx", "head.onnx"):
        assert (tmp_path / "again" / name).read_bytes() == (edge_bundle / name).read_bytes()
    assert Bundle.open(tmp_path / "again").fingerprint == Bundle.open(edge_bundle).fingerprint


@pytest.mark.parametrize("preset", ["edge", "koch"])
def test_an_exported_preset_matches_like_pytorch(checkpoints, tmp_path, preset) -> None:
    export_bundle(checkpoints / f"{preset}.pt", tmp_path / preset, int8=False)
    matcher = OneShotMatcher.load(tmp_path / preset, far=None)
    rng = np.random.default_rng(3)
    drawings = [draw(symbol, random_writer(rng), rng) for symbol in invent_alphabet(5, seed=8)]
    for index, drawing in enumerate(drawings):
        matcher.enroll(str(index), drawing)
    assert [matcher.match(drawing).label for drawing in drawings] == list("01234")
    _, model, _ = load_model(checkpoints / f"{preset}.pt")
    embeddings = torch.from_numpy(matcher.embed(drawings))
    with torch.inference_mode():
        expected = torch.sigmoid(model.head(embeddings, embeddings)).numpy()
    head = matcher.bundle.head
    codes = bundle_module_codes(matcher, drawings)
    coded = np.stack([probabilities(logits(sum_absolute_differences(codes, code), head)) for code in codes])
    np.testing.assert_allclose(coded, expected, atol=0.1)


def bundle_module_codes(matcher: OneShotMatcher, drawings: list) -> np.ndarray:
    from oneshot_runtime.model.codes import encode

    return encode(matcher.embed(drawings), matcher.bundle.head)


def test_a_run_that_went_on_after_its_validation_is_refused(checkpoints, tmp_path, capsys) -> None:
    state = torch.load(checkpoints / "edge.pt", weights_only=True)
    notes = json.loads(state["notes"]) | {"validation": {"step": state["done"] - 1}}
    torch.save(state | {"notes": json.dumps(notes)}, tmp_path / "last.pt")
    assert main([str(tmp_path / "last.pt"), "--out", str(tmp_path / "bundle")]) == 1
    assert "best.pt" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_a_graph_that_differs_writes_nothing(checkpoints, tmp_path, monkeypatch) -> None:
    def wrong(model):
        graph = embedding_graph(model)
        bias = next(c for c in graph.graph.initializer if list(c.dims) == [PRESETS["edge"].channels[-1]])
        values = onnx.numpy_helper.to_array(bias) + 0.1
        bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
        return graph

    monkeypatch.setattr(bundle_module, "embedding_graph", wrong)
    with pytest.raises(ParityError, match="differ by|another partner"):
        export_bundle(checkpoints / "edge.pt", tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_int8_that_decides_otherwise_is_left_out(checkpoints, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(bundle_module, "quantize_embedding", lambda graph, canvases: _blind(graph))
    report = export_bundle(checkpoints / "edge.pt", tmp_path / "bundle")
    assert "another partner" in report.int8
    assert not Bundle.open(tmp_path / "bundle").has_int8


def test_int8_that_the_runtime_would_refuse_is_left_out(checkpoints, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(bundle_module, "GOLDEN_TOLERANCE", {"int8": 1e-6})
    report = export_bundle(checkpoints / "edge.pt", tmp_path / "bundle")
    assert "more than the runtime allows" in report.int8
    assert not Bundle.open(tmp_path / "bundle").has_int8


def _blind(graph: onnx.ModelProto) -> onnx.ModelProto:
    weight = next(c for c in graph.graph.initializer if len(c.dims) == 2)
    values = np.zeros(weight.dims, np.float32)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    return graph


def test_an_interrupted_write_keeps_the_old_bundle(checkpoints, tmp_path, monkeypatch) -> None:
    out = tmp_path / "bundle"
    export_bundle(checkpoints / "edge.pt", out, int8=False)
    before = {file.name: file.read_bytes() for file in out.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(bundle_module.os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        export_bundle(checkpoints / "edge.pt", out, int8=False)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    assert list(tmp_path.iterdir()) == [out]


def test_a_failed_swap_puts_the_old_bundle_back(checkpoints, tmp_path, monkeypatch) -> None:
    out = tmp_path / "bundle"
    export_bundle(checkpoints / "edge.pt", out, int8=False)
    rename = bundle_module.Path.rename

    def failing(self, target):
        if self.name.startswith(".bundle-") and not self.name.endswith("-old"):
            raise OSError("no more")
        return rename(self, target)

    monkeypatch.setattr(bundle_module.Path, "rename", failing)
    with pytest.raises(OSError, match="no more"):
        export_bundle(checkpoints / "edge.pt", out, int8=False)
    monkeypatch.undo()
    assert Bundle.open(out).preset == "edge"
    assert list(tmp_path.iterdir()) == [out]


def test_the_command_replaces_bundles_and_nothing_else(checkpoints, tmp_path, capsys) -> None:
    out = tmp_path / "bundle"
    for _ in range(2):
        assert main([str(checkpoints / "edge.pt"), "--out", str(out), "--no-int8", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["fingerprint"] == Bundle.open(out).fingerprint
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    (tmp_path / "photos" / "manifest.json").write_text("{}")  # somebody else's manifest makes no bundle
    assert main([str(checkpoints / "edge.pt"), "--out", str(tmp_path / "photos")]) == 1
    assert (tmp_path / "photos" / "cat.jpg").exists()
    assert main([str(tmp_path / "missing.pt"), "--out", str(out)]) == 1
    assert "missing.pt" in capsys.readouterr().err


def test_golden_images_come_in_pairs_by_two_hands() -> None:
    canvases = golden_canvases(PRESETS["edge"].spec)
    assert canvases.shape == (64, 48, 48)
    assert len({canvas.tobytes() for canvas in canvases}) == 64


@pytest.mark.parametrize("preset", ["edge", "koch"])
def test_a_bundle_reads_back_as_the_network_before_folding_and_calibration(checkpoints, tmp_path, preset) -> None:
    config, state = load_checkpoint(checkpoints / f"{preset}.pt")
    notes = json.loads(state["notes"]) | {"calibration": {"scale": 1.5, "offset": -2.0}}
    save_checkpoint(tmp_path / "calibrated.pt", config, state | {"notes": json.dumps(notes)})
    export_bundle(tmp_path / "calibrated.pt", tmp_path / preset, int8=False)
    _, model, _ = load_model(checkpoints / f"{preset}.pt")
    found = unfolded(Bundle.open(tmp_path / preset))
    images = torch.from_numpy(golden_canvases(found.config.spec)[:6])
    with torch.no_grad():
        before = model.embed(images)
        torch.testing.assert_close(found.embed(images), before, atol=1e-5, rtol=0)
        torch.testing.assert_close(found.head(before, before), model.head(before, before), atol=1e-3, rtol=1e-5)
        ink = images.unsqueeze(1).float() / 255
        centre_norms(found, ink)
        torch.testing.assert_close(found.embed(images), before, atol=1e-5, rtol=0)
        torch.testing.assert_close(found.train().embed_ink(ink), before, atol=1e-3, rtol=0)  # by this batch's statistics


def test_a_run_on_ones_own_images_starts_and_learns_from_the_shipped_bundle(tmp_path) -> None:
    rng = np.random.default_rng(0)
    for index, symbol in enumerate(invent_alphabet(4, seed=3)):
        (tmp_path / "images" / str(index)).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(draw(symbol, random_writer(rng), rng)).save(tmp_path / "images" / str(index) / f"{number}.png")
    shipped = Bundle.open()
    words = ["--split", "folder", "--data", str(tmp_path / "images"), "--steps", "1", "--classes", "4", "--shots", "2"]
    words += ["--precision", "fp32", "--invented", "0", "--learning-rate", "0", "--out", str(tmp_path / "run")]
    assert train([*words, "--start-from", str(DEFAULT_BUNDLE), "--teachers", str(DEFAULT_BUNDLE)]) == 0
    _, model, state = load_model(tmp_path / "run" / "last.pt")
    notes = json.loads(state["notes"])
    assert notes["started_from"]["fingerprint"] == notes["teachers"][0]["fingerprint"] == shipped.fingerprint
    golden = shipped.golden()
    with torch.no_grad():
        embedded = model.embed(torch.from_numpy(golden.images)).numpy()
    # Batch norm's statistics move at a learning rate of nought too; another network's embeddings are 0.2 away.
    assert np.abs(embedded - golden.embeddings).mean() < 0.05


def test_the_shipped_bundle_does_not_teach_a_run_of_another_split_or_holdout() -> None:
    config = TrainConfig(model=PRESETS["edge"], split="koch", steps=1)
    held_out = Bundle.open().manifest["training"]["holdout"]
    assert load_ancestor(DEFAULT_BUNDLE, config, held_out).folded
    for split, holdout, said in (("background", held_out, "split background"), ("koch", ["Greek"], "holds out \\['Greek'\\]")):
        with pytest.raises(CheckpointError, match=said):
            load_ancestor(DEFAULT_BUNDLE, dataclasses.replace(config, split=split), holdout)


def test_a_bundle_that_does_not_say_what_it_learned_from_is_refused(edge_bundle, tmp_path) -> None:
    shutil.copytree(edge_bundle, tmp_path / "silent")
    manifest = json.loads((tmp_path / "silent" / "manifest.json").read_text())
    del manifest["training"]
    manifest["checksum"] = checksum_of(manifest)
    (tmp_path / "silent" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="does not say"):
        load_ancestor(tmp_path / "silent", TrainConfig(model=PRESETS["edge"], split="folder", steps=1), [])


def test_a_bundle_of_no_preset_is_refused(edge_bundle, monkeypatch) -> None:
    edge = PRESETS["edge"]
    monkeypatch.setitem(PRESETS, "edge", dataclasses.replace(edge, channels=edge.channels[:3], kernels=edge.kernels[:3]))
    with pytest.raises(CheckpointError, match="not of preset edge"):
        unfolded(Bundle.open(edge_bundle))
    monkeypatch.delitem(PRESETS, "edge")
    with pytest.raises(CheckpointError, match="another network"):
        unfolded(Bundle.open(edge_bundle))


def test_a_bundle_of_another_width_than_its_preset_has_now_can_be_built_on(edge_bundle, monkeypatch) -> None:
    before = unfolded(Bundle.open(edge_bundle))
    monkeypatch.setitem(PRESETS, "edge", dataclasses.replace(PRESETS["edge"], channels=(32, 64, 128, 200), dim=100))
    after = unfolded(Bundle.open(edge_bundle))
    assert after.config.channels == before.config.channels
    assert all(torch.equal(value, after.state_dict()[name]) for name, value in before.state_dict().items())


@pytest.mark.parametrize("name", ["embedding.onnx", "embedding.int8.onnx", "head.onnx"])
def test_a_graph_says_what_it_is_and_imports_what_it_uses(edge_bundle, name) -> None:
    graph = onnx.load(edge_bundle / name)
    onnx.checker.check_model(graph, full_check=True)
    properties = {entry.key: entry.value for entry in graph.metadata_props}
    assert properties["license"] == "MIT"
    assert properties["version"] == graph.producer_version
    assert json.loads(properties["preprocessing"]) == json.loads((edge_bundle / "manifest.json").read_text())["preprocess"]
    others = onnx.load(edge_bundle / "head.onnx").metadata_props
    assert properties["weights_sha256"] == next(entry.value for entry in others if entry.key == "weights_sha256")
    assert all(value.doc_string for value in (*graph.graph.input, *graph.graph.output))
    assert graph.doc_string
    assert {opset.domain for opset in graph.opset_import} == {node.domain for node in graph.graph.node}


def test_graphs_mean_to_onnx_own_reference_what_the_golden_answers_say(edge_bundle) -> None:
    # The int8 graph is held by other engines: the reference knows its operators from opset 19 on only.
    golden = np.load(edge_bundle / "golden.npz")
    network = ReferenceEvaluator(str(edge_bundle / "embedding.onnx"))
    embeddings = network.run(None, {network.input_names[0]: golden["images"][:3]})[0]
    np.testing.assert_allclose(embeddings, golden["embeddings"][:3], atol=1e-5)
    head = ReferenceEvaluator(str(edge_bundle / "head.onnx"))
    embeddings = golden["embeddings"][:3]
    probabilities = head.run(None, dict(zip(head.input_names, (embeddings, embeddings), strict=True)))[0]
    np.testing.assert_allclose(probabilities, golden["probabilities"][:3, :3], atol=1e-4)

"""Put a bundle together, prove it, and write it in one move."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from export.describe import described
from export.drawings import calibration_canvases, golden_canvases
from export.graphs import embedding_graph, head_graph
from export.parity import Reference, check_decisions, check_embedding, check_head, decisions, reference
from export.quantize import quantize_embedding
from oneshot_runtime.model.bundle import SCHEMA_VERSION, Bundle, checksum_of, fingerprint_of
from oneshot_runtime.model.session import GOLDEN_TOLERANCE
from train.checkpoint import CheckpointError, load_model
from train.config import TrainConfig
from train.model import SiameseNet

__all__ = ["ExportReport", "export_bundle"]


_BUNDLE_FILES = {"embedding.onnx", "embedding.int8.onnx", "head.onnx", "golden.npz", "manifest.json"}


@dataclass(frozen=True)
class ExportReport:
    """What the gate measured. int8 is a sentence: how near it is to fp32, or why it was left out."""

    path: Path
    fingerprint: str
    embedding_difference: float
    head_difference: float
    int8: str
    bytes: dict[str, int]


def export_bundle(checkpoint: str | Path, out: Path, int8: bool = True) -> ExportReport:
    """Export `checkpoint` to the folder `out`, which appears complete or not at all.

    Raises `ParityError` when ONNX Runtime and PyTorch differ, `CheckpointError` for a bad checkpoint, one that was saved after
    its last validation, or the weights that a run started from, and `FileExistsError` when `out` holds something that is no
    bundle.
    """
    out = out.resolve()
    if out.exists() and not _replaceable(out):
        raise FileExistsError(f"'{out}' exists and is no bundle; choose another --out")
    config, model, state = load_model(checkpoint)
    if config.model.signed:
        raise CheckpointError(f"'{checkpoint}' has a head with weights of both signs, and a gallery is searched by distance: "
                              "train with --set model.signed=false to export")  # fmt: skip
    notes = json.loads(state["notes"])
    if notes.get("validation", {}).get("weights") == "start":
        raise CheckpointError(f"'{checkpoint}' holds the weights that its run started from, since training on did not help: "
                              "keep the bundle that it started from; last.pt beside it is what the run ended with")  # fmt: skip
    validated = notes.get("validation", {}).get("step", state["done"])
    if validated != state["done"]:
        raise CheckpointError(f"'{checkpoint}' was saved at step {state['done']}, its thresholds are of the validation at step "
                              f"{validated}: finish the run with --resume, or export its best.pt")  # fmt: skip
    if "calibration" in notes:
        model.head.calibrate(**notes["calibration"])
    canvases = golden_canvases(config.model.spec)
    expected = reference(model, canvases)
    files = {"embedding.onnx": described(embedding_graph(model), "embedding", model).SerializeToString(deterministic=True)}
    files["head.onnx"] = described(head_graph(model), "head", model).SerializeToString(deterministic=True)
    check_decisions(files["embedding.onnx"], expected, model.head.weights.detach().numpy())
    embedding_difference = check_embedding(files["embedding.onnx"], expected)
    head_difference = check_head(files["head.onnx"], expected)
    files["golden.npz"] = _golden(expected)
    finding = "left out on request"
    if int8:
        graph, finding = _int8(model, expected)
        if graph is not None:
            files["embedding.int8.onnx"] = graph
    manifest = _manifest(config, model, notes, int(state["done"]), files)
    files["manifest.json"] = (json.dumps(manifest, indent=1) + "\n").encode()
    _write(out, files)
    sizes = {name: len(data) for name, data in files.items()}
    return ExportReport(out, Bundle.open(out).fingerprint, embedding_difference, head_difference, finding, sizes)


def _golden(expected: Reference) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, images=expected.canvases, embeddings=expected.embeddings, probabilities=expected.probabilities)
    return file.getvalue()


def _int8(model: SiameseNet, expected: Reference) -> tuple[bytes | None, str]:
    """The int8 graph, when it decides every golden image as PyTorch does; and what was found."""
    graph = quantize_embedding(embedding_graph(model, for_int8=True), calibration_canvases(model.config.spec))
    data = described(graph, "embedding", model).SerializeToString(deterministic=True)
    weights = model.head.weights.detach().numpy()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    found = session.run(None, {"images": expected.canvases})[0]
    changed = int((decisions(found, weights) != decisions(expected.embeddings, weights)).sum())
    worst = float(np.abs(found - expected.embeddings).max())
    if changed:
        return None, f"left out: {changed} of {len(expected.canvases)} golden images find another partner"
    if worst > GOLDEN_TOLERANCE["int8"]:
        return None, f"left out: a golden image's embedding is off by {worst:.3f}, more than the runtime allows"
    return data, f"same decisions, embeddings within {worst:.3f}"


def _manifest(
    config: TrainConfig, model: SiameseNet, notes: dict[str, Any], done: int, files: dict[str, bytes]
) -> dict[str, Any]:
    weights = model.head.weights.detach().numpy()
    checksums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    training = {key: notes[key] for key in ("command", "commit", "torch", "data", "sources") if key in notes}
    optional = ("calibration", "holdout", "started_from", "teachers", "blended_with", "fonts", "thresholds_on")
    training |= {key: notes[key] for key in optional if notes.get(key)}
    training |= {"split": config.split, "seed": config.seed, "steps": done, "of_steps": config.steps, "loss": config.loss}
    training |= {"shares": config.shares} if notes.get("sources") else {}
    validation = notes.get("validation")
    head = {
        "bias": float(model.head.bias.detach()),
        # An embedding's components are at most 1, so the largest weight takes the whole byte.
        "code_scale": 255 / float(weights.max()),
        "weights": [float(str(weight)) for weight in weights],
    }
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "preset": config.model.preset,
        "architecture": {key: value for key, value in config.model.to_dict().items() if key not in ("preset", "spec")},
        "preprocess": config.model.spec.to_dict(),
        "embedding_dim": config.model.dim,
        "fingerprint": fingerprint_of(checksums, config.model.spec, head),
        "training": training,
        "accuracy": {"within_alphabet_20_way": validation} if validation else {},
        "thresholds": notes.get("thresholds", []),
        "head": head,
        "sha256": checksums,
    }
    return manifest | {"checksum": checksum_of(manifest)}


def _replaceable(out: Path) -> bool:
    """Whether `out` is an empty folder, or a bundle and nothing else: other files beside a bundle are not ours to delete."""
    if not out.is_dir():
        return False
    names = {entry.name for entry in out.iterdir()}
    return not names or ("manifest.json" in names and names <= _BUNDLE_FILES)


def _write(out: Path, files: dict[str, bytes]) -> None:
    """Write beside `out`, then rename: a crash leaves the old bundle or the new one, complete."""
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for name, data in files.items():
            with (temporary / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(0o755)
        old = temporary.with_name(temporary.name + "-old")
        if out.exists():
            out.rename(old)  # no system replaces a folder that holds files
        try:
            temporary.rename(out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

"""The gate: a bundle is only written when ONNX Runtime computes what PyTorch computes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from train.model import SiameseNet

__all__ = [
    "BATCHES",
    "TOLERANCE",
    "ParityError",
    "Reference",
    "check_decisions",
    "check_embedding",
    "check_head",
    "decisions",
    "reference",
]

BATCHES = (1, 2, 7, 64)
"""Batch sizes compared: one, the exporter's example, one that divides nothing, and a large one."""

TOLERANCE = 1e-4
"""Largest difference of an embedding's component or a probability between PyTorch and ONNX Runtime in fp32."""


class ParityError(ValueError):
    """A graph does not compute what the PyTorch model computes, so no bundle is written."""


@dataclass(frozen=True)
class Reference:
    """What PyTorch makes of canvases uint8 (N, H, W): embeddings float32 (N, D) and probabilities float32 (N, N)."""

    canvases: NDArray[np.uint8]
    embeddings: NDArray[np.float32]
    probabilities: NDArray[np.float32]


def reference(model: SiameseNet, canvases: NDArray[np.uint8]) -> Reference:
    """Run the PyTorch model in fp32."""
    with torch.inference_mode():
        embeddings = model.eval().embed(torch.from_numpy(canvases))
        probabilities = torch.sigmoid(model.head(embeddings, embeddings))
    return Reference(canvases, embeddings.numpy(), probabilities.numpy())


def check_embedding(graph: bytes, expected: Reference) -> float:
    """Largest difference over all of `BATCHES`. Raises `ParityError` above `TOLERANCE`."""
    session = _session(graph)
    worst = 0.0
    for size in BATCHES:
        found = session.run(None, {"images": expected.canvases[:size]})[0]
        worst = max(worst, _difference(found, expected.embeddings[:size], f"embedding.onnx, batch {size}"))
    return worst


def check_head(graph: bytes, expected: Reference) -> float:
    """Largest difference of a probability, for unequal numbers of queries and supports. Raises `ParityError`."""
    session = _session(graph)
    worst = 0.0
    for queries in BATCHES:
        for supports in BATCHES:
            feeds = {"queries": expected.embeddings[:queries], "supports": expected.embeddings[:supports]}
            found = session.run(None, feeds)[0]
            name = f"head.onnx, {queries} queries and {supports} supports"
            worst = max(worst, _difference(found, expected.probabilities[:queries, :supports], name))
    return worst


def check_decisions(graph: bytes, expected: Reference, weights: NDArray[np.float32]) -> None:
    """Every golden image must find the same partner. Raises `ParityError`."""
    found = _session(graph).run(None, {"images": expected.canvases})[0]
    changed = int((decisions(found, weights) != decisions(expected.embeddings, weights)).sum())
    if changed:
        raise ParityError(f"embedding.onnx: {changed} of {len(expected.canvases)} golden images find another partner")


def decisions(embeddings: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.int64]:
    """The nearest other image of each, int64 (N,)."""
    distances = np.abs(embeddings[:, None] - embeddings[None]) @ weights
    np.fill_diagonal(distances, np.inf)
    return distances.argmin(axis=1)


def _difference(found: NDArray[np.float32], expected: NDArray[np.float32], name: str) -> float:
    if found.shape != expected.shape:
        raise ParityError(f"{name}: ONNX Runtime gives shape {found.shape}, PyTorch {expected.shape}")
    worst = float(np.abs(found - expected).max())
    if not worst <= TOLERANCE:
        raise ParityError(f"{name}: ONNX Runtime and PyTorch differ by {worst:.2e}, allowed {TOLERANCE:.0e}")
    return worst


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

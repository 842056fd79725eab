"""What a graph says of itself, for whoever opens it without the manifest: names, meanings, polarity, preprocessing, licence."""

from __future__ import annotations

import hashlib
import json

import onnx
import torch

from oneshot_runtime import __version__
from train.model import SiameseNet

__all__ = ["described"]

_IMAGES = (
    "uint8 [N, H, W]: canvases made of pictures as docs/bundle.md says: ink towards 255, background 0, the ink's box fitted "
    "to the canvas. The scaling to floats is inside the graph."
)
_EMBEDDINGS = "float32 [N, D], each component in [0, 1]. Near embeddings show the same symbol: compare them with head.onnx."
_TEXTS = {
    "embedding": (
        "Embeds canvases of symbols, so that one picture of a new symbol is enough to recognise it from then on.",
        {"images": _IMAGES, "embeddings": _EMBEDDINGS},
    ),
    "head": (
        "The probability that two embeddings show the same symbol: sigmoid(b - sum_j w_j |q_j - s_j|), w >= 0.",
        {
            "queries": "float32 [Q, D], embeddings of what is asked for",
            "supports": "float32 [S, D], embeddings of what is known",
            "probabilities": "float32 [Q, S] in [0, 1], 1 for the same symbol",
        },
    ),
}


def described(graph: onnx.ModelProto, kind: str, model: SiameseNet) -> onnx.ModelProto:
    """The graph with its description, and with the operator sets that it uses only.

    Args:
        graph: Changed in place.
        kind: "embedding" or "head".
        model: Whose weights the graph holds; a digest of them tells which graphs belong together.
    """
    text, meanings = _TEXTS[kind]
    graph.producer_name, graph.producer_version, graph.domain = "oneshot", __version__, "oneshot"
    graph.doc_string = graph.graph.doc_string = text
    graph.graph.name = f"oneshot {kind}"
    for value in (*graph.graph.input, *graph.graph.output):
        value.doc_string = meanings[value.name]
    del graph.metadata_props[:]
    onnx.helper.set_model_props(
        graph,
        {
            "name": f"oneshot {model.config.preset} {kind}",
            "version": __version__,
            "weights_sha256": _digest(model),
            "preprocessing": json.dumps(model.config.spec.to_dict(), sort_keys=True),
            "polarity": "ink 255, background 0",
            "license": "MIT",
            **{f"meaning of {name}": meaning for name, meaning in meanings.items()},
        },
    )
    used = {node.domain for node in graph.graph.node}
    kept = [opset for opset in graph.opset_import if opset.domain in used]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
    onnx.checker.check_model(graph, full_check=True)
    return graph


def _digest(model: SiameseNet) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().to(torch.float32).numpy().tobytes())
    return digest.hexdigest()

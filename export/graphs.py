"""Write the two graphs with torch.onnx, and bring them into the form that every runtime reads alike."""

from __future__ import annotations

import logging
import warnings

import onnx
import torch
from torch import nn

from export.fold import FoldedEmbedding, HeadGraph
from train.model import SiameseNet

__all__ = ["embedding_graph", "head_graph"]

_OPSET = 18
_IR_VERSION = 10


def embedding_graph(model: SiameseNet, for_int8: bool = False) -> onnx.ModelProto:
    """`images: uint8 [N, H, W] -> embeddings: float32 [N, D]`, N dynamic. for_int8: in the form that quantises best."""
    spec = model.config.spec
    example = torch.zeros(2, spec.height, spec.width, dtype=torch.uint8)
    batch = torch.export.Dim("N", min=1)
    return _cleaned(_export(FoldedEmbedding(model, for_int8).eval(), (example,), {"images": {0: batch}}, "embeddings"))


def head_graph(model: SiameseNet) -> onnx.ModelProto:
    """`queries [Q, D], supports [S, D] -> probabilities [Q, S]`, float32, Q and S dynamic."""
    dim = model.config.dim
    example = (torch.zeros(2, dim), torch.zeros(3, dim))
    shapes = {"queries": {0: torch.export.Dim("Q", min=1)}, "supports": {0: torch.export.Dim("S", min=1)}}
    return _cleaned(_export(HeadGraph(model.head).eval(), example, shapes, "probabilities"))


def _export(
    module: nn.Module, example: tuple[torch.Tensor, ...], shapes: dict[str, dict[int, torch.export.Dim]], output: str
) -> onnx.ModelProto:
    # The exporter warns about torchvision's absence and about its own deprecations, which no user can act on.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(
            module,
            example,
            input_names=list(shapes),
            output_names=[output],
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            dynamic_shapes=shapes,
            verbose=False,
        )
    if program is None:  # only older exporters that write to a file return None
        raise RuntimeError("torch.onnx.export returned no program; update PyTorch")
    proto: onnx.ModelProto = program.model_proto
    return proto


def _cleaned(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what the exporter notes about this machine (stack traces, versions), unused constants and shapes of inner values."""
    graph.ir_version = _IR_VERSION
    graph.producer_name, graph.producer_version, graph.doc_string = "oneshot", "", ""
    for holder in (graph, graph.graph, *graph.graph.node, *graph.graph.input, *graph.graph.output, *graph.graph.initializer):
        del holder.metadata_props[:]
        holder.doc_string = ""
    del graph.graph.value_info[:]
    used = {name for node in graph.graph.node for name in node.input}
    kept = [constant for constant in graph.graph.initializer if constant.name in used]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
    onnx.checker.check_model(graph, full_check=True)
    return graph

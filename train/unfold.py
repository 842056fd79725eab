"""Read a bundle back into a network that can go on learning: the inverse of the export's folding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from oneshot_runtime.model.bundle import Bundle
from train.checkpoint import CheckpointError
from train.model import PLAIN, PRESETS, ModelConfig, SiameseNet

__all__ = ["centre_norms", "unfolded"]


def unfolded(bundle: Bundle) -> SiameseNet:
    """The network of a bundle, in evaluation mode, with batch norms that only add what the export folded into biases.

    The head is as it was before its calibration. Channels, kernels and components are the graph's, whatever the preset of that
    name has now. Raises `CheckpointError` when the graph has other layers than its preset, and `BundleError` for a damaged
    file.
    """
    network = bundle.manifest.get("architecture", {}).get("network", PLAIN)
    if network != PLAIN:
        raise CheckpointError(
            f"bundle '{bundle.path}' is of network {network}, whose weights cannot be read back from its graph: start from the "
            "checkpoint that it was exported from"
        )
    constants = _constants(bundle)
    model = SiameseNet(_config_of(bundle, [weight.shape for weight, _ in constants])).eval()
    layers = [layer for layer in model.layers if not isinstance(layer, nn.MaxPool2d | nn.AvgPool2d | nn.ReLU)]
    with torch.no_grad():
        for index, layer in enumerate(layers):
            if isinstance(layer, nn.Conv2d | nn.Linear):
                norm = layers[index + 1]
                _load(layer, norm if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) else None, constants, bundle)
        _load_head(model, bundle)
    return model


@torch.no_grad()
def centre_norms(model: SiameseNet, ink: Tensor) -> None:
    """Give every batch norm the statistics of `ink`, float32 (N, 1, H, W), and the scale and offset that undo them.

    The network computes what it did before, and in training about the same: there a norm divides by its batch's statistics.
    """
    values = ink
    for layer in model.layers:
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert layer.running_mean is not None  # batch norms here always track statistics
            assert layer.running_var is not None
            axes = [0, *range(2, values.ndim)]
            mean, variance = values.mean(axes), values.var(axes, unbiased=False)
            scale = layer.weight / torch.sqrt(layer.running_var + layer.eps)
            layer.bias += (mean - layer.running_mean) * scale
            layer.weight.copy_(scale * torch.sqrt(variance + layer.eps))
            layer.running_mean.copy_(mean)
            layer.running_var.copy_(variance)
        values = layer(values)


def _config_of(bundle: Bundle, shapes: list[tuple[int, ...]]) -> ModelConfig:
    """The preset of the bundle's name with the sizes of its graph. shapes: of the weights, in the graph's order."""
    preset = PRESETS.get(bundle.preset)
    if preset is None:
        raise CheckpointError(f"bundle '{bundle.path}' was exported from another network than any preset: {sorted(PRESETS)}")
    *convolutions, last = shapes or [()]
    if len(convolutions) != len(preset.channels) or len(last) != 2 or any(len(shape) != 4 for shape in convolutions):
        raise CheckpointError(f"bundle '{bundle.path}' is not of preset {bundle.preset}: it has weights of {shapes}")
    return replace(
        preset,
        spec=bundle.spec,
        channels=tuple(shape[0] for shape in convolutions),
        kernels=tuple(shape[2] for shape in convolutions),
        dim=last[0],
    )


def _constants(bundle: Bundle) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Weight and bias of each convolution and fully connected layer, in the graph's order."""
    data = bundle.embedding_graph("fp32")
    try:
        graph = onnx.load_model_from_string(data).graph
        arrays = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
        return [(arrays[node.input[1]], arrays[node.input[2]]) for node in graph.node if node.op_type in ("Conv", "Gemm")]
    except (DecodeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"bundle '{bundle.path}' holds a graph that this code did not export: {error!r}") from error


def _load(
    layer: nn.Conv2d | nn.Linear,
    norm: nn.BatchNorm1d | nn.BatchNorm2d | None,
    constants: list[tuple[NDArray[np.float32], NDArray[np.float32]]],
    bundle: Bundle,
) -> None:
    weight, bias = constants.pop(0) if constants else (np.zeros(0), np.zeros(0))
    if weight.shape != tuple(layer.weight.shape):
        raise CheckpointError(f"bundle '{bundle.path}' is not of preset {bundle.preset}: a layer's weights are {weight.shape}, "
                              f"the preset's {tuple(layer.weight.shape)}")  # fmt: skip
    layer.weight.copy_(torch.from_numpy(weight.copy()))
    target = layer.bias
    if norm is not None:
        assert norm.running_var is not None
        norm.running_var.fill_(1 - norm.eps)
        target = norm.bias
    assert target is not None  # a layer without a norm has a bias
    target.copy_(torch.from_numpy(bias.copy()))


def _load_head(model: SiameseNet, bundle: Bundle) -> None:
    """The manifest's head, less the scale and offset that the export folded into it."""
    fitted = bundle.manifest.get("training", {}).get("calibration", {"scale": 1.0, "offset": 0.0})
    model.head.assign(torch.from_numpy(bundle.head.weights.copy()), bundle.head.bias)
    model.head.calibrate(1 / fitted["scale"], -fitted["offset"] / fitted["scale"])

"""Fold batch norm and the pixel scale into the layers beside them, giving the plain network that the graph holds."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from train.model import PLAIN, PositiveBatchNorm2d, SiameseNet, WeightedL1Head

__all__ = ["FoldedEmbedding", "HeadGraph"]


class FoldedEmbedding(nn.Module):
    """`SiameseNet.embed` as a graph has it: uint8 (N, H, W) -> float32 (N, D). for_int8: in the form that quantises best.

    The plain network is folded here. One of your own stays as it is: ONNX Runtime folds its batch norms when it loads the
    graph, and the quantiser does before it quantises.
    """

    def __init__(self, model: SiameseNet, for_int8: bool = False) -> None:
        super().__init__()
        layers = copy.deepcopy(model.layers)
        if model.config.network == PLAIN:
            plain = _without_norms(list(layers.children()))
            layers = nn.Sequential(*(_for_int8(plain) if for_int8 else plain))
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        """Uint8 canvases (N, H, W) to embeddings float32 (N, D)."""
        embeddings: Tensor = self.layers(images.unsqueeze(1).float() * (1 / 255))
        return embeddings


class HeadGraph(nn.Module):
    """`WeightedL1Head` as the graph states it: (Q, D), (S, D) -> probabilities (Q, S)."""

    def __init__(self, head: WeightedL1Head) -> None:
        super().__init__()
        self.weights = nn.Parameter(head.weights.detach().clone())
        self.bias = nn.Parameter(head.bias.detach().clone())

    def forward(self, queries: Tensor, supports: Tensor) -> Tensor:
        """Every query against every support."""
        differences = (queries.unsqueeze(1) - supports.unsqueeze(0)).abs()
        return torch.sigmoid(self.bias - torch.matmul(differences, self.weights))


def _without_norms(layers: list[nn.Module]) -> list[nn.Module]:
    """Each batch norm goes into the convolution or fully connected layer before it, past any max-pooling in between.

    Max-pooling commutes with the norm because the norm's scale is positive.
    """
    folded: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            target = next(before for before in reversed(folded) if isinstance(before, nn.Conv2d | nn.Linear))
            _fold(layer, target)
        else:
            folded.append(layer)
    return folded


def _for_int8(layers: list[nn.Module]) -> list[nn.Module]:
    """The same function, in the order and the layers that ONNX Runtime keeps in bytes from one convolution to the next.

    Max-pooling takes bytes as they are when ReLU, with which it commutes, comes first; quantising the convolution's output is
    then the ReLU. The first convolution stays in float (`export.quantize`), so there the pooling stays first, and a quarter of
    the values is quantised. Average-pooling becomes a convolution of each channel by itself, for which int8 has a fast kernel.
    """
    found: list[nn.Module] = []
    inputs = 0
    for layer in layers:
        if isinstance(layer, nn.ReLU) and isinstance(found[-1], nn.MaxPool2d) and inputs > 1:
            found.insert(-1, layer)
            continue
        if isinstance(layer, nn.Conv2d):
            inputs, channels = layer.in_channels, layer.out_channels
        found.append(_averaging(layer, channels) if isinstance(layer, nn.AvgPool2d) else layer)
    return found


@torch.no_grad()
def _averaging(pool: nn.AvgPool2d, channels: int) -> nn.Conv2d:
    size = pool.kernel_size
    layer = nn.Conv2d(channels, channels, size, stride=size, groups=channels, bias=False)  # type: ignore[arg-type]
    layer.weight.fill_(1 / layer.weight[0].numel())
    return layer


@torch.no_grad()
def _fold(norm: nn.BatchNorm1d | nn.BatchNorm2d, layer: nn.Conv2d | nn.Linear) -> None:
    weight = norm.weight.abs() if isinstance(norm, PositiveBatchNorm2d) else norm.weight
    assert norm.running_var is not None  # batch norms here always track statistics
    assert norm.running_mean is not None
    scale = weight / torch.sqrt(norm.running_var + norm.eps)
    bias = torch.zeros_like(scale) if layer.bias is None else layer.bias
    layer.weight.mul_(scale.view(-1, *([1] * (layer.weight.ndim - 1))))
    layer.bias = nn.Parameter((bias - norm.running_mean) * scale + norm.bias)

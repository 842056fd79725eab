"""An embedding network of one's own: residual blocks, and average-pooling over the whole map."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from train.model import ModelConfig


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(2))

    def forward(self, maps: Tensor) -> Tensor:
        inner = torch.relu(self.norms[0](self.first(maps)))
        return torch.relu(maps + self.norms[1](self.second(inner)))


class Residual(nn.Module):
    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(Block(channels) for _ in range(2))
        self.components = nn.Linear(channels * 9, dim)

    def forward(self, ink: Tensor) -> Tensor:
        maps = torch.relu(self.stem(ink))
        for block in self.blocks:
            maps = nn.functional.max_pool2d(block(maps), 2)
        maps = nn.functional.avg_pool2d(maps, 2)
        return torch.sigmoid(self.components(maps.flatten(1)))


def residual(config: ModelConfig) -> nn.Module:
    return Residual(24, config.dim)

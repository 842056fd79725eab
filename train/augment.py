"""Batched augmentation of canvases: another writer (affine and elastic), another pen (thickness, sharpness), symmetry."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["AugmentConfig", "augment"]


_TURN, _SLANT, _STRETCH, _BEND, _ROOM = 20.0, 0.4, 0.6, 0.05, 1.2
"""How far `AugmentConfig.alphabet` goes: half-widths in degrees, slope and natural-log units; share of the canvas;
and by how much the ink's box may grow, of which it leaves a tenth of the canvas free on each side."""


@dataclass(frozen=True)
class AugmentConfig:
    """Strengths, each the half-width of a uniform distribution unless said otherwise.

    rotation: degrees. scale, aspect: natural-log units. shear: slope. shift, elastic: share of the canvas (elastic: standard
    deviation of a coarse displacement field). pen: probability that a drawing's strokes are thinned or thickened. symmetry:
    probability that an alphabet is shown in one of the seven other symmetries of the square. alphabet: probability that an
    alphabet becomes another one: all its drawings are stretched, slanted, turned and bent alike.
    """

    rotation: float = 15.0
    scale: float = 0.15
    aspect: float = 0.15
    shear: float = 0.2
    shift: float = 0.05
    elastic: float = 0.02
    pen: float = 0.5
    symmetry: float = 0.5
    alphabet: float = 0.0


def augment(images: Tensor, config: AugmentConfig, generator: torch.Generator, alphabets: Tensor | None = None) -> Tensor:
    """Redraw a batch by other writers.

    images: uint8 (B, H, W). alphabets: int64 (B,), the alphabet of each; without, they are of one. Returns float32 (B, 1, H, W)
    in [0, 1]. All randomness comes from `generator`, on the CPU, so a run repeats on any device.
    """
    ink = images.unsqueeze(1).float() / 255
    ink = _symmetry(ink, config.symmetry, generator)
    theta = _affine(ink, config, generator)
    if config.alphabet > 0:
        places = _alphabet_places(ink, config.alphabet, alphabets, generator)
        grid = torch.einsum("bhwk,bjk->bhwj", places, theta[..., :2]) + theta[:, None, None, :, 2]
    else:
        grid = F.affine_grid(theta, list(ink.shape), align_corners=False)
    grid = grid + _elastic_field(ink, config.elastic, generator)
    ink = F.grid_sample(ink, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return _pen(ink, config.pen, generator)


def _uniform(count: int, half_width: float, generator: torch.Generator, like: Tensor) -> Tensor:
    return (torch.rand(count, generator=generator) * 2 - 1).mul(half_width).to(like.device)


def _symmetry(ink: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """One of the square's eight symmetries for the whole batch, so that classes stay comparable; transposes need squares."""
    draw = torch.rand(2, generator=generator)
    if draw[0] >= probability:
        return ink
    choice = int(draw[1] * 8)
    if choice & 1:
        ink = ink.flip(-1)
    if choice & 2:
        ink = ink.flip(-2)
    if choice & 4 and ink.shape[-1] == ink.shape[-2]:
        ink = ink.transpose(-1, -2)
    return ink.contiguous()


def _affine(ink: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """A writer's slant, size and place. Shape (B, 2, 3), from places in the result to places in the drawing."""
    count = len(ink)
    angle = _uniform(count, math.radians(config.rotation), generator, ink)
    scale = _uniform(count, config.scale, generator, ink)
    aspect = _uniform(count, config.aspect, generator, ink)
    shear = _uniform(count, config.shear, generator, ink)
    wide, high = (scale + aspect / 2).exp(), (scale - aspect / 2).exp()
    cos, sin = angle.cos(), angle.sin()
    return torch.stack(
        (
            torch.stack((cos * wide, (shear * cos - sin) * high, 2 * _uniform(count, config.shift, generator, ink)), -1),
            torch.stack((sin * wide, (shear * sin + cos) * high, 2 * _uniform(count, config.shift, generator, ink)), -1),
        ),
        1,
    )


def _alphabet_places(ink: Tensor, probability: float, alphabets: Tensor | None, generator: torch.Generator) -> Tensor:
    """Where each place of the result lies in the alphabet as it was drawn, (B, H, W, 2): one map for all of an alphabet.

    The whole of what was drawn stays on the canvas.
    """
    alphabets = torch.zeros(len(ink), dtype=torch.int64) if alphabets is None else alphabets
    names, which = alphabets.unique(return_inverse=True)
    count = len(names)
    chosen = (torch.rand(count, generator=generator) < probability).float().to(ink.device)
    angle, shear = (_uniform(count, width, generator, ink) * chosen for width in (math.radians(_TURN), _SLANT))
    wide = (_uniform(count, _STRETCH / 2, generator, ink) * chosen).exp()
    cos, sin = angle.cos(), angle.sin()
    to = torch.stack((torch.stack((cos * wide, (shear * cos - sin) / wide), -1),
                      torch.stack((sin * wide, (shear * sin + cos) / wide), -1)), 1)  # fmt: skip
    # The box that holds the ink may grow into the canvas's margin, and no further.
    growth = torch.linalg.inv(to).abs().sum(-1).amax(-1)
    to = to * (growth / _ROOM).clamp(min=1)[:, None, None]
    bend = _elastic_field(ink[:count], _BEND, generator) * chosen[:, None, None, None]
    flat = F.affine_grid(F.pad(to, (0, 1)), [count, *ink.shape[1:]], align_corners=False)
    return (flat + bend)[which.to(ink.device)]


def _elastic_field(ink: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """A smooth random displacement (Simard et al. 2003), drawn on 5x5 points and interpolated. Shape (B, H, W, 2)."""
    coarse = torch.randn(len(ink), 2, 5, 5, generator=generator).to(ink.device) * (2 * strength)
    field = F.interpolate(coarse, size=tuple(ink.shape[-2:]), mode="bicubic", align_corners=True)
    return field.permute(0, 2, 3, 1)


def _pen(ink: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Thin, thicken, sharpen or soften the strokes of each drawing."""
    count = len(ink)
    chosen = (torch.rand(count, generator=generator) < probability).float().to(ink.device)
    thickness = (_uniform(count, 1.0, generator, ink) * chosen).view(-1, 1, 1, 1)
    sharpness = (1 + _uniform(count, 1.0, generator, ink).add(1) * chosen).view(-1, 1, 1, 1)
    thick = F.max_pool2d(ink, 3, stride=1, padding=1)
    soft = F.avg_pool2d(ink, 3, stride=1, padding=1, count_include_pad=False)
    ink = torch.where(thickness >= 0, ink.lerp(thick, thickness.clamp(min=0)), ink.lerp(soft, -0.7 * thickness.clamp(max=0)))
    return ((ink - 0.5) * sharpness + 0.5).clamp_(0, 1) if probability > 0 else ink

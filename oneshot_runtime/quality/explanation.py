"""Why a query was given its answer: its nearest supports, the margin, and which parts of the drawing decided.

The parts are found by occlusion: patches of the ink are erased, all of them embedded in one go, and the change of the margin
tells what the ink there said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.model.codes import encode, logits, probability, sum_absolute_differences
from oneshot_runtime.quality.audit import support_picture

if TYPE_CHECKING:
    from PIL import Image

    from oneshot_runtime.gallery import Gallery
    from oneshot_runtime.model.bundle import Head
    from oneshot_runtime.results import Match

__all__ = ["Explanation", "NearSupport", "explain_canvas", "occlusion_map"]

_PATCHES = 6
"""Patches along the canvas' shorter side; they overlap by half, so that no stroke falls between two."""

Margin = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
"""Margins float64 (N,) in logits of canvases uint8 (N, H, W)."""


@dataclass(frozen=True)
class NearSupport:
    """The support of a class that is nearest to the query. picture: its thumbnail uint8 (H, W), None where none was kept."""

    label: str
    probability: float
    logit: float
    picture: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Explanation:
    """Why a query was given its answer.

    match: the answer. canvas: uint8 (H, W), what the model saw, ink towards 255. nearest: the best classes, best first. margin:
    logit of the best less that of the runner-up, or the best's own logit where there is but one class. influence: float32
    (H, W) in logits, how much of the margin goes when the ink around a pixel is erased: above 0 the ink speaks for the best
    class, below 0 for the runner-up; 0 where there is no ink.
    """

    match: Match
    canvas: NDArray[np.uint8]
    nearest: tuple[NearSupport, ...]
    margin: float
    influence: NDArray[np.float32]

    @property
    def margin_probability(self) -> float:
        """The best's probability less the runner-up's, or the best's own where there is but one class."""
        return self.nearest[0].probability - (self.nearest[1].probability if len(self.nearest) > 1 else 0.0)

    def draw(self) -> Image.Image:
        """The explanation as a picture (RGB)."""
        from oneshot_runtime.quality.explanation_sheet import draw_explanation

        return draw_explanation(self)


def explain_canvas(
    canvas: NDArray[np.uint8],
    match: Match,
    gallery: Gallery,
    head: Head,
    embed: Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.float32]],
) -> Explanation:
    """Explain `match`, the answer to a canvas uint8 (H, W). Raises `GalleryError` when the gallery is empty.

    embed: gives embeddings float32 (N, D) of canvases uint8 (H, W).
    """
    query = encode(embed([canvas]), head)[0]
    nearest, codes = [], []
    for candidate in match.candidates:
        own = gallery.codes(candidate.label)
        if not len(own):
            continue  # removed since by another thread or process
        distances = sum_absolute_differences(own, query)
        shot = int(distances.argmin())
        distance, picture = int(distances[shot]), support_picture(gallery, candidate.label, shot)
        logit = head.bias - distance / head.code_scale
        nearest.append(NearSupport(candidate.label, probability(distance, head), logit, picture))
        codes.append(own[shot])
    if not nearest:
        raise GalleryError("there is nothing to explain: the gallery is empty; enroll a symbol first")

    def margin(canvases: NDArray[np.uint8]) -> NDArray[np.float64]:
        found = encode(embed(list(canvases)), head)
        best = logits(sum_absolute_differences(found, codes[0]), head)
        return best - logits(sum_absolute_differences(found, codes[1]), head) if len(codes) > 1 else best

    influence = occlusion_map(canvas, margin)
    whole = nearest[0].logit - (nearest[1].logit if len(nearest) > 1 else 0.0)
    return Explanation(match, canvas, tuple(nearest), whole, influence)


def occlusion_map(canvas: NDArray[np.uint8], margin: Margin) -> NDArray[np.float32]:
    """How much the margin falls when ink is erased: float32 (H, W), the mean over a pixel's patches, 0 off the ink.

    Patches without ink are not tried; those with ink and the whole canvas are given to `margin` at once.
    """
    height, width = canvas.shape
    side = max(2, min(height, width) // _PATCHES // 2 * 2)
    tops, lefts = (range(-side // 2, length, side // 2) for length in (height, width))
    patches = [
        (slice(max(top, 0), top + side), slice(max(left, 0), left + side))
        for top in tops
        for left in lefts
        if canvas[max(top, 0) : top + side, max(left, 0) : left + side].any()
    ]
    erased = np.repeat(canvas[None], len(patches) + 1, axis=0)
    for number, patch in enumerate(patches):
        erased[number][patch] = 0
    margins = margin(erased)
    total, covered = np.zeros(canvas.shape), np.zeros(canvas.shape)
    for patch, lost in zip(patches, margins[-1] - margins[:-1], strict=True):
        total[patch] += lost
        covered[patch] += 1
    return np.where(canvas > 0, total / np.maximum(covered, 1), 0).astype(np.float32)

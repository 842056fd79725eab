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
from PIL import Image, ImageDraw

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.model.codes import encode, logits, probability, sum_absolute_differences
from oneshot_runtime.quality.audit import support_picture
from oneshot_runtime.quality.sheet import INK, QUIET, elide, font, place_picture
from oneshot_runtime.results import shortened
from oneshot_runtime.search.ranking import class_distances

if TYPE_CHECKING:
    from oneshot_runtime.gallery import Gallery
    from oneshot_runtime.model.bundle import Head
    from oneshot_runtime.results import Match
    from oneshot_runtime.search.snapshot import Neighbour

__all__ = ["Explanation", "NearSupport", "explain_canvas", "occlusion_map"]

_PATCHES = 6
"""Patches along the canvas' shorter side; they overlap by half, so that no stroke falls between two."""

_QUERY, _SUPPORT, _GAP, _TOP = 264, 120, 20, 104
_FOR, _NEUTRAL, _AGAINST = (0, 94, 184), (168, 168, 168), (222, 100, 0)
"""Blue and orange stay apart for the colour-blind too."""
_TRACK, _PAPER = (232, 232, 230), (255, 255, 255)

Margin = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
"""Margins float64 (N,) in logits of canvases uint8 (N, H, W)."""


@dataclass(frozen=True)
class NearSupport:
    """A class and its support that is nearest to the query.

    probability, logit: of the class, as `Match` gives them, which with several supports is not the nearest one's alone.
    picture: the nearest support's thumbnail uint8 (H, W), None where none was kept.
    """

    label: str
    probability: float
    logit: float
    picture: NDArray[np.uint8] | None

    def __repr__(self) -> str:
        return f"NearSupport({shortened(self.label)}, probability={self.probability:.4f}, logit={self.logit:.2f})"


@dataclass(frozen=True)
class Explanation:
    """Why a query was given its answer.

    Attributes:
        match: The answer.
        canvas: uint8 (H, W), what the model saw, ink towards 255.
        nearest: The nearest support of each of the best classes, best first.
        margin: Logit of the best less that of the runner-up, or the best's own logit where there is but one class.
        influence: float32 (H, W) in logits, how much of the margin goes when the ink around a pixel is erased: above 0 the ink
            speaks for the best class, below 0 for the runner-up; 0 where there is no ink.
    """

    match: Match
    canvas: NDArray[np.uint8]
    nearest: tuple[NearSupport, ...]
    margin: float
    influence: NDArray[np.float32]

    def __repr__(self) -> str:
        return f"Explanation({self.match!r}, margin={self.margin:.2f})"

    @property
    def margin_probability(self) -> float:
        """The best's probability less the runner-up's, or the best's own where there is but one class."""
        return self.nearest[0].probability - (self.nearest[1].probability if len(self.nearest) > 1 else 0.0)

    def draw(self) -> Image.Image:
        """The query in coloured ink beside the nearest known drawings.

        Returns:
            A Pillow image, RGB.
        """
        return _drawn(self)


def explain_canvas(
    canvas: NDArray[np.uint8],
    match: Match,
    best: Sequence[Neighbour],
    gallery: Gallery,
    head: Head,
    embed: Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.float32]],
) -> Explanation:
    """Explain the answer to a canvas. Raises `GalleryError` when the gallery is empty.

    Args:
        canvas: What the model saw, uint8 (H, W).
        match: The answer.
        best: The classes of its candidates, as they were ranked.
        gallery: Where their supports are.
        head: Turns distances into logits.
        embed: Gives embeddings float32 (N, D) of canvases uint8 (H, W).
    """
    query = encode(embed([canvas]), head)[0]
    nearest, codes = [], []
    for neighbour in best:
        own = gallery.codes(neighbour.label)
        if not len(own):
            continue  # removed since by another thread or process
        picture = support_picture(gallery, neighbour.label, int(sum_absolute_differences(own, query).argmin()))
        distance = neighbour.class_distance
        logit = head.bias - distance / head.code_scale
        nearest.append(NearSupport(neighbour.label, probability(distance, head), logit, picture))
        codes.append(own)
    if not nearest:
        raise GalleryError("there is nothing to explain: the gallery is empty; enroll a symbol first")

    def margin(canvases: NDArray[np.uint8]) -> NDArray[np.float64]:
        found = encode(embed(list(canvases)), head)
        first = logits(class_distances(found, codes[0]), head)
        return first - logits(class_distances(found, codes[1]), head) if len(codes) > 1 else first

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


def _drawn(explanation: Explanation) -> Image.Image:
    """The query with its ink coloured by what it speaks for, the nearest supports beside it, and a legend (RGB)."""
    supports = explanation.nearest
    width = _QUERY + 3 * _GAP + 360
    body = max(_QUERY + _GAP + 96, len(supports) * (_SUPPORT + _GAP) - _GAP)
    sheet = Image.new("RGB", (width, _TOP + body + _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    best = supports[0]
    title = f"This is {best.label!r}" if explanation.match.label is not None else f"Not recognised. Most like {best.label!r}"
    pen.text((_GAP, 14), elide(title, width - 2 * _GAP, 24), fill=INK, font=font(24))
    pen.text((_GAP, 48), elide(_margin_text(explanation), width - 2 * _GAP, 14), fill=QUIET, font=font(14))
    pen.text((_GAP, _TOP - 22), "the picture, as the model sees it", fill=QUIET, font=font(13))
    pen.text((_QUERY + 2 * _GAP, _TOP - 22), "the nearest known drawings", fill=QUIET, font=font(13))
    sheet.paste(_coloured(explanation), (_GAP, _TOP))
    pen.rectangle((_GAP - 1, _TOP - 1, _GAP + _QUERY, _TOP + _QUERY), outline=_TRACK)
    for row, support in enumerate(supports):
        colour = (_FOR, _AGAINST, QUIET)[min(row, 2)]
        _draw_support(sheet, pen, support, colour, (_QUERY + 2 * _GAP, _TOP + row * (_SUPPORT + _GAP)), row == 0)
    _draw_legend(pen, explanation, _TOP + _QUERY + 14)
    return sheet


def _margin_text(explanation: Explanation) -> str:
    match, best = explanation.match, explanation.nearest[0]
    text = f"{_percent(best.probability)} likely the same symbol"
    if match.label is None:
        text += f", and {_percent(match.threshold or 0.0)} are needed"
    if len(explanation.nearest) > 1:
        points = 100 * explanation.margin_probability
        text += f"; {points:.1f} points ({explanation.margin:.1f} logits) ahead of {explanation.nearest[1].label!r}"
    return text


def _percent(value: float) -> str:
    return f"{100 * min(value, 0.999):.1f} %" if value < 0.999 else "over 99.9 %"


def _draw_support(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    support: NearSupport,
    colour: tuple[int, int, int],
    corner: tuple[int, int],
    best: bool,
) -> None:
    x, y = corner
    place_picture(sheet, support.picture, (x, y), _SUPPORT)
    pen.rectangle((x - 1, y - 1, x + _SUPPORT, y + _SUPPORT), outline=colour, width=3 if best else 2)
    x += _SUPPORT + _GAP
    room = sheet.width - x - _GAP
    pen.text((x, y + 22), elide(support.label, room, 20), fill=colour, font=font(20))
    pen.rounded_rectangle((x, y + 56, x + room, y + 70), 7, fill=_TRACK)
    filled = round(room * support.probability)
    if filled >= 2:
        pen.rounded_rectangle((x, y + 56, x + filled, y + 70), min(7, filled // 2), fill=colour)
    pen.text((x, y + 78), f"{_percent(support.probability)} likely the same symbol", fill=QUIET, font=font(14))


def _coloured(explanation: Explanation) -> Image.Image:
    """The canvas enlarged, dark where the paper is white, its ink in the colours of the influence."""
    influence = explanation.influence
    strongest = np.float32(np.abs(influence).max() or 1)
    size = _fitted(explanation.canvas.shape, _QUERY)
    # Spread over the paper beside the ink first: enlarging would otherwise fade the strokes' edges to neutral.
    level = _enlarged(_spread(influence / strongest, explanation.canvas > 0), size)
    ink = _enlarged(explanation.canvas * np.float32(1 / 255), size)[..., None]
    strength = np.sqrt(np.clip(np.abs(level), 0, 1))[..., None]
    side = np.where(level[..., None] >= 0, np.array(_FOR), np.array(_AGAINST))
    colour = np.array(_NEUTRAL) * (1 - strength) + side * strength
    pixels = np.clip(colour * ink + 255 * (1 - ink), 0, 255).astype(np.uint8)
    panel = Image.new("RGB", (_QUERY, _QUERY), _PAPER)
    panel.paste(Image.fromarray(pixels), ((_QUERY - size[0]) // 2, (_QUERY - size[1]) // 2))
    return panel


def _fitted(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Width and height of `shape` (H, W) enlarged to fit a square."""
    scale = side / max(shape)
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


def _enlarged(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


def _spread(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Give pixels off the ink the mean of their neighbours on it, four rings out."""
    values = values.copy()
    for _ in range(4):
        total, count = np.zeros_like(values), np.zeros_like(values)
        padded, mask = np.pad(values * known, 1), np.pad(known.astype(np.float32), 1)
        for y in range(3):
            for x in range(3):
                total += padded[y : y + values.shape[0], x : x + values.shape[1]]
                count += mask[y : y + values.shape[0], x : x + values.shape[1]]
        fresh = ~known & (count > 0)
        values[fresh] = total[fresh] / count[fresh]
        known = known | fresh
    return values


def _draw_legend(pen: ImageDraw.ImageDraw, explanation: Explanation, top: int) -> None:
    best = explanation.nearest[0].label
    against = f"speaks for {explanation.nearest[1].label!r}" if len(explanation.nearest) > 1 else f"speaks against {best!r}"
    rows = ((_FOR, f"speaks for {best!r}"), (_AGAINST, against), (_NEUTRAL, "makes no difference"))
    for number, (colour, text) in enumerate(rows):
        y = top + number * 24
        pen.rounded_rectangle((_GAP, y + 2, _GAP + 18, y + 16), 3, fill=colour)
        pen.text((_GAP + 30, y), elide(text, _QUERY - 30, 14), fill=INK, font=font(14))
    pen.text((_GAP, top + 74), "tried by erasing the ink bit by bit", fill=QUIET, font=font(13))

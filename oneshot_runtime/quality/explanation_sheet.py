"""An explanation as a picture that a person understands at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from oneshot_runtime.quality.sheet import INK, QUIET, elide, font, place_picture

if TYPE_CHECKING:
    from oneshot_runtime.quality.explanation import Explanation, NearSupport

__all__ = ["draw_explanation"]

_QUERY, _SUPPORT, _GAP, _TOP = 264, 120, 20, 104
_FOR, _NEUTRAL, _AGAINST = (0, 94, 184), (168, 168, 168), (222, 100, 0)
"""Blue and orange stay apart for the colour-blind too."""
_TRACK, _PAPER = (232, 232, 230), (255, 255, 255)


def draw_explanation(explanation: Explanation) -> Image.Image:
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
        text += f", and {_percent(match.threshold)} are needed"
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

"""Alphabets that nobody wrote: characters composed of two of a real alphabet, and symbols that the project invents.

More classes teach an embedding more than more drawings of the same classes do. A composed alphabet is a table of parts, so each
of its characters has neighbours that differ from it in one half only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess
from train.canvases import Canvases
from train.omniglot import DatasetError, ImageSet

__all__ = ["composed_alphabets", "invented_alphabets"]

_FIRST_PARTS, _SECOND_PARTS = 5, 4
_SIDE = 105
_WRITERS = 12
_INVENTED_SEED = 1000


def composed_alphabets(
    images: ImageSet,
    alphabets: dict[str, tuple[int, int]],
    spec: PreprocessSpec,
    count: int,
    seed: int,
    progress: bool = False,
) -> Canvases:
    """`count` alphabets of 20 characters, each put together from two of one alphabet, as each drawer drew them.

    alphabets: those of `images.alphabets` to take. A composed alphabet has one layout: side by side, one above the other, or
    the second small at the first's lower right. Raises `DatasetError` when no alphabet has nine characters.
    """
    rng = np.random.default_rng(seed)
    ranges = [(first, last) for first, last in alphabets.values() if last - first + 1 >= _FIRST_PARTS + _SECOND_PARTS]
    if not ranges:
        raise DatasetError(f"no alphabet has the {_FIRST_PARTS + _SECOND_PARTS} characters to compose others of: --composed 0")
    drawn: list[list[NDArray[np.uint8]]] = []
    for number in tqdm(range(count), desc="compose", unit="alphabet", disable=not progress, leave=False):
        first, last = ranges[number % len(ranges)]
        parts = rng.permutation(np.arange(first, last + 1))
        layout = int(rng.integers(3))
        for one in parts[:_FIRST_PARTS]:
            for other in parts[_FIRST_PARTS : _FIRST_PARTS + _SECOND_PARTS]:
                pairs = zip(images.images[one], images.images[other], strict=True)
                drawn.append([preprocess(_composed(a, b, layout), spec) for a, b in pairs])
    return _canvases(drawn, _FIRST_PARTS * _SECOND_PARTS, "composed")


def invented_alphabets(spec: PreprocessSpec, count: int, seed: int, progress: bool = False) -> Canvases:
    """`count` alphabets of 20 invented symbols, each drawn by twelve writers."""
    rng = np.random.default_rng(seed)
    drawn: list[list[NDArray[np.uint8]]] = []
    for number in tqdm(range(count), desc="invent", unit="alphabet", disable=not progress, leave=False):
        writers = [random_writer(rng) for _ in range(_WRITERS)]
        for symbol in invent_alphabet(20, seed=_INVENTED_SEED + number):
            drawn.append([preprocess(draw(symbol, writer, rng), spec) for writer in writers])
    return _canvases(drawn, 20, "invented")


def _canvases(drawn: list[list[NDArray[np.uint8]]], size: int, name: str) -> Canvases:
    counts = [len(drawings) for drawings in drawn]
    return Canvases(
        images=np.concatenate([np.stack(drawings) for drawings in drawn]),
        classes=np.repeat(np.arange(len(drawn)), counts),
        drawers=np.concatenate([np.arange(count) for count in counts]),
        groups={f"{name} {start // size}": np.arange(start, start + size) for start in range(0, len(drawn), size)},
    )


def _composed(one: NDArray[np.uint8], other: NDArray[np.uint8], layout: int) -> NDArray[np.uint8]:
    narrow = round(0.6 * _SIDE)
    if layout == 0:
        return np.concatenate((_fitted(one, _SIDE, narrow), _fitted(other, _SIDE, narrow)), axis=1)
    if layout == 1:
        return np.concatenate((_fitted(one, narrow, _SIDE), _fitted(other, narrow, _SIDE)), axis=0)
    sheet = np.full((_SIDE + narrow, _SIDE + narrow), 255, np.uint8)
    sheet[:_SIDE, :_SIDE] = _fitted(one, _SIDE, _SIDE)
    corner = sheet[_SIDE - narrow // 3 :, _SIDE - narrow // 3 :]
    small = _fitted(other, narrow, narrow)
    corner[:narrow, :narrow] = np.minimum(corner[:narrow, :narrow], small)
    return sheet


def _fitted(drawing: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The drawing's ink, as large as fits with a margin of three pixels, in the middle of a sheet (height, width)."""
    rows, columns = np.flatnonzero((drawing < 128).any(axis=1)), np.flatnonzero((drawing < 128).any(axis=0))
    ink = drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = min((height - 6) / ink.shape[0], (width - 6) / ink.shape[1])
    size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    sheet = np.full((height, width), 255, np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    sheet[top : top + size[1], left : left + size[0]] = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BILINEAR))
    return sheet

"""Symbols rendered here: print in families that nothing was learned from, and icons shown otherwise than they were enrolled."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import regex
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from benchmarks.domains.image_sets import SymbolSet
from train.exclusions import HELD_OUT_SCRIPTS, excluded
from train.fonts import checking_fonts, find_fonts, glyph_mask
from train.glyph_classes import scripts
from train.restyle import shape_of

__all__ = ["VIEWS", "held_out_glyphs", "icons", "printed"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghijklmnqrtuy23456789ΓΔΘΛΞΠΣΦΨΩαβγδεζηθλμξπρστφχψω&?!@§%"


_MARGIN = 20


def _turned(degrees: float) -> Callable[[Image.Image], Image.Image]:
    return lambda picture: picture.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)


def _jpeg(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=20)
    return Image.open(file).convert("L")


VIEWS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as enrolled": lambda picture: picture,
    "24 pixels": lambda picture: picture.resize((24, 24), Image.Resampling.BOX),
    "16 pixels": lambda picture: picture.resize((16, 16), Image.Resampling.BOX),
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(3)),
    "JPEG, quality 20": _jpeg,
    "inverted": lambda picture: picture.point(lambda level: 255 - level),
    "turned 5 degrees": _turned(5),
    "turned 15 degrees": _turned(15),
    "turned 45 degrees": _turned(45),
    "turned 90 degrees": _turned(90),
    "turned 180 degrees": _turned(180),
}
"""How an icon of 88 pixels, with a margin of four, is shown."""


def printed(folders: Sequence[Path], families: int = 24) -> SymbolSet | None:
    """Letters and digits in fonts that print is tested with; `groups` are the fonts. None without two of them."""
    fonts = [font for font in checking_fonts(folders) if all(ord(letter) in font.characters for letter in _LETTERS)]
    rng = np.random.default_rng(0)
    chosen = [fonts[index] for index in sorted(rng.permutation(len(fonts))[:families])]
    if len(chosen) < 2:
        return None
    images, labels, groups = [], [], []
    for number, font in enumerate(chosen):
        for label, letter in enumerate(_LETTERS):
            mask = glyph_mask(font.path, ord(letter))
            if mask is not None:
                images.append(255 - mask)
                labels.append(label)
                groups.append(number)
    return SymbolSet("print_across_fonts", images, np.array(labels), np.array(groups), "print of other fonts")


def icons(folders: Sequence[Path], count: int = 100) -> list[NDArray[np.uint8]]:
    """Pictures uint8 (88, 88) of that many emoji, which nothing was learned from; fewer where no font draws them."""
    fonts = find_fonts(folders)
    emoji = regex.compile(r"\p{Emoji}")
    having = {
        code: font for font in fonts for code in font.characters if code > 0x2000 and emoji.match(chr(code)) and excluded(code)
    }
    found = []
    for code in np.random.default_rng(0).permutation(sorted(having)):
        mask = glyph_mask(having[int(code)].path, int(code))
        if mask is not None:
            found.append(255 - mask[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN])
        if len(found) == count:
            break
    return found


def held_out_glyphs(folders: Sequence[Path]) -> dict[str, list[NDArray[np.uint8]]]:
    """Glyphs of the scripts that training holds out, as a pen of even width draws their middle lines: by script."""
    found: dict[str, list[NDArray[np.uint8]]] = {}
    for each in scripts(find_fonts(folders), HELD_OUT_SCRIPTS.__contains__):
        mask = glyph_mask(*each.sources[0])
        if mask is not None:
            line = shape_of(mask).line
            ink = np.clip(2.5 - line + 0.5, 0, 1)
            found.setdefault(each.group.split()[0], []).append((255 - 255 * ink).astype(np.uint8))
    return found

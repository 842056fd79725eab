"""Which glyphs of which fonts show the same: letters of scripts, print in many faces, hands, pictograms, icons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import fontTools.unicodedata as unicode
import numpy as np
import regex

from train.exclusions import EXCLUDED_SCRIPTS, excluded
from train.fonts import Font
from train.icons import concepts

__all__ = ["GlyphClass", "hands", "icons", "pictograms", "print_faces", "scripts"]

_NEIGHBOURS = 20
_MOST = {
    "Egyp": 400,
    "Xsux": 200,
    "Hang": 200,
    "Yiii": 160,
    "Cans": 160,
    "Hluw": 160,
    "Sgnw": 60,
    "Tang": 0,
    "Kits": 0,
    "Nshu": 120,
}
_MOST_OF_A_SCRIPT = 120
_FONTS_A_GLYPH = 8
_NUMBERED = regex.compile(r"IDEOGRAPH|CIRCLED|PARENTHESIZED")
_SYMBOL_BLOCKS = frozenset(
    {
        "Arrows",
        "Miscellaneous Technical",
        "Control Pictures",
        "Optical Character Recognition",
        "Geometric Shapes",
        "Miscellaneous Symbols",
        "Dingbats",
        "Miscellaneous Symbols and Arrows",
        "Supplemental Arrows-A",
        "Supplemental Arrows-B",
        "Supplemental Arrows-C",
        "Phaistos Disc",
        "Ancient Symbols",
        "Miscellaneous Symbols and Pictographs",
        "Ornamental Dingbats",
        "Transport and Map Symbols",
        "Alchemical Symbols",
        "Geometric Shapes Extended",
        "Symbols and Pictographs Extended-A",
        "Symbols for Legacy Computing",
    }
)


@dataclass(frozen=True)
class GlyphClass:
    """One class of drawings: (font file, code point) pairs that show the same, and the alphabet that it belongs to."""

    group: str
    sources: tuple[tuple[str, int], ...]


def scripts(fonts: Sequence[Font], wanted: Callable[[str], bool] = bool) -> list[GlyphClass]:
    """Letters and numbers of each script that a font draws, but for those left out."""
    by_script: dict[str, list[int]] = {}
    for code in sorted({code for font in fonts for code in font.characters}):
        script = unicode.script(chr(code))
        if script in EXCLUDED_SCRIPTS or script in ("Latn", "Grek", "Brai") or not wanted(script):
            continue
        if unicode.category(chr(code)) in ("Lo", "Lu", "Ll", "Nd", "Nl", "No", "So") and not _NUMBERED.search(
            unicode.name(chr(code), "")
        ):
            by_script.setdefault(script, []).append(code)
    classes = []
    for script, codes in by_script.items():
        kept = codes[: _MOST.get(script, _MOST_OF_A_SCRIPT)]
        classes += [GlyphClass(f"{script} {number // _NEIGHBOURS}", _drawn_by(fonts, code)) for number, code in enumerate(kept)]
    return classes


def print_faces(fonts: Sequence[Font]) -> list[GlyphClass]:
    """Latin and Greek letters, digits and punctuation: the drawings of a class are of many families."""
    return _letters("print", [font for font in fonts if not font.handwritten])


def hands(fonts: Sequence[Font]) -> list[GlyphClass]:
    """The same as fonts that imitate handwriting draw them."""
    return _letters("hands", [font for font in fonts if font.handwritten])


def _letters(group: str, fonts: Sequence[Font]) -> list[GlyphClass]:
    codes = [*range(0x21, 0x7F), *range(0xA1, 0x180), *range(0x386, 0x3CF), *range(0x250, 0x2B0)]
    printable = [code for code in codes if not excluded(code) and unicode.category(chr(code))[0] in "LNPS"]
    classes = [GlyphClass(f"{group} {n // _NEIGHBOURS}", _drawn_by(fonts, code, 24)) for n, code in enumerate(printable)]
    return [each for each in classes if each.sources]


def pictograms(fonts: Sequence[Font]) -> list[GlyphClass]:
    """Arrows, technical and weather signs, dingbats, and icons that one family draws in two ways, but for those left out."""
    symbols = sorted(
        code
        for code in {code for font in fonts for code in font.characters}
        if unicode.block(chr(code)) in _SYMBOL_BLOCKS and unicode.category(chr(code)) == "So" and not excluded(code)
    )
    classes = [GlyphClass(f"symbols {n // _NEIGHBOURS}", _drawn_by(fonts, code)) for n, code in enumerate(symbols)]
    singles = {
        name: sources for name, (sources, families) in concepts(fonts).items() if len(families) == 1 and len(sources) > 1
    }
    return classes + _named_icons("icons", singles)


def icons(fonts: Sequence[Font]) -> list[GlyphClass]:
    """What several icon fonts draw, each its own way: one class for each concept."""
    shared = {name: sources for name, (sources, families) in concepts(fonts).items() if len(families) > 1}
    return _named_icons("concepts", shared)


def _named_icons(group: str, named: Mapping[str, Sequence[tuple[str, int]]]) -> list[GlyphClass]:
    """Neighbours have names that begin alike."""
    return [GlyphClass(f"{group} {n // _NEIGHBOURS}", tuple(named[name])) for n, name in enumerate(sorted(named))]


def _drawn_by(fonts: Sequence[Font], code: int, most: int = _FONTS_A_GLYPH) -> tuple[tuple[str, int], ...]:
    """Up to `most` fonts that draw a code point, of different families before different styles of one."""
    having: dict[str, list[str]] = {}
    for font in fonts:
        if code in font.characters:
            having.setdefault(font.family.split(" Condensed")[0], []).append(str(font.path))
    rng = np.random.default_rng(code)
    rounds = [rng.permutation(paths).tolist() for paths in having.values()]
    order = [int(index) for index in rng.permutation(len(rounds))]
    picked: list[str] = []
    while len(picked) < most and any(rounds):
        for index in order:
            if rounds[index] and len(picked) < most:
                picked.append(rounds[index].pop())
    return tuple((path, code) for path in picked)

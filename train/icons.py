"""Icons of icon fonts by what they show: one concept as several families draw it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

from train.exclusions import is_tested_icon
from train.fonts import Font

__all__ = ["concepts", "is_private"]

_ICON_FONTS = re.compile(r"awesome|material|icon|phosphor|lucide|tabler|ionic|eva-|themify|^la-", re.I)
_LAYERS = re.compile(r"duotone|two tone", re.I)
_FEWEST_ICONS = 100
_VARIANTS_OF_A_FONT = 2
_MOST_SOURCES = 14

_PREFIX = re.compile(r"^(ic-fluent|bx[sl]?|jam|ph|ti|zmdi|ion-md|ion-ios|ion-logo|md|ios|icon)-")
_VARIANT = re.compile(
    r"-(fill|filled|line|outline|outlined|thin|light|bold|duotone|regular|solid|sharp|round|rounded|two-tone|alternate|alt|variant|"
    r"ltr|rtl|o|f|\d+)$"
)


def concepts(fonts: Sequence[Font]) -> dict[str, tuple[list[tuple[str, int]], set[str]]]:
    """Of each concept that icon fonts name, (font file, code point) pairs that draw it, and the families they are of.

    Names that differ in a family's prefix, the style or a variant's number only are one concept: "home-outline", "bx-home",
    "ic_fluent_home_24_filled". Sources of different families come before different ones of one.
    """
    drawn: dict[str, dict[str, list[tuple[str, int]]]] = {}
    for font in fonts:
        named = {code: name for code, name in font.characters.items() if is_private(code)}
        if len(named) < _FEWEST_ICONS or not _ICON_FONTS.search(font.family) or _LAYERS.search(font.family):
            continue
        family, taken = re.split(r"[ -]", font.family.lower())[0], Counter[str]()
        for code, name in sorted(named.items(), key=lambda item: (len(item[1]), item[1], item[0])):
            concept = _concept(name)
            if concept is not None and taken[concept] < _VARIANTS_OF_A_FONT:
                taken[concept] += 1
                drawn.setdefault(concept, {}).setdefault(family, []).append((str(font.path), code))
    return {concept: (_in_turn(by_family), set(by_family)) for concept, by_family in drawn.items()}


def _in_turn(by_family: dict[str, list[tuple[str, int]]]) -> list[tuple[str, int]]:
    rounds = zip_longest(*by_family.values())
    return [source for each in rounds for source in each if source is not None][:_MOST_SOURCES]


def is_private(code: int) -> bool:
    """Whether a code point is one that fonts give a meaning of their own."""
    return 0xE000 <= code < 0xF900 or code >= 0xF0000


def _concept(name: str) -> str | None:
    """What an icon of this glyph's name shows, or None for a name that says nothing or what is used for checking."""
    whole = name.lower().replace("_", "-").replace(".", "-").removesuffix("-bold")
    if is_tested_icon(whole) or whole.startswith(("uni", "glyph", "-")):
        return None
    short = _PREFIX.sub("", whole)
    while (shorter := _VARIANT.sub("", short)) != short:
        short = shorter
    return short if len(short) > 2 and short[0].isalpha() else None

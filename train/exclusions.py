"""What is left out of training because it is used for checking: scripts, code points, icons, families of fonts."""

from __future__ import annotations

import fontTools.unicodedata as unicode
import regex

__all__ = ["EXCLUDED_SCRIPTS", "HELD_OUT_SCRIPTS", "excluded", "is_tested_family", "is_tested_icon"]

EXCLUDED_SCRIPTS = frozenset(
    # Those of the ten alphabets of the trials, those held out of training on Omniglot, those that digits and letters are
    # tested in, and Chinese characters.
    {
        "Tibt",
        "Guru",
        "Knda",
        "Mlym",
        "Ethi",
        "Glag",
        "Mtei",
        "Cyrl",
        "Orya",
        "Sylo",
        "Avst",
        "Mong",
        "Arab",
        "Thai",
        "Beng",
        "Deva",
        "Telu",
        "Khmr",
        "Hani",
        "Zyyy",
        "Zinh",
        "Zzzz",
    }
)

HELD_OUT_SCRIPTS = ("Java", "Cakm", "Vaii", "Perm", "Tavt", "Osge", "Elba", "Saur", "Takr", "Cher")
"""Scripts of fonts that nothing is learned from: beside held-out alphabets, what models and thresholds are chosen on."""


_TESTED_SYMBOLS = regex.compile(r"\p{Emoji}|\p{Extended_Pictographic}|\p{Math}")
_TESTED_NAMES = regex.compile(
    r"CHESS|PLAYING CARD|MAHJONG|DOMINO|MUSIC|\bNOTE\b|CLEF|SUIT|SHOGI|DRAUGHTS|CIRCLED|PARENTHESIZED"
)
_TESTED_ICONS = regex.compile(
    r"chess|card|mahjong|domino|joker|music|note|clef|piano|emoji|emoticon|emotion|mood|smile|smiley|face|sentiment|meh|frown|"
    r"laugh|grin|annoyed|angry|\bhappy\b|\bsad\b|\bcry\b|wink|tongue|dizzy|flushed|grimace|tired|heart|spade|club|diamond|suit\b|"
    r"poker|dice|casino|math|plus|minus|division|divide|multiply|multiplication|equal|sigma|infinity|infinite|sqrt|square-root|"
    r"radical|function|percent|less|greater|integral|\bsum\b|summation|\bpi\b|tilde|\btimes\b|xmark|\bx\b|"
    r"alpha|omega|lambda|theta|delta|numeric|number|numeral|roman|counter|\bone\b|\btwo\b|\bthree\b|\bfour\b|\bfive\b|\bsix\b|"
    r"format|looks|filter-|exposure|superscript|subscript|letter|\babc\b|currency|language|translate|"
    r"text|font|typography|\bbold\b|italic|underline|heading|\bcase\b|\bkanji\b|hiragana|katakana|chinese|japanese|arabic|hindi"
)


# Print is tested in these, or they are drawn after one of these (Hack): nothing of them is learned from.
_TESTED_FAMILIES = regex.compile(
    r"DejaVu|Liberation|Free(Sans|Serif|Mono)|Libertine|Biolinum|Roboto|Comic Neue|\bLato\b|EB ?Garamond|Cantarell|"
    r"\bHack\b|URW|Nimbus|\bC059|\bP052|\bD050000L|\bZ003|Standard Symbols"
)


def excluded(code: int) -> bool:
    """Whether a code point is of a kind that is used for checking: emoji, mathematics, music, chess, cards, Mahjong."""
    name = unicode.name(chr(code), "")
    symbol = _TESTED_SYMBOLS.match(chr(code)) and not chr(code).isalnum() and chr(code) not in "#*"
    return bool(symbol) or bool(_TESTED_NAMES.search(name))


def is_tested_icon(name: str) -> bool:
    """Whether an icon of this name is of a kind that is used for checking."""
    return bool(_TESTED_ICONS.search(name.lower().replace("_", "-")))


def is_tested_family(name: str) -> bool:
    """Whether a font of this family's and file's name is of a family that print is tested in."""
    return bool(_TESTED_FAMILIES.search(name))

"""Fonts of a folder whose licences let weights be published: what they draw, and one glyph as a picture."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from train.exclusions import is_tested_family
from train.omniglot import DatasetError

__all__ = ["SIDE", "SYSTEM_FOLDERS", "Font", "checking_fonts", "find_fonts", "glyph_mask"]

SIDE, _GLYPH = 128, 80
"""Pixels of the square that a glyph is drawn in, and of the longer side of its ink there."""

SYSTEM_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path("/Library/Fonts"), Path("C:/Windows/Fonts"))

_LICENCES = (
    ("OFL-1.1", re.compile(r"open ?font ?licen[cs]e|\bOFL\b|scripts\.sil\.org|fontawesome\.io/license", re.I)),
    ("Apache-2.0", re.compile(r"apache", re.I)),
    ("MIT", re.compile(r"\bMIT\b|\bexpat\b", re.I)),
    ("free for any use", re.compile(r"free for any use", re.I)),
    ("ISC", re.compile(r"\bISC\b")),
    ("public domain", re.compile(r"public domain|\bCC0\b", re.I)),
)
_COPYLEFT = re.compile(r"\bL?GPL|general public licen[cs]e", re.I)
_UNNAMED = {
    "forkawesome": "OFL-1.1",
    "Material Design Icons": "OFL-1.1",
    "Material Icons": "Apache-2.0",
    "FluentSystemIcons-Filled": "MIT",
    "FluentSystemIcons-Light": "MIT",
    "FluentSystemIcons-Regular": "MIT",
}
"""Licences of families that are published under these, but do not say so in their files."""

_SUFFIXES, _PACKAGE_SUFFIXES = (".ttf", ".otf"), (".ttf", ".otf", ".woff")

_ICON_RULE = re.compile(r"""\.([\w-]+)::?before\s*\{\s*content:\s*["']\\([0-9a-fA-F]{4,6})["']""")


@dataclass(frozen=True)
class Font:
    """A font file.

    licence: "" where the file states none that is open. characters: code point -> name of its glyph. handwritten: whether its
    package says that it imitates handwriting.
    """

    path: Path
    family: str
    style: str
    licence: str
    characters: dict[int, str]
    handwritten: bool = False


def find_fonts(folders: Sequence[Path], progress: bool = False) -> list[Font]:
    """The usable fonts below these folders, sorted by family and style; one file for each.

    Left out: fonts that do not state one of the licences under which weights may be published, and the families that print is
    tested with (DejaVu, Liberation, FreeFont, Libertine, Roboto, Comic Neue, Lato, EB Garamond, Cantarell, URW).

    Raises:
        DatasetError: there is none.
    """
    fonts = [
        font
        for font in _all_fonts(tuple(folders), progress)
        if font.licence and not is_tested_family(f"{font.family} {font.path.name}")
    ]
    if not fonts:
        raise DatasetError(
            f"no fonts under an open licence in {', '.join(map(str, folders))}: install some, as fonts-noto-core"
        )
    return fonts


def checking_fonts(folders: Sequence[Path]) -> list[Font]:
    """The fonts of the families that print is tested with, whatever their licence; one file for each style."""
    return [font for font in _all_fonts(tuple(folders), progress=False) if is_tested_family(f"{font.family} {font.path.name}")]


@lru_cache(maxsize=2)
def _all_fonts(folders: tuple[Path, ...], progress: bool) -> list[Font]:
    files = (
        (file, _package(file, folder))
        for folder in folders if folder.is_dir() for file in folder.rglob("*") if file.suffix in _PACKAGE_SUFFIXES
    )  # fmt: skip
    found = sorted((file, package) for file, package in files if package or file.suffix in _SUFFIXES)
    fonts: dict[tuple[str, str, str], Font] = {}
    for file, package in tqdm(found, desc="fonts", unit="font", disable=not progress, leave=False):
        font = _read(file, package)
        if font is not None:
            # Files of a package often share a family and a style.
            key = font.family, font.style, file.stem if package else ""
            # A file that states its licence goes before a copy of the font that does not.
            if key not in fonts or (font.licence and not fonts[key].licence):
                fonts[key] = font
    return [fonts[key] for key in sorted(fonts)]


def _package(file: Path, folder: Path) -> Path | None:
    """The folder of the npm package that a file below `folder` is of, if it is of one."""
    below = [parent for parent in file.parents if parent.is_relative_to(folder)]
    return next((parent for parent in below if (parent / "package.json").is_file()), None)


def _read(file: Path, package: Path | None) -> Font | None:
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    try:
        with file.open("rb") as opened, TTFont(opened, lazy=True) as font:
            names, characters = font["name"], font.getBestCmap() or {}
            family = names.getDebugName(16) or names.getDebugName(1) or file.stem
            style = names.getDebugName(17) or names.getDebugName(2) or "Regular"
            said = " ".join(names.getDebugName(number) or "" for number in (0, 13, 14))
            licence = _UNNAMED.get(family) or _licence(said) or (_package_licence(package) if package else "")
            by_ligature = _ligature_names(font, characters)
            by_style_sheet = _style_sheet_names(package, characters) if package else {}
            return Font(file, family, style, licence, characters | by_style_sheet | by_ligature, _imitates_hands(package))
    except (TTLibError, OSError, KeyError, AttributeError, AssertionError):
        return None


@lru_cache
def _package_licence(package: Path) -> str:
    """The open licence that a package's description, or its licence's heading, names."""
    said = str(json.loads((package / "package.json").read_text(encoding="utf-8")).get("license", ""))
    headings = [file.read_text(encoding="utf-8", errors="replace")[:200] for file in sorted(package.glob("LICEN[CS]E*"))]
    return next((licence for text in (said, *headings) if (licence := _licence(text))), "")


def _imitates_hands(package: Path | None) -> bool:
    """Whether a package of Fontsource is of the category of handwriting."""
    described = package / "metadata.json" if package else None
    return bool(
        described and described.is_file() and json.loads(described.read_text(encoding="utf-8")).get("category") == "handwriting"
    )


@lru_cache
def _package_names(package: Path) -> dict[int, str]:
    """What the style sheets of a package call its icons, by code point."""
    sheets = (file.read_text(encoding="utf-8", errors="replace") for file in sorted(package.rglob("*.css")))
    return {int(code, 16): name for sheet in sheets for name, code in _ICON_RULE.findall(sheet)}


def _style_sheet_names(package: Path, characters: dict[int, str]) -> dict[int, str]:
    """Those of a font whose glyphs have no names of their own."""
    if sum(name.startswith("uni") for name in characters.values()) < len(characters) / 2:
        return {}
    return {code: name for code, name in _package_names(package).items() if code in characters}


def _licence(said: str) -> str:
    """The open licence that a font's texts name, "" for none or for one that binds what is made with it."""
    if _COPYLEFT.search(said):
        return ""
    return next((name for name, words in _LICENCES if words.search(said)), "")


def _ligature_names(font: TTFont, characters: dict[int, str]) -> dict[int, str]:
    """Icon fonts that name their icons by ligatures only ("c h e s s"): those names, by code point."""
    if "GSUB" not in font or not any(0xE000 <= code < 0xF900 for code in characters) or len(characters) < 200:
        return {}
    code_of = {glyph: code for code, glyph in characters.items()}
    found: dict[int, str] = {}
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for table in (getattr(table, "ExtSubTable", table) for table in lookup.SubTable):
            if table.LookupType != 4:
                continue
            for first, ligatures in table.ligatures.items():
                for ligature in ligatures:
                    code = code_of.get(ligature.LigGlyph, 0)
                    letters = [code_of.get(part, 0) for part in (first, *ligature.Component)]
                    if 0xE000 <= code < 0xF900 and all(0 < letter < 0x80 for letter in letters):
                        found[code] = "".join(map(chr, letters))
    return found


def glyph_mask(path: str | os.PathLike[str], character: int) -> NDArray[np.uint8] | None:
    """The glyph of a code point in the middle of a square: uint8 (SIDE, SIDE), ink 255; None when it is blank or no outline."""
    box = _opened(str(path), _GLYPH).getbbox(chr(character))
    longer = max(box[2] - box[0], box[3] - box[1])
    if longer < 2:
        return None
    size = round(_GLYPH * _GLYPH / longer)
    if not 8 <= size <= 2000:
        return None
    font = _opened(str(path), size)
    left, top, right, bottom = font.getbbox(chr(character))
    sheet = Image.new("L", (SIDE, SIDE), 0)
    place = ((SIDE - (right - left)) / 2 - left, (SIDE - (bottom - top)) / 2 - top)
    ImageDraw.Draw(sheet).text((round(place[0]), round(place[1])), chr(character), font=font, fill=255)
    mask = np.asarray(sheet)
    return mask if int((mask > 127).sum()) >= 30 else None


@lru_cache(maxsize=64)
def _opened(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)

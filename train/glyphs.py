"""Alphabets from fonts: the scripts of the world, print in many faces, and pictograms, drawn as people and printers draw them.

What is used for checking is left out, see `EXCLUDED_SCRIPTS` and `excluded`.
"""

from __future__ import annotations

import functools
import multiprocessing
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import fontTools.unicodedata as unicode
import numpy as np
import regex
from numpy.typing import NDArray
from tqdm import tqdm

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess
from train.cache import cached
from train.canvases import Canvases
from train.fonts import Font, find_fonts, glyph_mask
from train.icons import concepts, is_private
from train.omniglot import DatasetError
from train.restyle import Shape, Style, drawn, plain, shape_of

__all__ = [
    "EXCLUDED_SCRIPTS",
    "HELD_OUT_SCRIPTS",
    "KINDS",
    "GlyphSet",
    "excluded",
    "glyph_sets",
    "hands",
    "held_out_scripts",
    "icons",
    "pictograms",
    "print_faces",
    "scripts",
]

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
_ALIKE = 0.965
_WORTH_PROCESSES = 100
_VERSION = 2

_TESTED_SYMBOLS = regex.compile(r"\p{Emoji}|\p{Extended_Pictographic}|\p{Math}")
_TESTED_NAMES = regex.compile(
    r"CHESS|PLAYING CARD|MAHJONG|DOMINO|MUSIC|\bNOTE\b|CLEF|SUIT|SHOGI|DRAUGHTS|CIRCLED|PARENTHESIZED"
)
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
class Kind:
    """A kind of glyphs. drawings: of each class. style: how they are shown."""

    name: str
    drawings: int
    style: Style


KINDS = {
    kind.name: kind
    for kind in (
        Kind("scripts", 12, Style(pen=0.66, filled=0.26, outlined=0.05, shaded=0.03, bent=0.8)),
        Kind("print", 16, Style(pen=0.18, filled=0.78, outlined=0.02, shaded=0.02, bent=0.2)),
        Kind("hands", 24, Style(pen=0.6, filled=0.4, outlined=0.0, shaded=0.0, bent=0.8)),
        Kind("pictograms", 10, Style(pen=0.15, filled=0.5, outlined=0.23, shaded=0.12, bent=0.6)),
        Kind("icons", 14, Style(pen=0.38, filled=0.3, outlined=0.22, shaded=0.1, bent=0.8)),
    )
}


@dataclass(frozen=True)
class GlyphSet:
    """Glyphs of one kind. canvases: groups are neighbours of one script or font. families: licence -> families used."""

    kind: str
    canvases: Canvases
    families: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Class:
    """One class of drawings: (font file, code point) pairs that show the same, and the alphabet that it belongs to."""

    group: str
    sources: tuple[tuple[str, int], ...]


def excluded(code: int) -> bool:
    """Whether a code point is of a kind that is used for checking: emoji, mathematics, music, chess, cards, Mahjong."""
    name = unicode.name(chr(code), "")
    symbol = _TESTED_SYMBOLS.match(chr(code)) and not chr(code).isalnum() and chr(code) not in "#*"
    return bool(symbol) or bool(_TESTED_NAMES.search(name))


def scripts(fonts: Sequence[Font], wanted: Callable[[str], bool] = bool) -> list[_Class]:
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
        classes += [_Class(f"{script} {number // _NEIGHBOURS}", _drawn_by(fonts, code)) for number, code in enumerate(kept)]
    return classes


_NUMBERED = regex.compile(r"IDEOGRAPH|CIRCLED|PARENTHESIZED")


def print_faces(fonts: Sequence[Font]) -> list[_Class]:
    """Latin and Greek letters, digits and punctuation: the drawings of a class are of many families."""
    return _letters("print", [font for font in fonts if not font.handwritten])


def hands(fonts: Sequence[Font]) -> list[_Class]:
    """The same as fonts that imitate handwriting draw them."""
    return _letters("hands", [font for font in fonts if font.handwritten])


def _letters(group: str, fonts: Sequence[Font]) -> list[_Class]:
    codes = [*range(0x21, 0x7F), *range(0xA1, 0x180), *range(0x386, 0x3CF), *range(0x250, 0x2B0)]
    printable = [code for code in codes if not excluded(code) and unicode.category(chr(code))[0] in "LNPS"]
    classes = [_Class(f"{group} {n // _NEIGHBOURS}", _drawn_by(fonts, code, 24)) for n, code in enumerate(printable)]
    return [each for each in classes if each.sources]


def pictograms(fonts: Sequence[Font]) -> list[_Class]:
    """Arrows, technical and weather signs, dingbats, and icons that one family draws in two ways, but for those left out."""
    symbols = sorted(
        code
        for code in {code for font in fonts for code in font.characters}
        if unicode.block(chr(code)) in _SYMBOL_BLOCKS and unicode.category(chr(code)) == "So" and not excluded(code)
    )
    classes = [_Class(f"symbols {n // _NEIGHBOURS}", _drawn_by(fonts, code)) for n, code in enumerate(symbols)]
    singles = {
        name: sources for name, (sources, families) in concepts(fonts).items() if len(families) == 1 and len(sources) > 1
    }
    return classes + _named_icons("icons", singles)


def icons(fonts: Sequence[Font]) -> list[_Class]:
    """What several icon fonts draw, each its own way: one class for each concept."""
    shared = {name: sources for name, (sources, families) in concepts(fonts).items() if len(families) > 1}
    return _named_icons("concepts", shared)


def _named_icons(group: str, named: Mapping[str, Sequence[tuple[str, int]]]) -> list[_Class]:
    """Neighbours have names that begin alike."""
    return [_Class(f"{group} {n // _NEIGHBOURS}", tuple(named[name])) for n, name in enumerate(sorted(named))]


def glyph_sets(
    folders: Sequence[Path], spec: PreprocessSpec, kinds: Iterable[str], progress: bool = False
) -> tuple[list[GlyphSet], Canvases | None]:
    """Glyphs of these kinds from the fonts of `folders`, and those of the held-out scripts, if "scripts" is among the kinds.

    Drawn by all cores, and kept in the user's cache by a digest of all that they depend on.

    Raises:
        DatasetError: no usable font is there.
    """
    fonts = find_fonts(folders, progress)
    letters = _of_letters(fonts)
    made = {
        "scripts": lambda: scripts(letters, lambda script: script not in HELD_OUT_SCRIPTS),
        "print": lambda: print_faces(letters),
        "hands": lambda: hands(letters),
        "pictograms": lambda: pictograms([font for font in fonts if not font.handwritten]),
        "icons": lambda: icons(fonts),
    }
    sets = []
    for kind in kinds:
        classes = made[kind]()
        if len(classes) < 2:
            raise DatasetError(f"no glyphs of kind {kind} in the fonts of {', '.join(map(str, folders))}: install more fonts")
        sets.append(GlyphSet(kind, _canvases(classes, KINDS[kind], spec, progress), _families(fonts, classes)))
    return sets, held_out_scripts(folders, spec, progress) if "scripts" in kinds else None


def held_out_scripts(folders: Sequence[Path], spec: PreprocessSpec, progress: bool = False) -> Canvases | None:
    """Glyphs of `HELD_OUT_SCRIPTS`, a group for each script; None where no font draws any.

    Raises:
        DatasetError: no usable font is there.
    """
    classes = scripts(_of_letters(find_fonts(folders, progress)), HELD_OUT_SCRIPTS.__contains__)
    return _by_script(_canvases(classes, KINDS["scripts"], spec, progress)) if len(classes) > 1 else None


def _of_letters(fonts: Sequence[Font]) -> list[Font]:
    """Without fonts of icons."""
    return [font for font in fonts if sum(map(is_private, font.characters)) < len(font.characters) / 2]


def _by_script(canvases: Canvases) -> Canvases:
    """One group for each script, not for each few neighbours."""
    groups: dict[str, list[NDArray[np.int64]]] = {}
    for name, members in canvases.groups.items():
        groups.setdefault(name.split()[1], []).append(members)
    return replace(canvases, groups={name: np.concatenate(parts) for name, parts in groups.items()})


def _families(fonts: Sequence[Font], classes: Sequence[_Class]) -> dict[str, list[str]]:
    used = {path for each in classes for path, _ in each.sources}
    found: dict[str, set[str]] = {}
    for font in fonts:
        if str(font.path) in used:
            found.setdefault(font.licence, set()).add(font.family)
    return {licence: sorted(names) for licence, names in sorted(found.items())}


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


def _canvases(classes: Sequence[_Class], kind: Kind, spec: PreprocessSpec, progress: bool) -> Canvases:
    key = repr(
        (_VERSION, spec, kind, classes, sorted({(path, Path(path).stat().st_size) for c in classes for path, _ in c.sources}))
    )
    arrays = cached("glyphs", key, lambda: _draw_all(classes, kind, spec, progress))
    images, numbers = arrays["images"], arrays["classes"]
    kept = _different(images, numbers)
    remaining = {int(old): new for new, old in enumerate(kept)}
    chosen = np.isin(numbers, kept)
    groups: dict[str, list[int]] = {}
    for old, new in remaining.items():
        groups.setdefault(classes[old].group, []).append(new)
    renumbered = np.array([remaining[int(number)] for number in numbers[chosen]], np.int64)
    starts = np.concatenate(([0], np.cumsum(np.bincount(renumbered))[:-1]))
    return Canvases(
        images=images[chosen],
        classes=renumbered,
        drawers=np.arange(len(renumbered)) - starts[renumbered],
        groups={f"{kind.name} {name}": np.array(members) for name, members in groups.items() if len(members) > 1},
    )


def _draw_all(classes: Sequence[_Class], kind: Kind, spec: PreprocessSpec, progress: bool) -> dict[str, NDArray[np.generic]]:
    """Drawings of all classes that can be drawn: images uint8 (N, H, W), and classes int64 (N,), ascending."""
    jobs = [(each.sources, kind, spec) for each in classes]
    shown = functools.partial(tqdm, desc=kind.name, total=len(jobs), unit="glyph", disable=not progress, leave=False)
    if len(jobs) < _WORTH_PROCESSES:
        drawings = list(shown(map(_draw_class, jobs)))
    else:
        with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
            drawings = list(shown(pool.map(_draw_class, jobs, chunksize=32)))
    numbers = np.repeat(np.arange(len(drawings)), [len(each) for each in drawings])
    return {"images": np.concatenate([each for each in drawings if len(each)]), "classes": numbers}


def _draw_class(job: tuple[tuple[tuple[str, int], ...], Kind, PreprocessSpec]) -> NDArray[np.uint8]:
    sources, kind, spec = job
    rng = np.random.default_rng(zlib.crc32(repr([(Path(path).name, code) for path, code in sources]).encode()))
    shapes: list[Shape] = []
    for path, code in sources:
        mask = glyph_mask(path, code)
        if mask is not None:
            shapes.append(shape_of(mask))
    canvases = []
    for number in range(kind.drawings if shapes else 0):
        shape = shapes[number % len(shapes)]
        try:
            # The first is the glyph as it is, by which classes that look alike are found.
            canvases.append(preprocess(drawn(shape, kind.style, rng) if number else plain(shape), spec))
        except ImageError:
            continue
    return np.stack(canvases) if len(canvases) > 3 else np.empty((0, spec.height, spec.width), np.uint8)


def _different(images: NDArray[np.uint8], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Class numbers, without those that look like an earlier one: a circle is a circle in every script."""
    present, first = np.unique(numbers, return_index=True)
    small = images[first].reshape(len(first), 24, images.shape[1] // 24, 24, images.shape[2] // 24).mean(axis=(2, 4))
    flat = small.reshape(len(first), -1).astype(np.float32)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    kept: list[int] = []
    for start in range(0, len(flat), 512):
        alike = flat[start : start + 512] @ flat.T > _ALIKE
        kept += [start + row for row in range(len(alike)) if not alike[row, : start + row].any()]
    return np.asarray(present[kept])

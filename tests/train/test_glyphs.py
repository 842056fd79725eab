"""Alphabets from fonts: what is drawn, what is left out, and that preparation is kept."""

import json
import unicodedata
from pathlib import Path

import fontTools.unicodedata as unicode
import numpy as np
import pytest

from oneshot_runtime.vision.preprocess import PreprocessSpec
from tests.train.built_fonts import OFL, build_font
from train import cache, glyphs
from train.__main__ import main
from train.checkpoint import load_checkpoint
from train.exclusions import EXCLUDED_SCRIPTS, excluded, is_tested_icon
from train.fonts import SIDE, find_fonts, glyph_mask
from train.glyph_classes import hands, icons, pictograms, print_faces, scripts
from train.glyphs import glyph_sets
from train.omniglot import DatasetError
from train.restyle import Style, drawn, shape_of

SPEC = PreprocessSpec(height=48, width=48)


@pytest.fixture
def fonts(tmp_path, monkeypatch):
    """A folder with two fonts, and a cache of its own."""
    monkeypatch.setenv("ONESHOT_TRAIN_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "fonts"
    folder.mkdir()
    tested = [ord(c) for c in "དཀ٣৩Д♞♪ଅ☎一√🂡🀄०ก"]
    build_font(folder / "one.ttf", "One Sans", [*range(0x5D0, 0x5E5), *range(0xA984, 0xA99C), *tested, *range(0x41, 0x5B)])
    build_font(folder / "two.ttf", "Two Serif", [*range(0x5D0, 0x5E5), *range(0x41, 0x5B), 0x2720, 0x2721])
    return folder


def test_scripts_that_are_used_for_checking_are_left_out(fonts) -> None:
    codes = [code for each in scripts(find_fonts([fonts])) for _, code in each.sources]
    assert set(range(0x5D0, 0x5E5)) <= set(codes)
    assert not {unicode.script(chr(code)) for code in codes} & EXCLUDED_SCRIPTS
    assert not set(map(ord, "དཀ٣৩Д♞♪ଅ一0")) & set(codes)


@pytest.mark.parametrize("character", ["☎", "♞", "♪", "𝄞", "√", "∑", "🂡", "🀄", "♥", "±", "×", "∞", "♔", "⚽", "→"])
def test_code_points_that_are_used_for_checking_are_excluded(character: str) -> None:
    assert excluded(ord(character)), unicodedata.name(character)


@pytest.mark.parametrize("character", ["✠", "⌘", "⍟", "A", "7", "#", "ß"])
def test_other_code_points_are_not(character: str) -> None:
    assert not excluded(ord(character)), unicodedata.name(character)


def test_pictograms_of_dingbats_and_named_icons(tmp_path) -> None:
    icons = {0xE000 + number: f"sign-{number:03}" for number in range(210)}
    icons |= {0xE000: "chess-queen", 0xE001: "music", 0xE002: "emoticon-happy", 0xE003: "cards-heart"}
    icons |= {0xE004: "boat", 0xE005: "boat-outline"}
    build_font(tmp_path / "icons.ttf", "Some Icons", [*icons, 0x2720], icons)
    found = pictograms(find_fonts([tmp_path]))
    codes = [[code for _, code in each.sources] for each in found]
    assert [0x2720] in codes
    assert [0xE004, 0xE005] in codes  # one class, shown in two ways
    assert not {0xE000, 0xE001, 0xE002, 0xE003} & {code for each in codes for code in each}


def test_print_is_drawn_by_several_families(fonts) -> None:
    (letter,) = [each for each in print_faces(find_fonts([fonts])) if each.sources and each.sources[0][1] == ord("K")]
    assert {path.rsplit("/", 1)[-1] for path, _ in letter.sources} == {"one.ttf", "two.ttf"}


@pytest.mark.parametrize(
    ("family", "licence"),
    [
        ("DejaVu Sans", OFL),
        ("Liberation Mono", OFL),
        ("FreeSerif", OFL),
        ("Hack", OFL),
        ("Mine", "All rights reserved"),
        ("Mine", "GPL version 2 with the font exception; based on work under the MIT License"),
    ],
)
def test_tested_families_and_closed_licences_are_not_used(tmp_path, family: str, licence: str) -> None:
    build_font(tmp_path / "a.ttf", family, range(0x41, 0x5B), licence=licence)
    with pytest.raises(DatasetError, match="open licence"):
        find_fonts([tmp_path])


def test_a_damaged_font_is_passed_over(fonts) -> None:
    (fonts / "bad.ttf").write_bytes(b"\0\1\0\0 no font")
    assert [font.family for font in find_fonts([fonts])] == ["One Sans", "Two Serif"]


def test_glyphs_become_canvases_of_neighbours_and_held_out_scripts(fonts) -> None:
    (made,), held_out = glyph_sets([fonts], SPEC, ["scripts"])
    assert made.families == {"OFL-1.1": ["One Sans", "Two Serif"]}
    assert made.canvases.images.shape[1:] == (48, 48)
    assert {name.split()[1] for name in made.canvases.groups} == {"Hebr"}
    assert max(map(len, made.canvases.groups.values())) <= 20
    counts = np.bincount(made.canvases.classes)
    assert counts.min() > 3
    assert held_out is not None
    assert set(held_out.groups) == {"Java"}
    again, _ = glyph_sets([fonts], SPEC, ["scripts"])
    np.testing.assert_array_equal(again[0].canvases.images, made.canvases.images)


def test_preparation_is_kept_and_made_again_when_damaged(fonts, tmp_path, monkeypatch) -> None:
    (first,), _ = glyph_sets([fonts], SPEC, ["print"])
    with monkeypatch.context() as patch:
        patch.setattr(glyphs, "_draw_all", None)
        (kept,), _ = glyph_sets([fonts], SPEC, ["print"])
    np.testing.assert_array_equal(first.canvases.images, kept.canvases.images)
    for file in cache.cache_folder().iterdir():
        file.write_bytes(file.read_bytes()[:1000])
    (again,), _ = glyph_sets([fonts], SPEC, ["print"])
    np.testing.assert_array_equal(first.canvases.images, again.canvases.images)


def test_symbols_that_look_alike_are_one_class(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ONESHOT_TRAIN_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "fonts"
    folder.mkdir()
    build_font(folder / "a.ttf", "A", range(0x5D0, 0x5DA))
    build_font(folder / "b.ttf", "B", range(0x10A0, 0x10AA))  # the same pictures as Georgian letters
    (made,), _ = glyph_sets([folder], SPEC, ["scripts"])
    assert len(made.canvases.members()) == 10


@pytest.mark.parametrize("style", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)])
def test_every_style_draws_something_of_the_glyph(fonts, style) -> None:
    mask = glyph_mask(fonts / "one.ttf", ord("K"))
    assert mask is not None
    assert mask.shape == (SIDE, SIDE)
    shape, rng = shape_of(mask), np.random.default_rng(0)
    for bent in (0, 1):
        picture = drawn(shape, Style(*style, bent=bent), rng)
        assert (picture < 128).mean() > 0.002 or style[3]
        assert picture.min() < 200


def test_an_outline_has_less_ink_than_the_glyph(fonts) -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[30:100, 30:100] = 255
    shape = shape_of(mask)
    plain, outline = (
        drawn(shape, Style(0, f, o, 0, bent=0, thumbnail=0), np.random.default_rng(0)) for f, o in ((1, 0), (0, 1))
    )
    assert (outline < 128).sum() < 0.5 * (plain < 128).sum()


def test_the_command_learns_from_glyphs_and_says_so(data, fonts, tmp_path, capsys) -> None:
    words = ["--data", str(data), "--composed", "0", "--invented", "0", "--steps", "1", "--classes", "6", "--shots", "2"]
    words += ["--precision", "fp32", "--fonts", str(fonts), "--glyphs", "scripts=0.5", "print=0.2", "--synthetic", "0"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    config, state = load_checkpoint(tmp_path / "run" / "last.pt")
    notes = json.loads(state["notes"])
    assert config.shares == {"synthetic": 0.0, "scripts": 0.5, "print": 0.2}
    assert set(notes["sources"]) == {"scripts", "print"}
    assert notes["fonts"] == {"OFL-1.1": ["One Sans", "Two Serif"]}
    assert notes["validation"]["scripts"]["names"] == ["Java"]
    assert main([*words, "--out", str(tmp_path / "other"), "--synthetic", "0.9"]) == 1
    assert "more than 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["chess-queen", "cards_heart", "ic_fluent_music_note_2_24_filled", "bx-happy", "circle-letter-a", "number-circle-one",
     "face-smile", "emotion-line", "dice-5", "plus-circle", "pi", "xmark", "format-bold", "text-height", "joker"],
)  # fmt: skip
def test_icons_of_what_is_used_for_checking_are_left_out(name: str) -> None:
    assert is_tested_icon(name)


@pytest.mark.parametrize("name", ["home", "umbrella-beach", "camera-retro", "pineapple", "piggy-bank", "taxi", "briefcase"])
def test_other_icons_are_not(name: str) -> None:
    assert not is_tested_icon(name)


def test_a_concept_is_one_class_of_all_families_that_draw_it(package) -> None:
    package("one", ["home-outline", "home-filled", "boat", "chess-rook"], family="One Icons")
    folder = package("two", ["bx-home", "ic_fluent_boat_24_filled", "kite", "kite-line"], family="Two Icons")
    fonts = find_fonts([folder])
    assert [font.licence for font in fonts] == ["MIT", "MIT"]  # as the package says: the fonts are silent
    sources = [sorted(path.rsplit("/", 1)[-1] for path, _ in each.sources) for each in icons(fonts)]
    assert sources == [["one.ttf", "two.ttf"], ["one.ttf", "one.ttf", "two.ttf"]]  # boat, home
    (kite,) = [each for each in pictograms(fonts) if each.group.startswith("icons")]
    assert len(kite.sources) == 2


def test_icons_without_names_have_those_of_the_style_sheet(package) -> None:
    package("one", ["home"], family="One Icons")
    folder = package("two", ["uniE000"], family="Two Icons", css='.bx-home:before { content: "\\e000"; }')
    (home,) = icons(find_fonts([folder]))
    assert len(home.sources) == 2


def test_fonts_of_a_package_that_share_a_family_and_a_style_are_all_read(package) -> None:
    package("thin", ["home"], family="Icons")
    folder = package("bold", ["home"], family="Icons")
    assert [font.path.name for font in find_fonts([folder])] == ["bold.ttf", "thin.ttf"]


def test_a_package_without_an_open_licence_is_not_used(package) -> None:
    folder = package("one", ["home"], family="Icons", licence="SEE LICENSE IN LICENSE")
    with pytest.raises(DatasetError, match="open licence"):
        find_fonts([folder])


def test_fonts_that_imitate_handwriting_are_a_kind_of_their_own(fonts, tmp_path) -> None:
    folder = fonts / "scrawl"
    folder.mkdir()
    (folder / "package.json").write_text('{"license": "OFL-1.1"}')
    (folder / "metadata.json").write_text('{"category": "handwriting"}')
    build_font(folder / "scrawl.ttf", "Scrawl", range(0x41, 0x5B), licence="")
    found = find_fonts([fonts])
    assert {Path(path).name for each in hands(found) for path, _ in each.sources} == {"scrawl.ttf"}
    assert "scrawl.ttf" not in {Path(path).name for each in print_faces(found) for path, _ in each.sources}


@pytest.fixture
def package(tmp_path):
    """Makes npm packages of an icon font each, below one folder, which it returns."""

    def make(name, icons, family, licence="MIT", css=""):
        folder = tmp_path / "packages" / name
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps({"name": name, "license": licence}))
        (folder / "icons.css").write_text(css)
        names = dict(enumerate([*icons, *(f"uni{0xE100 + number:04X}" for number in range(110))], 0xE000))
        build_font(folder / f"{name}.ttf", family, names, names, licence="")
        return tmp_path / "packages"

    return make

"""The suite of pictures in short: one strength of most kinds, eight symbols; `benchmarks/pictures.py` has all of it."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from benchmarks.bold_letters import BOLD, bold
from benchmarks.picture_ink import image_of
from benchmarks.picture_kinds import KINDS, cover, tight
from benchmarks.picture_tiles import cropped, icon_tile, premultiplied_glyph, same_lightness_tile, sign, tile_on_photograph
from benchmarks.pictures import ask, galleries, taught
from oneshot_runtime import OneShotMatcher, OptionError
from oneshot_runtime.cli.main import main
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from oneshot_runtime.vision.decode import decode
from oneshot_runtime.vision.picture import Picture
from oneshot_runtime.vision.preprocess import PreprocessSpec, canvas_of, preprocess
from oneshot_runtime.vision.readings import readings
from tests.whole_symbols import face, runs_out, two_strokes

ASKED = 8
SPEC = PreprocessSpec(48, 48)
SLOW = {"A4 scan at 300 dpi"}


@pytest.fixture(scope="module")
def drawings() -> list[np.ndarray]:
    return galleries(1, None)[0]


@pytest.fixture(scope="module")
def knowing(drawings) -> OneShotMatcher:
    return taught(drawings)


def picture(kind: str, drawing: np.ndarray, strength: float, seed: int = 0) -> Image.Image:
    (found,) = [one for one in KINDS if one.name == kind]
    return found.make(tight(drawing), strength, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name not in SLOW], ids=lambda kind: kind.name)
def test_the_symbol_is_found_in_pictures_of_every_kind(knowing, drawings, kind) -> None:
    strength = kind.strengths[1 if kind.aim > 1 and kind.name != "icon" else 0]
    asked = [ask(knowing, drawings[number], f"s{number}", kind, strength) for number in range(ASKED)]
    assert sum(one.label == one.name for one in asked) >= ASKED - 1


def rough(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A desk of dark and light marks, as long as strokes are: wood, cloth or grass."""
    marks = np.asarray(Image.fromarray(rng.integers(0, 256, (shape[0] // 4, shape[1] // 16), np.uint8)).resize(shape[::-1]))
    return 0.8 * marks + rng.normal(20, 4, shape)


@pytest.mark.parametrize("contrast", [0.85, 0.4], ids=["ink", "pencil"])
def test_a_sheet_on_a_rough_desk_is_read_and_not_the_desk(knowing, drawings, contrast) -> None:
    rng = np.random.default_rng(3)
    for number in range(4):
        desk = rough((600, 800), rng)
        ink = cover(tight(drawings[number]), (420, 560), 200, rng)
        desk[90:510, 110:670] = 236 * (1 - contrast * ink) + rng.normal(0, 2, ink.shape)
        picture = desk.clip(0, 255).astype(np.uint8)
        assert knowing.match(picture).label == f"s{number}"
        (one,) = knowing.read(picture)
        assert one.match.label == f"s{number}"
        assert 110 <= one.box[0] <= one.box[0] + one.box[2] <= 670


def test_the_shadow_of_a_hand_is_no_part_of_the_symbol(knowing, drawings) -> None:
    for number in range(4):
        ink = cover(tight(drawings[number]), (420, 560), 200, np.random.default_rng(number), middle=True)
        hand = Image.new("L", (560, 420))
        ImageDraw.Draw(hand).line([(560, 420), (260 - 20 * number, 150)], fill=255, width=70)
        light = 1 - 0.55 * np.asarray(hand.filter(ImageFilter.GaussianBlur(2))) / 255.0
        picture = ((235 * (1 - ink) + 40 * ink) * light).astype(np.uint8)
        assert knowing.match(picture).label == f"s{number}"


def shadow(kind: str, height: int, width: int) -> np.ndarray:
    """What is left of the light: under half a roof, beside somebody's head, behind a blind, on folded paper."""
    y, x = np.mgrid[:height, :width] - np.array([height, width]).reshape(2, 1, 1) / 2
    if kind == "fold":
        steps = [np.where(at < 0, 0.8 * np.exp(at / 4), np.exp(-at / 30)) for at in (x + 12, y - 8)]
        return 1 - 0.5 * np.minimum(1, sum(steps))
    dark = {"half": y < x / 2 + 10, "head": np.hypot(x + 50, y - 100) < 130, "blind": (y + x / 4) % 34 < 17}[kind]
    soft = Image.fromarray((255 * dark).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.5))
    return 1 - 0.6 * np.asarray(soft) / 255.0


SHADOWS = [("half", "ink"), ("half", "chalk"), ("head", "ink"), ("blind", "ink"), ("blind", "chalk"), ("fold", "ink")]


@pytest.mark.parametrize(("kind", "drawn"), SHADOWS)
def test_a_shadow_on_a_bold_letter_is_no_part_of_it(kind, drawn) -> None:
    rng = np.random.default_rng(2)
    for letter in "DEHKRS24":
        clean = bold(letter, 0, 255)
        ink = cover(tight(np.asarray(clean)), (320, 420), 170, rng, middle=True)
        page = (40 + 200 * (ink if drawn == "chalk" else 1 - ink)) * shadow(kind, 320, 420) + rng.normal(0, 2, ink.shape)
        found = preprocess(page.clip(0, 255).astype(np.uint8), SPEC).astype(int)
        assert np.abs(found - preprocess(clean, SPEC)).mean() < 14, letter


@pytest.mark.parametrize("count", [2, 4])
def test_wide_pens_do_not_hide_punched_holes(knowing, drawings, count) -> None:
    for number in range(4):
        ink = cover(tight(drawings[number]), (600, 480), 230, np.random.default_rng(number), middle=True)
        page = Image.fromarray((245 * (1 - ink) + 30 * ink).astype(np.uint8))
        for hole in range(count):
            y = 600 * (2 * hole + 1) // (2 * count)
            ImageDraw.Draw(page).ellipse((22, y - 12, 46, y + 12), fill=20)
        assert knowing.match(page).label == f"s{number}"


def test_small_drawings_with_noise_or_in_uneven_light_are_read_whole(knowing, drawings) -> None:
    rng = np.random.default_rng(8)
    across = np.linspace(1, 0.55, 105)[None]
    right = 0
    for number, drawing in enumerate(drawings):
        small = np.asarray(Image.fromarray(drawing).resize((105, 105), Image.Resampling.BOX))
        noisy = (small + rng.normal(0, 25, small.shape)).clip(0, 255).astype(np.uint8)
        shaded = ((40 + 0.7 * small) * across + rng.normal(0, 4, small.shape)).clip(0, 255).astype(np.uint8)
        right += sum(knowing.match(image).candidates[0].label == f"s{number}" for image in (noisy, shaded))
    assert right >= 2 * len(drawings) - 1


@pytest.mark.parametrize("side", [64, 200, 400])
def test_the_holes_of_bold_letters_are_not_the_symbol(side) -> None:
    font = ImageFont.load_default(round(0.7 * side))
    for letter in "ABDOPR4689":
        image = Image.new("L", (side, side), 255)
        pen = ImageDraw.Draw(image)
        pen.text((side // 2, side // 2), letter, font=font, fill=0, anchor="mm", stroke_width=side // 28, stroke_fill=0)
        left, top, right, bottom = image.point(lambda level: 255 * (level < 128)).getbbox()
        x, y, width, height = readings(Picture(np.asarray(image)))[0].box
        assert x <= left + 2
        assert y <= top + 2
        assert x + width >= right - 2
        assert y + height >= bottom - 2, letter


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (19, [[(30, 20), (75, 20), (75, 85)], [(30, 20), (30, 60), (55, 85), (75, 60)]]),
        (22, [[(30, 20), (75, 20), (75, 85)], [(30, 20), (30, 60), (55, 85), (75, 60)]]),
        (17, [[(74, 48), (58, 83), (30, 30), (68, 37), (74, 48)], [(30, 30), (74, 48), (77, 48), (68, 37)]]),
    ],
)
def test_a_letter_drawn_with_a_wide_pen_is_the_symbol_and_not_its_holes(width, lines, light) -> None:
    drawing = Image.new("L", (105, 105), 255)
    pen = ImageDraw.Draw(drawing)
    for line in lines:
        pen.line(line, fill=0, width=width, joint="curve")
        for x, y in line:
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=0)
    first = readings(Picture(np.asarray(drawing) ^ (255 * light)))[0]
    assert first.whole
    ink = drawing.point(lambda level: 255 - level).getbbox()
    assert first.box == (ink[0], ink[1], ink[2] - ink[0], ink[3] - ink[1])


def test_blocks_are_read() -> None:
    drawing = np.full((71, 71), 255, np.uint8)
    for left, top, right, bottom in ((11, 9, 27, 39), (57, 25, 70, 54), (52, 44, 70, 52), (49, 51, 70, 52)):
        drawing[top:bottom, left:right] = 0
    assert readings(Picture(drawing))


@pytest.mark.parametrize("kind", BOLD)
def test_a_bold_letter_is_the_symbol_and_not_its_holes(kind) -> None:
    clean = {
        letter: preprocess(bold(letter, 0, 255).rotate(8 * (kind == "turned"), fillcolor=255), SPEC) for letter in "ABDOPR468"
    }
    for letter, expected in clean.items():
        rng = np.random.default_rng(ord(letter))
        found = preprocess(BOLD[kind].make(letter, rng), SPEC)
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.7, letter


@pytest.mark.parametrize("kind", ["tile", "noisy tile"])
def test_letters_of_which_a_search_for_strokes_sees_bits_are_read_whole(kind) -> None:
    for letter in "SWX3":
        found = preprocess(BOLD[kind].make(letter, np.random.default_rng(ord(letter))), SPEC)
        expected = preprocess(bold(letter, 0, 255), SPEC)
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.85, letter


@pytest.mark.parametrize(
    ("make", "strength"), [(tile_on_photograph, 40), (sign, 10), (icon_tile, 32), (same_lightness_tile, 120)]
)
def test_a_bold_letter_on_a_tile_is_read_whole(make, strength) -> None:
    for letter in "ABDGR48":
        clean = bold(letter, 0, 255)
        found = preprocess(make(tight(np.asarray(clean)), strength, np.random.default_rng(ord(letter))), SPEC)
        assert np.corrcoef(found.ravel(), preprocess(clean, SPEC).ravel())[0, 1] > 0.8, letter


def test_what_is_filled_on_a_tile_of_another_colour_than_the_page_is_the_symbol() -> None:
    page = Image.new("RGB", (400, 400), (150, 120, 90))
    pen = ImageDraw.Draw(page)
    pen.rounded_rectangle((90, 90, 309, 309), 50, fill=(20, 60, 160))
    pen.ellipse((150, 150, 249, 249), fill=(250, 250, 250))
    x, y, width, height = readings(decode(page))[0].box
    assert (abs(x - 150) < 4, abs(y - 150) < 4, abs(width - 100) < 6, abs(height - 100) < 6) == (True,) * 4


def test_a_tile_with_something_too_faint_on_it_is_read_as_it_is() -> None:
    page = Image.new("RGB", (400, 400), "white")
    pen = ImageDraw.Draw(page)
    pen.rounded_rectangle((90, 90, 309, 309), 50, fill=(160, 160, 160))
    pen.line((150, 200, 250, 200), fill=(174, 174, 174), width=14)
    x, y, width, height = readings(decode(page))[0].box
    assert (abs(x - 90) < 4, abs(y - 90) < 4, abs(width - 220) < 6, abs(height - 220) < 6) == (True,) * 4


@pytest.mark.parametrize("beside", ["crop marks", "pencil"])
def test_a_bold_letter_is_read_without_what_lies_around_it(beside) -> None:
    for letter in "AHKRS":
        clean = np.asarray(bold(letter, 0, 255))
        if beside == "pencil":
            page = image_of(240 - 205 * cover(tight(clean), (360, 640), 150, np.random.default_rng(2), middle=True))
            ImageDraw.Draw(page).line((600, 30, 580, 330), 60, 12)
        else:
            page = cropped(tight(clean), 2, np.random.default_rng(2))
        expected = preprocess(clean, SPEC)
        found = [canvas_of(one, SPEC) for one in readings(Picture(np.asarray(page)))]
        assert max(np.corrcoef(one.ravel(), expected.ravel())[0, 1] for one in found) > 0.9, letter


def test_a_bold_letter_in_a_long_strip_is_no_dot() -> None:
    for letter in "EHKM":
        strip = Image.new("L", (1800, 90), 10)
        strip.paste(240, (400, 20), bold(letter, 255, 0).crop((50, 50, 250, 250)).resize((50, 50)))
        found = preprocess(strip, SPEC)
        assert np.corrcoef(found.ravel(), preprocess(bold(letter, 0, 255), SPEC).ravel())[0, 1] > 0.8, letter


def test_a_compact_symbol_on_premultiplied_transparency_is_no_card() -> None:
    for letter in "HIT":
        clean = bold(letter, 0, 255)
        found = preprocess(premultiplied_glyph(tight(np.asarray(clean)), 255, np.random.default_rng(1)), SPEC)
        assert np.corrcoef(found.ravel(), preprocess(clean, SPEC).ravel())[0, 1] > 0.95, letter


def sun(ink: int | tuple[int, int, int], ground: Image.Image, middle: tuple[int, int], radius: int) -> Image.Image:
    """A filled disc with eight thin rays that don't touch it, on a picture."""
    pen = ImageDraw.Draw(ground)
    x, y = middle
    pen.ellipse((x - radius // 2, y - radius // 2, x + radius // 2, y + radius // 2), fill=ink)
    for angle in np.arange(8) * np.pi / 4:
        (x0, y0), (x1, y1) = ((x + far * np.cos(angle), y + far * np.sin(angle)) for far in (0.65 * radius, radius))
        pen.line((x0, y0, x1, y1), fill=ink, width=max(3, radius // 10))
    return ground


def test_thin_strokes_around_wide_ones_are_one_symbol() -> None:
    """On a tile, in uneven light, and on a sheet on a desk."""
    tile = Image.new("L", (440, 440), 255)
    ImageDraw.Draw(tile).rounded_rectangle((10, 10, 430, 430), 90, fill=90)
    shaded = np.asarray(sun(40, Image.new("L", (440, 440), 235), (220, 220), 100), np.float64)
    shaded *= np.linspace(1, 0.6, 440)
    desk = Image.new("L", (440, 440), 70)
    ImageDraw.Draw(desk).rectangle((40, 60, 400, 380), fill=235)
    for image in (sun(255, tile, (220, 220), 100), shaded, sun(40, desk, (220, 220), 100)):
        taken = readings(Picture(np.asarray(image).astype(np.uint8)))[0]
        x, y, width, height = taken.box
        assert max(abs(x - 120), abs(y - 120), abs(x + width - 320), abs(y + height - 320)) <= 12, taken.box
        assert taken.symbols == 1


def test_coloured_light_is_no_colour_of_the_ink(knowing, drawings) -> None:
    """A photograph with a cast and a hard shadow is read by its lightness, in which light falls on ink and paper alike."""
    for number in range(4):
        ink = cover(tight(drawings[number]), (420, 560), 210, np.random.default_rng(number), middle=True)[..., None]
        light = np.where(np.arange(560) < 280, 1, 0.3)[None, :, None]
        page = ((1 - ink) * (236, 214, 190) + ink * (42, 40, 36)) * light
        assert knowing.match(page.astype(np.uint8)).label == f"s{number}"


@pytest.mark.parametrize(("spread", "side"), [(200, 60), (30, 190)])
def test_small_ink_and_faint_ink_of_the_papers_lightness_is_seen(knowing, drawings, spread, side) -> None:
    for number in range(4):
        ink = cover(tight(drawings[number]), (600, 800), side, np.random.default_rng(number))[..., None]
        page = 128 + (ink - 0.5) * spread * (1, -0.509, 0)
        assert knowing.match(page.round().astype(np.uint8)).label == f"s{number}"


def page(drawings: list[np.ndarray], columns: int, rows: int, light: float = 0.5) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, len(drawings), columns * rows)
    cells = [cover(tight(drawings[number]), (200, 200), 110, rng, middle=True) for number in numbers]
    ink = np.block([cells[row * columns : (row + 1) * columns] for row in range(rows)])
    shade = np.linspace(1, light, ink.shape[1])[None]
    levels = (235 * (1 - ink) + 40 * ink) * shade + rng.normal(0, 2, ink.shape)
    return levels.clip(0, 255).astype(np.uint8), [f"s{number}" for number in numbers]


def test_a_page_is_read_from_line_to_line(knowing, drawings) -> None:
    image, names = page(drawings, 5, 3)
    symbols = knowing.read(image)
    assert [one.match.label for one in symbols] == names
    for place, one in enumerate(symbols):
        x, y, width, height = one.box
        assert place % 5 * 200 <= x <= x + width <= place % 5 * 200 + 200
        assert place // 5 * 200 <= y <= y + height <= place // 5 * 200 + 200
    assert knowing.match(image).symbols == 15


@pytest.mark.parametrize("degrees", [-12, -6, 4, 12])
def test_a_page_that_lies_aslant_is_read_from_line_to_line(knowing, drawings, degrees) -> None:
    image, names = page(drawings, 6, 4, 1)
    turned = Image.fromarray(image).rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=235)
    places = []
    for one in knowing.read(turned):
        x, y = one.box[0] + one.box[2] / 2 - turned.width / 2, one.box[1] + one.box[3] / 2 - turned.height / 2
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        places.append(6 * int((sin * x + cos * y + 400) // 200) + int((cos * x - sin * y + 600) // 200))
    assert places == list(range(len(names)))


def ringed(pen: ImageDraw.ImageDraw, way: str) -> None:
    """Draw around each of 3 x 2 cells of 200 pixels."""
    for left, top in ((200 * column, 200 * row) for row in range(2) for column in range(3)):
        if way == "cards":
            pen.rounded_rectangle((left + 10, top + 10, left + 190, top + 190), 12, outline=90, width=3)
        elif way == "circles":
            pen.ellipse((left + 12, top + 14, left + 188, top + 186), outline=45, width=5)
        elif way == "hand-drawn boxes":
            pen.line([(left + 30, top + 14), (left + 182, top + 26), (left + 170, top + 186), (left + 16, top + 178)], 45, 5)
            pen.line([(left + 16, top + 178), (left + 27, top + 22)], 45, 5)
        else:
            pen.rectangle((left + 8, top + 8, left + 208, top + 208), outline=60, width=4)


@pytest.mark.parametrize("way", ["cards", "circles", "hand-drawn boxes", "table"])
def test_what_is_drawn_around_symbols_is_none_of_them(knowing, drawings, way) -> None:
    image, names = page(drawings, 3, 2)
    drawn = Image.new("L", (640, 440), 235)
    drawn.paste(Image.fromarray(image), (8 * (way == "table"), 8 * (way == "table")))
    ringed(ImageDraw.Draw(drawn), way)
    assert [one.match.label for one in knowing.read(drawn)] == names


def test_a_ring_is_part_of_a_symbol_that_was_taught_with_it(drawings) -> None:
    image, _ = page(drawings, 3, 2)
    drawn = Image.fromarray(image)
    ringed(ImageDraw.Draw(drawn), "circles")
    matcher = OneShotMatcher.load(far=0.05)
    matcher.enroll("bare", image[:200, :200])
    matcher.enroll("ringed", drawn.crop((200, 0, 400, 200)), keep_frame=True)
    labels = [one.match.label for one in matcher.read(drawn)]
    assert labels[:2] == ["bare", "ringed"]


def test_a_hard_shadow_over_a_sheet_on_a_desk_takes_no_symbol_away(knowing, drawings) -> None:
    sheet, names = page(drawings, 4, 3)
    rng = np.random.default_rng(1)
    desk = 90 + 8 * np.asarray(Image.fromarray(rng.normal(0, 1, (175, 20)).astype(np.float32)).resize((1000, 750)))
    desk[75:675, 100:900] = sheet
    across, down = np.meshgrid(np.arange(1000), np.arange(750))
    light = np.where(across + down // 2 > 640, 0.42, 1)
    picture = (desk * light + rng.normal(0, 2, desk.shape)).clip(0, 255).astype(np.uint8)
    assert [one.match.label for one in knowing.read(picture)] == names


@pytest.mark.parametrize("step", [37, 44])
def test_dark_rules_are_taken_from_under_the_symbols_of_a_sheet_on_a_desk(knowing, drawings, step) -> None:
    sheet, names = page(drawings, 4, 3)
    sheet[step::step] = sheet[step::step] * 0.6
    sheet[step + 1 :: step] = sheet[step + 1 :: step] * 0.6
    rng = np.random.default_rng(2)
    desk = rng.normal(70, 5, (700, 900))
    desk[50:650, 50:850] = sheet
    assert [one.match.label for one in knowing.read(desk.clip(0, 255).astype(np.uint8))] == names


def test_symbols_of_a_screenshot_with_bars_and_columns_are_read(knowing, drawings) -> None:
    window, names = page(drawings, 4, 3)
    shot = Image.new("L", (1100, 720), 232)
    pen = ImageDraw.Draw(shot)
    pen.rectangle((0, 0, 1100, 40), fill=50)
    pen.rectangle((0, 40, 200, 720), fill=205)
    for line in range(9):
        pen.text((20, 70 + 34 * line), "Inbox Sent"[: 5 + line % 5], fill=60, font=ImageFont.load_default(14))
    shot.paste(Image.fromarray(window), (250, 80))
    labels = [one.match.label for one in knowing.read(shot)]
    assert [label for label in labels if label is not None] == names


def test_the_contact_sheet_of_the_demo_is_read(tmp_path, knowing) -> None:
    assert main(["demo", "--sheet", str(tmp_path / "sheet.png")]) == 0
    boxes = [one.box for one in knowing.read(tmp_path / "sheet.png")]
    assert 40 <= len(boxes) <= 46
    assert max(max(box[2:]) for box in boxes) < 110


def test_a_page_without_ink_has_no_symbols(knowing) -> None:
    paper = np.random.default_rng(0).normal(220, 3, (300, 400)).clip(0, 255).astype(np.uint8)
    assert knowing.read(paper) == []


def test_the_command_reads_pictures_and_folders(tmp_path, drawings, capsys) -> None:
    image, names = page(drawings, 3, 1)
    (tmp_path / "scans").mkdir()
    Image.fromarray(image).save(tmp_path / "scans" / "one.png")
    gallery = str(tmp_path / "g.db")
    with OneShotMatcher.load(gallery=gallery, far=0.05) as matcher:
        for number, drawing in enumerate(drawings):
            matcher.enroll(f"s{number}", np.asarray(Image.fromarray(drawing).reduce(4)))
    arguments = ["read", str(tmp_path / "scans"), "--gallery", gallery, "--far", "0.05", "--output", str(tmp_path / "out.png")]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "3 symbols" in out
    assert all(f"  {name} at" in out for name in names)
    with Image.open(tmp_path / "out.png") as annotated:
        assert annotated.size == (600, 200)
    blank = Image.new("L", (300, 200), 230)
    blank.save(tmp_path / "blank.tif", save_all=True, append_images=[Image.fromarray(image)])
    assert main(["read", str(tmp_path / "blank.tif"), "--gallery", gallery]) == 0
    out = capsys.readouterr().out
    assert "no symbol found" in out
    assert "--page takes another" in out


@pytest.mark.parametrize(
    ("kind", "strength"),
    [
        ("sheet on a desk", 80),
        ("app-icon tile", 80),
        ("drawn frame", 4),
        ("drawn circle", 4),
        ("punched holes", 2),
        ("paper clip at the edge", 30),
    ],
)
def test_an_odd_picture_teaches_its_symbol_and_says_what_it_took(drawings, kind, strength) -> None:
    matcher = OneShotMatcher.load(far=0.05)
    for number in range(4):
        report = matcher.enroll(f"s{number}", picture(kind, drawings[number], strength, number))
        assert "cut-out" in [finding.kind for finding in report.findings]
        assert report.taken[0].ndim == 2
    clean = [np.asarray(Image.fromarray(drawing).reduce(4)) for drawing in drawings]
    assert sum(matcher.match(clean[number]).label == f"s{number}" for number in range(4)) >= 3
    assert [matcher.match(picture(kind, drawings[n], strength, n)).label for n in range(4, 8)].count(None) >= 3


def test_a_thin_line_drawn_around_a_bold_letter_is_none_of_it() -> None:
    rng = np.random.default_rng(4)
    light = 1 - 0.3 * np.linspace(0, 1, 420)
    for letter in "ABKMNQST":
        glyph = tight(np.asarray(bold(letter, 0, 255)))
        drawn = Image.new("L", (420, 420), 238)
        drawn.paste(45, (0, 0), Image.fromarray((255 * cover(glyph, (420, 420), 150, rng, middle=True)).astype(np.uint8)))
        corners = np.array([(70, 62), (352, 70), (346, 356), (64, 348)]) + rng.integers(-6, 7, (4, 2))
        ImageDraw.Draw(drawn).line([tuple(corners[at % 4].tolist()) for at in range(5)], 45, 3)
        picture = (np.asarray(drawn) * light + rng.normal(0, 2, (420, 420))).clip(0, 255).astype(np.uint8)
        found = preprocess(picture, SPEC).astype(int)
        assert np.abs(found - preprocess(bold(letter, 0, 255), SPEC)).mean() < 12


def test_a_picture_of_one_symbol_is_read_as_it_is_matched(drawings) -> None:
    """An open ring in red ink is around each."""
    symbols = [tight(one) for one in [*drawings[:4], *(np.asarray(bold(letter, 0, 255)) for letter in "ABKM")]]
    rng = np.random.default_rng(1)
    pages = [250 - cover(ink, (400, 400), 150, rng, middle=True)[..., None] * (220, 220, 210) for ink in symbols]
    matcher = OneShotMatcher.load(far=0.05)
    for number, page in enumerate(pages):
        matcher.enroll(f"s{number}", page.astype(np.uint8))
    for number, page in enumerate(pages):
        ringed = Image.fromarray(page.astype(np.uint8))
        ImageDraw.Draw(ringed).arc((66, 60, 336, 340), -80, 275, (215, 40, 40), 6)
        (one,) = matcher.read(ringed)
        assert one.match.label == matcher.match(ringed).label == f"s{number}"


@pytest.mark.parametrize("paper", [255, 238])
def test_a_bold_letter_alone_is_read_as_one_symbol(paper) -> None:
    matcher = OneShotMatcher.load(far=0.05)
    for letter in "ABEGHKMRSW":
        matcher.enroll(letter, bold(letter, 0, 255))
    rng = np.random.default_rng(9)
    named = 0
    light = np.linspace(1, 1 if paper == 255 else 0.75, 500)
    for letter in "ABEGHKMRSW":
        ink = cover(tight(np.asarray(bold(letter, 0, 255))), (400, 500), 210, rng)
        page = (paper * (1 - 0.85 * ink) * light + (paper < 255) * rng.normal(0, 2, ink.shape)).clip(0, 255).astype(np.uint8)
        named += [one.match.label for one in matcher.read(page)] == [letter]
    assert named >= 9


def test_ink_as_light_as_its_paper_is_read(knowing, drawings) -> None:
    for number in range(4):
        (one,) = knowing.read(picture("ink as light as its paper", drawings[number], 120, number))
        assert one.match.label == f"s{number}"


def test_a_pencil_beside_the_symbol_is_none_of_it(knowing, drawings) -> None:
    rng = np.random.default_rng(7)
    for number in range(4):
        page = Image.fromarray((240 - 205 * cover(tight(drawings[number]), (500, 900), 230, rng, middle=True)).astype(np.uint8))
        ImageDraw.Draw(page).line((840, 50, 825 + 15 * number, 450), 60, 16)
        assert knowing.match(page).label == f"s{number}"


def test_details_and_outlines_of_a_filled_shape_are_no_specks_and_no_frame() -> None:
    telephone = Image.new("L", (220, 220), 255)
    pen = ImageDraw.Draw(telephone)
    pen.rounded_rectangle((40, 90, 180, 180), 14, fill=0)
    pen.rounded_rectangle((25, 50, 195, 85), 14, fill=0)
    pen.ellipse((80, 105, 140, 165), fill=255)
    for angle in np.arange(10) * np.pi / 5:
        x, y = 110 + 22 * np.cos(angle), 135 + 22 * np.sin(angle)
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=0)
    first = readings(Picture(np.asarray(telephone)))[0]
    assert np.count_nonzero(first.ink[105:165, 80:140] > 127) > 300
    cat = Image.new("L", (220, 220), 255)
    pen = ImageDraw.Draw(cat)
    pen.line([(50, 40), (90, 75), (130, 75), (170, 40), (180, 150), (110, 190), (40, 150), (50, 40)], 0, 4)
    for x in (80, 130):
        pen.ellipse((x, 100, x + 16, 124), fill=0)
    assert readings(Picture(np.asarray(cat)))[0].whole


def test_a_small_filled_shape_on_a_page_is_more_than_a_dot() -> None:
    page = Image.new("L", (900, 1200), 255)
    ImageDraw.Draw(page).polygon([(400, 640), (400, 612), (418, 598), (436, 612), (436, 640)], fill=0)
    likely, *others = readings(Picture(np.asarray(page)))
    assert likely.ink.shape[0] < 200
    assert [one.whole for one in others] == [True]


def test_a_clean_drawing_says_nothing_and_has_one_reading(drawings) -> None:
    matcher = OneShotMatcher.load(far=0.05)
    clean = np.asarray(Image.fromarray(drawings[0]).reduce(4))
    assert matcher.enroll("s0", clean).findings == ()
    assert matcher.match(clean).readings == 1


def test_a_frame_can_be_kept_and_a_region_chosen(drawings) -> None:
    matcher = OneShotMatcher.load(far=0.05)
    framed = picture("drawn frame", drawings[0], 4)
    without = matcher.enroll("without", framed).taken[0]
    kept = matcher.enroll("with", framed, keep_frame=True).taken[0]
    assert max(kept.shape) > max(without.shape)
    left = np.hstack([np.asarray(Image.fromarray(drawing).reduce(4)) for drawing in drawings[:2]])
    matcher.enroll("second", left, region=(105, 0, 105, 105))
    np.testing.assert_array_equal(
        matcher.embed(left[:, 105:])[0], matcher.embed(np.asarray(Image.fromarray(drawings[1]).reduce(4)))[0]
    )
    for region in ((0, 0, 400, 20), (-1, 0, 5, 5), (0, 0, 0, 5), "all"):
        with pytest.raises(OptionError, match="region"):
            matcher.enroll("no", left, region=region)


def test_canvases_of_drawings_do_not_change() -> None:
    """As before pictures were searched for ink: a gallery of clean drawings keeps its figures."""
    rng = np.random.default_rng(5)
    spec = OneShotMatcher.load().bundle.spec
    total = 0
    for symbol in invent_alphabet(40, seed=11):
        drawing = draw(symbol, random_writer(rng), rng)
        total = zlib.crc32(preprocess(drawing, spec).tobytes(), total)
        assert len(readings(Picture(drawing))) == 1
    assert total == CHECKSUM


CHECKSUM = 1783754497


def assert_whole(image: Image.Image) -> None:
    report = OneShotMatcher.load(far=None).enroll("symbol", image)
    assert not [one for one in report.findings if one.kind == "cut-out"]


@pytest.mark.parametrize("hours", [0, 4, 8, 12])
def test_the_outline_of_a_face_is_part_of_it(hours) -> None:
    assert_whole(face(hours))


@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
@pytest.mark.parametrize("apart", [150, 180])
def test_a_symbol_keeps_its_longer_stroke(dark, apart) -> None:
    assert_whole(two_strokes(apart, dark))


@pytest.mark.parametrize("larger", [False, True])
def test_a_stroke_that_runs_out_of_a_drawing_is_part_of_it(larger) -> None:
    assert_whole(runs_out(larger))

"""Pictures as people have them: one drawing on pages, desks, tiles, ruled paper, scans and transparent cards.

A kind makes a picture of a drawing's ink at a strength. Its `aim` says up to which strength a person reads it at a glance.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

__all__ = ["KINDS", "ODDITIES", "Kind", "cover", "tight"]

Rng = np.random.Generator
Cover = NDArray[np.float64]
"""Share of each pixel that ink covers, (h, w), in [0, 1]."""


@dataclass(frozen=True)
class Kind:
    """make: the picture of an ink (`tight`) at a strength. strengths: swept, mild first; `aim` of them are aimed at."""

    name: str
    unit: str
    strengths: tuple[float, ...]
    aim: int
    make: Callable[[Image.Image, float, Rng], Image.Image]


def tight(drawing: NDArray[np.uint8]) -> Image.Image:
    """The ink of a drawing uint8 (H, W), dark on white, cut to its box: an "L" image in which ink is 255."""
    ink = Image.fromarray(255 - drawing)
    return ink.crop(ink.point(lambda level: 255 * (level > 127)).getbbox())


def cover(ink: Image.Image, shape: tuple[int, int], size: float, rng: Rng, middle: bool = False) -> Cover:
    """Ink on a page (h, w), its longer side `size` pixels, at a place of its own or near the middle."""
    scale = size / max(ink.size)
    small = ink.resize(
        (max(1, round(ink.width * scale)), max(1, round(ink.height * scale))),
        Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC,
    )
    page = Image.new("L", (shape[1], shape[0]))
    rooms = [shape[1] - small.width, shape[0] - small.height]
    margins = [min(round(0.06 * min(shape)), room // 2) for room in rooms]
    spots = [room // 2 if middle else int(rng.integers(m, room - m + 1)) for room, m in zip(rooms, margins, strict=True)]
    page.paste(small, tuple(spots))
    return np.asarray(page) / 255.0


def _image(levels: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))


def _lay(covered: Cover, paper: NDArray[np.float64] | float, ink: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Ink on paper, grey levels or colours (3,)."""
    if np.ndim(paper) == 1 or np.ndim(ink) == 1:
        covered = covered[..., None]
    return covered * ink + (1 - covered) * paper


def _soft(rng: Rng, shape: tuple[int, int], grain: int) -> NDArray[np.float64]:
    """A texture in [-1, 1] whose spots are `grain` pixels wide."""
    small = rng.random((max(2, shape[0] // grain), max(2, shape[1] // grain)))
    whole = Image.fromarray((255 * small).astype(np.uint8)).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(whole) / 127.5 - 1


def _small(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    return _image(_lay(cover(ink, (1000, 1000), 10 * percent, rng), 255, 0))


def _a4(ink: Image.Image, centimetres: float, rng: Rng) -> Image.Image:
    page = _lay(cover(ink, (3508, 2480), centimetres * 118, rng), 246, 45)
    return _image(page + rng.normal(0, 2, page.shape))


def _wide(ink: Image.Image, ratio: float, rng: Rng) -> Image.Image:
    return _image(_lay(cover(ink, (100, round(100 * ratio)), 80, rng), 255, 0))


def _tall(ink: Image.Image, ratio: float, rng: Rng) -> Image.Image:
    return _image(_lay(cover(ink, (round(100 * ratio), 100), 80, rng), 250, 30))


def _corner(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """A symbol whose ink keeps `percent` of the page from two of its edges."""
    page = Image.new("L", (600, 450), 252)
    small = ink.resize((ink.width * 140 // max(ink.size) or 1, ink.height * 140 // max(ink.size) or 1), Image.Resampling.BOX)
    gap = round(4.5 * percent)
    x = gap if rng.random() < 0.5 else 600 - gap - small.width
    y = gap if rng.random() < 0.5 else 450 - gap - small.height
    page.paste(20, (x, y), small)
    return page


def _sheet_on_desk(ink: Image.Image, rng: Rng, desk: float, turn: float, share: float = 0.6, paper: float = 235) -> Image.Image:
    height, width = 600, 800
    sheet = Image.new("L", (width, height))
    side = round(share * height)
    ImageDraw.Draw(sheet).rectangle(
        ((width - side * 1.25) / 2, (height - side) / 2, (width + side * 1.25) / 2, (height + side) / 2), fill=255
    )
    inked = Image.fromarray((255 * cover(ink, (height, width), 0.45 * side, rng, middle=True)).astype(np.uint8))
    spot = tuple(int(v) for v in rng.integers(-20, 21, 2))
    masks = [
        np.asarray(one.rotate(turn, Image.Resampling.BICUBIC, translate=spot).filter(ImageFilter.GaussianBlur(0.8))) / 255.0
        for one in (sheet, inked)
    ]
    ground = desk + 9 * _soft(rng, (height, width), 60) + 5 * _soft(rng, (height, width), 5)
    page = masks[0] * paper + (1 - masks[0]) * ground
    return _image(_lay(masks[1], page, 40) + rng.normal(0, 2, page.shape))


def _desk(ink: Image.Image, tone: float, rng: Rng) -> Image.Image:
    return _sheet_on_desk(ink, rng, tone, float(rng.uniform(-4, 4)))


def _turned(ink: Image.Image, degrees: float, rng: Rng) -> Image.Image:
    against = ink.rotate(-degrees, Image.Resampling.BICUBIC, expand=True)  # so that the symbol itself stays upright
    return _sheet_on_desk(against, rng, 80, degrees)


def _small_sheet(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    return _sheet_on_desk(ink, rng, float(rng.choice([60, 110])), float(rng.uniform(-8, 8)), percent / 100)


def _lit(ink: Image.Image, rng: Rng, light: NDArray[np.float64], noise: float = 2.0) -> Image.Image:
    covered = cover(ink, light.shape, 0.55 * min(light.shape), rng)
    page = _lay(covered, 238, 45) * light
    return _image(page + rng.normal(0, noise, page.shape))


def _gradient(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1:1:420j, -1:1:560j]
    along = (x * np.cos(angle) + y * np.sin(angle)) / (abs(np.cos(angle)) + abs(np.sin(angle)))
    return _lit(ink, rng, 1 - percent / 100 * (along + 1) / 2)


def _shadow(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """A hard shadow over about half of the page, in which `percent` of the light is left."""
    y, x = np.mgrid[0:420, 0:560]
    angle = rng.uniform(0, 2 * np.pi)
    inside = (x - 280) * np.cos(angle) + (y - 210) * np.sin(angle) > rng.uniform(-40, 40)
    soft = np.asarray(Image.fromarray((255 * inside).astype(np.uint8)).filter(ImageFilter.GaussianBlur(2))) / 255.0
    return _lit(ink, rng, 1 - (1 - percent / 100) * soft)


def _vignette(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    y, x = np.mgrid[-1:1:420j, -1:1:560j]
    return _lit(ink, rng, 1 - percent / 100 * ((x * x + y * y) / 2) ** 1.2)


def _fold(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """The shadow of a fold, sharp on one side, across the page and at times through the symbol."""
    along = np.arange(560) - rng.integers(180, 380)
    dark = np.where(along < 0, np.exp(along / 3.0), np.exp(-along / 60.0))
    return _lit(ink, rng, np.broadcast_to(1 - percent / 100 * dark, (420, 560)))


def _tile(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """A light symbol on a coloured app-icon tile that takes `percent` of a white page's side."""
    side = round(5.12 * percent)
    page = Image.new("RGB", (512, 512), "white")
    spot = int((512 - side) * rng.uniform(0.3, 0.7)) if side < 500 else (512 - side) // 2
    colour = tuple(int(v) for v in rng.choice([(30, 90, 200), (200, 40, 60), (20, 120, 80), (40, 40, 46), (235, 180, 40)]))
    light = sum(colour) < 450
    ImageDraw.Draw(page).rounded_rectangle((spot, spot, spot + side - 1, spot + side - 1), 0.22 * side, fill=colour)
    glyph = Image.fromarray((255 * cover(ink, (side, side), 0.56 * side, rng, middle=True)).astype(np.uint8))
    page.paste("white" if light else (30, 30, 30), (spot, spot), glyph)
    return page


def _frame(ink: Image.Image, pen: float, rng: Rng) -> Image.Image:
    """A drawn square, `pen` pixels wide of 300, around the symbol."""
    covered = cover(ink, (300, 300), 120, rng, middle=True)
    lines = Image.new("L", (300, 300))
    gap = int(rng.integers(18, 50))
    ImageDraw.Draw(lines).rectangle((gap, gap + 4, 300 - gap, 298 - gap), outline=255, width=round(pen))
    turned = np.asarray(lines.rotate(float(rng.uniform(-2, 2)), Image.Resampling.BICUBIC)) / 255.0
    return _image(_lay(np.maximum(covered, turned), 255, 10))


def _lines(ink: Image.Image, contrast: float, rng: Rng, squared: bool) -> Image.Image:
    page = np.full((480, 640), 245.0)
    step = int(rng.integers(26, 42))
    for at in range(step // 2, 640, step):
        if at < 480:
            page[at : at + 2] = 245 - contrast
        if squared:
            page[:, at : at + 2] = 245 - contrast
    return _image(np.minimum(page, _lay(cover(ink, (480, 640), 220, rng), 255, 35)) + rng.normal(0, 2, page.shape))


def _ruled(ink: Image.Image, contrast: float, rng: Rng) -> Image.Image:
    return _lines(ink, contrast, rng, squared=False)


def _squared(ink: Image.Image, contrast: float, rng: Rng) -> Image.Image:
    return _lines(ink, contrast, rng, squared=True)


def _blobs(ink: Image.Image, rng: Rng, radii: list[float], edge: bool) -> Image.Image:
    page = Image.new("L", (420, 420), 252)
    covered = cover(ink, (420, 420), 170, rng, middle=True)
    pen = ImageDraw.Draw(page)
    for number, radius in enumerate(radii):
        x, y = rng.uniform(8, 412, 2)
        if edge:
            x, y = 26, 420 * (number + 1) / (len(radii) + 1)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=25)
    return _image(np.minimum(np.asarray(page, np.float64), _lay(covered, 252, 20)))


def _specks(ink: Image.Image, count: float, rng: Rng) -> Image.Image:
    return _blobs(ink, rng, list(rng.uniform(0.6, 2.2, int(count))), edge=False)


def _holes(ink: Image.Image, count: float, rng: Rng) -> Image.Image:
    return _blobs(ink, rng, [11.0] * int(count), edge=True)


def _pencil(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    covered = cover(ink, (420, 560), 230, rng) * (0.85 + 0.15 * _soft(rng, (420, 560), 2))
    paper = 236 + 3 * _soft(rng, (420, 560), 120)
    return _image(_lay(covered, paper, paper * (1 - percent / 100)) + rng.normal(0, 2, paper.shape))


def _chalk(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    shape = (420, 560)
    covered = cover(ink, shape, 230, rng) * (0.75 + 0.25 * _soft(rng, shape, 2))
    board = 48 + 10 * _soft(rng, shape, 70) + 4 * _soft(rng, shape, 6)
    return _image(_lay(covered, board, 48 + 1.9 * percent) + rng.normal(0, 3, shape))


_PAIRS = (
    ((235, 200, 60), (40, 60, 170)),
    ((250, 205, 215), (150, 20, 60)),
    ((60, 110, 70), (240, 230, 160)),
    ((20, 40, 90), (240, 120, 60)),
)


def _coloured(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """Coloured ink on coloured paper, the ink's colour `percent` of the way from the paper's."""
    paper, full = (np.array(colour, float) for colour in _PAIRS[int(rng.integers(4))])
    return _image(_lay(cover(ink, (300, 400), 190, rng), paper, paper + percent / 100 * (full - paper)))


def _same_light(ink: Image.Image, spread: float, rng: Rng) -> Image.Image:
    """Ink and paper of one lightness, `spread` levels apart in red and, so that the lightness is the same, in green."""
    swap = 1 if rng.random() < 0.5 else -1
    step = swap * spread * np.array([1, -0.509, 0.0]) if rng.random() < 0.7 else swap * spread * np.array([0.19, -0.194, 0.5])
    return _image(
        _lay(cover(ink, (300, 400), 190, rng), np.array([128.0, 128, 128]) - step / 2, np.array([128.0, 128, 128]) + step / 2)
    )


def _dither(ink: Image.Image, paper: float, rng: Rng) -> Image.Image:
    """One bit, dithered: paper of that level becomes dots."""
    return _image(_lay(cover(ink, (300, 400), 190, rng), paper, 20)).convert("1")


def _fax(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """One bit at a coarse threshold, with `percent` of the pixels flipped."""
    page = _lay(cover(ink, (290, 220), 110, rng), 225, 40)
    page = np.where(page + rng.normal(0, 25, page.shape) > 140, 255, 0)
    return _image(np.where(rng.random(page.shape) < percent / 100, 255 - page, page).astype(float)).convert("1")


def _icon(ink: Image.Image, side: float, rng: Rng) -> Image.Image:
    return _image(_lay(cover(ink, (int(side), int(side)), side - 2, rng, middle=True), 255, 0))


def _jpeg(ink: Image.Image, quality: float, rng: Rng) -> Image.Image:
    file = io.BytesIO()
    _image(_lay(cover(ink, (300, 400), 160, rng), 240, 30)).save(file, "JPEG", quality=int(quality))
    return Image.open(file)


def _noise(ink: Image.Image, sigma: float, rng: Rng) -> Image.Image:
    page = _lay(cover(ink, (300, 400), 190, rng), 215, 45)
    return _image(page + rng.normal(0, sigma, page.shape))


def _blur(ink: Image.Image, sigma: float, rng: Rng) -> Image.Image:
    return _image(_lay(cover(ink, (300, 400), 190, rng), 240, 30)).filter(ImageFilter.GaussianBlur(sigma))


def _two_pages(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """A scan of an open book: dark around, a gutter that takes `percent` of the light, the symbol on one page."""
    shape = (700, 1000)
    x = np.arange(1000)
    light = (1 - percent / 100 * np.exp(-np.abs(x - 500) / 30.0)) * np.ones(shape)
    covered = np.zeros(shape)
    left = 60 if rng.random() < 0.5 else 560
    covered[60:640, left : left + 380] = cover(ink, (580, 380), 190, rng)
    page = _lay(covered, 240, 35) * light
    page[:18] = page[-25:] = 22
    page[:, :24] = page[:, -15:] = 22
    return _image(page + rng.normal(0, 2, shape))


def _alpha(levels: NDArray[np.float64], alpha: Image.Image) -> Image.Image:
    image = _image(levels).convert("RGBA")
    image.putalpha(alpha)
    return image


def _card(ink: Image.Image, radius: float, rng: Rng) -> Image.Image:
    """A white card of 220 pixels with transparent rounded corners."""
    alpha = Image.new("L", (440, 440))
    ImageDraw.Draw(alpha).rounded_rectangle((0, 0, 439, 439), 2 * radius, fill=255)
    dark = rng.random() < 0.4
    page = _lay(cover(ink, (220, 220), 120, rng, middle=True), 35 if dark else 255, 240 if dark else 0)
    return _alpha(page, alpha.resize((220, 220), Image.Resampling.BOX))


def _window(ink: Image.Image, margin: float, rng: Rng) -> Image.Image:
    """A window on a transparent margin, as a screenshot of one."""
    side = 300 + 2 * int(margin)
    alpha = Image.new("L", (side, side))
    alpha.paste(255, (int(margin), int(margin), side - int(margin), side - int(margin)))
    dark = rng.random() < 0.5
    page = np.zeros((side, side))
    inner = slice(int(margin), side - int(margin))
    page[inner, inner] = _lay(cover(ink, (300, 300), 160, rng), 30 if dark else 250, 230 if dark else 20)
    return _alpha(page, alpha)


def _rotated(ink: Image.Image, degrees: float, rng: Rng) -> Image.Image:
    """A page turned with `rotate(expand=True)`: what is outside it is transparent. The symbol itself stays upright."""
    upright = ink.rotate(-degrees, Image.Resampling.BICUBIC, expand=True)
    dark = rng.random() < 0.4
    page = _image(_lay(cover(upright, (300, 300), 150, rng, middle=True), 40 if dark else 250, 245 if dark else 25)).convert(
        "RGBA"
    )
    return page.rotate(degrees, Image.Resampling.BICUBIC, expand=True)


def _glyph(ink: Image.Image, level: float, rng: Rng) -> Image.Image:
    """Only the ink is visible, at one level of grey."""
    alpha = Image.fromarray((255 * cover(ink, (256, 256), 200, rng, middle=True)).astype(np.uint8))
    return _alpha(np.full((256, 256), level), alpha)


def _premultiplied(ink: Image.Image, radius: float, rng: Rng) -> Image.Image:
    pixels = np.asarray(_card(ink, radius, rng)).astype(np.float64)
    pixels[..., :3] *= pixels[..., 3:] / 255
    return Image.fromarray(pixels.round().astype(np.uint8))


def _photo(ink: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """All at once: a sheet on a desk, uneven light, blur, noise and JPEG, `strength` times as strong as usual."""
    page = np.asarray(_sheet_on_desk(ink, rng, float(rng.uniform(50, 150)), float(rng.uniform(-7, 7)), 0.75), np.float64)
    y, x = np.mgrid[-1:1:600j, -1:1:800j]
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 - 0.3 * strength * (0.5 + (x * np.cos(angle) + y * np.sin(angle)) / 3)
    soft = _image(page * light).filter(ImageFilter.GaussianBlur(1.2 * strength))
    file = io.BytesIO()
    _image(np.asarray(soft) + rng.normal(0, 5 * strength, page.shape)).save(file, "JPEG", quality=round(60 / strength))
    return Image.open(file)


KINDS = (
    Kind("clean", "-", (0,), 1, lambda ink, _, rng: _image(_lay(cover(ink, (210, 210), 160, rng), 255, 0))),
    Kind("small on a 1000-pixel page", "% of the side", (12, 8, 6, 4, 3, 2, 1.2), 6, _small),
    Kind("A4 scan at 300 dpi", "cm", (4, 2, 1, 0.5, 0.25), 4, _a4),
    Kind("wide strip", "times as wide", (5, 10, 25, 50), 3, _wide),
    Kind("tall strip", "times as high", (5, 10, 25, 50), 3, _tall),
    Kind("near two edges", "% away", (10, 5, 2, 0.5), 3, _corner),
    Kind("sheet on a desk", "desk's level of 255", (30, 80, 130, 170, 200), 4, _desk),
    Kind("turned sheet on a desk", "degrees", (3, 8, 15, 30), 4, _turned),
    Kind("small sheet on a desk", "% of the height", (50, 35, 25, 15), 3, _small_sheet),
    Kind("uneven light", "% less at one side", (30, 50, 70, 85), 3, _gradient),
    Kind("hard shadow", "% of the light left", (60, 45, 30, 20), 3, _shadow),
    Kind("vignette", "% less in the corners", (30, 50, 70, 90), 3, _vignette),
    Kind("shadow of a fold", "% less", (20, 40, 60), 3, _fold),
    Kind("app-icon tile", "% of the side", (100, 80, 50, 30, 15), 4, _tile),
    Kind("drawn frame", "pixels wide of 300", (2, 4, 8, 12), 3, _frame),
    Kind("ruled paper", "levels darker", (15, 40, 90, 160), 3, _ruled),
    Kind("squared paper", "levels darker", (15, 40, 90, 160), 3, _squared),
    Kind("specks", "number", (1, 4, 12, 40), 3, _specks),
    Kind("punched holes", "number", (1, 2, 4), 3, _holes),
    Kind("pencil", "% contrast", (50, 35, 20, 12, 8), 3, _pencil),
    Kind("chalk on a board", "% contrast", (100, 60, 35, 20), 3, _chalk),
    Kind("coloured ink on coloured paper", "% of the way", (100, 60, 30, 15), 3, _coloured),
    Kind("ink as light as its paper", "levels apart", (200, 120, 60, 30), 3, _same_light),
    Kind("one bit, dithered", "paper's level", (245, 225, 200, 170), 3, _dither),
    Kind("one bit, faxed", "% pixels flipped", (0, 0.5, 2, 6), 3, _fax),
    Kind("icon", "pixels", (32, 24, 16, 12), 3, _icon),
    Kind("JPEG", "quality", (20, 10, 5, 2), 3, _jpeg),
    Kind("noise", "sigma", (10, 25, 40, 60), 3, _noise),
    Kind("blur", "sigma", (2, 4, 7, 12), 3, _blur),
    Kind("scan of an open book", "% less in the gutter", (30, 60, 90), 3, _two_pages),
    Kind("card with transparent corners", "radius of 220", (10, 40, 80, 110), 4, _card),
    Kind("window on a transparent margin", "pixels", (5, 40, 150), 3, _window),
    Kind("turned page, transparent around", "degrees", (5, 20, 45), 3, _rotated),
    Kind("ink alone on transparency", "level of 255", (0, 100, 180, 255), 4, _glyph),
    Kind("premultiplied card", "radius of 220", (10, 40, 80), 3, _premultiplied),
    Kind("photograph of a sheet", "times", (0.6, 1, 1.5, 2.2), 3, _photo),
)
"""All kinds. Those of `ODDITIES`, at the strength given, are enrolled too, to see what is then named after them."""

ODDITIES = {"sheet on a desk": 80, "app-icon tile": 80, "drawn frame": 4, "squared paper": 90, "punched holes": 2}

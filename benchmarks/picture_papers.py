"""Pictures of a symbol on pages: small, in a strip, between rules, specks and holes, in pencil, chalk and coloured ink."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.picture_ink import Rng, cover, image_of, laid, soft_texture

__all__ = [
    "a4_scan",
    "chalk",
    "circled",
    "clipped",
    "coloured",
    "framed",
    "near_edges",
    "pencil",
    "punched",
    "ruled",
    "same_lightness",
    "small_on_page",
    "specks",
    "squared",
    "stapled",
    "tall_strip",
    "wide_strip",
]


def small_on_page(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """The symbol takes `percent` of a page's side."""
    return image_of(laid(cover(ink, (1000, 1000), 10 * percent, rng), 255, 0))


def a4_scan(ink: Image.Image, centimetres: float, rng: Rng) -> Image.Image:
    """The symbol is so large on an A4 scan at 300 dpi."""
    page = laid(cover(ink, (3508, 2480), centimetres * 118, rng), 246, 45)
    return image_of(page + rng.normal(0, 2, page.shape))


def wide_strip(ink: Image.Image, ratio: float, rng: Rng) -> Image.Image:
    """A strip `ratio` times as wide as it is high."""
    return image_of(laid(cover(ink, (100, round(100 * ratio)), 80, rng), 255, 0))


def tall_strip(ink: Image.Image, ratio: float, rng: Rng) -> Image.Image:
    """A strip `ratio` times as high as it is wide."""
    return image_of(laid(cover(ink, (round(100 * ratio), 100), 80, rng), 250, 30))


def near_edges(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """A symbol whose ink keeps `percent` of the page from two of its edges."""
    page = Image.new("L", (600, 450), 252)
    small = ink.resize((ink.width * 140 // max(ink.size) or 1, ink.height * 140 // max(ink.size) or 1), Image.Resampling.BOX)
    gap = round(4.5 * percent)
    x = gap if rng.random() < 0.5 else 600 - gap - small.width
    y = gap if rng.random() < 0.5 else 450 - gap - small.height
    page.paste(20, (x, y), small)
    return page


def _lines(ink: Image.Image, contrast: float, rng: Rng, squared: bool) -> Image.Image:
    page = np.full((480, 640), 245.0)
    step = int(rng.integers(26, 42))
    for at in range(step // 2, 640, step):
        if at < 480:
            page[at : at + 2] = 245 - contrast
        if squared:
            page[:, at : at + 2] = 245 - contrast
    return image_of(np.minimum(page, laid(cover(ink, (480, 640), 220, rng), 255, 35)) + rng.normal(0, 2, page.shape))


def ruled(ink: Image.Image, contrast: float, rng: Rng) -> Image.Image:
    """Rules, so many levels darker than the paper."""
    return _lines(ink, contrast, rng, squared=False)


def squared(ink: Image.Image, contrast: float, rng: Rng) -> Image.Image:
    """Squares, so many levels darker than the paper."""
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
    return image_of(np.minimum(np.asarray(page, np.float64), laid(covered, 252, 20)))


def specks(ink: Image.Image, count: float, rng: Rng) -> Image.Image:
    """So many specks."""
    return _blobs(ink, rng, list(rng.uniform(0.6, 2.2, int(count))), edge=False)


def punched(ink: Image.Image, count: float, rng: Rng) -> Image.Image:
    """So many punched holes along an edge."""
    return _blobs(ink, rng, [11.0] * int(count), edge=True)


def framed(ink: Image.Image, pen: float, rng: Rng) -> Image.Image:
    """A drawn square, `pen` pixels wide of 300, around the symbol."""
    covered = cover(ink, (300, 300), 120, rng, middle=True)
    lines = Image.new("L", (300, 300))
    gap = int(rng.integers(18, 50))
    ImageDraw.Draw(lines).rectangle((gap, gap + 4, 300 - gap, 298 - gap), outline=255, width=round(pen))
    turned = np.asarray(lines.rotate(float(rng.uniform(-2, 2)), Image.Resampling.BICUBIC)) / 255.0
    return image_of(laid(np.maximum(covered, turned), 255, 10))


def circled(ink: Image.Image, pen: float, rng: Rng) -> Image.Image:
    """A drawn circle, `pen` pixels wide of 300, around the symbol."""
    covered = cover(ink, (300, 300), 105, rng, middle=True)
    ring = Image.new("L", (900, 900))
    gap = int(rng.integers(20, 90))
    ImageDraw.Draw(ring).ellipse((gap, gap + 20, 900 - gap, 880 - gap), outline=255, width=round(3 * pen))
    return image_of(laid(np.maximum(covered, np.asarray(ring.resize((300, 300), Image.Resampling.BOX)) / 255.0), 255, 10))


def stapled(ink: Image.Image, length: float, rng: Rng) -> Image.Image:
    """A page with a staple of `length` pixels near a corner; the symbol takes 200."""
    page = image_of(laid(cover(ink, (460, 560), 200, rng, middle=True), 246, 30))
    x, y, slope = rng.uniform(20, 60), rng.uniform(20, 50), rng.uniform(0, 0.8)
    ImageDraw.Draw(page).line((x, y, x + length, y + slope * length), fill=100, width=4)
    return page


def clipped(ink: Image.Image, width: float, rng: Rng) -> Image.Image:
    """A page with a paper clip of that width at its upper edge."""
    page = image_of(laid(cover(ink, (520, 560), 200, rng, middle=True), 246, 30))
    x = float(rng.uniform(30, 500 - width))
    for inset, below in ((0.0, 90.0), (0.22, 65.0)):
        box = (x + inset * width, -40, x + (1 - inset) * width, below)
        ImageDraw.Draw(page).rounded_rectangle(box, width * (0.5 - inset), outline=125, width=5)
    return page


def pencil(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """Pencil, with that contrast to its paper."""
    covered = cover(ink, (420, 560), 230, rng) * (0.85 + 0.15 * soft_texture(rng, (420, 560), 2))
    paper = 236 + 3 * soft_texture(rng, (420, 560), 120)
    return image_of(laid(covered, paper, paper * (1 - percent / 100)) + rng.normal(0, 2, paper.shape))


def chalk(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """Chalk on a wiped board."""
    shape = (420, 560)
    covered = cover(ink, shape, 230, rng) * (0.75 + 0.25 * soft_texture(rng, shape, 2))
    board = 48 + 10 * soft_texture(rng, shape, 70) + 4 * soft_texture(rng, shape, 6)
    return image_of(laid(covered, board, 48 + 1.9 * percent) + rng.normal(0, 3, shape))


_PAIRS = (
    ((235, 200, 60), (40, 60, 170)),
    ((250, 205, 215), (150, 20, 60)),
    ((60, 110, 70), (240, 230, 160)),
    ((20, 40, 90), (240, 120, 60)),
)


def coloured(ink: Image.Image, percent: float, rng: Rng) -> Image.Image:
    """Coloured ink on coloured paper, the ink's colour `percent` of the way from the paper's."""
    paper, full = (np.array(colour, float) for colour in _PAIRS[int(rng.integers(4))])
    return image_of(laid(cover(ink, (300, 400), 190, rng), paper, paper + percent / 100 * (full - paper)))


def same_lightness(ink: Image.Image, spread: float, rng: Rng) -> Image.Image:
    """Ink and paper of one lightness, `spread` levels apart in red and, so that the lightness is the same, in green."""
    swap = 1 if rng.random() < 0.5 else -1
    step = swap * spread * np.array([1, -0.509, 0.0]) if rng.random() < 0.7 else swap * spread * np.array([0.19, -0.194, 0.5])
    return image_of(
        laid(cover(ink, (300, 400), 190, rng), np.array([128.0, 128, 128]) - step / 2, np.array([128.0, 128, 128]) + step / 2)
    )

"""Pictures as people have them: one drawing on pages, desks, tiles, ruled paper, scans and transparent cards.

A kind makes a picture of a drawing's ink at a strength. Its `aim` says up to which strength a person reads it at a glance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from benchmarks.picture_files import (
    blurred,
    card,
    dithered,
    faxed,
    glyph,
    icon,
    jpeg,
    noisy,
    premultiplied,
    rotated,
    tile,
    window,
)
from benchmarks.picture_ink import Rng, cover, image_of, laid, tight
from benchmarks.picture_papers import (
    a4_scan,
    chalk,
    circled,
    clipped,
    coloured,
    framed,
    near_edges,
    pencil,
    punched,
    ruled,
    same_lightness,
    small_on_page,
    specks,
    squared,
    stapled,
    tall_strip,
    wide_strip,
)
from benchmarks.picture_scenes import (
    fold,
    hard_shadow,
    on_desk,
    open_book,
    photograph,
    small_on_desk,
    turned_on_desk,
    uneven_light,
    vignette,
)
from benchmarks.picture_tiles import (
    cropped,
    icon_tile,
    premultiplied_glyph,
    same_lightness_tile,
    sign,
    tile_on_photograph,
    turned_on_black,
)

__all__ = ["KINDS", "ODDITIES", "Kind", "cover", "tight"]


@dataclass(frozen=True)
class Kind:
    """make: the picture of an ink (`tight`) at a strength. strengths: swept, mild first; `aim` of them are aimed at."""

    name: str
    unit: str
    strengths: tuple[float, ...]
    aim: int
    make: Callable[[Image.Image, float, Rng], Image.Image]


KINDS = (
    Kind("clean", "-", (0,), 1, lambda ink, _, rng: image_of(laid(cover(ink, (210, 210), 160, rng), 255, 0))),
    Kind("small on a 1000-pixel page", "% of the side", (12, 8, 6, 4, 3, 2, 1.2), 6, small_on_page),
    Kind("A4 scan at 300 dpi", "cm", (4, 2, 1, 0.5, 0.25), 4, a4_scan),
    Kind("wide strip", "times as wide", (5, 10, 25, 50), 3, wide_strip),
    Kind("tall strip", "times as high", (5, 10, 25, 50), 3, tall_strip),
    Kind("near two edges", "% away", (10, 5, 2, 0.5), 3, near_edges),
    Kind("sheet on a desk", "desk's level of 255", (30, 80, 130, 170, 200), 4, on_desk),
    Kind("turned sheet on a desk", "degrees", (3, 8, 15, 30), 4, turned_on_desk),
    Kind("small sheet on a desk", "% of the height", (50, 35, 25, 15), 3, small_on_desk),
    Kind("uneven light", "% less at one side", (30, 50, 70, 85), 3, uneven_light),
    Kind("hard shadow", "% of the light left", (60, 45, 30, 20), 3, hard_shadow),
    Kind("vignette", "% less in the corners", (30, 50, 70, 90), 3, vignette),
    Kind("shadow of a fold", "% less", (20, 40, 60), 3, fold),
    Kind("app-icon tile", "% of the side", (100, 80, 50, 30, 15), 4, tile),
    Kind("tile as light as its symbol", "levels apart", (200, 120, 60), 3, same_lightness_tile),
    Kind("file that is all tile", "pixels", (48, 32, 24, 16), 3, icon_tile),
    Kind("tile on a photograph", "% of the side", (60, 40, 25), 3, tile_on_photograph),
    Kind("sign on a wall", "degrees", (3, 10, 25), 3, sign),
    Kind("drawn frame", "pixels wide of 300", (2, 4, 8, 12), 3, framed),
    Kind("crop marks", "pixels wide of 360", (2, 5, 9), 3, cropped),
    Kind("drawn circle", "pixels wide of 300", (2, 4, 8, 12), 3, circled),
    Kind("staple beside it", "pixels long of 560", (25, 40, 55), 3, stapled),
    Kind("paper clip at the edge", "pixels wide of 560", (22, 30, 40), 3, clipped),
    Kind("ruled paper", "levels darker", (15, 40, 90, 160), 3, ruled),
    Kind("squared paper", "levels darker", (15, 40, 90, 160), 3, squared),
    Kind("specks", "number", (1, 4, 12, 40), 3, specks),
    Kind("punched holes", "number", (1, 2, 4), 3, punched),
    Kind("pencil", "% contrast", (50, 35, 20, 12, 8), 3, pencil),
    Kind("chalk on a board", "% contrast", (100, 60, 35, 20), 3, chalk),
    Kind("coloured ink on coloured paper", "% of the way", (100, 60, 30, 15), 3, coloured),
    Kind("ink as light as its paper", "levels apart", (200, 120, 60, 30), 3, same_lightness),
    Kind("one bit, dithered", "paper's level", (245, 225, 200, 170), 3, dithered),
    Kind("one bit, faxed", "% pixels flipped", (0, 0.5, 2, 6), 3, faxed),
    Kind("icon", "pixels", (32, 24, 16, 12), 3, icon),
    Kind("JPEG", "quality", (20, 10, 5, 2), 3, jpeg),
    Kind("noise", "sigma", (10, 25, 40, 60), 3, noisy),
    Kind("blur", "sigma", (2, 4, 7, 12), 3, blurred),
    Kind("scan of an open book", "% less in the gutter", (30, 60, 90), 3, open_book),
    Kind("card with transparent corners", "radius of 220", (10, 40, 80, 110), 4, card),
    Kind("window on a transparent margin", "pixels", (5, 40, 150), 3, window),
    Kind("turned page, transparent around", "degrees", (5, 20, 45), 3, rotated),
    Kind("turned page, black around", "degrees", (10, 45, 70), 3, turned_on_black),
    Kind("ink alone on transparency", "level of 255", (0, 100, 180, 255), 4, glyph),
    Kind("premultiplied card", "radius of 220", (10, 40, 80), 3, premultiplied),
    Kind("premultiplied ink alone", "level of 255", (0, 128, 255), 3, premultiplied_glyph),
    Kind("photograph of a sheet", "times", (0.6, 1, 1.5, 2.2), 3, photograph),
)
"""All kinds. Those of `ODDITIES`, at the strength given, are enrolled too, to see what is then named after them."""

ODDITIES = {
    "sheet on a desk": 80,
    "app-icon tile": 80,
    "drawn frame": 4,
    "drawn circle": 4,
    "squared paper": 90,
    "punched holes": 2,
}

"""Drawings of which nothing may be left out, though they have what other pictures show around or beside a symbol."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops, ImageDraw


def face(hours: int = 0) -> Image.Image:
    """A hand-drawn face, or a clock's with so many marks."""
    page = Image.new("L", (320, 300), 255)
    pen = ImageDraw.Draw(page)
    pen.ellipse((22, 26, 296, 270), outline=0, width=6)
    if not hours:
        pen.ellipse((96, 104, 110, 122), fill=0)
        pen.ellipse((200, 98, 226, 120), outline=0, width=6)
        pen.line((150, 120, 168, 158), 0, 6)
        pen.arc((110, 140, 210, 220), 20, 160, 0, 6)
    for hour in range(hours):
        x, y = np.cos(2 * np.pi * hour / hours), np.sin(2 * np.pi * hour / hours)
        pen.line((159 + 95 * x, 148 + 83 * y, 159 + 115 * x, 148 + 103 * y), 0, 6)
    return page


def two_strokes(apart: int, dark: bool) -> Image.Image:
    """A long stroke and a shorter one, as of a Japanese i."""
    ink = Image.new("L", (320, 320), 0)
    pen = ImageDraw.Draw(ink)
    pen.line((60, 60, 62, 150, 70, 250), 255, 8)
    pen.line((70 + apart, 80, 84 + apart, 120, 80 + apart, 160), 255, 8)
    return ImageChops.invert(ink) if dark else ink


def runs_out(larger: bool) -> Image.Image:
    """A drawing of two strokes, of which the smaller runs out of the picture, or the larger."""
    page = Image.new("L", (105, 105), 255)
    pen = ImageDraw.Draw(page)
    if larger:
        pen.line((16, 62, 38, 54, 38, 38, 24, 38), 0, 7)
        pen.line((18, 66, 48, 66), 0, 7)
        pen.ellipse((19, 40, 33, 54), fill=0)
        pen.line((62, 36, 62, 56, 74, 60, 78, 36, 80, 62, 104, 60, 100, 42, 92, 42), 0, 7)
    else:
        pen.line((40, 20, 92, 24, 60, 66), 0, 3)
        pen.line((44, 88, 50, 104), 0, 3)
    return page

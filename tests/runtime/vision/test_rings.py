"""What is drawn around symbols: many frames within each other cost no more than each of them."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from oneshot_runtime.vision.morphology import Parts
from oneshot_runtime.vision.page import symbols_of_page
from oneshot_runtime.vision.picture import Picture


def test_frames_within_frames_are_looked_at_one_by_one(monkeypatch) -> None:
    asked, mask = [], Parts.mask

    def counted(parts: Parts, numbers: np.ndarray, area: tuple[int, int, int, int]) -> np.ndarray:
        asked.append((area[2] - area[0]) * (area[3] - area[1]))
        return mask(parts, numbers, area)

    monkeypatch.setattr(Parts, "mask", counted)
    image = Image.new("L", (1200, 1200), 255)
    for inset in range(20, 580, 10):
        ImageDraw.Draw(image).rectangle((inset, inset, 1199 - inset, 1199 - inset), outline=0, width=3)
    symbols_of_page(Picture(np.asarray(image)))
    assert (
        sum(asked) < 100 * 600 * 600
    )  # pixels: 329 of such pictures where each frame is compared with all that are in it, else 24

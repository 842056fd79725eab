"""Test vectors for clients: pictures of each kind, and the canvases that the runtime makes of them.

python -m tests.client.vectors writes docs/bundle-vectors.json.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from oneshot_runtime.model import Bundle
from oneshot_runtime.synthetic import draw, invent_alphabet, random_writer
from oneshot_runtime.vision import preprocess

FILE = Path(__file__).parents[2] / "docs" / "bundle-vectors.json"


def pictures(page: np.ndarray) -> dict[str, Image.Image]:
    """Pictures of each kind that show a clean drawing uint8 (105, 105), dark on white; the last ones are not clean."""
    ink, rng = (255 - page.astype(int)) / 255, np.random.default_rng(8)
    wide = np.full((200, 260), 255.0)
    wide[50:155, 90:195] = page
    slope = np.linspace(0.5, 1, 260)[None] * np.linspace(0.8, 1, 200)[:, None]
    card = np.where(np.add.outer(abs(np.arange(105) - 52), abs(np.arange(105) - 52)) < 95, 255, 0)

    def bytes_of(levels: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(levels), 0, 255).astype(np.uint8)

    def between(paper: tuple[int, int, int], full: tuple[int, int, int]) -> np.ndarray:
        return bytes_of(np.array(paper) + (np.array(full) - np.array(paper)) * ink[..., None])

    def colour(level: tuple[int, int, int]) -> np.ndarray:
        return np.broadcast_to(np.array(level, np.uint8), (105, 105, 3))

    found = {
        "dark on light": page,
        "light on dark": 255 - page,
        "low contrast": bytes_of(200 - 25 * ink),
        "coloured": between((250, 240, 220), (20, 40, 160)),
        "sixteen bits": np.rint(4050 - 4000 * ink).astype(np.uint16),
        "dark ink alone on transparency": np.dstack([colour((20, 40, 160)), bytes_of(255 * ink)]),
        "light ink alone on transparency": np.dstack([colour((255, 250, 240)), bytes_of(255 * ink)]),
        "light ink, multiplied by its transparency": np.dstack([bytes_of(255 * ink)] * 4),
        "dark card with transparent corners": np.dstack([between((60, 60, 80), (250, 240, 220)), card.astype(np.uint8)]),
        "icon of 16 pixels": np.asarray(Image.fromarray(page).resize((16, 16), Image.Resampling.BOX)),
        "large, to be reduced": np.asarray(Image.fromarray(page).resize((1100, 700), Image.Resampling.BICUBIC)),
        "wide strip": np.pad(page, ((0, 0), (180, 180)), constant_values=255),
        "uneven light": bytes_of(wide * slope),
        "uneven light, pencil, noise": bytes_of((255 - (255 - wide) * 0.5) * slope + rng.normal(0, 2, wide.shape)),
    }
    return {kind: Image.fromarray(np.ascontiguousarray(levels)) for kind, levels in found.items()}


def drawn(number: int) -> np.ndarray:
    """An invented symbol as one of many writers draws it, uint8 (105, 105)."""
    rng = np.random.default_rng(number)
    return draw(invent_alphabet(3, seed=number)[1], random_writer(rng), rng)


def all_pictures() -> dict[str, Image.Image]:
    """Those of one symbol, and two shapes."""
    hairline, dot = np.full((300, 300), 255, np.uint8), np.full((300, 300), 255, np.uint8)
    hairline[40:260, 150] = hairline[150, 80:220] = 0
    dot[130:170, 140:180] = 0
    shapes = {"hairline, to be widened": Image.fromarray(hairline), "small for its picture": Image.fromarray(dot)}
    return shapes | pictures(drawn(8))


def png(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def unpacked(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


if __name__ == "__main__":
    spec = Bundle.open().spec
    found = [
        {"kind": kind, "exact": not kind.startswith("uneven"), "picture": png(picture),
         "canvas": png(Image.fromarray(preprocess(picture, spec)))}
        for kind, picture in all_pictures().items()
    ]  # fmt: skip
    FILE.write_text(json.dumps({"preprocess": spec.to_dict(), "pictures": found}, indent=1) + "\n")

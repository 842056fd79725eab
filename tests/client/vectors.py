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


def pictures() -> dict[str, np.ndarray]:
    """Grey pictures uint8 (H, W) by their kinds."""
    rng = np.random.default_rng(8)
    page = draw(invent_alphabet(3, seed=8)[1], random_writer(rng), rng)
    ink = 255 - page.astype(int)
    wide = np.full((200, 260), 255, np.uint8)
    wide[50:155, 90:195] = page
    slope = np.linspace(0.5, 1, 260)[None] * np.linspace(0.8, 1, 200)[:, None]
    hairline = np.full((300, 300), 255, np.uint8)
    hairline[40:260, 150] = hairline[150, 80:220] = 0
    dot = np.full((300, 300), 255, np.uint8)
    dot[130:170, 140:180] = 0
    return {
        "dark on light": page,
        "light on dark": 255 - page,
        "low contrast": (200 - ink * 25 // 255).astype(np.uint8),
        "large, to be reduced": np.asarray(Image.fromarray(page).resize((1100, 700), Image.Resampling.BICUBIC)),
        "hairline, to be widened": hairline,
        "small for its picture": dot,
        "uneven light": (wide * slope).astype(np.uint8),
        "uneven light, pencil": ((255 - (255 - wide.astype(float)) * 0.5) * slope).astype(np.uint8),
    }


def png(grey: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def unpacked(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


if __name__ == "__main__":
    spec = Bundle.open().spec
    found = [{"kind": kind, "grey": png(grey), "canvas": png(preprocess(grey, spec))} for kind, grey in pictures().items()]
    FILE.write_text(json.dumps({"preprocess": spec.to_dict(), "pictures": found}, indent=1) + "\n")

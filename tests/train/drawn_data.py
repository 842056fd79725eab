"""Archives laid out like Omniglot's, with drawings of the project's own."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer

LAYOUT = {"Alef": 5, "Bet": 4, "Gimel": 3}


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).convert("1").save(file, "PNG")
    return file.getvalue()


def entries(root: str, layout: dict[str, int], seed: int) -> dict[str, bytes]:
    """Files laid out like Omniglot's, drawn by twenty writers."""
    rng = np.random.default_rng(seed)
    writers = [random_writer(rng) for _ in range(20)]
    files = {}
    for number, (alphabet, count) in enumerate(layout.items()):
        for index, symbol in enumerate(invent_alphabet(count, seed + number), 1):
            for drawer, writer in enumerate(writers, 1):
                name = f"{root}/{alphabet}/character{index:02d}/{number:02d}{index:02d}_{drawer:02d}.png"
                files[name] = png(draw(symbol, writer, rng))
    return files


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path

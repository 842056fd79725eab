"""A film of the project's own symbols on a sheet of paper, for the browser's camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oneshot_runtime.synthetic.strokes import Symbol, draw, random_writer

_FRAMES = 20


def sheet_of(symbols: list[Symbol], rng: np.random.Generator, width: int = 640, height: int = 360) -> np.ndarray:
    """Symbols in a row on paper, each by a hand of its own: uint8 (height, width)."""
    sheet = np.full((height, width), 215, np.uint8)
    room = width // len(symbols)
    side = min(room, height) * 3 // 4
    for place, symbol in enumerate(symbols):
        top, left = (height - side) // 2, place * room + (room - side) // 2
        sheet[top : top + side, left : left + side] = draw(symbol, random_writer(rng), rng, side).clip(35, 215)
    return sheet


def write_film(sheet: np.ndarray, path: Path, motion: float = 6.0) -> Path:
    """A sheet that moves to and fro by some pixels, as Y4M, which Chromium plays again and again."""
    height, width = sheet.shape
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F20:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(_FRAMES):
            angle = 2 * np.pi * number / _FRAMES
            moved = np.roll(sheet, (round(motion * np.sin(angle)), round(motion * np.cos(angle))), (0, 1))
            file.write(b"FRAME\n" + moved.tobytes() + bytes([128]) * (height * width // 2))
    return path

"""A client of a bundle, written from docs/bundle.md: it imports nothing of the project."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageFilter

Bytes = np.ndarray


class Client:
    """Knows symbols by name, and says which of them a clean drawing shows."""

    def __init__(self, folder: Path, far: float) -> None:
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.session = onnxruntime.InferenceSession(folder / "embedding.onnx", providers=["CPUExecutionProvider"])
        self.known: dict[str, list[Bytes]] = {}
        self.far = far

    def code(self, picture: Image.Image) -> Bytes:
        head = self.manifest["head"]
        embedding = self.session.run(None, {"images": canvas_of(grey_of(picture), self.manifest["preprocess"])[None]})[0][0]
        scale = np.array(head["weights"], np.float32) * np.float32(head["code_scale"])
        return np.clip(np.rint(embedding * scale), 0, 255).astype(np.int32)

    def enroll(self, label: str, picture: Image.Image) -> None:
        self.known.setdefault(label, []).append(self.code(picture))

    def match(self, picture: Image.Image) -> tuple[str | None, list[tuple[str, float]]]:
        """The label, None where it is unknown, and every label with its probability, best first."""
        head, query = self.manifest["head"], self.code(picture)
        distances = {label: class_distance(query, codes) for label, codes in self.known.items()}
        found = [(label, sigmoid(head["bias"] - far / head["code_scale"])) for label, far in distances.items()]
        found.sort(key=lambda pair: -pair[1])
        return (found[0][0] if found[0][1] >= sigmoid(self.threshold()) else None), found

    def threshold(self) -> float:
        """The logit for this many classes with this many pictures each, at this false accept rate."""
        rows = sorted(self.manifest["thresholds"], key=lambda row: row["classes"])
        shots = sorted(int(number) for number in rows[0].get("by_supports", {}))
        at = [self._of(rows, [row["logits"] for row in rows])]
        at += [self._of(rows, [row["by_supports"][str(number)] for row in rows]) for number in shots]
        mean = min(sum(map(len, self.known.values())) / len(self.known), max(shots, default=1))
        return line([math.log(number) for number in (1, *shots)], at, math.log(mean)) if shots else at[0]

    def _of(self, rows: list[dict], logits: list[dict[str, float]]) -> float:
        rates, sizes = sorted(logits[0], key=float), [math.log(row["classes"]) for row in rows]
        by_rate = [line(sizes, [one[rate] for one in logits], math.log(len(self.known))) for rate in rates]
        return line([math.log(float(rate)) for rate in rates], by_rate, math.log(self.far))


def class_distance(query: Bytes, codes: list[Bytes]) -> float:
    nearest = min(int(np.abs(query - code).sum()) for code in codes)
    prototype = (2 * np.sum(codes, axis=0) + len(codes)) // (2 * len(codes))
    return (nearest + max(int(np.abs(query - prototype).sum()), nearest / 2)) / 2


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def line(x: list[float], y: list[float], at: float) -> float:
    """Piecewise linear through (x, y); the outer slopes go on."""
    if len(x) == 1:
        return y[0]
    right = next((i for i in range(1, len(x)) if at <= x[i]), len(x) - 1)
    return y[right - 1] + (y[right] - y[right - 1]) * (at - x[right - 1]) / (x[right] - x[right - 1])


def grey_of(picture: Image.Image) -> Bytes:
    grey = picture.convert("L")
    factor = -(-max(grey.size) // 512)
    return np.asarray(grey.reduce(factor) if factor > 1 else grey)


def canvas_of(grey: Bytes, spec: dict) -> Bytes:
    border = np.sort(np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1])).astype(int))
    quarter = border.size // 4
    if border[-1 - quarter] - border[quarter] > 8:
        grey, paper = flattened(grey), 0
    else:
        paper = int(border[border.size // 2])
    low, high = paper - int(grey.min()), int(grey.max()) - paper
    contrast = max(low, high)
    if contrast < 24:
        raise ValueError("the picture is blank")
    depth = (paper - grey.astype(int)) if low >= high else (grey.astype(int) - paper)
    ink = np.clip((4 * depth - contrast) * 255 // (2 * contrast), 0, 255).astype(np.uint8)
    return widened(fitted(ink, spec), round(256 * spec["thin"]))


def fitted(ink: Bytes, spec: dict) -> Bytes:
    rows, columns = (np.flatnonzero((ink > 127).any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    floor = spec["min_ink"] * max(ink.shape)
    scales = (
        spec["ink_share"] * spec["height"] / max(bottom - top, floor),
        spec["ink_share"] * spec["width"] / max(right - left, floor),
    )
    height, width = (max(1, round(float(side * min(scales)))) for side in (bottom - top, right - left))
    box = Image.fromarray(ink[top:bottom, left:right])
    box = box.resize((width, box.height), Image.Resampling.BILINEAR).resize((width, height), Image.Resampling.BILINEAR)
    canvas = np.zeros((spec["height"], spec["width"]), np.uint8)
    y, x = (spec["height"] - height) // 2, (spec["width"] - width) // 2
    canvas[y : y + height, x : x + width] = np.asarray(box)
    return canvas


def widened(canvas: Bytes, thin: int) -> Bytes:
    ink = canvas.astype(int)
    across, along = int(np.abs(np.diff(ink, axis=1)).sum()), int(np.abs(np.diff(ink, axis=0)).sum())
    length = max(1, math.isqrt(across * across + along * along))
    strength = min(256, thin - 256 * 5 * int(ink.sum()) // (3 * length)) if thin else 0
    if strength <= 0:
        return canvas
    padded, (height, width) = np.pad(ink, 1), ink.shape

    def moved(y: int, x: int) -> Bytes:
        return padded[1 + y : 1 + y + height, 1 + x : 1 + x + width]

    edge = np.max([moved(0, -1), moved(0, 1), moved(-1, 0), moved(1, 0)], axis=0)
    corner = np.max([moved(y, x) for y in (-1, 1) for x in (-1, 1)], axis=0)
    ink = np.max([ink, edge * (154 * strength >> 8) >> 8, corner * (90 * strength >> 8) >> 8], axis=0)
    return np.minimum(ink + (ink * strength >> 8), 255).astype(np.uint8)


def flattened(grey: Bytes) -> Bytes:
    """How much of the paper's light is missing at each pixel, 0 to 255, where what is narrow and dark is ink."""
    picture, window = Image.fromarray(grey), max(7, min(grey.shape) // 18) | 1
    paper = np.asarray(picture.filter(ImageFilter.MaxFilter(window)).filter(ImageFilter.MinFilter(window))).astype(int)
    return (np.maximum(paper - grey, 0) * 255 // np.maximum(paper, 1)).astype(np.uint8)

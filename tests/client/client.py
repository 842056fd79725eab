"""A client of a bundle, from a grey picture to an answer, written from docs/bundle.md: it imports nothing of the project."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image


class Client:
    """Knows symbols by name, and says which of them a grey picture int (H, W) shows."""

    def __init__(self, folder: Path, far: float = 0.05, graph: str = "embedding.onnx") -> None:
        self.manifest, self.far = json.loads((folder / "manifest.json").read_text()), far
        self.session = onnxruntime.InferenceSession(folder / graph, providers=["CPUExecutionProvider"])
        self.supports: list[tuple[str, np.ndarray]] = []

    def code(self, grey: np.ndarray) -> np.ndarray:
        scale = np.float32(self.manifest["head"]["code_scale"]) * np.float32(self.manifest["head"]["weights"])
        embedding = self.session.run(None, {"images": canvas_of(grey, self.manifest["preprocess"])[None]})[0][0]
        return np.clip(np.rint(embedding * scale), 0, 255).astype(int)

    def enroll(self, label: str, grey: np.ndarray) -> None:
        self.supports.append((label, self.code(grey)))

    def match(self, grey: np.ndarray) -> tuple[str | None, list[tuple[str, float]]]:
        """The label, None where it is unknown, and every label with its probability, best first."""
        head, query, ranked = self.manifest["head"], self.code(grey), []
        for label in {label for label, _ in self.supports}:
            codes = {place: code for place, (own, code) in enumerate(self.supports) if own == label}
            nearest, place = min((int(abs(query - code).sum()), place) for place, code in codes.items())
            prototype = (2 * sum(codes.values()) + len(codes)) // (2 * len(codes))
            distance = (nearest + max(int(abs(query - prototype).sum()), nearest / 2)) / 2
            ranked.append((distance, nearest, place, label))
        found = [(label, head["bias"] - distance / head["code_scale"]) for distance, _, _, label in sorted(ranked)]
        label = found[0][0] if found[0][1] >= self.threshold(len(found)) else None
        return label, [(label, 1 / (1 + math.exp(-logit))) for label, logit in found]

    def threshold(self, classes: int) -> float:
        """The logit from which the best class is accepted."""
        rows, logits = self.manifest["thresholds"], []
        shots = [1, *sorted(map(int, rows[0].get("by_supports", {})))]
        for shot in shots:
            cells = [row["by_supports"][str(shot)] if shot > 1 else row["logits"] for row in rows]
            rates = sorted(cells[0], key=float)
            by_rate = [line([row["classes"] for row in rows], [cell[rate] for cell in cells], classes) for rate in rates]
            logits.append(line([float(rate) for rate in rates], by_rate, self.far))
        return line(shots, logits, min(len(self.supports) / classes, shots[-1]))


def line(x: Sequence[float], y: Sequence[float], at: float) -> float:
    """Piecewise linear through (log x, y) at log `at`; the outer slopes go on."""
    if len(x) == 1:
        return y[0]
    right = next((place for place in range(1, len(x)) if at <= x[place]), len(x) - 1)
    share = math.log(at / x[right - 1]) / math.log(x[right] / x[right - 1])
    return y[right - 1] + (y[right] - y[right - 1]) * share


def canvas_of(grey: np.ndarray, spec: dict) -> np.ndarray:
    """The canvas uint8 (H, W) of a grey picture int (h, w) on even paper."""
    ink, _ = ink_of(grey)
    if spec["fit"] == "frame":
        return resized(ink, spec["height"], spec["width"])
    top, bottom, left, right = box_of(ink)
    floor, sides = spec["min_ink"] * max(ink.shape), {"height": int(bottom - top), "width": int(right - left)}
    scale = min(spec["ink_share"] * spec[name] / max(side, floor) for name, side in sides.items())
    height, width = (max(1, round(side * scale)) for side in sides.values())
    canvas, y, x = np.zeros((spec["height"], spec["width"]), int), (spec["height"] - height) // 2, (spec["width"] - width) // 2
    canvas[y : y + height, x : x + width] = resized(ink[top:bottom, left:right], height, width)
    return widened(canvas, round(256 * spec["thin"]))


def reduced(grey: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(grey.astype(np.uint8)).reduce(-(-max(grey.shape) // 512))).astype(int)


def border_of(grey: np.ndarray) -> tuple[int, int]:
    """The paper's level along the border, and how far it spreads."""
    border = np.sort(np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1])))
    return int(border[border.size // 2]), int(border[-1 - border.size // 4] - border[border.size // 4])


def ink_of(grey: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The ink uint8 of the reduced picture, and how far it departs from the paper to either side, the farther first."""
    grey = reduced(grey)
    paper, _ = border_of(grey)
    low, high = paper - int(grey.min()), int(grey.max()) - paper
    contrast, depth = max(low, high), paper - grey if low >= high else grey - paper
    if contrast < 24:
        raise ValueError("the picture is blank")
    return np.clip((4 * depth - contrast) * 255 // (2 * contrast), 0, 255).astype(np.uint8), (contrast, min(low, high))


def box_of(ink: np.ndarray) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what is more ink than paper."""
    rows, columns = (np.flatnonzero((ink > 127).any(axis)) for axis in (1, 0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def resized(ink: np.ndarray, height: int, width: int) -> np.ndarray:
    wide = Image.fromarray(ink).resize((width, len(ink)), Image.Resampling.BILINEAR)
    return np.asarray(wide.resize((width, height), Image.Resampling.BILINEAR))


def widened(ink: np.ndarray, thin: int) -> np.ndarray:
    length = math.isqrt(sum(int(abs(np.diff(ink, axis=axis)).sum()) ** 2 for axis in (0, 1)))
    strength = max(0, min(256, thin - 256 * 5 * int(ink.sum()) // (3 * max(1, length)))) if thin else 0
    around, (height, width) = np.pad(ink, 1), ink.shape

    def largest(*steps: tuple[int, int]) -> np.ndarray:
        return np.max([around[1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in steps], axis=0)

    edge, corner = largest((0, -1), (0, 1), (-1, 0), (1, 0)), largest((-1, -1), (-1, 1), (1, -1), (1, 1))
    ink = np.max([ink, edge * (154 * strength >> 8) >> 8, corner * (90 * strength >> 8) >> 8], axis=0)
    return np.minimum(ink + (ink * strength >> 8), 255).astype(np.uint8)

"""Video of a sheet of symbols that knows what it shows: drawn, laid on a table, lit unevenly and filmed by a moving camera."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.camera.optional_opencv import cv2

__all__ = ["Film", "Scene", "Shown", "film", "lay_out"]

_CELL = 220
"""Pixels of a sheet's cell."""

_TEXTURE = 5
"""Noise fields that take turns: drawing a new one for every frame would take most of the time."""


@dataclass(frozen=True)
class Shown:
    """The truth about one symbol in one frame: its name, and its ink's box x, y, width, height in pixels."""

    name: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Scene:
    """A sheet as it lies on the table.

    reflectance: float32 (h, w), share of the light that comes back. names: of its symbols. outlines: for each symbol float32
    (n, 2), the x and y of points of its ink's hull on the sheet.
    """

    reflectance: NDArray[np.float32]
    names: tuple[str, ...]
    outlines: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class Film:
    """How a scene is filmed.

    height, width: of a frame. fps: frames per second, of which motion is counted in. motion: how far the camera wanders, 0 to
    1. tilt: how slanted it looks at the sheet, 0 to 1. blur: sigma in pixels. noise: sigma in grey levels. shadow: share of the
    light that a passing shadow takes. distance: how many times as far away the camera is as where the sheet fills the frame.
    """

    height: int = 720
    width: int = 1280
    fps: float = 30.0
    motion: float = 1.0
    tilt: float = 1.0
    blur: float = 0.8
    noise: float = 4.0
    shadow: float = 0.45
    distance: float = 1.0


def lay_out(
    drawings: Sequence[tuple[str, NDArray[np.uint8]]],
    rng: np.random.Generator,
    board: bool = False,
    columns: int | None = None,
    contrast: float | None = None,
) -> Scene:
    """A sheet with named drawings uint8 (side, side), dark ink on white, in shuffled cells; `board`: chalk on a dark board.

    columns: of cells; by default enough of them that the sheet is broad, with a few cells empty. contrast: share of the paper's
    light that the ink takes; by default that of a pen, 0.67 to 0.89.
    """
    rows = -(-len(drawings) // columns) if columns else 2
    columns = columns or max(2, int(np.ceil(np.sqrt(len(drawings) * 1.6))))
    rows = max(rows, -(-len(drawings) // columns))
    sheet = np.zeros((rows * _CELL + _CELL // 2, columns * _CELL + _CELL // 2), np.float32)
    cells = rng.permutation(rows * columns)[: len(drawings)]
    outlines = []
    for cell, (_, drawing) in zip(cells.tolist(), drawings, strict=True):
        side = int(_CELL * rng.uniform(0.78, 0.98))
        ink = 1 - cv2.resize(drawing, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        jitter = rng.integers(0, _CELL - side + 1, 2)
        y = _CELL // 4 + cell // columns * _CELL + int(jitter[0])
        x = _CELL // 4 + cell % columns * _CELL + int(jitter[1])
        sheet[y : y + side, x : x + side] = np.maximum(sheet[y : y + side, x : x + side], ink)
        points = np.argwhere(ink > 0.5)[:, ::-1] + np.array((x, y))
        outlines.append(cv2.convexHull(points.astype(np.float32)).reshape(-1, 2))
    grain = cv2.GaussianBlur(rng.normal(0, 1, sheet.shape).astype(np.float32), (0, 0), 1.2)
    paper, pen = (0.2, 0.75) if board else (0.92, rng.uniform(0.1, 0.3))
    pen = pen if contrast is None else paper * (1 - contrast)
    reflectance = paper + (pen - paper) * sheet * (1 + 0.35 * grain * board) + 0.02 * grain
    return Scene(np.clip(reflectance, 0, 1), tuple(name for name, _ in drawings), tuple(outlines))


def film(
    scene: Scene, settings: Film, frames: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.uint8], list[Shown]]]:
    """Frames uint8 (height, width, 3) in blue, green, red, each with the symbols that are wholly in it."""
    path = _Path(scene, settings, rng)
    size = (settings.width, settings.height)
    table = _table(settings, rng)
    noise = rng.normal(0, settings.noise, (_TEXTURE, settings.height, settings.width)).astype(np.float32)
    light = _Light(settings, rng)
    for number in range(frames):
        seconds = number / settings.fps
        matrix = path.at(seconds)
        page = cv2.warpPerspective(scene.reflectance, matrix, size, flags=cv2.INTER_AREA)
        cover = cv2.warpPerspective(np.ones_like(scene.reflectance), matrix, size)
        seam = 1 - 0.5 * cv2.GaussianBlur(cover, (0, 0), 4) * (1 - cover)  # the sheet's own shadow along its edge
        image = (page * cover + table * seam * (1 - cover)) * light.at(seconds)
        image = _smear(cv2.GaussianBlur(image, (0, 0), settings.blur) if settings.blur else image, path.speed(seconds))
        grey = 255 * image + noise[int(rng.integers(_TEXTURE))]
        tinted = np.stack((grey * 0.94, grey * 0.99, grey), axis=2)
        yield np.clip(tinted, 0, 255).astype(np.uint8), list(_visible(scene, matrix, settings))


def _visible(scene: Scene, matrix: NDArray[np.float64], settings: Film) -> Iterator[Shown]:
    for name, outline in zip(scene.names, scene.outlines, strict=True):
        seen = cv2.perspectiveTransform(outline[None].astype(np.float64), matrix)[0]
        (left, top), (right, bottom) = seen.min(axis=0), seen.max(axis=0)
        if left >= 4 and top >= 4 and right < settings.width - 4 and bottom < settings.height - 4:
            yield Shown(name, (round(left), round(top), round(right - left), round(bottom - top)))


class _Path:
    """The camera's way over the sheet: slow sums of sines in place, turn, distance and slant."""

    def __init__(self, scene: Scene, settings: Film, rng: np.random.Generator) -> None:
        self._settings = settings
        self._sheet = scene.reflectance.shape
        self._phases = rng.uniform(0, 2 * np.pi, 8)
        self._rates = rng.uniform(0.5, 1.3, 8)
        self._turn = rng.uniform(-0.08, 0.08)

    def at(self, seconds: float) -> NDArray[np.float64]:
        """The homography (3, 3) from the sheet to the frame at a time."""
        height, width = self._sheet
        wave = np.sin(self._phases + self._rates * seconds)
        scale = (
            0.86
            * min(self._settings.height / height, self._settings.width / width)
            * (1 + 0.05 * wave[0])
            / self._settings.distance
        )
        angle = self._turn + 0.07 * self._settings.motion * wave[1]
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float64)
        depth = 1 + self._settings.tilt * (0.09 * wave[2] * corners[:, :1] + 0.09 * wave[3] * corners[:, 1:])
        turned = corners * (width / 2, height / 2) @ np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
        shift = self._settings.motion * 0.06 * self._settings.height * wave[4:6]
        seen = turned * scale / depth + (self._settings.width / 2, self._settings.height / 2) + shift
        flat = (corners + 1) / 2 * (width, height)
        return np.asarray(cv2.getPerspectiveTransform(flat.astype(np.float32), seen.astype(np.float32)), np.float64)

    def speed(self, seconds: float) -> NDArray[np.float64]:
        """How many pixels the sheet's middle moves in one frame, x and y."""
        middle = np.array([[[self._sheet[1] / 2, self._sheet[0] / 2]]])
        now, then = (cv2.perspectiveTransform(middle, self.at(seconds + step))[0, 0] for step in (0, 1 / self._settings.fps))
        return np.asarray(then - now)


class _Light:
    """Light that falls off across the frame, and a shadow with a soft border that wanders over it."""

    def __init__(self, settings: Film, rng: np.random.Generator) -> None:
        self._settings = settings
        y, x = np.mgrid[0 : settings.height, 0 : settings.width].astype(np.float32)
        self._across = (x / settings.width, y / settings.height)
        direction = rng.uniform(0, 2 * np.pi)
        slope = np.cos(direction) * (self._across[0] - 0.5) + np.sin(direction) * (self._across[1] - 0.5)
        self._level = np.float32(rng.uniform(0.75, 0.95)) * (1 - np.float32(0.35) * slope)
        self._angle, self._phase = rng.uniform(0, 2 * np.pi, 2)

    def at(self, seconds: float) -> NDArray[np.float32]:
        x, y = self._across
        border = np.float32(0.35 * np.sin(self._phase + 0.6 * seconds))
        along = np.float32(np.cos(self._angle)) * (x - 0.5) + np.float32(np.sin(self._angle)) * (y - 0.5) - border
        shade = np.clip(along * 25 + 0.5, 0, 1)  # a border of one 25th of the frame
        return np.asarray(self._level * (1 - np.float32(self._settings.shadow) * shade))


def _table(settings: Film, rng: np.random.Generator) -> NDArray[np.float32]:
    """Wood: streaks along one axis."""
    streaks = cv2.GaussianBlur(rng.normal(0, 1, (settings.height, settings.width)).astype(np.float32), (0, 0), 60, sigmaY=2)
    return np.asarray(0.35 + 0.025 * streaks / max(float(streaks.std()), 1e-6), np.float32)


def _smear(image: NDArray[np.float32], speed: NDArray[np.float64]) -> NDArray[np.float32]:
    """Blur by motion during half of a frame's time."""
    length = float(np.hypot(*speed)) / 2
    if length < 1:
        return image
    size = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((size, size), np.float32)
    middle = np.array((size // 2, size // 2))
    step = speed / np.hypot(*speed) * length / 2
    first, last = ((middle + sign * step).round().astype(int) for sign in (-1, 1))
    cv2.line(kernel, tuple(map(int, first)), tuple(map(int, last)), 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()))

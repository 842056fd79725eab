"""The camera on rendered video: `python -m benchmarks.accuracy.camera`. Prints a table, and JSON with `--json FILE`.

Symbols are taught from one writer's drawings; the film shows another writer's, among strangers. Every frame counts, the first
included: a symbol is found when a box overlaps its own by half (both widened by 4 pixels: a stroke alone is hardly wider than
that), read right when the label is its own, refused when it was never taught and has no label. `--data` films the
alphabets of Omniglot that the model's training held out.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.film import Film, Scene, Shown, film, lay_out
from benchmarks.measure import positive
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.camera import FrameReader, Sighting, annotate
from oneshot_runtime.camera.overlay import draw_aim
from oneshot_runtime.camera.sources import LiveSource, open_source
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer, symbol_names

__all__ = ["main"]

Box = tuple[int, int, int, int]
Drawing = NDArray[np.uint8]

TAUGHT, STRANGERS = 20, 10
_SIZES = ((1, 0), (2, 1), (4, 1), (7, 3), (10, 4), (14, 6))
"""Taught symbols and strangers on a sheet."""

_SIDE = 210
_MARGIN = 4


@dataclass
class Count:
    """Symbols in frames, by what became of them, and how often shown labels changed."""

    shown: int = 0
    found: int = 0
    taught: int = 0
    right: int = 0
    wrong: int = 0
    strangers: int = 0
    refused: int = 0
    false: int = 0
    frames: int = 0
    flips: int = 0
    track_seconds: float = 0.0
    labels: dict[tuple[int, int], str | None] = field(default_factory=dict)

    def add(self, film_number: int, symbols: Sequence[Sighting], truth: Sequence[Shown], known: set[str], fps: float) -> None:
        """Score one frame."""
        self.frames += 1
        self.shown += len(truth)
        pairs = _pairs([symbol.box for symbol in symbols], [shown.box for shown in truth])
        self.found += len(pairs)
        self.false += len(symbols) - len(pairs)
        for found, there in pairs:
            symbol, name = symbols[found], truth[there].name
            if name in known:
                self.taught += 1
                self.right += symbol.label == name
                self.wrong += symbol.label not in (name, None)
            else:
                self.strangers += 1
                self.refused += symbol.label is None
            key = (film_number, symbol.track)
            self.flips += self.labels.get(key, symbol.label) != symbol.label
            self.labels[key] = symbol.label
            self.track_seconds += 1 / fps

    def add_drawings(self, matcher: OneShotMatcher, drawings: dict[str, Drawing]) -> None:
        """Score drawings that are matched as they are."""
        for name, match in zip(drawings, matcher.match_batch(list(drawings.values())), strict=True):
            if name in matcher.labels:
                self.taught += 1
                self.right += match.label == name
                self.wrong += match.label not in (name, None)
            else:
                self.strangers += 1
                self.refused += match.label is None

    def report(self) -> dict[str, float]:
        """Shares in percent and rates."""
        return {
            "frames": self.frames,
            "symbols in frames": self.shown,
            "found, %": 100 * self.found / max(1, self.shown),
            "read right, % of the taught ones found": 100 * self.right / max(1, self.taught),
            "read wrong, % of the taught ones found": 100 * self.wrong / max(1, self.taught),
            "strangers refused, %": 100 * self.refused / max(1, self.strangers),
            "label changes per track and minute": 60 * self.flips / max(1e-9, self.track_seconds),
            "boxes around nothing, per frame": self.false / max(1, self.frames),
        }


def _pairs(boxes: Sequence[Box], truth: Sequence[Box]) -> list[tuple[int, int]]:
    """Boxes and true ones that overlap by half, each used once, best first."""
    overlaps = sorted(((_overlap(a, b), i, j) for i, a in enumerate(boxes) for j, b in enumerate(truth)), reverse=True)
    used: tuple[set[int], set[int]] = (set(), set())
    pairs = []
    for overlap, i, j in overlaps:
        if overlap >= 0.5 and i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
            pairs.append((i, j))
    return pairs


def _overlap(a: Box, b: Box) -> float:
    m = _MARGIN
    (ax, ay, aw, ah), (bx, by, bw, bh) = ((x - m, y - m, w + 2 * m, h + 2 * m) for x, y, w, h in (a, b))
    common = max(0, min(ax + aw, bx + bw) - max(ax, bx)) * max(0, min(ay + ah, by + bh) - max(ay, by))
    return common / (aw * ah + bw * bh - common)


def own_symbols(seed: int) -> tuple[dict[str, Drawing], dict[str, Drawing]]:
    """Drawings by the writer that teaches and by another one; those not among the first are strangers."""
    rng = np.random.default_rng(seed)
    # Single lines and arcs, which some alphabets hold several of, differ by less than two writers do.
    symbols = [symbol for symbol in invent_alphabet(2 * (TAUGHT + STRANGERS), seed) if len(symbol.strokes) > 1]
    alphabet = dict(zip(symbol_names(TAUGHT + STRANGERS), symbols, strict=False))
    teacher, writer = random_writer(rng), random_writer(rng)
    taught = {name: draw(alphabet[name], teacher, rng) for name in list(alphabet)[:TAUGHT]}
    return taught, {name: draw(symbol, writer, rng, _SIDE) for name, symbol in alphabet.items()}


def omniglot_symbols(data: Path, seed: int) -> tuple[dict[str, Drawing], dict[str, Drawing]]:
    """The same from the alphabets that the model's training held out; the taught ones are all of one alphabet."""
    from benchmarks.accuracy.scoreboard import held_out_images

    rng = np.random.default_rng(seed)
    images = held_out_images(data, OneShotMatcher.load(far=None))
    large = [(a, b) for a, b in images.alphabets.values() if b - a + 1 >= TAUGHT]
    first, last = large[seed % len(large)]
    chosen = rng.permutation(np.arange(first, last + 1))[:TAUGHT].tolist()
    others = [c for c in range(len(images.images)) if c not in chosen]
    chosen += rng.choice(others, STRANGERS, replace=False).tolist()
    teacher, writer = rng.choice(images.images.shape[1], 2, replace=False)
    names = symbol_names(TAUGHT + STRANGERS)
    taught = {name: images.images[c, teacher] for name, c in zip(names[:TAUGHT], chosen, strict=False)}
    return taught, {name: images.images[c, writer] for name, c in zip(names, chosen, strict=True)}


def films(
    arguments: argparse.Namespace,
) -> Iterator[tuple[dict[str, Drawing], dict[str, Drawing], Scene, Film, np.random.Generator]]:
    """Every alphabet's sheets, one in three on a board: drawings taught and written, and what to film them with."""
    for seed in range(arguments.seed, arguments.seed + arguments.alphabets):
        taught, written = omniglot_symbols(arguments.data, seed) if arguments.data else own_symbols(seed)
        rng = np.random.default_rng(seed)
        strangers = [name for name in written if name not in taught]
        for number, (known, unknown) in enumerate(_SIZES):
            names = [*rng.choice(list(taught), known, replace=False), *rng.choice(strangers, unknown, replace=False)]
            scene = lay_out([(str(name), written[str(name)]) for name in names], rng, board=(seed + number) % 3 == 2)
            yield taught, written, scene, Film(), rng


def accuracy(arguments: argparse.Namespace) -> dict[str, float]:
    """Found, read, refused over all films, and what becomes of the same drawings without a camera."""
    count, plain = Count(), Count()
    for number, (taught, written, scene, settings, rng) in enumerate(films(arguments)):
        matcher = OneShotMatcher.load(far=arguments.far)
        for name, drawing in taught.items():
            matcher.enroll(name, drawing)
        if number % len(_SIZES) == 0:
            plain.add_drawings(matcher, written)
        reader = FrameReader(matcher)
        for image, truth in film(scene, settings, arguments.frames, rng):
            count.add(number, reader.read(image).symbols, truth, set(taught), settings.fps)
    drawings = {
        f"without a camera: {name}": value for name, value in plain.report().items() if name.endswith(("found", "d, %"))
    }
    return count.report() | {name: value for name, value in drawings.items() if "camera: found" not in name}


def speed(arguments: argparse.Namespace) -> dict[str, float]:
    """720p with ten symbols in view: frames a second of all that `oneshot camera` does to a file, and milliseconds by stage."""
    taught, written = own_symbols(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    scene = lay_out([(name, written[name]) for name in list(written)[:10]], rng)
    matcher = OneShotMatcher.load(far=arguments.far)
    for name, drawing in taught.items():
        matcher.enroll(name, drawing)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (1280, 720))
        for image, _ in film(scene, Film(), arguments.speed_frames, rng):
            writer.write(image)
        writer.release()
        stages: dict[str, list[float]] = {}
        rates = []
        for _ in range(arguments.rounds):
            reader, symbols = FrameReader(matcher), 0
            start = before = time.perf_counter()
            with open_source(str(path)) as source:
                for frame in source:
                    reading = reader.read(frame.image)
                    done = time.perf_counter()
                    annotate(frame.image, reading.symbols, 30.0, reading.milliseconds)
                    now = time.perf_counter()
                    spent = sum(reading.milliseconds.values())
                    whole = {**reading.milliseconds, "overlay": 1000 * (now - done), "decode": 1000 * (done - before) - spent}
                    for name, value in whole.items():
                        stages.setdefault(name, []).append(value)
                    before = now
                    symbols += len(reading.symbols)
            rates.append(arguments.speed_frames / (time.perf_counter() - start))
    report = {"720p frames per second, best round": max(rates), "median round": statistics.median(rates)}
    report["symbols read in a frame"] = symbols / arguments.speed_frames
    return report | {f"{name}, ms": statistics.median(values) for name, values in stages.items()}


class _Clock:
    """A camera of 30 frames a second that doesn't wait: what isn't read in time is lost, as in a device with one buffer."""

    def __init__(self, image: NDArray[np.uint8], frames: int) -> None:
        self._image, self._frames, self._start = image, frames, time.perf_counter()
        self.given = 0

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        """The next frame, when its time has come."""
        self.given += 1
        time.sleep(max(0.0, self._start + self.given / 30 - time.perf_counter()))
        return (True, self._image.copy()) if self.given <= self._frames else (False, None)

    def release(self) -> None:
        """Nothing to give back."""


def lag(arguments: argparse.Namespace) -> dict[str, float]:
    """Frames between the newest one and the one being read, with a reader that takes a pause of 60 ms after each."""
    taught, written = own_symbols(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    scene = lay_out([(name, written[name]) for name in list(written)[:10]], rng)
    image = next(film(scene, Film(), 1, rng))[0]
    matcher = OneShotMatcher.load(far=arguments.far)
    for name, drawing in taught.items():
        matcher.enroll(name, drawing)
    reader = FrameReader(matcher)
    begun, shown = [], []
    with LiveSource(lambda: _Clock(image, arguments.live_frames + 60), "a simulated camera") as source:
        assert isinstance(source, LiveSource)
        for frame in source:
            begun.append(source.newest_number - frame.number)
            reader.read(frame.image)
            shown.append(source.newest_number - frame.number)
            time.sleep(0.06)
            if frame.number >= arguments.live_frames:
                break
    figures = {f"frames read of {arguments.live_frames}": len(begun)}
    for name, behind in (("begun", begun), ("read", shown)):
        figures[f"frames behind when {name}, mean"] = statistics.mean(behind)
        figures[f"frames behind when {name}, most"] = max(behind)
    return figures


def picture(arguments: argparse.Namespace) -> None:
    """A short animated picture of a sheet being read: eight symbols are known, the one in the middle is taught on the way."""
    taught, written = own_symbols(arguments.seed)
    stranger = list(written)[-1]
    matcher = OneShotMatcher.load(far=arguments.far)
    for name, drawing in taught.items():
        matcher.enroll(name, drawing)
    rng = np.random.default_rng(arguments.seed)
    middle = -1
    while middle != 8:  # cells are shuffled
        scene = lay_out([(name, written[name]) for name in [*list(taught)[:8], stranger]], rng, columns=3)
        centre = np.array(scene.reflectance.shape[::-1]) / 2
        middle = int(np.argmin([np.hypot(*(outline.mean(axis=0) - centre)) for outline in scene.outlines]))
    reader = FrameReader(matcher)
    settings = Film(height=540, width=960, motion=0.7, noise=2.0)
    shown = []
    for number, (image, _) in enumerate(film(scene, settings, 108, rng)):
        reading = reader.read(image)
        marked = annotate(image, reading.symbols)
        if number == 44:
            reader.enroll(stranger)
        if 36 <= number < 68:
            done = f"taught '{stranger}' from the symbol in the middle"
            draw_aim(marked, done if number > 44 else "teach the symbol in the middle")
        if number % 4 == 0 and number > 0:
            small = cv2.resize(marked, (640, 360), interpolation=cv2.INTER_AREA)
            shown.append(Image.fromarray(np.ascontiguousarray(small[:, :, ::-1])))
    arguments.picture.parent.mkdir(parents=True, exist_ok=True)
    shown[0].save(arguments.picture, save_all=True, append_images=shown[1:], duration=150, loop=0, quality=60, method=3)
    print(f"{arguments.picture}: {arguments.picture.stat().st_size // 1000} kB")


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.camera", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--alphabets", type=positive, default=6, help="six films each (default: 6)")
    parser.add_argument("--frames", type=positive, default=60, help="in each film (default: 60)")
    parser.add_argument("--rounds", type=positive, default=3, help="of the speed test (default: 3)")
    parser.add_argument("--speed-frames", type=positive, default=150, help="in the speed test's film (default: 150)")
    parser.add_argument("--live-frames", type=positive, default=240, help="that the live camera shows (default: 240)")
    parser.add_argument("--seed", type=int, default=100, help="of the first alphabet (default: 100)")
    parser.add_argument("--far", type=float, default=0.05, help="false accept rate (default: 0.05, the command's)")
    parser.add_argument("--data", type=Path, help="folder with Omniglot's zips: film its drawings instead")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--picture", type=Path, metavar="FILE.webp", help="only make the animated picture of the docs")
    arguments = parser.parse_args(argv)
    if arguments.picture:
        picture(arguments)
        return 0
    report: dict[str, Any] = {"machine": f"{platform.machine()}, {platform.system()}, {cv2.getNumberOfCPUs()} processors"}
    print(report["machine"])
    for name, measure in (("accuracy", accuracy), ("speed", speed), ("live source, slow reader", lag)):
        report[name] = measure(arguments)
        print(name)
        for row, value in report[name].items():
            print(f"  {row:58} {value:10.2f}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Enrolling a folder of many pictures: speed by threads, memory, and a second run over it: `python -m benchmarks.scale.bulk`.

The pictures are drawn by this project, 105x105 PNG: a few hundred drawings, each copy with its own scatter of pixels, so
that no two files are equal. Each load runs in a process of its own, as `oneshot enroll --folder` does it; its resident memory
is read after every 256 pictures, and the slope is fitted over the second half of the load. The rates of its first and last
tenth tell whether it slows down. The time of a million is an extrapolation.

The limits are Pillow that decodes the same files, one after the other, and ONNX Runtime alone on finished canvases; the peer is
the same network in PyTorch. They are measured on a sample, beside the loads of each round.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.measure import in_turns, positive, resident_bytes
from benchmarks.networks_alone import networks_alone
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.registry import open_store
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from oneshot_runtime.transfer.bulk import BulkResult, encode_here, enroll_folder
from oneshot_runtime.transfer.encoder import ImageEncoder
from oneshot_runtime.vision.preprocess import preprocess

__all__ = ["draw_pictures", "main"]

_DRAWINGS = 400
_SCATTER = 12
_CHUNK = 256
"""Pictures that `enroll_folder` codes together."""

_SAMPLE = 512
_MILLION = 1_000_000


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.bulk", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pictures", type=positive, default=20_000)
    parser.add_argument("--classes", type=positive, default=1000)
    parser.add_argument("--threads", type=positive, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=positive, default=1)
    parser.add_argument("--folder", type=Path, help="for pictures and galleries (default: a temporary one)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as place:
        pictures = Path(place) / "pictures"
        draw_pictures(pictures, arguments.pictures, arguments.classes)
        rows = []
        alone, sample = _alone(pictures, tuple(arguments.threads))
        for number in range(arguments.rounds):
            for name, seconds in in_turns(alone, 3).items():
                print(f"{name:52} {sample / seconds:7.0f} images/s", flush=True)
                rows.append({"run": name, "images_per_second": sample / seconds})
            for threads in arguments.threads:
                gallery = Path(place) / f"{number}-{threads}.db"
                for run in ("load", "again"):
                    rows.append({"run": run, "threads": threads} | _in_process(_load, str(pictures), str(gallery), threads))
                    print(_line(rows[-1], gallery.stat().st_size), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"pictures": arguments.pictures, "rows": rows}, indent=1) + "\n")
    return 0


def _alone(folder: Path, threads: tuple[int, ...]) -> tuple[dict[str, Callable[[], object]], int]:
    """The limits and the peer, each for a sample of the pictures, and how many it has."""
    bundle = Bundle.open()
    files = [path.read_bytes() for path in itertools.islice(sorted(folder.rglob("*.png")), _SAMPLE)]
    canvases = np.stack([preprocess(file, bundle.spec) for file in files])

    def decode() -> None:
        for file in files:
            np.asarray(Image.open(io.BytesIO(file)).convert("L"))

    return {"limit: Pillow decodes, 1 thread": decode, **networks_alone(bundle, canvases, threads)}, len(files)


def draw_pictures(folder: Path, pictures: int, classes: int, first: int = 0) -> None:
    """Write so many different pictures, spread evenly over the classes."""
    rng = np.random.default_rng(first)
    writers = [random_writer(rng) for _ in range(20)]
    symbols = [symbol for seed in range(_DRAWINGS // 20) for symbol in invent_alphabet(20, seed)]
    drawings = [draw(symbol, writers[number % 20], rng) for number, symbol in enumerate(symbols)]
    each = -(-pictures // classes)
    for number in range(pictures):
        page = drawings[number % _DRAWINGS].copy()
        page[tuple(rng.integers(0, page.shape[0], (2, _SCATTER)))] = rng.integers(180, 256, _SCATTER, np.uint8)
        place = folder / f"class-{number // each:07d}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(page).save(place / f"{first + number:08d}.png", compress_level=1)


class _Moment(NamedTuple):
    """How far a load is: pictures, resident bytes, seconds on the clock and of the processor."""

    done: int
    resident: int
    clock: float
    processor: float


def _in_process(function: Any, *arguments: Any) -> dict[str, Any]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result: dict[str, Any] = pool.apply(function, arguments)
        return result


def _load(folder: str, gallery: str, threads: int) -> dict[str, Any]:
    bundle = Bundle.open()
    encoder = ImageEncoder(bundle, "cpu", "int8", threads)
    store = open_store(gallery, bundle.fingerprint, bundle.dim)
    seen: list[_Moment] = []

    def watch(result: BulkResult) -> None:
        seen.append(_Moment(result.done, resident_bytes(), time.perf_counter(), time.process_time()))

    start, processor = time.perf_counter(), time.process_time()
    result = enroll_folder(store, encode_here(encoder), folder, progress=watch)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    store.close()
    late = seen[len(seen) // 2 :]
    slope = float(np.polyfit([x.done for x in late], [x.resident for x in late], 1)[0]) if len(late) > 2 else 0.0
    return {
        "added": result.added, "present": result.present, "seconds": seconds, "processor_seconds": processor,
        "images_per_second": result.done / seconds, "processor_us_per_image": 1e6 * processor / result.done,
        "resident_mb": seen[-1].resident / 1e6, "resident_bytes_per_image": slope,
        "tenths": _tenths(seen),
    }  # fmt: skip


def _tenths(seen: list[_Moment]) -> list[dict[str, float]]:
    """Speed, processor time and memory in the first and the last tenth of a load's whole chunks; none for a short load."""
    whole = seen[:-2]  # the last chunk may be smaller, and the end is told once more
    tenth = len(whole) // 10
    if tenth < 2:
        return []
    found = []
    for part in (whole[: tenth + 1], whole[-tenth - 1 :]):
        images, seconds = _CHUNK * tenth, part[-1].clock - part[0].clock
        processor = 1e6 * (part[-1].processor - part[0].processor) / images
        speed = {"images_per_second": images / seconds, "processor_us_per_image": processor}
        found.append(speed | {"resident_mb": part[-1].resident / 1e6})
    return found


def _line(row: dict[str, Any], size: int) -> str:
    done = row["added"] + row["present"]
    text = f"{row['run']:5} {row['threads']} thread(s)  {row['added']} added, {row['present']} present"
    text += f"  {row['images_per_second']:7.0f} images/s  {row['processor_us_per_image']:6.0f} us of processor each"
    text += f"  {row['resident_mb']:.0f} MB resident, {row['resident_bytes_per_image']:+.0f} bytes an image"
    for name, tenth in zip(("first", "last"), row["tenths"], strict=False):
        text += f"  {name} tenth {tenth['images_per_second']:.0f} images/s, {tenth['processor_us_per_image']:.0f} us, "
        text += f"{tenth['resident_mb']:.0f} MB"
    minutes = _MILLION / row["images_per_second"] / 60
    return f"{text}  file {size / done:.0f} bytes an image  (extrapolated to 1,000,000: {minutes:.0f} minutes)"


if __name__ == "__main__":
    sys.exit(main())

"""Flip and cut bytes of a bundle and of a gallery: everything must be detected or harmless, never a wrong answer.

    python -m benchmarks.reliability.damage --flips 2000 --json damage.json

Each file is damaged at places spread evenly over it (at every byte when it has no more), one at a time: a bit flipped, the
byte overwritten, or the file cut off there. Then the bundle or the gallery is opened afresh and everything in it compared.
Detected: a `OneShotError`. Harmless: all is as it was. Anything else, or a call of more than ten seconds, fails the run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.measure import positive
from oneshot_runtime.errors import OneShotError
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import DEFAULT_BUNDLE, Bundle
from oneshot_runtime.vision.grey_png import thumbnail

__all__ = ["damage", "main"]

_SECONDS = 10
_PICTURE = thumbnail(np.zeros((8, 8), np.uint8)) + bytes(range(200))


def main(argv: list[str] | None = None) -> int:
    """Run the harness; returns 0 when no damage gave a wrong answer."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.damage", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--flips", type=positive, default=2000, help="places in each file")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        figures = damage(Path(folder), arguments.flips)
    print(f"{'file':28} {'detected':>9} {'harmless':>9} {'wrong':>6} {'slowest':>9}")
    for name, row in figures.items():
        print(f"{name:28} {row['detected']:9} {row['harmless']:9} {row['wrong']:6} {1000 * row['slowest_s']:6.0f} ms")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return int(any(row["wrong"] for row in figures.values()))


def damage(folder: Path, flips: int) -> dict[str, dict[str, Any]]:
    """Damage every file of a bundle and of a gallery; returns the counts by file."""
    bundle = folder / "bundle"
    shutil.copytree(DEFAULT_BUNDLE, bundle)
    figures = {}
    for file in sorted(bundle.iterdir()):
        figures[f"bundle: {file.name}"] = _each(file, flips, lambda: _read_bundle(bundle))
    gallery = _gallery(folder / "gallery")
    for file in sorted(gallery.parent.iterdir()):
        figures[f"gallery: {file.name}"] = _each(file, flips, lambda: _read_copy(gallery))
    return figures


def _each(file: Path, flips: int, read: Callable[[], object]) -> dict[str, Any]:
    whole = file.read_bytes()
    expected = read()
    counts: Counter[str] = Counter()
    examples: list[str] = []
    slowest = 0.0
    for place, what, damaged in tqdm(list(_damages(whole, flips)), desc=file.name, unit="damage", leave=False):
        file.write_bytes(damaged(whole))
        start = time.perf_counter()
        try:
            with _time_limit():
                outcome = "harmless" if read() == expected else "wrong"
        except OneShotError:
            outcome = "detected"
        except Exception as error:
            outcome, what = "wrong", f"{what}, {error!r}"
        slowest = max(slowest, time.perf_counter() - start)
        counts[outcome] += 1
        if outcome == "wrong":
            examples.append(f"byte {place} {what}")
    file.write_bytes(whole)
    return {
        **{name: counts[name] for name in ("detected", "harmless", "wrong")},
        "slowest_s": slowest,
        "examples": examples[:20],
    }


def _damages(whole: bytes, flips: int) -> Iterator[tuple[int, str, Callable[[bytes], bytes]]]:
    rng = np.random.default_rng(0)
    places = np.unique(np.linspace(0, len(whole) - 1, flips).astype(int)).tolist()
    for index, place in enumerate(places):
        change = (1 << int(rng.integers(8))) if index % 2 else int(rng.integers(1, 256))
        yield place, f"changed by {change}", lambda data, p=place, c=change: data[:p] + bytes([data[p] ^ c]) + data[p + 1 :]
        if index % 4 == 0:
            yield place, "cut off", lambda data, p=place: data[:p]


def _read_bundle(folder: Path) -> object:
    """Everything in a bundle that can reach an answer, or a user."""
    bundle = Bundle.open(folder)
    golden = bundle.golden()
    graphs = [bundle.embedding_graph("fp32"), bundle.head_graph()]
    if bundle.has_int8:
        graphs.append(bundle.embedding_graph("int8"))
    arrays = [array.tobytes() for array in (golden.images, golden.embeddings, golden.probabilities, bundle.head.weights)]
    return graphs, arrays, bundle.manifest, bundle.spec, bundle.head.bias, bundle.head.code_scale


def _gallery(folder: Path) -> Path:
    """A gallery file that was closed, with pictures, metadata and what removals leave."""
    folder.mkdir()
    source = folder.with_name("source")
    source.mkdir()
    bundle, rng = Bundle.open(), np.random.default_rng(0)
    for count in (12, 5):
        gallery = Gallery(bundle, source / "letters.db")
        for number in range(count):
            embeddings = rng.random((2, bundle.dim), np.float32)
            gallery.extend([f"{count}-{number}"] * 2, embeddings, [_PICTURE, None], [None, {"site": number}])
        gallery.remove(f"{count}-1")
        gallery.close()
    shutil.copy(source / "letters.db", folder)
    return folder / "letters.db"


def _read_copy(path: Path) -> object:
    """The whole gallery, read from a copy: opening one may write to it."""
    with tempfile.TemporaryDirectory() as folder:
        for file in path.parent.iterdir():
            shutil.copy(file, folder)
        gallery = Gallery(Bundle.open(), Path(folder) / path.name)
        try:
            supports = [gallery.supports(label) for label in gallery.labels]
            codes = [segment.codes.tobytes() for segment in gallery.snapshot().segments]
            return gallery.labels, supports, codes
        finally:
            gallery.close()


@contextmanager
def _time_limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"no answer within {_SECONDS} seconds")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


if __name__ == "__main__":
    sys.exit(main())

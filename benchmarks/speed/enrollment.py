"""What enrollment's report and a gallery's check cost: `python -m benchmarks.speed.enrollment`.

A gallery in memory is filled with embeddings of drawn symbols and mixtures of them. In one run, alternating: `enroll` of a
picture, reading its report, the same steps without `enroll`, and `remove`, beside the limit, ONNX Runtime alone on the
finished canvas, and the peer, the same network in PyTorch; then `audit_gallery` for each size. Medians, on the clock and of
processor time, which is what counts on a machine that is busy with other things.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import positive
from benchmarks.networks_alone import networks_alone
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.quality.audit import audit_gallery
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from oneshot_runtime.vision.grey_png import thumbnail
from oneshot_runtime.vision.preprocess import preprocess

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.enrollment", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--supports", type=positive, default=100_000, help="in the gallery that is enrolled into")
    parser.add_argument("--pictures", type=positive, default=40)
    parser.add_argument("--check", type=positive, nargs="+", default=[1000, 10_000, 20_000], help="supports that are checked")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    pages = [draw(symbol, random_writer(rng), rng) for seed in range(10) for symbol in invent_alphabet(20, seed)]
    enrollment = _enrollment(pages, arguments.supports, arguments.pictures, rng)
    print(f"one picture into {arguments.supports:,} supports{'':24}   ms  ms of processor time")
    for name, (clock, processor) in enrollment.items():
        print(f"{name:48} {clock:8.3f} {processor:8.3f}")
    checks = [_check(pages, size, rng) for size in arguments.check]
    for check in checks:
        print("check of {supports:,} supports: {seconds:.2f} s, {processor_seconds:.2f} s of processor time".format(**check))
    if arguments.json:
        figures = {"supports": arguments.supports, "milliseconds": enrollment, "checks": checks}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def _filled(pages: list[NDArray[np.uint8]], supports: int, rng: np.random.Generator) -> OneShotMatcher:
    """Classes of five supports: a class mixes two drawings' embeddings component by component, a support strays a little."""
    matcher = OneShotMatcher.load()
    known = matcher.embed(pages)
    classes = np.repeat(np.arange(-(-supports // 5)), 5)[:supports]
    parents = rng.integers(0, len(known), (classes[-1] + 1, 2))
    for start in range(0, supports, 5000):
        own = classes[start : start + 5000]
        inherited = np.random.default_rng(1).random(known.shape[1]) < 0.5
        mixed = np.where(inherited, known[parents[own, 0]], known[parents[own, 1]])
        strange = known[rng.integers(0, len(known), len(own))]
        rows = np.where(rng.random(mixed.shape) < 0.15, strange, mixed)
        matcher.gallery.extend([f"c{number}" for number in own], rows)
    matcher.warmup()
    return matcher


def _enrollment(
    pages: list[NDArray[np.uint8]], supports: int, pictures: int, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """Milliseconds and those of processor time for each step."""
    matcher = _filled(pages, supports, rng)
    alone = networks_alone(matcher.bundle, preprocess(pages[0], matcher.bundle.spec)[None], threads=(1,))
    names = ["enroll", "read its report", "embed and extend, without enroll", "remove", *alone]
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for number in range(pictures):
        page = pages[number % len(pages)]
        times = [_now()]
        report = matcher.enroll(f"new {number}", page)
        times.append(_now())
        assert report.findings is not None
        times.append(_now())
        matcher.gallery.extend([f"plain {number}"], matcher.embed(page), [thumbnail(page)])
        times.append(_now())
        matcher.remove(f"plain {number}")
        times.append(_now())
        for call in alone.values():
            call()
            times.append(_now())
        for values, before, after in zip(taken.values(), times[:-1], times[1:], strict=True):
            values.append((after[0] - before[0], after[1] - before[1]))
    return {name: tuple(1000 * np.median(pairs, axis=0)) for name, pairs in taken.items()}


def _now() -> tuple[float, float]:
    """Seconds on the clock and of processor time."""
    return time.perf_counter(), time.process_time()


def _check(pages: list[NDArray[np.uint8]], supports: int, rng: np.random.Generator) -> dict[str, float]:
    matcher = _filled(pages, supports, rng)
    start = _now()
    found = audit_gallery(matcher.gallery, matcher.bundle, matcher.far)
    end = _now()
    seconds = {"seconds": end[0] - start[0], "processor_seconds": end[1] - start[1]}
    return {"supports": supports, **seconds, "findings": len(found.findings)}


if __name__ == "__main__":
    sys.exit(main())

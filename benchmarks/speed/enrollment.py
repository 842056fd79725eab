"""What enrollment's report and a gallery's check cost: `python -m benchmarks.speed.enrollment`.

A gallery in memory is filled with embeddings of drawn symbols and mixtures of them. In one run, alternating: `enroll` of a
picture, reading its report, the same steps without `enroll`, and `remove`; then `audit_gallery` for each size. Medians, on the
clock and of processor time, which is what counts on a machine that is busy with other things.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import positive
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.quality.audit import audit_gallery
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from oneshot_runtime.vision.decode import thumbnail

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.enrollment", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--supports", type=positive, default=100_000, help="in the gallery that is enrolled into")
    parser.add_argument("--pictures", type=positive, default=40)
    parser.add_argument("--check", type=positive, nargs="+", default=[1000, 10_000, 20_000], help="supports that are checked")
    arguments = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    pages = [draw(symbol, random_writer(rng), rng) for seed in range(10) for symbol in invent_alphabet(20, seed)]
    enrollment = {"supports": arguments.supports, **_enrollment(pages, arguments.supports, arguments.pictures, rng)}
    checks = [_check(pages, size, rng) for size in arguments.check]
    print(json.dumps({"enrollment": enrollment, "checks": checks}, indent=1))
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


def _enrollment(pages: list[NDArray[np.uint8]], supports: int, pictures: int, rng: np.random.Generator) -> dict[str, float]:
    matcher = _filled(pages, supports, rng)
    taken: dict[str, list[tuple[float, float]]] = {"enroll": [], "report": [], "embed_and_extend": [], "remove": []}
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
        for values, before, after in zip(taken.values(), times[:-1], times[1:], strict=True):
            values.append((after[0] - before[0], after[1] - before[1]))
    result = {}
    for name, pairs in taken.items():
        for unit, values in zip(("ms", "processor_ms"), zip(*pairs, strict=True), strict=True):
            result[f"{name}_{unit}"] = 1000 * statistics.median(values)
    return result


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

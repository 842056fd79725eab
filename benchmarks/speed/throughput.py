"""A thousand images one by one and in batches, on one core and on two: `python -m benchmarks.speed.throughput`.

Image arrays to matches, with twenty enrolled symbols, beside the limit, ONNX Runtime alone on the finished canvases, and the
peer, the same network in PyTorch. Contenders alternate; medians.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.measure import in_turns, positive
from benchmarks.networks_alone import networks_alone
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer, symbol_names
from oneshot_runtime.vision.preprocess import preprocess

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.throughput", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=positive, default=1000)
    parser.add_argument("--rounds", type=positive, default=9)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    alphabet, writers = invent_alphabet(20, seed=1), [random_writer(rng) for _ in range(10)]
    images = [draw(alphabet[n % 20], writers[n % 10], rng) for n in range(arguments.images)]
    one, two = (OneShotMatcher.load(precision="int8", threads=threads) for threads in (1, 2))
    for matcher in (one, two):
        for name, symbol in zip(symbol_names(20), alphabet, strict=True):
            matcher.enroll(name, draw(symbol, writers[0], np.random.default_rng(1)))
        matcher.warmup()
    ours = {
        "one by one, 1 thread": lambda: [one.match(image) for image in images],
        "in batches, 1 thread": lambda: one.match_batch(images),
        "in batches, 2 threads": lambda: two.match_batch(images),
    }
    answers = [[match.label for match in call()] for call in ours.values()]
    if any(answer != answers[0] for answer in answers):
        raise SystemExit("batches and single images give different labels")
    canvases = np.stack([preprocess(image, one.bundle.spec) for image in images])
    medians = in_turns({**ours, **networks_alone(one.bundle, canvases)}, arguments.rounds)
    for name, taken in medians.items():
        print(f"{name:48} {1000 * taken:8.1f} ms  {arguments.images / taken:8.0f} images/s")
    ratio = medians["in batches, 1 thread"] / medians["in batches, 2 threads"]
    print(f"two cores {ratio:.2f} times one core")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"images": arguments.images, "seconds": medians, "two_cores": ratio}, indent=1) + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

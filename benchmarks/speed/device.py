"""A device beside the CPU: embeddings by batch size, matches, and a gallery on the device: `python -m benchmarks.speed.device`.

Contenders alternate; medians. What a gallery costs on the device is measured with PyTorch, where that sees it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import positive
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model.processor import available_cpus
from oneshot_runtime.search.scan import Rows, Scanner
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer, symbol_names

__all__ = ["main"]

_TOP = 5
_CHUNK = 1 << 16
"""Rows that are compared at once on the device."""


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.device", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batches", type=positive, nargs="+", default=[1, 4, 16, 64, 256, 1024])
    parser.add_argument("--rounds", type=positive, default=15)
    parser.add_argument("--supports", type=positive, default=1_000_000, help="of the gallery on the device")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    there = OneShotMatcher.load(device=arguments.device, precision="fp32", far=None)
    matchers = {arguments.device: there, "the CPU": OneShotMatcher.load(device="cpu", far=None)}
    for matcher in matchers.values():
        matcher.warmup()
    figures: dict[str, Any] = {"cpus": available_cpus(), "precision": {name: one.precision for name, one in matchers.items()}}
    print(f"{figures['cpus']} processors; {figures['precision']}")
    figures["embeddings"] = _embeddings(matchers, arguments.batches, arguments.rounds)
    figures["matches"] = _matches(matchers, arguments.rounds)
    figures["gallery"] = _gallery(there.bundle.dim, arguments.supports, arguments.device, arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def _medians(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Milliseconds of each, in turns, after one call of each."""
    for call in contenders.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            taken[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in taken.items()}


def _embeddings(matchers: dict[str, OneShotMatcher], sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    """Canvases to embeddings, without decoding."""
    found = []
    images = matchers["the CPU"].bundle.golden().images
    for size in sizes:
        batch = list(np.resize(images, (size, *images.shape[1:])))
        calls = {name: lambda one=one, batch=batch: one._batches.embed_canvases(batch) for name, one in matchers.items()}
        times = _medians(calls, rounds)
        found.append({"batch": size, "ms": times, "images a second": {name: 1000 * size / ms for name, ms in times.items()}})
        print(f"batch {size:5}: " + ", ".join(f"{name} {ms:8.2f} ms {1000 * size / ms:9.0f}/s" for name, ms in times.items()))
    return found


def _matches(matchers: dict[str, OneShotMatcher], rounds: int) -> dict[str, dict[str, float]]:
    """Image arrays to matches with twenty enrolled symbols, one and a hundred."""
    rng = np.random.default_rng(0)
    alphabet, writer = invent_alphabet(20, seed=1), random_writer(rng)
    images = [draw(alphabet[n % 20], writer, rng) for n in range(100)]
    for matcher in matchers.values():
        for name, image in zip(symbol_names(20), images, strict=False):
            matcher.enroll(name, image)
    labels = {name: [match.best.label for match in one.match_batch(images)] for name, one in matchers.items()}
    if len(set(map(tuple, labels.values()))) > 1:
        raise SystemExit(f"the devices give different labels: {labels}")
    one = _medians({name: lambda one=one: one.match(images[0]) for name, one in matchers.items()}, rounds)
    many = _medians({name: lambda one=one: one.match_batch(images) for name, one in matchers.items()}, max(1, rounds // 3))
    for what, times in (("one match", one), ("a hundred matches", many)):
        print(f"{what}: " + ", ".join(f"{name} {ms:.2f} ms" for name, ms in times.items()))
    return {"one": one, "a hundred": many}


def _gallery(dim: int, supports: int, device: str, rounds: int) -> dict[str, Any]:
    """The nearest codes of a gallery: on the device by PyTorch, and by the runtime's own search on the processor."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (supports, dim), dtype=np.uint8)
    queries = rng.integers(0, 256, (64, dim), dtype=np.uint8)
    scanner, rows = Scanner(available_cpus()), [Rows(codes, None)]
    contenders: dict[str, Callable[[], Any]] = {"the CPU": lambda: scanner.nearest(rows, queries[0], _TOP)[0]}
    try:
        import torch
    except ImportError:
        torch = None  # type: ignore[assignment]
    if torch is not None and (device != "cuda" or torch.cuda.is_available()):
        place = device if device == "cuda" else "cpu"
        held = torch.from_numpy(codes).to(place)
        contenders[f"PyTorch on {place}"] = lambda: _nearest(torch, held, queries[0])
        expected = np.sort(contenders["the CPU"]())
        if not np.array_equal(expected, np.sort(_nearest(torch, held, queries[0]))):
            raise SystemExit("the search on the device gives other distances")
    times = _medians(contenders, max(1, rounds // 3))
    for name, ms in times.items():
        print(f"{supports} supports, one query: {name} {ms:.2f} ms")
    return {"supports": supports, "ms": times}


def _nearest(torch: Any, codes: Any, query: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The smallest L1 distances of a code to codes (N, D) on a device, exact."""
    asked = torch.from_numpy(query).to(codes.device).to(torch.int16)
    parts = [(part.to(torch.int16) - asked).abs().sum(1, dtype=torch.int32) for part in codes.split(_CHUNK)]
    return np.asarray(torch.cat(parts).topk(min(_TOP, len(codes)), largest=False).values.cpu().numpy())


if __name__ == "__main__":
    sys.exit(main())

"""Fit which components a search sums: those that vary together, so that the sums' distances are near those of the codes.

`python -m export.sketch BUNDLE --data OMNIGLOT` fits them to the background set, real drawings, and writes them into the
bundle's manifest: its galleries stay valid, answers are the same. Without them searches read every code.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from oneshot_runtime.errors import OneShotError
from oneshot_runtime.model.bundle import Bundle, Head, Sketch, checksum_of
from oneshot_runtime.model.codes import encode
from oneshot_runtime.search.sketch import asked, sums
from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess
from train.omniglot import DatasetError, load_images

__all__ = ["fit_sketch", "main", "sketch_of"]

_COMPONENTS = 4.8
"""Components of a sum, on average: fewer bound more and take longer to read. Kernels are fastest with sums in sixteens."""

_PAIRS = 2500
_NEAR = 0.1
"""Pairs are fitted to are of the nearest tenth: at the radius of a search, not farther."""

_ROUNDS = 4

_REAL = 4096
"""Real drawings that are fitted to."""


def sketch_of(embedding: bytes, head: Head, canvases: NDArray[np.uint8]) -> Sketch:
    """The sketch for the codes of an embedding graph in fp32, fitted to canvases uint8 (N, H, W)."""
    session = onnxruntime.InferenceSession(embedding, providers=["CPUExecutionProvider"])
    blocks = [session.run(None, {"images": canvases[start : start + 64]})[0] for start in range(0, len(canvases), 64)]
    return fit_sketch(encode(np.concatenate(blocks), head))


def fit_sketch(codes: NDArray[np.uint8]) -> Sketch:
    """The sketch for codes like these, uint8 (N, D); the same for the same codes.

    For given pairs of codes the sum of |signed sums of their differences| is to be as large as can be. It is convex in what
    each component gives to each sum, so its maximum puts every component whole into one sum, with a sign: they are moved one
    at a time to where it grows most, until none moves.
    """
    pairs = _near_pairs(codes.astype(np.float32), np.random.default_rng(0))
    dim = codes.shape[1]
    count = max(1, int(dim / _COMPONENTS))
    groups, signs = _seeded(pairs, count)
    for _ in range(_ROUNDS):
        if not _improve(pairs, groups, signs, count):
            break
    return _scaled(codes, groups, signs, count)


def _near_pairs(codes: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Differences (P, D) of codes that are near, but not the same symbol's."""
    asked_for = rng.permutation(len(codes))[:400]
    each = -(-_PAIRS // len(asked_for))
    found = []
    for row in asked_for:
        order = np.argsort(np.abs(codes - codes[row]).sum(axis=1), kind="stable")[1:]
        near = order[: max(each, int(_NEAR * len(order)))]
        found.append(codes[rng.choice(near, min(each, len(near)), replace=False)] - codes[row])
    return np.concatenate(found)


def _seeded(pairs: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Groups around the components that vary most, each filled with those most correlated to it."""
    dim = pairs.shape[1]
    spread = np.sqrt((pairs**2).mean(axis=0)) + 1e-6
    together = pairs.T @ pairs / len(pairs) / np.outer(spread, spread)
    groups, signs = np.full(dim, -1, np.int64), np.ones(dim, np.float32)
    for group in range(count):
        left = np.flatnonzero(groups < 0)
        first = left[np.argmax(spread[left])]
        size = len(left) // (count - group)
        members = left[np.argsort(-np.abs(together[first, left]), kind="stable")][:size]
        groups[members], signs[members] = group, np.where(together[first, members] < 0, -1, 1)
    return groups, signs


def _improve(pairs: NDArray[np.float32], groups: NDArray[np.int64], signs: NDArray[np.float32], count: int) -> int:
    """Move each component to the sum, with the sign, where it helps most; returns how many moved."""
    totals = np.zeros((count, len(pairs)), np.float32)
    for component, (group, sign) in enumerate(zip(groups, signs, strict=True)):
        totals[group] += sign * pairs[:, component]
    moved = 0
    for component in range(pairs.shape[1]):
        values, old = pairs[:, component], (int(groups[component]), float(signs[component]))
        totals[old[0]] -= old[1] * values
        before = np.abs(totals).sum(axis=1)
        gains = np.stack([np.abs(totals + sign * values).sum(axis=1) - before for sign in (1, -1)])
        side, group = np.unravel_index(int(np.argmax(gains)), gains.shape)
        groups[component], signs[component] = group, (1, -1)[int(side)]
        totals[group] += signs[component] * values
        moved += (int(group), float(signs[component])) != old
    return moved


def _scaled(codes: NDArray[np.uint8], groups: NDArray[np.int64], signs: NDArray[np.float32], count: int) -> Sketch:
    """The step that loses least: a small one clips sums that vary much, a large one rounds them all."""
    exact = codes.astype(np.float32) @ Sketch(groups, signs, np.zeros(count, np.float32), 1).matrix
    middle = (exact.min(axis=0) + exact.max(axis=0)) / 2
    best, most = None, -np.inf
    for step in range(1, 17):
        sketch = Sketch(groups, signs, np.floor(middle - 127 * step), step)
        kept = sums(codes, sketch).astype(np.int32)
        bound = 0
        for row in range(0, len(codes), max(1, len(codes) // 64)):
            query = asked(codes[row], sketch)
            bounds = step * np.abs(kept - query.sums.astype(np.int32)).sum(axis=1) - query.slack
            bound += int(np.sort(bounds)[: max(2, int(_NEAR * len(codes)))].sum())
        if bound > most:
            best, most = sketch, bound
    assert best is not None
    return best


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 written, 1 refused, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m export.sketch", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("bundle", type=Path, help="folder of a bundle, whose manifest is written anew")
    parser.add_argument("--data", type=Path, required=True, help="folder of Omniglot")
    arguments = parser.parse_args(argv)
    try:
        bundle = Bundle.open(arguments.bundle)
        drawings = _drawings(arguments.data, bundle.spec)
        sketch = sketch_of(bundle.embedding_graph("fp32"), bundle.head, drawings)
        manifest: dict[str, Any] = {**bundle.manifest, "sketch": sketch.to_dict()}
        manifest["checksum"] = checksum_of(manifest)
        file = arguments.bundle / "manifest.json"
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(manifest, indent=1) + "\n")
        partial.replace(file)
    except (OneShotError, DatasetError, OSError) as error:
        print(f"export.sketch: {error}", file=sys.stderr)
        return 1
    print(f"{file}: {sketch.count} sums of {bundle.dim} components, step {sketch.step}")
    return 0


def _drawings(data: Path, spec: PreprocessSpec) -> NDArray[np.uint8]:
    drawings = load_images(data).images
    images = drawings.reshape(-1, *drawings.shape[2:])
    chosen = np.random.default_rng(0).permutation(len(images))[:_REAL]
    return np.stack([preprocess(images[number], spec) for number in chosen])


if __name__ == "__main__":
    sys.exit(main())

"""How long one answer takes: `python -m benchmarks.latency`. Prints a table, and JSON with `--json FILE`.

Every contender answers the same question in turn (alternating, so that a slow minute of the machine hits all of them), after a
warm-up; the table shows medians. `koch` in PyTorch is the paper's twin run on the 20 pairs, as open implementations do.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measure import positive, without_opencv
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model.codes import encode
from oneshot_runtime.model.session import create_session
from oneshot_runtime.search import scan
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer, symbol_names
from oneshot_runtime.vision.preprocess import preprocess

__all__ = ["main"]

_OURS = "20-way match, image file to label, int8, 1 thread"
_AGAIN = "the same weights in ONNX embedding the 20 supports again, int8, 1 thread"
_TWIN = "PyTorch koch twin on the 20 pairs, image arrays to probabilities"

_TURN = 10

Contender = tuple[str, Callable[[], object], int]
"""Name, call, and in how many of the rounds it runs: slow ones run in few."""


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=positive, default=300)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(_contenders(Path(folder)), arguments.rounds)
    machine = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    print(f"{machine}; medians in ms")
    for name, milliseconds in figures.items():
        print(f"{name:72} {milliseconds:9.3f}")
    ours = figures[_OURS]
    for name in (_AGAIN, _TWIN):
        if name in figures:
            print(f"{figures[name] / ours:8.1f} times the 20-way match: {name}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "milliseconds": figures}, indent=1) + "\n")
    return 0


def measure(contenders: list[Contender], rounds: int) -> dict[str, float]:
    """Median milliseconds of each contender. Turns alternate; in its turn a contender runs a few times, as in use it would."""
    seconds: dict[str, list[float]] = {name: [] for name, _, _ in contenders}
    for turn in range(1 + -(-rounds // _TURN)):
        for name, call, runs in contenders:
            for _ in range(min(_TURN, min(runs, rounds) - len(seconds[name]))):
                start = time.perf_counter()
                call()
                if turn:  # the first one warms up
                    seconds[name].append(time.perf_counter() - start)
    return {name: 1000 * statistics.median(taken) for name, taken in seconds.items()}


def _contenders(folder: Path) -> list[Contender]:
    rng = np.random.default_rng(0)
    first, second = random_writer(rng), random_writer(rng)
    alphabet = invent_alphabet(20, seed=1)
    supports, query = [draw(symbol, first, rng) for symbol in alphabet], draw(alphabet[4], second, rng)
    path = folder / "query.png"
    Image.fromarray(query).save(path)
    contenders: list[Contender] = []
    answers = set()
    for precision in ("int8", "fp32"):
        for threads in (1, 2):
            matcher = OneShotMatcher.load(precision=precision, threads=threads)
            for name, support in zip(symbol_names(20), supports, strict=True):
                matcher.enroll(name, support)
            answers.add(matcher.match(path).candidates[0].label)
            canvas = preprocess(query, matcher.bundle.spec)[None]
            what = f"{precision}, {threads} thread{'s' * (threads > 1)}"
            contenders.append((f"20-way match, image file to label, {what}", lambda m=matcher: m.match(path), 10**9))
            contenders.append((f"embedding alone, batch 1, {what}", lambda m=matcher, c=canvas: m._embedder(c), 10**9))
    if len(answers) != 1:
        raise SystemExit(f"the precisions disagree: {answers}")
    spec = matcher.bundle.spec
    canvas, graph = preprocess(query, spec)[None], create_session(matcher.bundle.embedding_graph("int8"), "cpu", 1)[0]
    contenders.append(
        ("limit: session.run of the embedding, int8, 1 thread", lambda: graph.run(None, {"images": canvas}), 10**9)
    )
    contenders.append(("limit: Pillow decodes the PNG to grey", lambda: np.asarray(Image.open(path).convert("L")), 10**9))
    contenders.append(("preprocess of a 105x105 array", lambda: preprocess(query, spec), 10**9))
    contenders += [_embedding_again(path, supports), *_search(query), *_torch_twin(supports, query)]
    return contenders


def _embedding_again(path: Path, supports: list[np.ndarray]) -> Contender:
    """What a program without cached supports does: all 21 images through the embedding, then the head."""
    matcher = OneShotMatcher.load(precision="int8", threads=1)
    spec = matcher.bundle.spec
    canvases = np.stack([preprocess(support, spec) for support in supports])
    head, _ = create_session(matcher.bundle.head_graph(), "cpu", 1)

    def compare() -> object:
        embeddings = matcher._embedder(np.concatenate((preprocess(path, spec)[None], canvases)))
        return head.run(None, {"queries": embeddings[:1], "supports": embeddings[1:]})[0].argmax()

    return _AGAIN, compare, 200


def _search(query: np.ndarray) -> list[Contender]:
    """Everything of a match but preprocessing and embedding, with 1,000 supports: coding, search, result."""
    matcher = OneShotMatcher.load(precision="int8", threads=1)
    embeddings = np.random.default_rng(0).random((1000, matcher.bundle.dim), np.float32)
    matcher.gallery.extend([str(number) for number in range(1000)], embeddings)
    embedding = matcher.embed(query)

    def answer() -> object:
        return matcher._match_code(matcher.gallery.snapshot(), encode(embedding, matcher.bundle.head)[0], 5)

    contenders: list[Contender] = [
        ("match minus embedding, 1,000 supports, numpy alone", lambda: without_opencv(answer), 10**9)
    ]
    if scan.opencv() is not None:
        if answer() != without_opencv(answer):
            raise SystemExit("OpenCV and numpy disagree")
        contenders.append(("match minus embedding, 1,000 supports, OpenCV", answer, 10**9))
    return contenders


def _torch_twin(supports: list[np.ndarray], query: np.ndarray) -> list[Contender]:
    """The paper's twin on 20 pairs; its time does not depend on its weights."""
    try:
        import torch

        from train.model import PRESETS, SiameseNet
    except ImportError:
        return []
    model = SiameseNet(PRESETS["koch"]).eval()
    left, right = torch.from_numpy(np.stack([query] * 20)), torch.from_numpy(np.stack(supports))

    def pairs() -> object:
        with torch.inference_mode():
            return model(left, right)

    return [(_TWIN, pairs, 5)]


if __name__ == "__main__":
    sys.exit(main())

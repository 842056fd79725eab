"""How long one answer takes: `python -m benchmarks.latency`. Prints a table, and JSON with `--json FILE`.

Every contender answers the same question in turn (alternating, so that a slow minute of the machine hits all of them), after a
warm-up; the table shows medians. `koch` in PyTorch is the paper's twin run on the 20 pairs, as open implementations do.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.demo import symbol_names
from oneshot_runtime.preprocess import preprocess
from oneshot_runtime.strokes import draw, invent_alphabet, random_hand

__all__ = ["main"]

Contender = tuple[str, Callable[[], object], int]
"""Name, call, and in how many of the rounds it runs: slow ones run in few."""


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(_contenders(Path(folder)), arguments.rounds)
    figures["cold start: new process, import, load, enrol, match"] = _cold_start()
    machine = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    print(f"{machine}; medians in ms")
    for name, milliseconds in figures.items():
        print(f"{name:72} {milliseconds:9.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "milliseconds": figures}, indent=1) + "\n")
    return 0


def measure(contenders: list[Contender], rounds: int) -> dict[str, float]:
    """Median milliseconds of each contender, alternating."""
    seconds: dict[str, list[float]] = {name: [] for name, _, _ in contenders}
    for round_ in range(rounds + 3):
        for name, call, runs in contenders:
            if round_ >= runs + 3:
                continue
            start = time.perf_counter()
            call()
            if round_ >= 3:
                seconds[name].append(time.perf_counter() - start)
    return {name: 1000 * statistics.median(taken) for name, taken in seconds.items()}


def _contenders(folder: Path) -> list[Contender]:
    rng = np.random.default_rng(0)
    first, second = random_hand(rng), random_hand(rng)
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
    contenders.append(("preprocess of a 105x105 array", lambda: preprocess(query, spec), 10**9))
    contenders += _torch_twin(supports, query)
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

    return [("PyTorch koch twin on the 20 pairs, image arrays to probabilities", pairs, 5)]


def _cold_start() -> float:
    code = (
        "from oneshot_runtime import OneShotMatcher; import numpy as np\n"
        "p = np.full((105, 105), 255, np.uint8); p[20:80, 40:46] = 0\n"
        "m = OneShotMatcher.load(); m.enroll('a', p); m.match(p)"
    )
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        taken.append(time.perf_counter() - start)
    return 1000 * statistics.median(taken)


if __name__ == "__main__":
    sys.exit(main())

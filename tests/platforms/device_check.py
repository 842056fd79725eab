"""Whether a device gives the golden images and the CPU's answers: `device_check.py DEVICE [NAME=VALUE ...]`.

The values are options of its provider. Prints a line of JSON for each precision, and fails where anything differs.
"""

from __future__ import annotations

import json
import platform
import sys
from typing import Any

import numpy as np

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model.session import golden_error, import_onnxruntime, nodes_by_provider
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer

_SYMBOLS = 20


def check(device: str, options: dict[str, str], precision: str) -> dict[str, object]:
    """What was found of a device in one precision; raises `AssertionError` for what is wrong."""
    matcher = OneShotMatcher.load(device=device, provider_options=options or None, precision=precision, far=None)
    assert matcher.device == device.lower(), f"{matcher.device} runs, {device} was asked for"
    golden = matcher.bundle.golden()
    error = golden_error(matcher._embedder, golden, matcher.bundle)
    assert error is None, f"golden images in {precision}: {error}"
    few = slice(0, 16)
    worst = float(np.abs(matcher._embedder(golden.images[few]) - golden.embeddings[few]).max())
    rng = np.random.default_rng(7)
    writers = random_writer(rng), random_writer(rng)
    alphabet = invent_alphabet(_SYMBOLS, seed=7)
    supports, queries = ([draw(symbol, writer, rng) for symbol in alphabet] for writer in writers)
    names = [f"s{index}" for index in range(_SYMBOLS)]
    found = answers(matcher, names, supports, queries)
    if device != "cpu":
        expected = answers(OneShotMatcher.load(device="cpu", precision=precision, far=None), names, supports, queries)
        assert found == expected, f"{found} on {device}, {expected} on cpu"
    right = sum(one == name for one, name in zip(found, names, strict=True))
    assert right >= 0.8 * _SYMBOLS, f"{right} of {_SYMBOLS} right"
    nodes = {provider: len(operators) for provider, operators in nodes_by_provider(matcher._embedder.session).items()}
    return {"precision": precision, "device": device, "nodes": nodes, "golden off by": worst, "right": f"{right} of {_SYMBOLS}"}


def answers(matcher: OneShotMatcher, names: list[str], supports: list[Any], queries: list[Any]) -> list[str]:
    """The best label for each query."""
    with matcher:
        for name, support in zip(names, supports, strict=True):
            matcher.enroll(name, support)
        return [match.best.label for match in matcher.match_batch(queries)]


def main() -> None:
    """The command."""
    device, options = sys.argv[1], dict(word.split("=", 1) for word in sys.argv[2:])
    print(
        json.dumps(
            {
                "machine": platform.machine(),
                "python": platform.python_version(),
                "onnxruntime": import_onnxruntime().__version__,
            }
        )
    )
    for precision in ("fp32", "int8"):
        print(json.dumps(check(device, options, precision)))


if __name__ == "__main__":
    main()

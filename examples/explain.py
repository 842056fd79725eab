"""Why a drawing gets its answer, as a picture (`python examples/explain.py [FILE.png]`)."""

import statistics
import sys
import time
from pathlib import Path

import numpy as np

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.synthetic import draw, invent_alphabet, random_writer, symbol_names


def main() -> None:
    """Teach twenty invented symbols by one drawing each, explain another writer's drawings of them, save one explanation."""
    rng = np.random.default_rng(7)
    teacher, writer = random_writer(rng), random_writer(rng)
    symbols = dict(zip(symbol_names(20), invent_alphabet(20, seed=7), strict=True))
    matcher = OneShotMatcher.load(threads=1)
    for label, symbol in symbols.items():
        matcher.enroll(label, draw(symbol, teacher, rng))
    explanations, seconds = {}, []
    for label, symbol in symbols.items():
        query = draw(symbol, writer, rng)
        start = time.process_time()
        explanations[label] = matcher.explain(query)
        seconds.append(time.process_time() - start)
        why = explanations[label]
        print(f"{label} -> {why.match.label}, {why.margin:.1f} logits ahead of {why.nearest[1].label}")
    print(f"{1000 * statistics.median(seconds):.0f} ms of processor time each ({matcher.precision})")
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "explain.png")
    # Of the drawings that are recognised, the one with the closest runner-up shows best what tells two symbols apart.
    closest = min((why for why in explanations.values() if why.match.label), key=lambda why: why.margin)
    closest.draw().quantize(128).save(target, optimize=True)
    print(f"explanation of {closest.nearest[0].label}: {target}")


if __name__ == "__main__":
    main()

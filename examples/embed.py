"""The runtime inside an application: teach it symbols once, ask from then on (`python examples/embed.py`)."""

import numpy as np

from oneshot_runtime import ImageError, OneShotMatcher
from oneshot_runtime.synthetic import draw, invent_alphabet, random_writer


def main() -> None:
    """Teach three invented symbols by one drawing each, then read another writer's drawings."""
    rng = np.random.default_rng(3)
    teacher, writer = random_writer(rng), random_writer(rng)
    symbols = dict(zip(("start", "stop", "pause"), invent_alphabet(3, seed=3), strict=True))
    with OneShotMatcher.load(gallery=None, far=None) as matcher:  # gallery="symbols.db" keeps them across restarts
        for label, symbol in symbols.items():
            matcher.enroll(label, draw(symbol, teacher, rng))  # a path, bytes, a Pillow image or a uint8 array
        for label, symbol in symbols.items():
            match = matcher.match(draw(symbol, writer, rng))
            print(f"{label} -> {match.label} (p = {match.probability:.3f})")
        try:
            matcher.match(np.full((105, 105), 255, np.uint8))
        except ImageError as error:
            print(f"an empty page is refused: {error}")


if __name__ == "__main__":
    main()

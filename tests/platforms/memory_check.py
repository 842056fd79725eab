"""The memory of a process that knows twenty symbols and matches: `memory_check.py [MB]`, at most that many.

Prints the largest resident set after each step, in MB of 1,000,000 bytes.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from pathlib import Path


def peak() -> float:
    """The largest resident set so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what a parent had when it forked
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS, in bytes


def main() -> None:
    """The command."""
    steps = {"bare Python": peak()}
    import numpy as np

    steps["numpy"] = peak()
    from oneshot_runtime import OneShotMatcher
    from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer

    rng = np.random.default_rng(7)
    writer = random_writer(rng)
    drawings = [draw(symbol, writer, rng) for symbol in invent_alphabet(20, seed=7)]
    steps["the package"] = peak()
    with OneShotMatcher.load() as matcher:
        steps[f"the model, {matcher.precision}"] = peak()
        for index, drawing in enumerate(drawings):
            matcher.enroll(f"s{index}", drawing)
        assert [matcher.match(drawing).best.label for drawing in drawings] == [f"s{index}" for index in range(len(drawings))]
        steps["twenty enrolled and matched"] = peak()
    print(json.dumps({name: round(value) for name, value in steps.items()}))
    if len(sys.argv) > 1 and max(steps.values()) > float(sys.argv[1]):
        sys.exit(f"{max(steps.values()):.0f} MB, at most {sys.argv[1]} are allowed")


if __name__ == "__main__":
    main()

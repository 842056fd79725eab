"""What a process costs: cold start, and processor time of an idle matcher. `python -m benchmarks.speed.process`."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import positive

__all__ = ["main"]

_COLD = (
    "from oneshot_runtime import OneShotMatcher; import numpy as np\n"
    "p = np.full((105, 105), 255, np.uint8); p[20:80, 40:46] = 0\n"
    "m = OneShotMatcher.load(); m.enroll('a', p); m.match(p)"
)
_IDLE = _COLD + (
    "\nimport sys, time\n"
    "m.gallery.extend([str(i) for i in range(50_000)], np.random.default_rng(0).random((50_000, m.bundle.dim), np.float32))\n"
    "m.warmup(); m.match_batch([p] * 64)\n"
    "seconds = float(sys.argv[1]); start = time.process_time(); time.sleep(seconds)\n"
    "print((time.process_time() - start) / seconds)"
)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.process", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--starts", type=positive, default=9)
    parser.add_argument("--idle", type=float, default=10, help="seconds to be idle")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    contenders = {
        "cold start: new process, import, load, enroll, match": _COLD,
        "bare interpreter": "pass",
        "import numpy": "import numpy",
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(arguments.starts):
        for name, code in contenders.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            seconds[name].append(time.perf_counter() - start)
    figures = {name: statistics.median(taken) for name, taken in seconds.items()}
    for name, taken in figures.items():
        print(f"{name:56} {1000 * taken:8.0f} ms")
    output = subprocess.run([sys.executable, "-c", _IDLE, str(arguments.idle)], check=True, capture_output=True, text=True)
    figures["idle"] = float(output.stdout)
    print(f"{'idle matcher, 50,000 supports: share of one processor':56} {100 * figures['idle']:8.3f} %")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

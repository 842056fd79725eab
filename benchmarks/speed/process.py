"""What a process costs: cold start, and processor time of an idle matcher. `python -m benchmarks.speed.process`.

Beside the start, its limit, an interpreter that imports ONNX Runtime, numpy and Pillow and opens the same graph, and the peer,
one that imports PyTorch. They alternate; medians.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import in_turns, positive
from oneshot_runtime.model.bundle import DEFAULT_BUNDLE

__all__ = ["main"]

_COLD = (
    "from oneshot_runtime import OneShotMatcher; import numpy as np\n"
    "p = np.full((105, 105), 255, np.uint8); p[20:80, 40:46] = 0\n"
    "m = OneShotMatcher.load(); m.enroll('a', p); m.match(p)"
)
_GRAPH = (
    "import sys, numpy, PIL.Image, onnxruntime\n"
    "onnxruntime.InferenceSession(open(sys.argv[1], 'rb').read(), providers=['CPUExecutionProvider'])"
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
        "limit: bare interpreter": "pass",
        "limit: import numpy": "import numpy",
        "limit: import numpy, Pillow, onnxruntime; open the graph": _GRAPH,
    }
    if find_spec("torch"):
        contenders["peer: import torch"] = "import torch"
    else:
        print("no peer: PyTorch is not installed")
    figures = in_turns(
        {name: partial(_run, code, str(DEFAULT_BUNDLE / "embedding.int8.onnx")) for name, code in contenders.items()},
        arguments.starts,
    )
    for name, taken in figures.items():
        print(f"{name:56} {1000 * taken:8.0f} ms")
    figures["idle"] = float(_run(_IDLE, str(arguments.idle)))
    print(f"{'idle matcher, 50,000 supports: share of one processor':56} {100 * figures['idle']:8.3f} %")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def _run(code: str, *words: str) -> str:
    return subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())

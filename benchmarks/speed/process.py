"""What a process costs: cold start, commands on a large gallery, an idle matcher. `python -m benchmarks.speed.process`.

Beside the start, its limit, an interpreter that imports ONNX Runtime, numpy and Pillow and opens the same graph, and the peer,
one that imports PyTorch. They alternate; medians. Each command is a new process on a gallery file; the limit of theirs is the
one that says its version.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measure import in_turns, positive
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import DEFAULT_BUNDLE, Bundle

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
    parser.add_argument("--supports", type=positive, default=100_000, help="in the gallery that commands are given")
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
    for name, (clock, processor) in _commands(arguments.supports, arguments.starts).items():
        figures[name] = clock
        print(f"{name:56} {1000 * clock:8.0f} ms  {1000 * processor:8.0f} ms of processor time")
    figures["idle"] = float(_run(_IDLE, str(arguments.idle)))
    print(f"{'idle matcher, 50,000 supports: share of one processor':56} {100 * figures['idle']:8.3f} %")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def _commands(supports: int, starts: int) -> dict[str, tuple[float, float]]:
    """Median seconds on the clock and of the processor of each command on a gallery of so many classes of one support."""
    bundle, rng = Bundle.open(), np.random.default_rng(0)
    taken: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        place, picture = str(Path(folder) / "large.db"), str(Path(folder) / "picture.png")
        page = np.full((105, 105), 255, np.uint8)
        page[20:80, 40:46] = 0
        Image.fromarray(page).save(picture)
        with closing(Gallery(bundle, place)) as gallery:
            for start in range(0, supports, 50_000):
                labels = [f"s{number}" for number in range(start, min(start + 50_000, supports))]
                gallery.extend(labels, rng.random((len(labels), bundle.dim), np.float32))
        for number in range(starts):
            moved = f"moved {number}"
            commands = {
                "limit: oneshot --version": ["--version"],
                "oneshot list": ["list", "--gallery", place],
                "oneshot gallery rename": [
                    "gallery",
                    "rename",
                    f"moved {number - 1}" if number else "s0",
                    moved,
                    "--gallery",
                    place,
                ],
                "oneshot match": ["match", picture, "--gallery", place],
                "oneshot enroll": ["enroll", "added", picture, "--gallery", place],
                "oneshot remove": ["remove", "added", "--gallery", place],
            }
            for name, words in commands.items():
                before, start = _children(), time.perf_counter()
                subprocess.run([sys.executable, "-m", "oneshot_runtime", *words], check=True, capture_output=True)
                took = time.perf_counter() - start, _children() - before
                taken.setdefault(f"{name}, {supports:,} supports" if "--gallery" in words else name, []).append(took)
    return {name: tuple(np.median(pairs, axis=0).tolist()) for name, pairs in taken.items()}


def _children() -> float:
    """Seconds of processor time that ended processes of this one took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(code: str, *words: str) -> str:
    return subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())

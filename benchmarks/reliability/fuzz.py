"""Feed mutated files to every parser, below the checksums: only a `OneShotError` may come out, in bounded time and memory.

    python -m benchmarks.reliability.fuzz image --runs 1000000        # or manifest, golden, graph, rows, npz

Atheris (coverage-guided) drives it: `pip install atheris`. Mutated content gets its checksums recomputed, as whoever forges a
file would, so that the parsers behind them are reached. Each run starts from files that the project draws or writes itself. A
line after each tenth says how many inputs were run, how many were refused, and how much memory the process ever took.
"""

from __future__ import annotations

import argparse
import importlib
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.measure import positive

__all__ = ["main"]

_SECONDS = 10
_TARGETS = ("golden", "graph", "image", "manifest", "npz", "rows")


def main(argv: list[str] | None = None) -> int:
    """Run one target; libFuzzer ends the process, with a code other than 0 when an input broke something."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("target", choices=_TARGETS)
    parser.add_argument("--runs", type=positive, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(argv)
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: pip install atheris", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["oneshot_runtime"]):
        targets = importlib.import_module("benchmarks.reliability.fuzz_targets").TARGETS
        from oneshot_runtime.errors import OneShotError
    folder = tempfile.TemporaryDirectory()
    call, seeds = targets[arguments.target](Path(folder.name))
    corpus = Path(folder.name) / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    counts: Counter[str] = Counter()
    started = time.monotonic()
    step = max(1, arguments.runs // 10)

    def once(data: bytes) -> None:
        counts["inputs"] += 1
        try:
            call(data)
        except OneShotError:
            counts["refused"] += 1
        if counts["inputs"] % step == 0:
            report()

    def report() -> None:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        seconds = time.monotonic() - started
        refused = f"{counts['refused']} refused"
        print(f"{arguments.target}: {counts['inputs']} inputs, {refused}, {seconds:.0f} s, {memory} MiB at most", flush=True)

    options = [
        f"-runs={arguments.runs}",
        f"-seed={arguments.seed}",
        f"-timeout={_SECONDS}",
        "-rss_limit_mb=2048",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], once)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The figures of docs/performance.md, measured anew: `python -m benchmarks.performance`, on a quiet machine.

Runs the benchmarks of speed one after the other and writes what they print into the page, between its two marks, with the
machine, the versions and the commit.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["BENCHMARKS", "main"]

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- measured: python -m benchmarks.performance -->", "<!-- end of what was measured -->"

BENCHMARKS = {
    "One match": "latency",
    "Search against the number of supports": "scale.gallery_scale --fonts /usr/share/fonts --out {out}",
    "Many pictures in batches": "speed.throughput",
    "A new process, and an idle one": "speed.process",
    "Enrolling": "speed.enrollment",
    "Galleries as files": "scale.gallery_writes --bulk 1000000",
    "Folders of pictures": "scale.bulk --pictures 5000",
    "The server": "server_load --seconds 5",
}
"""Heading -> module and options."""

_DISTRIBUTIONS = ("numpy", "pillow", "onnxruntime", "opencv-python-headless", "numba", "faiss-cpu", "torch")


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks; returns the exit code: 1 where one failed, and then nothing is written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.performance", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--page", type=Path, default=PAGE, help=f"page to write into (default: {PAGE.name})")
    parser.add_argument("--out", type=Path, default=Path("out/performance"), help="folder of the plot and its figures")
    arguments = parser.parse_args(argv)
    text = arguments.page.read_text()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{arguments.page}: expected the lines {BEGIN!r} and {END!r}, between which the figures go")
    parts = [_machine()]
    for heading, command in BENCHMARKS.items():
        print(f"[{len(parts)} of {len(BENCHMARKS)}] {heading}", flush=True)
        printed = _run(f"python -m benchmarks.{command.format(out=arguments.out)}")
        if printed is None:
            return 1
        parts.append(f"### {heading}\n\n{printed}")
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    arguments.page.write_text("\n\n".join([before, *parts, after]))
    print(f"written: {arguments.page}")
    return 0


def _run(command: str) -> str | None:
    """What a benchmark prints, as Markdown; None where it fails."""
    start = time.monotonic()
    ran = subprocess.run([sys.executable, *shlex.split(command)[1:]], capture_output=True, text=True, check=False)
    print(ran.stdout, flush=True)
    if ran.returncode:
        print(ran.stderr, file=sys.stderr)
        return None
    return f"`{command}`, {time.monotonic() - start:.0f} s:\n\n```\n{ran.stdout.strip()}\n```"


def _machine() -> str:
    """One paragraph: processor, load, versions, commit, day."""
    versions = [f"Python {platform.python_version()}"]
    for name in _DISTRIBUTIONS:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"no {name}")
    here = Path(__file__).parent
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=False
    ).stdout
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    machine = f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, load {load} before it began"
    return f"Measured on {time.strftime('%Y-%m-%d')} at commit {commit.strip() or 'unknown'}: {machine}; {', '.join(versions)}."


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    known = [flag for flag in ("avx2", "avx512_vnni", "avx512_bf16", "amx_int8") if flag in flags]
    return f"{', '.join(sorted(names)) or platform.machine()} ({', '.join(known)})"


if __name__ == "__main__":
    sys.exit(main())

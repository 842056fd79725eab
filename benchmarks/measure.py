"""What several benchmarks measure alike."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from oneshot_runtime.search import kernels
from oneshot_runtime.search import scan as search

__all__ = ["in_turns", "positive", "resident_bytes", "without_numba", "without_opencv"]

_Result = TypeVar("_Result")


def in_turns(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each contender; they alternate, so that a slow minute of the machine hits all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def positive(text: str) -> int:
    """How many of something a benchmark measures; for argparse. There is no figure of nothing."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def resident_bytes(process: int | str = "self") -> int:
    """Bytes of memory that a process has, from /proc; 0 where there is none."""
    status = Path(f"/proc/{process}/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if status.exists() else 0


def without_opencv(call: Callable[[], _Result]) -> _Result:
    """What `call` returns where neither OpenCV nor numba is installed."""
    return _replacing(search, "opencv", lambda: without_numba(call))


def without_numba(call: Callable[[], _Result]) -> _Result:
    """What `call` returns where numba is not installed."""
    return _replacing(kernels, "of", call)


def _replacing(module: ModuleType, name: str, call: Callable[[], _Result]) -> _Result:
    """By `_none`, and not by mock: that takes longer than a small search."""
    kept = getattr(module, name)
    setattr(module, name, _none)
    try:
        return call()
    finally:
        setattr(module, name, kept)


def _none(*_: object) -> None:
    return None

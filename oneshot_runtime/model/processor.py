"""What the processor can do: how many of its cores are ours, and whether int8 graphs are faster on it than float ones."""

from __future__ import annotations

import ctypes
import functools
import math
import os
import platform
from pathlib import Path

__all__ = ["available_cpus", "has_int8_instructions"]

_X86_FLAGS = {"avx512_vnni", "avx_vnni"}
"""Intel's vector neural network instructions: without them, sums of bytes saturate or take longer than floats."""

_ARM_FLAGS = {"asimddp"}
"""ARM's dot product (ARMv8.2)."""

_WINDOWS_ARM_DOT_PRODUCT = 43
"""PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE of Windows' IsProcessorFeaturePresent."""


def available_cpus() -> int:
    """Processors this process may use: the affinity mask, limited by the container's CPU quota (cgroup v2 or v1)."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(count, math.ceil(_cgroup_quota() or count)))


def _cgroup_quota() -> float | None:
    root = Path("/sys/fs/cgroup")
    try:
        quota, period = (root / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text(encoding="ascii").strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return int(quota) / int(period)


@functools.cache
def has_int8_instructions() -> bool:
    """Whether the processor multiplies and adds bytes four at a time; False where that cannot be found out."""
    arm = platform.machine().lower() in ("arm64", "aarch64")
    system = platform.system()
    if system == "Linux":
        return not _linux_flags().isdisjoint(_ARM_FLAGS if arm else _X86_FLAGS)
    if system == "Darwin":
        return arm  # every Apple processor of the M series has the dot product, no Intel one in a Mac is asked
    if system == "Windows" and arm:
        kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 (the attribute is there on Windows only)
        return bool(kernel.IsProcessorFeaturePresent(_WINDOWS_ARM_DOT_PRODUCT))
    return False


def _linux_flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    lines = (line.partition(":") for line in text.splitlines())
    return {flag for name, _, flags in lines if name.strip() in ("flags", "Features") for flag in flags.split()}

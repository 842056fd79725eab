"""A function over many jobs, by all cores."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from tqdm import tqdm

__all__ = ["by_all_cores"]

Job = TypeVar("Job")
Result = TypeVar("Result")

_CHUNK = 32
"""Jobs that a process takes at once."""


def by_all_cores(
    function: Callable[[Job], Result], jobs: Sequence[Job], label: str, unit: str, progress: bool = False, few: int | None = 100
) -> list[Result]:
    """`function` of each job, in the order of the jobs; fewer than `few` are done here, where no process has to start, and all
    are with None: processes import the main script again, so only a command whose main is guarded may start them.

    function, jobs and results are pickled. label, unit: of the progress bar.
    """

    def shown(results: object) -> list[Result]:
        return list(tqdm(results, desc=label, total=len(jobs), unit=unit, disable=not progress, leave=False))

    if few is None or len(jobs) < few or multiprocessing.cpu_count() == 1:
        return shown(map(function, jobs))
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        return shown(pool.map(function, jobs, chunksize=_CHUNK))

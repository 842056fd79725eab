"""Which classes a query may show, best first: the same order however many are asked for, and whichever store is searched.

A class is ranked by its distance, `Neighbour.class_distance`, which is never below three quarters of the distance to its
nearest support. So a pool of the classes with the nearest supports is enough as soon as three quarters of the last one's
distance exceed the class distance of the last one that was asked for: no class outside the pool can come before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.codes import sum_absolute_differences
from oneshot_runtime.search.prototypes import rounded_mean
from oneshot_runtime.search.snapshot import LEAST_SHARE, Neighbour, Snapshot
from oneshot_runtime.search.view import BatchView, View

__all__ = ["class_distances", "ranked", "ranked_batch"]

_POOL, _GROWTH = 32, 4
"""Classes in the first pool, at least, and how many times as many are in the next: one pool is mostly enough."""


def ranked(view: View, query: NDArray[np.uint8], count: int) -> list[Neighbour]:
    """The `count` classes that rank best for the code uint8 (D,), fewer where there are fewer."""
    if isinstance(view, Snapshot) and view.supports == view.classes:
        return view.nearest(query, count)  # ranks them already: with one support a class, both distances are the same
    return ranked_batch(view, query[None], count)[0]


def ranked_batch(view: View, queries: NDArray[np.uint8], count: int) -> list[list[Neighbour]]:
    """The `count` classes that rank best for each of the codes uint8 (N, D).

    Ties go to the class with the nearer support, then to the one whose nearest support was enrolled first.
    """
    single = view.supports == view.classes  # then the class distance is that to the nearest support
    pool = count if single else max(_POOL, 2 * count)
    best: list[list[Neighbour]] = [[] for _ in queries]
    waiting = np.arange(len(queries))
    while len(waiting):
        pools = _nearest(view, queries[waiting], pool)
        unsettled = []
        for place, near in zip(waiting.tolist(), pools, strict=True):
            best[place] = sorted(near, key=_class_distance)[:count]
            complete = single or len(near) < pool or pool >= view.classes
            if not (complete or _is_enough(near, best[place], count)):
                unsettled.append(place)
        waiting, pool = np.array(unsettled, np.int64), _GROWTH * pool
    return best


def class_distances(queries: NDArray[np.uint8], supports: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The class distances float64 (N,) of codes uint8 (N, D) to one class with the supports uint8 (S, D), one at least."""
    nearest = np.min([sum_absolute_differences(queries, support) for support in supports], axis=0)
    mean = rounded_mean(supports.sum(axis=0, dtype=np.int64), len(supports))
    pairs = zip(nearest.tolist(), sum_absolute_differences(queries, mean).tolist(), strict=True)
    return np.array([Neighbour("", distance, prototype).class_distance for distance, prototype in pairs])


def _class_distance(neighbour: Neighbour) -> float:
    return neighbour.class_distance


def _is_enough(pool: Sequence[Neighbour], best: Sequence[Neighbour], count: int) -> bool:
    """Whether no class beyond the pool can be among the best."""
    return len(best) == count and LEAST_SHARE * pool[-1].distance > best[-1].class_distance


def _nearest(view: View, queries: NDArray[np.uint8], pool: int) -> list[list[Neighbour]]:
    # Whether it is a class of ours is known at once; whether it has a protocol's methods takes as long as a small search.
    if not isinstance(view, Snapshot) and isinstance(view, BatchView):
        return view.nearest_batch(queries, pool)
    return [view.nearest(query, pool) for query in queries]

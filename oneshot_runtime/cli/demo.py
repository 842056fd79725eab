"""The demo: twenty invented symbols, enrolled from one writer's drawing each and recognised in another's."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.matcher import OneShotMatcher
from oneshot_runtime.quality.sheet import Cell
from oneshot_runtime.results import Match
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer, symbol_names

__all__ = ["DemoResult", "run_demo", "sheet_cells"]


@dataclass(frozen=True)
class DemoResult:
    """supports, queries: uint8 (105, 105) drawings by two writers. milliseconds: of each match, image to answer."""

    names: list[str]
    supports: list[NDArray[np.uint8]]
    queries: list[NDArray[np.uint8]]
    matches: list[Match]
    milliseconds: list[float]

    @property
    def correct(self) -> int:
        """How many queries were given their own name."""
        return sum(match.label == name for name, match in zip(self.names, self.matches, strict=True))


def run_demo(matcher: OneShotMatcher, count: int = 20, seed: int = 7) -> DemoResult:
    """Enroll `count` symbols from one drawing each, and match another writer's drawings of them."""
    rng = np.random.default_rng(seed)
    alphabet = invent_alphabet(count, seed)
    names = symbol_names(count)
    first, second = random_writer(rng), random_writer(rng)
    supports = [draw(symbol, first, rng) for symbol in alphabet]
    queries = [draw(symbol, second, rng) for symbol in alphabet]
    for name, support in zip(names, supports, strict=True):
        matcher.enroll(name, support)
    matcher.match(queries[0])  # the first run of a session plans its memory
    matches, milliseconds = [], []
    for query in queries:
        start = time.perf_counter()
        matches.append(matcher.match(query))
        milliseconds.append(1000 * (time.perf_counter() - start))
    return DemoResult(names, supports, queries, matches, milliseconds)


def sheet_cells(result: DemoResult) -> list[Cell]:
    """The result as cells of a contact sheet."""
    rows = zip(result.names, result.supports, result.queries, result.matches, result.milliseconds, strict=True)
    return [
        Cell(support, query, match.label or "unknown", f"p = {match.probability:.3f}, {ms:.2f} ms", match.label == name)
        for name, support, query, match, ms in rows
    ]

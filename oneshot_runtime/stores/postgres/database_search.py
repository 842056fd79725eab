"""Searching in the database, for galleries larger than memory: exactly, or among the candidates of an HNSW index.

pgvector orders by `<+>`, the L1 distance of vectors; with bytes as components its float32 sums are exact. What comes back are
codes, so distances and probabilities are worked out here, by the same kernel as those of codes in memory.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.codes import sum_absolute_differences
from oneshot_runtime.search.prototypes import rounded_mean
from oneshot_runtime.search.snapshot import Neighbour
from oneshot_runtime.stores.base import Where
from oneshot_runtime.stores.postgres.postgres_schema import Connection, query
from oneshot_runtime.stores.postgres.transactions import Database
from oneshot_runtime.stores.postgres.wire import facts_of, vector_text, vector_values

__all__ = ["DatabaseEngine", "DatabaseView"]

_MOST_ROWS = 64
"""Rows that a search asks for at first, at most."""

_EXACT_ROWS = 1 << 16
"""So many rows of bytes are summed exactly by float32."""


class DatabaseEngine:
    """The search of a gallery that is opened with `oneshot_search=exact` or `hnsw`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._approximate = database.options.search == "hnsw"
        self._sizes: tuple[int, dict[str, tuple[int, int]]] = (-1, {})

    @property
    def snapshot(self) -> DatabaseView:
        """The current state: what is enrolled later is left out, what is removed or renamed later is missing."""
        state, classes = self._database.read(self._database.state)
        return DatabaseView(self, state.supports, classes, state.revision, state.last_support, None)

    def where(self, where: Where) -> DatabaseView:
        """The current state of some of the supports; how many they are is counted once for each state of the gallery."""
        state, _ = self._database.read(self._database.state)
        condition = _Condition.of(where, state.last_support)
        key = json.dumps([where.metadata, None if where.labels is None else sorted(set(where.labels))])
        revision, sizes = self._sizes
        if revision != state.revision:
            sizes = {}
            self._sizes = state.revision, sizes
        if key not in sizes:
            text = query(f"SELECT count(*), count(DISTINCT label) FROM supports WHERE {condition.text}")
            found = self._database.read(lambda connection: connection.execute(text, condition.values).fetchone())
            sizes[key] = found or (0, 0)
        supports, classes = sizes[key]
        return DatabaseView(self, supports, classes, state.revision, state.last_support, where)

    def labels(self) -> list[str]:
        """Labels with at least one support, in the order of their first enrollment."""
        found = self._database.read(
            lambda connection: connection.execute("SELECT label FROM classes ORDER BY first").fetchall()
        )
        return [label for (label,) in found]

    def count(self, label: str) -> int:
        """How many supports a label has, 0 when it is unknown."""
        text = "SELECT supports FROM classes WHERE label = %s"
        found = self._database.read(lambda connection: connection.execute(text, (label,)).fetchone())
        return 0 if found is None else int(found[0])

    def codes(self, label: str) -> NDArray[np.uint8]:
        """The codes uint8 (n, D) of a label's supports, in the order of their enrollment; n is 0 when it is unknown."""
        text = "SELECT code FROM supports WHERE label = %s ORDER BY id"

        def find(connection: Connection) -> list[tuple[Any, ...]]:
            with connection.cursor(binary=True) as cursor:
                return cursor.execute(text, (label,)).fetchall()

        found = self._database.read(find)
        return np.frombuffer(b"".join(code for (code,) in found), np.uint8).reshape(len(found), self._database.dim)

    def rows(self, query_code: NDArray[np.uint8], count: int, condition: _Condition) -> list[tuple[str, int]]:
        """Labels and distances of the `count` rows nearest to a code uint8 (D,), ties by their order of enrollment."""
        # Not the bare operator where the answer must be exact: with it the planner may take the HNSW index.
        order = "point <+> %(point)s::vector" if self._approximate else "0 + (point <+> %(point)s::vector), id"
        text = query(f"SELECT id, label, code FROM supports WHERE {condition.text} ORDER BY {order} LIMIT {count:d}")
        values = condition.values | {"point": vector_text(query_code)}

        def find(connection: Connection) -> list[tuple[Any, ...]]:
            with connection.cursor(binary=True) as cursor:
                return cursor.execute(text, values).fetchall()

        found = self._database.read(find)
        if not found:
            return []
        codes = np.frombuffer(b"".join(code for _, _, code in found), np.uint8).reshape(len(found), self._database.dim)
        distances = sum_absolute_differences(codes, query_code).tolist()
        ranked = sorted(zip(distances, (number for number, _, _ in found), (label for _, label, _ in found), strict=True))
        return [(label, distance) for distance, _, label in ranked]

    def prototypes(self, labels: list[str], condition: _Condition) -> dict[str, NDArray[np.uint8]]:
        """The mean codes uint8 (D,) of classes, halves rounded up."""
        text = query(
            f"SELECT label, count(*), sum(point) FROM supports WHERE label = ANY(%(asked)s) AND {condition.text} "
            f"GROUP BY label, id / {_EXACT_ROWS}"
        )

        def find(connection: Connection) -> list[tuple[Any, ...]]:
            with connection.cursor(binary=True) as cursor:
                return cursor.execute(text, condition.values | {"asked": labels}).fetchall()

        counts: dict[str, int] = {}
        totals: dict[str, NDArray[np.int64]] = {}
        for label, count, total in self._database.read(find):
            counts[label] = counts.get(label, 0) + int(count)
            totals[label] = totals.get(label, 0) + vector_values(total).astype(np.int64)
        return {label: rounded_mean(total, counts[label]) for label, total in totals.items()}


@dataclass(frozen=True)
class DatabaseView:
    """What a match reads. last: number of the last row that belongs to it. where: leaves out others."""

    engine: DatabaseEngine
    supports: int
    classes: int
    revision: int
    last: int
    where: Where | None

    def nearest(self, query: NDArray[np.uint8], count: int) -> list[Neighbour]:
        """The `count` classes nearest to the code uint8 (D,), nearest first; ties go to the support enrolled first.

        From an HNSW index: those that it finds, which may be fewer and others.
        """
        wanted = min(count, self.classes)
        if not wanted:
            return []
        condition = _Condition.of(self.where, self.last)
        rows = wanted if self.supports == self.classes else min(_MOST_ROWS, 2 * wanted * -(-self.supports // self.classes))
        rows = max(rows, wanted)
        best: dict[str, int] = {}
        while True:
            # Where the supports of few classes crowd out the others, ask again without those classes.
            found = self.engine.rows(query, rows, condition.without(best))
            for label, distance in found:
                best.setdefault(label, distance)
            if len(best) >= wanted or len(found) < rows:
                break
        # In order already, but for an index that came across nearer supports when it was asked again.
        nearest = sorted(best.items(), key=lambda found: found[1])[:wanted]
        if self.supports == self.classes:
            return [Neighbour(label, distance, distance) for label, distance in nearest]
        means = self.engine.prototypes([label for label, _ in nearest], condition)
        return [
            Neighbour(label, distance, int(sum_absolute_differences(means[label][None], query)[0]))
            for label, distance in nearest
            if label in means  # else it was removed just now
        ]


@dataclass(frozen=True)
class _Condition:
    """SQL that is true for a view's rows, and its parameters."""

    text: str
    values: dict[str, Any]

    @classmethod
    def of(cls, where: Where | None, last: int) -> _Condition:
        # Not the bare number, for which the planner may read the table by the primary key, which leaves nearly nothing out.
        parts = ["0 + id <= %(last)s"]
        values: dict[str, Any] = {"last": last}
        if where is not None and where.metadata is not None:
            parts.append("facts @> %(facts)s::jsonb")
            values["facts"] = facts_of(json.dumps(where.metadata))
        if where is not None and where.labels is not None:
            parts.append("label = ANY(%(labels)s)")
            values["labels"] = [label for label in where.labels if label.isprintable()]  # the others are no labels
        return cls(" AND ".join(parts), values)

    def without(self, labels: Collection[str]) -> _Condition:
        """The same for rows of other classes."""
        if not labels:
            return self
        return _Condition(f"{self.text} AND label <> ALL(%(found)s)", self.values | {"found": list(labels)})

"""Reading all of a gallery on a server, and saying what is wrong with it."""

from __future__ import annotations

import numpy as np

from oneshot_runtime.errors import DamageError, counted
from oneshot_runtime.stores.health import Health
from oneshot_runtime.stores.postgres.postgres_reader import PostgresReader
from oneshot_runtime.stores.postgres.wire import vector_values

__all__ = ["check_gallery"]


def check_gallery(address: str, fingerprint: str | None = None) -> Health:
    """Compare every row with its checksum, all of them with the state, and the vectors and classes with the rows.

    fingerprint: of the model that it should belong to. Raises `GalleryError` when there is no gallery, or the server is away or
    goes away, which is no damage.
    """
    problems: list[str] = []
    counts: dict[str, int] = {}
    with PostgresReader(address) as reader:
        state = reader.state
        try:
            for rows in reader.rows():
                for row in rows:
                    counts[row.label] = counts.get(row.label, 0) + 1
        except DamageError as error:
            problems.append(str(error))
        else:
            with reader.errors():
                problems += _classes(reader, counts) + _vectors(reader)
    damaged = bool(problems)
    if fingerprint not in (None, state.fingerprint):
        problems.append(f"made with model {state.fingerprint}, the loaded model is {fingerprint}")
    return Health(problems, damaged, sum(counts.values()), len(counts), state.fingerprint)


def _classes(reader: PostgresReader, counts: dict[str, int]) -> list[str]:
    listed: dict[str, int] = dict(reader.connection.execute("SELECT label, supports FROM classes").fetchall())
    if listed == counts and reader.classes == len(counts):
        return []
    return [f"the table of classes lists {len(listed)} of them, the state {reader.classes}, the rows are of {len(counts)}"]


def _vectors(reader: PostgresReader) -> list[str]:
    """Whether the vectors that the database searches are the codes."""
    wrong, after = [], 0
    text = "SELECT id, code, point FROM supports WHERE id > %s ORDER BY id LIMIT 8192"
    with reader.connection.cursor(binary=True) as cursor:
        while rows := cursor.execute(text, (after,)).fetchall():
            after = rows[-1][0]
            wrong += [
                number
                for number, code, point in rows
                if not np.array_equal(np.frombuffer(code, np.uint8), vector_values(point))
            ]
    if not wrong:
        return []
    return [f"the vector of {counted(len(wrong), 'support')} differs from the code, the first of support {wrong[0]}"]

"""One state of a gallery on a server, while a transaction keeps it: what is new in it, and which supports a label has."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from oneshot_runtime.stores.base import Added
from oneshot_runtime.stores.follower import require_complete
from oneshot_runtime.stores.partition import Partition
from oneshot_runtime.stores.postgres.postgres_reader import RESTORE, read_blocks, read_partition
from oneshot_runtime.stores.postgres.postgres_schema import Connection
from oneshot_runtime.stores.records import Removal, State

__all__ = ["PostgresSnapshot"]


class PostgresSnapshot:
    """One state of the gallery. Every row is compared with its checksum."""

    def __init__(self, connection: Connection, place: str, state: State, partition: Partition | None) -> None:
        self.state = state
        self._connection, self._place, self._partition = connection, place, partition

    def removals(self, after: int) -> list[Removal]:
        """The removals behind number `after`, in their order."""
        text = "SELECT id, label, support FROM removals WHERE id > %s ORDER BY id"
        return [Removal(*values) for values in self._connection.execute(text, (after,)).fetchall()]

    def added(self, after: int) -> Iterator[Added]:
        """The supports behind number `after`; all of a gallery must be those that the state says."""
        # A reader of a partition cannot tell what others lack: whoever puts the partitions together counts them.
        complete = not after and self._partition is None
        state, found = self.state, State("", "", self.state.dim)
        if self._partition is None:
            blocks = read_blocks(self._connection, self._place, state.dim, after)
        else:
            blocks = read_partition(self._connection, self._place, state.dim, after, state.last_support, self._partition)
        for rows in blocks:
            if complete:
                found = found.with_rows([row.checksum for row in rows], 0)
            codes = np.frombuffer(b"".join(row.code for row in rows), np.uint8).reshape(len(rows), state.dim)
            yield Added([row.label for row in rows], codes, [row.id for row in rows])
        if complete:
            require_complete(self._place, found, state, RESTORE)

    def count_before(self, label: str, support: int, last: int) -> int:
        """How many supports of a label have a number below `support`, and of at most `last`."""
        text = "SELECT count(*) FROM supports WHERE label = %s AND id < %s AND id <= %s"
        found = self._connection.execute(text, (label, support, last)).fetchone()
        return 0 if found is None else int(found[0])

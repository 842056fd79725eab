"""Reading a gallery file row by row, as one unchanging state, without the model that it was made with."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from types import TracebackType

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.stores.records import BLOCK_BYTES, Row
from oneshot_runtime.stores.sqlite.database_file import GalleryFile
from oneshot_runtime.stores.sqlite.gallery_table import require_gallery, set_up
from oneshot_runtime.stores.sqlite.sqlite_draft import SqliteDraft
from oneshot_runtime.stores.sqlite.sqlite_snapshot import CatalogKeeper, Contents, SqliteSnapshot

__all__ = ["GalleryReader"]


class GalleryReader:
    """A context manager: inside it, `state` and `rows` show what the file held when it was entered, whoever writes meanwhile.

    It reads from a copy of its own, in a temporary file: whoever writes waits no longer than that takes to make.

    Raises `GalleryError` for a file that is missing, no gallery, or damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.file = GalleryFile(path)
        if not self.file.exists():
            raise GalleryError(f"gallery '{path}' does not exist; `oneshot enroll` creates it")

    def __enter__(self) -> GalleryReader:
        self.connection = sqlite3.connect("", isolation_level=None)  # a temporary file of SQLite's own
        try:
            with self.file.errors(), closing(self.file.connect()) as source, self.file.reading():
                set_up(source, self.file)
                source.execute("BEGIN DEFERRED")
                require_gallery(source, self.file)
                self.file.require_size(source)
                source.backup(self.connection)
                self.snapshot = self._in_blocks()
                self.state = self.snapshot.state
        except BaseException:
            self.connection.close()
            raise
        return self

    def _in_blocks(self) -> SqliteSnapshot:
        """The copy, which is no one else's, with what is in its log moved into its blocks."""
        contents = Contents.read(self.connection, self.file)
        draft = SqliteDraft(self.connection, self.file, contents, CatalogKeeper(), logs=False)
        draft.finish()
        return SqliteSnapshot(self.connection, self.file, Contents(draft.state), CatalogKeeper())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.connection.close()

    def longest_label(self) -> int:
        """Characters of the longest label, 0 when there is none."""
        with self.file.errors():
            return max((len(label) for block in self.snapshot.blocks() for label in block.labels), default=0)

    def rows(self) -> Iterator[list[Row]]:
        """All rows in the order of their enrollment, in blocks; after the last one it is sure that none is missing."""
        with self.file.errors():
            for block in self.snapshot.blocks():
                rows: list[Row] = []
                held = 0
                for row in self.snapshot.rows(block):
                    rows.append(row)
                    held += len(row.code) + len(row.thumbnail or b"") + len(row.metadata or "")
                    if held >= BLOCK_BYTES:
                        yield rows
                        rows, held = [], 0
                if rows:
                    yield rows

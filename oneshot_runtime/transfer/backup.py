"""A copy of a gallery file as it is at one moment, while others go on writing to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.stores.sqlite.file_check import check_file
from oneshot_runtime.stores.sqlite.sqlite_reader import GalleryReader
from oneshot_runtime.transfer.atomic_output import atomic_output

__all__ = ["backup"]


def backup(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> int:
    """Copy the gallery file at `path` to a new file `target`, verified, or nothing; returns how many supports it holds.

    Writers wait while it is copied. Raises `GalleryError` when `target` exists or cannot be written, or the gallery is damaged.
    """
    with GalleryReader(path) as reader, atomic_output(target) as part:
        supports = reader.state.supports
        with reader.file.errors():
            os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
            with closing(sqlite3.connect(part, isolation_level=None)) as copy:
                copy.execute("PRAGMA synchronous = EXTRA")
                reader.connection.backup(copy)
        health = check_file(part)
        if not health.ok:
            raise GalleryError(f"gallery '{path}' is damaged ({health.problems[0]}): {reader.file.repair}")
        return supports

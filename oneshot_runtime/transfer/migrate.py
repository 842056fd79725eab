"""Moving a gallery to another model: its supports are embedded again from the thumbnails that it keeps."""

from __future__ import annotations

import os
from collections.abc import Callable

from oneshot_runtime.errors import GalleryError, counted
from oneshot_runtime.stores.records import Row
from oneshot_runtime.stores.sqlite.sqlite_reader import GalleryReader
from oneshot_runtime.stores.sqlite.sqlite_store import SqliteStore
from oneshot_runtime.transfer.encoder import ImageEncoder

__all__ = ["migrate"]

_BATCH = 64
_NAMED = 10
"""Labels that an error lists."""


def migrate(path: str | os.PathLike[str], encoder: ImageEncoder, progress: Callable[[int, int], None] | None = None) -> int:
    """Bind a gallery file to another model, by embedding its thumbnails again.

    The supports are embedded before the file is locked; what other processes enroll meanwhile is embedded inside the one
    transaction that changes the file, so whenever the process dies, the file holds the old gallery or the new one. Processes
    that have the gallery open with the old model get a `GalleryError` from then on.

    Args:
        path: The gallery's file.
        encoder: Of the new model.
        progress: Called with the supports embedded so far and their number.

    Returns:
        How many supports the gallery holds.

    Raises:
        GalleryError: When a support has no usable thumbnail, naming labels: nothing is changed then.
    """
    codes: dict[int, bytes] = {}
    failed: list[str] = []
    with GalleryReader(path) as reader:
        state = reader.state
        for block in reader.rows():
            for start in range(0, len(block), _BATCH):
                rows = block[start : start + _BATCH]
                codes.update(_codes(encoder, rows, failed))
                if progress is not None:
                    progress(len(codes) + len(failed), state.supports)
    _refuse(path, failed)
    store = SqliteStore(path, state.fingerprint, state.dim)

    def code_of(row: Row) -> bytes:
        if row.id not in codes:
            codes.update(_codes(encoder, [row], failed))
            _refuse(path, failed)
        return codes[row.id]

    try:
        return store.recode(encoder.bundle.fingerprint, encoder.bundle.dim, code_of)
    finally:
        store.close()


def _codes(encoder: ImageEncoder, rows: list[Row], failed: list[str]) -> dict[int, bytes]:
    """Codes by row number; labels of rows that cannot be embedded go to `failed`."""
    outcomes = encoder.encode([(row.label, row.thumbnail or "no thumbnail was kept") for row in rows])
    failed.extend(row.label for row, outcome in zip(rows, outcomes, strict=True) if isinstance(outcome, str))
    return {row.id: outcome.code for row, outcome in zip(rows, outcomes, strict=True) if not isinstance(outcome, str)}


def _refuse(path: str | os.PathLike[str], failed: list[str]) -> None:
    if not failed:
        return
    labels = list(dict.fromkeys(failed))
    names = ", ".join(map(repr, labels[:_NAMED])) + (f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else "")
    raise GalleryError(
        f"gallery '{path}': no usable thumbnail to embed again in {counted(len(failed), 'support')}, of {names}; "
        "nothing was changed. Remove these symbols first and enroll them again after the migration"
    )

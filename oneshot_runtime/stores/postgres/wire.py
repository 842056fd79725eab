"""Rows in the binary form of COPY, and pgvector's vectors in theirs."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.stores.records import Row

__all__ = ["COPY_COLUMNS", "copy_data", "facts_of", "vector_text", "vector_values"]

COPY_COLUMNS = "id, label, code, point, created, thumbnail, metadata, facts, checksum"
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def copy_data(rows: Iterable[Row], dim: int) -> bytes:
    """What COPY ... FROM STDIN (FORMAT BINARY) reads for the columns `COPY_COLUMNS`."""
    parts = [_HEADER]
    for row in rows:
        point = struct.pack(">hh", dim, 0) + np.frombuffer(row.code, np.uint8).astype(">f4").tobytes()
        facts = facts_of(row.metadata)
        fields = (
            struct.pack(">q", row.id),
            row.label.encode(),
            row.code,
            point,
            struct.pack(">d", row.created),
            row.thumbnail,
            None if row.metadata is None else row.metadata.encode(),
            None if facts is None else b"\x01" + facts.encode(),
            row.checksum,
        )
        parts.append(struct.pack(">h", len(fields)))
        for field in fields:
            parts.append(_NULL if field is None else struct.pack(">i", len(field)) + field)
    parts.append(_TRAILER)
    return b"".join(parts)


def facts_of(metadata: str | None) -> str | None:
    """Metadata as `jsonb` takes it: NUL and halves of surrogate pairs, which it refuses, become U+FFFD."""
    if metadata is None or ("\\u0000" not in metadata and "\\ud" not in metadata):
        return metadata
    return json.dumps(_cleaned(json.loads(metadata)))


def vector_text(code: NDArray[np.uint8]) -> str:
    """A code uint8 (D,) as a vector's text."""
    return str(code.tolist())


def vector_values(data: bytes) -> NDArray[np.float32]:
    """The components float32 (D,) of a vector in binary form."""
    return np.frombuffer(data, ">f4", offset=4).astype(np.float32)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value

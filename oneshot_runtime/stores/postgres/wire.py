"""Rows and pgvector's vectors in PostgreSQL's binary form."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.types import TypeInfo
from psycopg.types.json import Jsonb

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.stores.postgres.postgres_schema import Connection, query
from oneshot_runtime.stores.records import Row

__all__ = ["copy_rows", "facts_of", "vector_text", "vector_values"]

_COLUMNS = {
    "id": "int8",
    "label": "text",
    "code": "bytea",
    "point": "vector",
    "created": "float8",
    "thumbnail": "bytea",
    "metadata": "text",
    "facts": "jsonb",
    "checksum": "bytea",
}
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def copy_rows(connection: Connection, rows: Iterable[Row]) -> None:
    """Append rows to the table of supports with COPY, the fastest way in."""
    if connection.adapters.types.get("vector") is None:
        _register_vector(connection)
    statement = f"COPY supports ({', '.join(_COLUMNS)}) FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(query(statement)) as copy:
        copy.set_types(list(_COLUMNS.values()))
        for row in rows:
            facts = facts_of(row.metadata)
            point, json_facts = np.frombuffer(row.code, np.uint8), None if facts is None else Jsonb(facts, dumps=str)
            values = (row.id, row.label, row.code, point, row.created, row.thumbnail, row.metadata, json_facts, row.checksum)
            copy.write_row(values)


def _register_vector(connection: Connection) -> None:
    info = TypeInfo.fetch(connection, "vector")
    if info is None:
        raise GalleryError("the extension pgvector has left the database: CREATE EXTENSION vector")
    info.register(connection)
    kind = type("VectorDumper", (_VectorDumper,), {"oid": info.oid})
    connection.adapters.register_dumper(np.ndarray, kind)


class _VectorDumper(Dumper):
    """A code uint8 (D,) as pgvector receives vectors: its length, a reserved number, floats of most significant byte first."""

    format = Format.BINARY

    def dump(self, obj: NDArray[np.uint8]) -> bytes:
        return struct.pack(">hh", len(obj), 0) + obj.astype(">f4").tobytes()


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

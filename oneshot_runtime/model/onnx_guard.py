"""Refuse ONNX graphs that reach outside themselves, before ONNX Runtime sees them.

A graph may name files that hold its weights, and operators that a library brings. A bundle's need neither. This reads the
protocol buffer's wire format just far enough to find them: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["why_refused"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 32
_OWN_DOMAINS = (b"", b"ai.onnx", b"com.microsoft")

# Message -> field number -> message that the field holds.
_CHILDREN = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_NODE_DOMAIN = 7
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 13, 14


def why_refused(graph: bytes) -> str | None:
    """What is wrong with a serialised ONNX model, None when it keeps to itself."""
    try:
        return _scan(memoryview(graph), "model", 0)
    except (IndexError, ValueError, KeyError):
        return "it is no ONNX model"


def _scan(message: memoryview, kind: str, depth: int) -> str | None:
    if depth > _MAX_DEPTH:
        return f"its graphs are nested more than {_MAX_DEPTH} deep"
    for field, wire, value in _fields(message):
        if kind == "tensor" and (field == _TENSOR_EXTERNAL_DATA or (field == _TENSOR_DATA_LOCATION and value != 0)):
            return "a tensor lies in another file"
        if wire != _BYTES:
            continue
        assert isinstance(value, memoryview)
        if kind == "node" and field == _NODE_DOMAIN and bytes(value) not in _OWN_DOMAINS:
            return f"it needs operators of '{bytes(value)[:40].decode(errors='replace')}'"
        child = _CHILDREN[kind].get(field)
        found = None if child is None else _scan(value, child, depth + 1)
        if found is not None:
            return found
    return None


def _fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Field number, wire type and value of each field; raises `ValueError` or `IndexError` where the message is malformed."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        wire = key & 7
        if wire == _VARINT:
            value, place = _varint(message, place)
            yield key >> 3, wire, value
            continue
        if wire == _BYTES:
            size, place = _varint(message, place)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if place + size > len(message):
            raise ValueError("a field ends beyond its message")
        yield key >> 3, wire, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number of more than ten bytes")

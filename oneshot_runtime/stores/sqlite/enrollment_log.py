"""Enrollments that wait in one row of the file, which is overwritten in place: they need no journal, so one wait for the disk.

A process that enrolls again and again makes the row; what is in it moves into the blocks with the next write of another kind,
when the row is full, and when the gallery is closed, and then the row is gone. Every enrollment is in it twice, in its first
half and in its second, so that no single damage hits both. What is not written yet holds a token over and over that is worked
out from the state of the blocks: a row of an older state, or one in pieces of several, does not fit.

A crash leaves an enrollment that nobody was told of: whole in one of the halves, and then it counts, or with the token where
the disk has written nothing. Anything else is damage.
"""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.stores.records import State
from oneshot_runtime.stores.sqlite.block import Block, checksum_of, unpack_extras

__all__ = ["CAN_LOG", "LOG", "LOG_BYTES", "EnrollmentLog", "Record", "blank_log"]

LOG = 1
"""The row's id."""

CAN_LOG = hasattr(sqlite3.Connection, "blobopen")
"""Since Python 3.11."""

_WORD = 8
_HALF = 1 << 15
LOG_BYTES = 2 * _HALF
_MOST = _HALF // 4
"""Bytes of an enrollment."""

_HEAD = struct.Struct("<qQ")
_SIZE = struct.Struct("<i")
_NONE = -1


@dataclass(frozen=True)
class Record:
    """Supports of one enrollment, and what else is kept of each. checksum: over all of it, its place and the state before."""

    block: Block
    extras: list[bytes | None]
    checksum: int

    def extras_of(self, number: int) -> tuple[bytes | None, str | None]:
        """Thumbnail and metadata of a support, by its number; they were compared with their checksums when they were read."""
        data = self.extras[number - int(self.block.numbers[0])]
        found = (None, None) if data is None else unpack_extras(data)
        if found is None:
            raise ValueError("a picture in the log of enrollments is none")
        return found

    def follows(self, state: State) -> State:
        """The state after it."""
        after = state.with_block(len(self.block), self.checksum, int(self.block.numbers[-1]))
        return replace(after, revision=state.revision + 1)


def token_of(state: State) -> bytes:
    """Eight bytes that stand for a state of the blocks."""
    return hashlib.sha256(state.values()[0].encode()).digest()[:_WORD]


def blank_log(state: State) -> bytes:
    """The row without an enrollment, behind a state."""
    return token_of(state) * (LOG_BYTES // _WORD)


def _payload(block: Block, extras: Sequence[bytes | None]) -> bytes:
    """An enrollment's bytes, a whole number of words."""
    packed = block.pack()
    sizes = b"".join(_SIZE.pack(_NONE if part is None else len(part)) for part in extras)
    payload = b"".join((_SIZE.pack(len(packed)), packed, sizes, *(part or b"" for part in extras)))
    return payload + bytes(-len(payload) % _WORD)


@dataclass
class EnrollmentLog:
    """What is in the row. state: with it. used: bytes of each half. clean: whether both are whole, and more may be added."""

    token: bytes
    state: State
    records: list[Record] = field(default_factory=list)
    used: int = 0
    clean: bool = True
    _read: tuple[bytes, bytes] = (b"", b"")

    @classmethod
    def read(cls, content: bytes, state: State, known: EnrollmentLog | None = None) -> EnrollmentLog | None:
        """The enrollments behind a state; None for damage. known: what was read before, which need not be read again."""
        halves, token = (content[:_HALF], content[_HALF:]), token_of(state)
        if len(content) != LOG_BYTES or any(half[-_WORD:] != token for half in halves):
            return None
        log = cls(token, state)
        if known is not None and known.token == token and known._is_start_of(halves):
            log = cls(token, known.state, list(known.records), known.used)
        while copies := [copy for half in halves if (copy := log._record(half)) is not None]:
            record, size = copies[0]
            log.state = record.follows(log.state)
            log.records.append(record)
            log.clean = len(copies) == 2
            log.used += size
        rests = [_rest(half[log.used :], token) for half in halves]
        log._read = (halves[0][: log.used], halves[1][: log.used])
        log.clean = log.clean and rests == ["blank", "blank"]
        return None if "damaged" in rests else log

    def put(self, connection: sqlite3.Connection, block: Block, extras: Sequence[bytes | None]) -> Record | None:
        """Write an enrollment into both halves, inside the caller's transaction; None where there is no room."""
        payload = _payload(block, extras)
        size = _HEAD.size + len(payload)
        if not self.clean or size > _MOST or self.used + size > _HALF - _WORD:
            return None
        data = _HEAD.pack(len(payload), self._checksum(payload)) + payload
        found = self._record(bytes(self.used) + data)
        if found is None:
            return None
        with connection.blobopen("gallery", "content", LOG) as blob:  # of SQLite: never moves or resizes what is there
            for start in (0, _HALF):
                blob.seek(start + self.used)
                blob.write(data)
        return found[0]

    def _is_start_of(self, halves: tuple[bytes, bytes]) -> bool:
        return self.clean and all(half.startswith(read) for half, read in zip(halves, self._read, strict=True))

    def _checksum(self, payload: bytes) -> int:
        return checksum_of(self.token + payload, self.used)

    def _record(self, half: bytes) -> tuple[Record, int] | None:
        """The enrollment that is next in a half, and its bytes; None where there is none that is whole."""
        if len(half) < self.used + _HEAD.size:
            return None
        length, checksum = _HEAD.unpack_from(half, self.used)
        start = self.used + _HEAD.size
        if not 0 < length <= _MOST - _HEAD.size or length % _WORD or start + length > len(half):
            return None
        payload = half[start : start + length]
        if self._checksum(payload) != checksum:
            return None
        (size,) = _SIZE.unpack_from(payload)
        block = Block.unpack(payload[_SIZE.size : _SIZE.size + size], dim=self.state.dim) if size > 0 else None
        first = self.state.last_support + 1
        if block is None or not np.array_equal(block.numbers, np.arange(first, first + len(block))):
            return None
        extras = _extras(payload[_SIZE.size + size :], block)
        return None if extras is None else (Record(block, extras, checksum), _HEAD.size + length)


def _extras(data: bytes, block: Block) -> list[bytes | None] | None:
    at, found = _SIZE.size * len(block), []
    if len(data) < at:
        return None
    for (size,), checksum in zip(_SIZE.iter_unpack(data[:at]), block.extras.tolist(), strict=True):
        part = None if size == _NONE else data[at : at + size]
        if (0 if part is None else checksum_of(part)) != checksum:
            return None
        found.append(part)
        at += max(0, size)
    return found


def _rest(half: bytes, token: bytes) -> str:
    """What follows the last whole enrollment of a half: "blank", "unfinished", as a crash leaves it, or "damaged"."""
    words: NDArray[np.uint64] = np.frombuffer(half, "<u8")
    unwritten = words == np.frombuffer(token, "<u8")
    if unwritten.all():
        return "blank"
    end = _MOST
    if not unwritten[0]:
        end = _HEAD.size + int(words[0]) if words[0] < _MOST else 0
    inside, behind = unwritten[: end // _WORD], unwritten[end // _WORD :]
    return "unfinished" if inside.any() and behind.all() else "damaged"

"""What a gallery file holds, and the checksums over it: SQLite's own pages carry none.

A row's checksum covers its number and every column, so a changed or moved row is found. The state's digest is the sum of all
rows' checksums modulo 2^64: adding and removing a row changes it in constant time, and a row that is lost or doubled shows.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.results import shortened

__all__ = [
    "BLOCK",
    "BLOCK_BYTES",
    "LISTED_REMOVALS",
    "MAX_DIM",
    "MAX_METADATA_BYTES",
    "MAX_STATE_BYTES",
    "MAX_THUMBNAIL_BYTES",
    "MAX_THUMBNAIL_SIDE",
    "Removal",
    "Row",
    "State",
    "Support",
    "pack_metadata",
    "row_checksum",
    "row_from",
]

BLOCK = 8192
"""Rows that are held at once beside the gallery, however many are written or read."""

BLOCK_BYTES = 1 << 25
"""A block has fewer rows once it holds this much, for a thumbnail may have a megabyte."""

MAX_THUMBNAIL_BYTES = 1 << 20
MAX_THUMBNAIL_SIDE = 128
MAX_METADATA_BYTES = 1 << 16

MAX_DIM = 1 << 16
MAX_STATE_BYTES = 1 << 16
LISTED_REMOVALS = 1000
"""A process that missed more removals than are listed reads the gallery anew."""

_NOTES, _NAME_LENGTH, _NOTE_LENGTH = 16, 64, 1024

_MODULUS = 1 << 64
_MOST = 1 << 48
_NAME = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class Support:
    """One enrolled picture as a person would want to see it.

    Attributes:
        label: Its class.
        created: Seconds since 1970, None where a gallery in memory did not keep it.
        thumbnail: A PNG of at most 128 pixels a side.
        metadata: What the application stored with it, a JSON object.
    """

    label: str
    created: float | None
    thumbnail: bytes | None
    metadata: dict[str, Any] | None

    def __repr__(self) -> str:
        picture = "None" if self.thumbnail is None else f"<{len(self.thumbnail)} bytes>"
        keys = "None" if self.metadata is None else shortened(", ".join(self.metadata))
        return f"Support({shortened(self.label)}, created={self.created}, thumbnail={picture}, metadata={keys})"

    @classmethod
    def stored(cls, label: str, created: float, thumbnail: bytes | None, metadata: str | None) -> Support:
        """From a row's columns.

        Args:
            label: Its class.
            created: Seconds since 1970.
            thumbnail: A PNG.
            metadata: A JSON object's text.

        Returns:
            The support.
        """
        return cls(label, created, thumbnail, None if metadata is None else json.loads(metadata))


@dataclass(frozen=True)
class Row:
    """A support as the file holds it; code: D bytes, metadata: a JSON object's text."""

    id: int
    label: str
    code: bytes
    created: float
    thumbnail: bytes | None
    metadata: str | None

    @property
    def checksum(self) -> bytes:
        """Eight bytes over the row."""
        return row_checksum(self.id, self.label, self.code, self.created, self.thumbnail, self.metadata)

    def support(self) -> Support:
        """The row without its code."""
        return Support.stored(self.label, self.created, self.thumbnail, self.metadata)


def row_checksum(number: int, label: str, code: bytes, created: float, thumbnail: bytes | None, metadata: str | None) -> bytes:
    """Eight bytes over all columns; a missing column and an empty one differ."""
    name = label.encode()
    picture, text = thumbnail or b"", (metadata or "").encode()
    sizes = (len(name), len(code), -1 if thumbnail is None else len(picture), -1 if metadata is None else len(text))
    message = b"".join((struct.pack("<qd4q", number, created, *sizes), name, code, picture, text))
    return hashlib.blake2b(message, digest_size=8).digest()


def row_from(values: tuple[Any, ...], dim: int) -> Row | None:
    """The row of the columns id, label, code, created, thumbnail, metadata, checksum; None when it is damaged."""
    number, label, code, created, thumbnail, metadata, checksum = values
    if not (isinstance(label, str) and isinstance(code, bytes) and isinstance(created, float) and len(code) == dim):
        return None
    if not (thumbnail is None or isinstance(thumbnail, bytes)) or not (metadata is None or isinstance(metadata, str)):
        return None
    try:
        if checksum != row_checksum(number, label, code, created, thumbnail, metadata):
            return None
        if metadata is not None and not isinstance(json.loads(metadata), dict):
            return None
    except (struct.error, ValueError, RecursionError):  # a number that is none, a text that cannot be encoded, no JSON
        return None
    return Row(number, label, code, created, thumbnail, metadata)


def pack_metadata(metadata: dict[str, Any] | None) -> str | None:
    """Metadata as the file holds it. Raises `GalleryError` for what is no JSON object or too large."""
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise GalleryError(f"metadata is a dict that JSON can hold, got {type(metadata).__name__}: {metadata!r:.80}")
    try:
        text = json.dumps(metadata, allow_nan=False)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise GalleryError(f"metadata {metadata!r:.80} cannot be written as JSON: {error}") from error
    if size > MAX_METADATA_BYTES:
        raise GalleryError(f"metadata takes {size} bytes as JSON, more than the {MAX_METADATA_BYTES} that a support may have")
    return text


@dataclass(frozen=True)
class Removal:
    """A removal as it is listed for those who follow. support: the number of the one that went, None for all of its label."""

    number: int
    label: str
    support: int | None


@dataclass(frozen=True)
class State:
    """What says what a gallery must hold; every write replaces it in the same transaction.

    identity: random, made with the gallery. revision: counts the writes. supports: how many there are. digest: the sum of the
    checksums over them, of rows or blocks of rows. last_support, last_removal: the highest numbers given out. forgotten:
    removals up to this number are no longer listed. notes: small texts that belong to the gallery, such as its calibration.
    """

    identity: str
    fingerprint: str
    dim: int
    revision: int = 0
    supports: int = 0
    digest: int = 0
    last_support: int = 0
    last_removal: int = 0
    forgotten: int = 0
    notes: dict[str, str] = field(default_factory=dict)

    def values(self) -> tuple[str, str]:
        """The state as JSON, and its checksum."""
        text = json.dumps(self.__dict__, sort_keys=True)
        return text, hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @classmethod
    def from_values(cls, text: object, checksum: object) -> State | None:
        """Inverse of `values`; None when it is damaged, or says what no gallery can be."""
        if not isinstance(text, str) or len(text) > MAX_STATE_BYTES:
            return None
        try:
            if checksum != hashlib.blake2b(text.encode(), digest_size=16).hexdigest():
                return None
            state = cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError):
            return None
        return state if state._is_possible() else None

    def with_rows(self, checksums: Iterable[bytes], last: int) -> State:
        """The state after adding rows, the last of which has the number `last`."""
        count, total = _sum(checksums)
        return self.with_block(count, total, last)

    def without_rows(self, checksums: Iterable[bytes]) -> State:
        """The state after deleting rows."""
        count, total = _sum(checksums)
        return self.with_block(-count, -total)

    def with_block(self, supports: int, digest: int, last: int = 0) -> State:
        """The state with so many supports more, their checksums' sum added, and numbers given out up to `last`."""
        total = (self.digest + digest) % _MODULUS
        return replace(self, supports=self.supports + supports, digest=total, last_support=max(last, self.last_support))

    def with_removal(self, label: str, support: int | None = None) -> tuple[State, Removal]:
        """The state after a removal, and how it is to be listed; those up to `forgotten` are listed no longer."""
        number = self.last_removal + 1
        forgotten = max(self.forgotten, number - LISTED_REMOVALS)
        return replace(self, last_removal=number, forgotten=forgotten), Removal(number, label, support)

    def with_note(self, name: str, text: str | None) -> State:
        """The state with a note, or without the one of this name. Raises `GalleryError` for what is too large."""
        notes = {key: value for key, value in self.notes.items() if key != name}
        if text is not None and (len(name) > _NAME_LENGTH or len(text) > _NOTE_LENGTH or len(notes) >= _NOTES):
            raise GalleryError(f"a gallery keeps {_NOTES} notes of {_NOTE_LENGTH} characters at most, not {name!r:.80} as well")
        return replace(self, notes=notes if text is None else notes | {name: text})

    def holds_as_much_as(self, other: State) -> bool:
        """Whether both are of the same supports, as far as their number and checksums tell."""
        return (self.supports, self.digest) == (other.supports, other.digest)

    def _is_possible(self) -> bool:
        if not isinstance(self.notes, dict):
            return False
        texts = (self.identity, self.fingerprint, *self.notes.keys(), *self.notes.values())
        counts = (self.dim, self.revision, self.supports, self.last_support, self.last_removal, self.forgotten)
        if not all(isinstance(text, str) for text in texts) or not all(type(count) is int for count in (*counts, self.digest)):
            return False
        in_range = all(0 <= count < _MOST for count in counts) and 1 <= self.dim <= MAX_DIM and 0 <= self.digest < _MODULUS
        return in_range and _NAME.fullmatch(self.identity) is not None


def _sum(checksums: Iterable[bytes]) -> tuple[int, int]:
    count = total = 0
    for checksum in checksums:
        count += 1
        total += int.from_bytes(checksum, "little")
    return count, total

"""What the gallery needs of a durable store, whichever engine keeps it, and which store a gallery's address asks for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.rows import Support

__all__ = ["Block", "Changes", "GalleryStore", "open_store"]


@dataclass(frozen=True)
class Block:
    """Supports to add. codes: uint8 (n, D). metadata: JSON texts. created: seconds since 1970, None for now."""

    labels: Sequence[str]
    codes: NDArray[np.uint8]
    thumbnails: Sequence[bytes | None]
    metadata: Sequence[str | None]
    created: Sequence[float] | None = None


@dataclass(frozen=True)
class Changes:
    """What to do to stay equal to the store: forget all (`anew`), forget labels, then add blocks of labels and codes."""

    anew: bool
    removed: list[str]
    added: Iterable[tuple[list[str], NDArray[np.uint8]]]


class GalleryStore(Protocol):
    """Supports by label, bound to one model, shared by threads and processes.

    A write that returned is durable, and one that raised changed nothing. Every error is of the `OneShotError` family.
    """

    def add(self, blocks: Iterable[Block]) -> None:
        """Append supports, all of them or none; an error that the iterable raises changes nothing and is passed on."""

    def remove(self, label: str) -> int:
        """Delete a label's supports; returns how many there were, 0 when it is unknown."""
        ...

    def rename(self, old: str, new: str) -> int:
        """Give a label's supports another name; they count as enrolled last. Returns how many there were.

        Raises `LabelError` when `new` is there already.
        """
        ...

    def sync(self, apply: Callable[[Changes], int]) -> None:
        """Hand everything that is new since the last call, whoever wrote it, to `apply`; cheap when nothing is.

        `apply` returns how many supports there are afterwards; where that differs from what the store holds, or raises, the
        next changes start anew.
        """

    def supports(self, label: str) -> list[Support]:
        """A label's supports in the order of their enrolment."""
        ...

    def holds(self, label: str, code: bytes) -> bool:
        """Whether a label has a support of exactly this code."""
        ...

    def close(self) -> None:
        """Let go of files and connections; later calls raise `GalleryError`."""


def open_store(address: str | os.PathLike[str], fingerprint: str, dim: int) -> GalleryStore:
    """The store at `address`, created when missing: a path is a SQLite file."""
    from oneshot_runtime.store import SqliteStore

    return SqliteStore(address, fingerprint, dim)

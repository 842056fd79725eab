"""The durable gallery: one SQLite file with a rollback journal that several processes may read and write."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from oneshot_runtime.errors import LabelError
from oneshot_runtime.stores.base import Block, Changes
from oneshot_runtime.stores.partition import Partition
from oneshot_runtime.stores.records import Row, Support
from oneshot_runtime.stores.sqlite.block import block_size
from oneshot_runtime.stores.sqlite.database_file import GalleryFile
from oneshot_runtime.stores.sqlite.file_access import FileAccess
from oneshot_runtime.stores.sqlite.staging import Staging

__all__ = ["SqliteStore"]


class SqliteStore:
    """Supports in blocks with checksums, bound to one model by its fingerprint; the file is made by the first write.

    A write that returned is on the disk. Locks are held only while something new is read, or committed. partition: the classes
    that `sync` hands over, None for all.
    """

    def __init__(self, path: str | os.PathLike[str], fingerprint: str, dim: int, partition: Partition | None = None) -> None:
        self.fingerprint, self.dim = fingerprint, dim
        self._file = GalleryFile(path)
        self._access = FileAccess(self._file, fingerprint, dim, partition)

    @property
    def engine(self) -> None:
        """None: the gallery keeps the codes in memory."""
        return

    def add(self, blocks: Iterable[Block]) -> None:
        """Append supports in one transaction: all of them are on the disk when this returns, or none.

        Nothing is locked before the last block was taken.
        """
        self._access.guard()
        with Staging(self._file.real.parent, self.dim, self._file.errors) as staged:
            now = time.time()
            for block in blocks:
                block.require_dim(self.dim)
                staged.put(block, now)
            if not staged.supports or self._logged(staged):
                return
            with self._access.writing(forgets=False) as draft, self._file.errors():
                for part in staged.parts():
                    draft.append(*part)

    def remove(self, label: str) -> int:
        """Delete a label's supports in one transaction; returns how many there were."""
        if not self._is_there():
            return 0
        with self._access.writing() as draft, self._file.errors():
            found = draft.snapshot.find(label)
            if not found:
                return 0
            draft.list_removal(label)
            return len(draft.take_out(found))

    def remove_support(self, label: str, place: int) -> bool:
        """Delete one of a label's supports in one transaction, by its place from 0; whether there was one."""
        if not self._is_there() or place < 0:
            return False
        with self._access.writing() as draft, self._file.errors():
            for part in draft.snapshot.find(label):
                if place < len(part.places):
                    gone = draft.take_out([replace(part, places=[part.places[place]])])
                    draft.list_removal(label, int(gone.numbers[0]))
                    return True
                place -= len(part.places)
            return False

    def rename(self, old: str, new: str) -> int:
        """Give a label's supports another name, in one transaction; they count as enrolled last. Returns how many there were.

        Raises `LabelError` when `new` is there already.
        """
        if not self._is_there():
            return 0
        with self._access.writing() as draft, self._file.errors():
            if draft.snapshot.find(new):
                raise LabelError(f"label {new!r} is in the gallery already: remove it first, or choose another name")
            found = draft.snapshot.find(old)
            if not found:
                return 0
            draft.list_removal(old)
            return draft.move_to_end(found, new)

    def recode(self, fingerprint: str, dim: int, code_of: Callable[[Row], bytes]) -> int:
        """Bind the gallery to another model in one transaction, with the code that `code_of` gives for each row.

        Returns how many rows there are. This store, opened for the old model, refuses the gallery afterwards.
        """
        with self._access.writing() as draft:
            draft.recode(fingerprint, dim, code_of)
            return draft.state.supports

    def notes(self) -> dict[str, str]:
        """Small texts that are kept with the gallery by name."""
        if not self._is_there():
            return {}
        with self._access.reading() as snapshot:
            return dict(snapshot.state.notes)

    def write_note(self, name: str, text: str | None) -> None:
        """Keep a text with the gallery under a name, or none under it any more."""
        with self._access.writing(forgets=False) as draft:
            draft.state = draft.state.with_note(name, text)

    def sync(self, apply: Callable[[Changes], int]) -> None:
        """Hand everything that is new since the last call, by whichever process, to `apply`; cheap when nothing is.

        `apply` returns how many supports there are afterwards. Raises `GalleryError` for a damaged or replaced file; the next
        call then starts anew.
        """
        self._access.sync(apply)

    def supports(self, label: str) -> list[Support]:
        """A label's supports in the order of their enrollment."""
        if not self._is_there():
            return []
        with self._access.reading() as snapshot:
            return snapshot.supports(label)

    def counts(self) -> dict[str, int]:
        """How many supports each label has, in the order of the first that they have."""
        if not self._is_there():
            return {}
        with self._access.reading() as snapshot:
            return snapshot.counts()

    def holds(self, label: str, code: bytes) -> bool:
        """Whether a label has a support of exactly this code."""
        if not self._is_there():
            return False
        with self._access.reading() as snapshot:
            return any(part.block.codes[place].tobytes() == code for part in snapshot.find(label) for place in part.places)

    def close(self) -> None:
        """Close the file; later calls raise `GalleryError`."""
        self._access.close()

    def _logged(self, staged: Staging) -> bool:
        """Whether few supports could be added to the file's log."""
        parts = list(staged.parts()) if staged.supports <= block_size(self.dim) else []
        return len(parts) == 1 and self._access.log(parts[0])

    def _is_there(self) -> bool:
        self._access.guard()
        return self._access.is_there()

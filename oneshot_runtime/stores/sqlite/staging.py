"""Supports on their way into a gallery file, so that nothing is locked while their source still makes them."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.stores import base
from oneshot_runtime.stores.records import BLOCK_BYTES
from oneshot_runtime.stores.sqlite.block import Block, block_size, pack_extras

__all__ = ["Part", "Staging"]

Part = tuple[Sequence[str], NDArray[np.uint8], Sequence[float], Sequence[bytes | None]]
"""Labels, codes uint8 (n, D), times, and what else is kept of each."""

_SIZE = struct.Struct("<q")
_NONE = -1


class Staging:
    """A context manager that holds parts in memory, and in a file without a name in `folder` beyond `BLOCK_BYTES`.

    errors: turns what the disk raises into the gallery's errors.
    """

    def __init__(self, folder: Path, dim: int, errors: Callable[[], AbstractContextManager[None]]) -> None:
        self.supports = 0
        self._folder, self._dim, self._errors = folder, dim, errors
        self._held: list[Part] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def put(self, block: base.Block, now: float) -> None:
        """Take a block; its supports are of the time `now` where it does not say."""
        created = [now] * len(block.labels) if block.created is None else block.created
        size = block_size(self._dim)
        for start in range(0, len(block.labels), size):
            part = slice(start, start + size)
            labels, codes = list(block.labels[part]), np.array(block.codes[part], np.uint8)
            extras = [
                pack_extras(picture, text) for picture, text in zip(block.thumbnails[part], block.metadata[part], strict=True)
            ]
            self._held.append((labels, codes, list(created[part]), extras))
            self._bytes += codes.nbytes + sum(len(data) for data in extras if data is not None) + 64 * len(labels)
            self.supports += len(labels)
            if self._bytes > BLOCK_BYTES:
                self._put_aside()

    def parts(self) -> Iterator[Part]:
        """All that was put, in order, in parts of few supports."""
        if self._file is not None:
            self._file.seek(0)
            while head := self._file.read(_SIZE.size):
                yield self._read(self._file, _SIZE.unpack(head)[0])
        yield from self._held

    def _put_aside(self) -> None:
        with self._errors():
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  __exit__ closes it
            for labels, codes, created, extras in self._held:
                count = len(labels)
                numbers = np.arange(1, count + 1, dtype=np.int64)
                block = Block(numbers, list(labels), codes, np.array(created, np.float64), np.zeros(count, np.uint64))
                for part in (block.pack(), *extras):
                    self._file.write(_SIZE.pack(_NONE if part is None else len(part)) + (part or b""))
        self._held, self._bytes = [], 0

    def _read(self, file: IO[bytes], size: int) -> Part:
        block = Block.unpack(file.read(size), dim=self._dim)
        if block is None:
            raise OSError("what was set aside for a write could not be read back")
        extras = []
        for _ in range(len(block)):
            (length,) = _SIZE.unpack(file.read(_SIZE.size))
            extras.append(None if length == _NONE else file.read(length))
        return block.labels, block.codes, block.created.tolist(), extras

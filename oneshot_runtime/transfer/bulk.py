"""Enrolling a folder of up to millions of pictures: streamed, in blocks that are durable one by one, and resumable.

A support keeps in its metadata which file it came from and the digest of that file's bytes. They are written in the transaction
of the support itself, so whenever the process dies, what is marked as done is there, and what is there is marked.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from oneshot_runtime.errors import GalleryError, ImageError, counted
from oneshot_runtime.model.thread_pool import Workers
from oneshot_runtime.stores.base import Block, GalleryStore
from oneshot_runtime.stores.records import pack_metadata
from oneshot_runtime.transfer.encoder import EncodedImage, ImageEncoder
from oneshot_runtime.transfer.folders import ClassFolder, class_folders, leads_out
from oneshot_runtime.vision.image_source import read_file

__all__ = ["DIGEST", "SOURCE", "BulkResult", "Encoding", "Picture", "encode_here", "enroll_folder"]

SOURCE, DIGEST = "source", "blake2b"
"""Keys of a support's metadata: the picture's path below the folder, and the digest of its file's bytes."""

_BLOCK = 2048
_BLOCK_SECONDS = 10.0
"""A block is written when so many pictures are coded, or so much time has passed: what a kill may cost."""

_CHUNK = 256
_CHUNK_BYTES = 1 << 24
"""Pictures that are coded together, and the bytes of their files."""

_READERS, _FILES = 8, 8
"""Threads that read files, for on a slow disk or a network most of their time is waiting; and how many each reads at once."""

_NAMED = 1000


@dataclass
class _Known:
    """What a class holds already. foreign: whether some of it came in another way, without a digest."""

    digests: set[bytes] = field(default_factory=set)
    foreign: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture to enroll.

    path: below the folder. data: its file's bytes, or why they cannot be read. digest: of the bytes.
    """

    label: str
    path: str
    data: bytes | str
    digest: bytes
    known: _Known


@dataclass
class BulkResult:
    """What became of the pictures of a folder.

    Attributes:
        pictures: How many there were so far.
        added: How many were enrolled.
        present: How many their class held already.
        failed: How many could not be used.
        reasons: Why, for the first thousand of those.
        seconds: From the first picture to the last commit.
    """

    pictures: int
    added: int = 0
    present: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __repr__(self) -> str:
        return f"BulkResult({self.pictures} pictures: {self.added} added, {self.present} present, {self.failed} failed)"

    @property
    def done(self) -> int:
        """Pictures that are dealt with."""
        return self.added + self.present + self.failed

    @property
    def rate(self) -> float:
        """Pictures added each second."""
        return self.added / self.seconds if self.seconds else 0.0


Encoding = Callable[[Iterable[list[Picture]]], Iterator[tuple[list[Picture], list[EncodedImage | str]]]]
"""Turns chunks of pictures into the same chunks, in the same order, with what became of each picture."""


def encode_here(encoder: ImageEncoder) -> Encoding:
    """Encoding in this process."""

    def encode(chunks: Iterable[list[Picture]]) -> Iterator[tuple[list[Picture], list[EncodedImage | str]]]:
        for chunk in chunks:
            yield chunk, encoder.encode([(picture.path, picture.data) for picture in chunk])

    return encode


def enroll_folder(
    store: GalleryStore,
    coding: Encoding,
    folder: str | os.PathLike[str],
    *,
    strict: bool = False,
    follow_links: bool = False,
    block: int = _BLOCK,
    progress: Callable[[BulkResult], None] | None = None,
    failure: Callable[[str], None] | None = None,
) -> BulkResult:
    """Enroll every picture of the folders in `folder` under its folder's label, in blocks that are durable one by one.

    A picture whose class holds a support from a file of the same bytes is left out, and so is one whose code equals that of a
    support which was enrolled in another way. So a load that was cut off, or a folder that has grown, is loaded again without
    duplicates. Memory holds the names of one label's pictures, the digests of its supports and a block of codes, however many
    pictures there are.

    Args:
        store: The gallery to add to.
        coding: Codes lists of pictures; `encode_here(ImageEncoder(...))` does it in this process.
        folder: Holds a folder for each label, with its pictures in it.
        strict: Stop at the first picture that cannot be used; what was written before stays. Else such pictures are counted.
        follow_links: Whether links that lead out of the folder are read.
        block: Supports that are written together.
        progress: Called with the numbers so far after each chunk of pictures.
        failure: Called with the reason for each picture that cannot be used.

    Returns:
        How many pictures were added, were there already, and failed, with the reasons.

    Raises:
        GalleryError: When `folder` holds no folders, before anything is enrolled, or the gallery cannot be written.
        LabelError: For a folder whose name makes no label, before anything is enrolled.
        ImageError: With `strict`, for the first picture that cannot be used.
    """
    if block < 1:
        raise GalleryError(f"a block has one picture at least, got {block}")
    classes = class_folders(folder, follow_links)
    result = BulkResult(sum(sum(1 for _ in part.pictures()) for part in classes))
    if not result.pictures:
        raise GalleryError(f"the folders in '{folder}' hold no pictures: expected a folder for each label, with pictures in it")
    load = _Load(store, result, strict, block, failure)
    for chunk, coded in coding(_chunks(load.unknown(Path(folder), classes, follow_links))):
        for picture, outcome in zip(chunk, coded, strict=True):
            load.take(picture, outcome)
        if progress is not None:
            progress(result)
    load.commit()
    if progress is not None:
        progress(result)
    return result


class _Load:
    """One run: what is to be coded, and what was coded but is not written yet."""

    def __init__(
        self, store: GalleryStore, result: BulkResult, strict: bool, block: int, failure: Callable[[str], None] | None
    ) -> None:
        self._store, self._result = store, result
        self._strict, self._block, self._failure = strict, block, failure
        self._pending: list[tuple[Picture, EncodedImage]] = []
        self._begun = self._committed = time.monotonic()

    def unknown(self, root: Path, classes: list[ClassFolder], follow_links: bool) -> Iterator[Picture]:
        """The pictures that their classes don't hold, as far as the digests tell, read from the disk."""
        readers = Workers(_READERS)
        within = None if follow_links else root
        named = self._named(classes)
        while several := list(itertools.islice(named, _READERS * _FILES)):
            parts = [several[start : start + _FILES] for start in range(0, len(several), _FILES)]
            contents = itertools.chain(*readers.map(lambda part: [_read(path, within) for _, path, _ in part], parts))
            for (label, path, known), data in zip(several, contents, strict=True):
                digest = b"" if isinstance(data, str) else hashlib.blake2b(data, digest_size=16).digest()
                if digest in known.digests:
                    self._result.present += 1
                else:
                    yield Picture(label, path.relative_to(root).as_posix(), data, digest, known)

    def _named(self, classes: list[ClassFolder]) -> Iterator[tuple[str, Path, _Known]]:
        """The pictures with their labels, and what their classes hold."""
        for label, folders in itertools.groupby(classes, key=lambda folder: folder.label):
            known = self._known(label)
            for folder in folders:
                yield from ((label, path, known) for path in folder.pictures())

    def take(self, picture: Picture, outcome: EncodedImage | str) -> None:
        """Count a picture, and keep it for the next block when it is new."""
        if isinstance(outcome, str):
            self._fail(outcome)
            return
        known = picture.known
        if picture.digest in known.digests or (known.foreign and self._store.holds(picture.label, outcome.code)):
            self._result.present += 1
            return
        known.digests.add(picture.digest)
        self._pending.append((picture, outcome))
        if len(self._pending) >= self._block or time.monotonic() - self._committed > _BLOCK_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Write what is pending, all of it or none."""
        if self._pending:
            labels = [picture.label for picture, _ in self._pending]
            codes = np.frombuffer(b"".join(coded.code for _, coded in self._pending), np.uint8).reshape(len(labels), -1)
            marks = [pack_metadata({SOURCE: picture.path, DIGEST: picture.digest.hex()}) for picture, _ in self._pending]
            self._store.add([Block(labels, codes, [coded.thumbnail for _, coded in self._pending], marks)])
            self._result.added += len(labels)
            self._pending.clear()
        self._committed = time.monotonic()
        self._result.seconds = self._committed - self._begun

    def _fail(self, reason: str) -> None:
        if self._strict:
            self.commit()
            raise ImageError(f"{reason}; {counted(self._result.added, 'picture')} before it are enrolled")
        self._result.failed += 1
        if len(self._result.reasons) < _NAMED:
            self._result.reasons.append(reason)
        if self._failure is not None:
            self._failure(reason)

    def _known(self, label: str) -> _Known:
        known = _Known()
        for support in self._store.supports(label):
            try:
                known.digests.add(bytes.fromhex((support.metadata or {})[DIGEST]))
            except (KeyError, TypeError, ValueError):  # none, or another program's
                known.foreign = True
        return known


def _read(path: Path, within: Path | None) -> bytes | str:
    """A file's bytes, or why they are not read; links that lead out of the folder `within` are not."""
    if within is not None and leads_out(path, within):
        return f"'{path}' is a link that leads out of '{within}': copy the picture, or pass --follow-links"
    try:
        return read_file(path)
    except ImageError as error:
        return str(error)


def _chunks(pictures: Iterator[Picture]) -> Iterator[list[Picture]]:
    chunk: list[Picture] = []
    size = 0
    for picture in pictures:
        chunk.append(picture)
        size += len(picture.data)
        if len(chunk) == _CHUNK or size > _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk

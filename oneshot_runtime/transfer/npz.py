"""A whole gallery in one `.npz`: written and read in blocks, so that a million supports need little memory.

Arrays: `version` (), `fingerprint` (), `labels` str (N,), `codes` uint8 (N, D) or, when made elsewhere, `embeddings` float32
(N, D); optional `created` float64 (N,) in seconds since 1970, and two columns of bytes, `thumbnails` and `metadata` (JSON),
each uint8 (total,) beside int64 (N,) `thumbnail_sizes` and `metadata_sizes`, where -1 is none.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from oneshot_runtime.errors import ArchiveError, OneShotError
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.base import Block, Reader
from oneshot_runtime.stores.registry import open_reader
from oneshot_runtime.transfer.archive import VERSION, Columns
from oneshot_runtime.transfer.atomic_output import atomic_output

__all__ = ["export_npz", "import_npz"]

Progress = Callable[[int, int], None]


def export_npz(path: str | os.PathLike[str], target: str | os.PathLike[str], progress: Progress | None = None) -> int:
    """Write a gallery to a file, as one state, all of it or nothing.

    Args:
        path: The gallery's file or address.
        target: The file, which must not exist.
        progress: Called with the supports written so far and their number.

    Returns:
        How many supports were written.

    Raises:
        GalleryError: When `target` exists or cannot be written, or the gallery is damaged.
    """
    with atomic_output(target) as part, open_reader(path) as reader:
        _write_archive(reader, part, progress)
        return reader.state.supports


def import_npz(gallery: Gallery, bundle: Bundle, source: str | os.PathLike[str], progress: Progress | None = None) -> int:
    """Add all supports of an `.npz` to a gallery, or none.

    Every array's size is checked before it is read, nothing is unpickled, and a file that was changed is found by the archive's
    checksums.

    Args:
        gallery: The gallery to add to.
        bundle: Its model, which must have made the file.
        source: The file that `export_npz` wrote.
        progress: Called with the supports read so far and their number. What it raises goes on as it is.

    Returns:
        How many supports were added.

    Raises:
        ArchiveError: For a file that is damaged, not of this form, or made with another model.
        GalleryError: When the gallery cannot be written.
    """
    with ExitStack() as stack:
        with _blaming(source):
            if not Path(source).is_file():
                raise ArchiveError("there is no such file")
            columns = Columns(stack.enter_context(zipfile.ZipFile(source)), stack, bundle)
        gallery.add_blocks(_blocks(columns, source, progress))
        return columns.count


def _blocks(columns: Columns, source: str | os.PathLike[str], progress: Progress | None) -> Iterator[Block]:
    """All supports; errors of the archive name it, those of whoever takes the blocks never come by here."""
    blocks, done = columns.blocks(), 0
    while True:
        with _blaming(source):
            block = next(blocks, None)
        if block is None:
            return
        yield block
        done += len(block.labels)
        if progress is not None:
            progress(done, columns.count)


@contextmanager
def _blaming(source: str | os.PathLike[str]) -> Iterator[None]:
    """Turn every error into an `ArchiveError`: numpy, zipfile and zlib each have their own for a damaged archive."""
    try:
        yield
    except OneShotError as error:
        raise ArchiveError(f"cannot import '{source}': {error}") from error
    except Exception as error:
        raise ArchiveError(f"cannot import '{source}': {error!r}; expected what `oneshot gallery export` wrote") from error


def _write_archive(reader: Reader, target: Path, progress: Progress | None) -> None:
    count, dim, done = reader.state.supports, reader.state.dim, 0
    text = np.dtype(f"<U{max(1, reader.longest_label())}")
    with ExitStack() as stack:
        spools = [stack.enter_context(tempfile.TemporaryFile(dir=target.parent)) for _ in range(7)]
        labels, codes, created, picture_sizes, pictures, metadata_sizes, metadata = spools
        for rows in reader.rows():
            labels.write(np.array([row.label for row in rows], text).tobytes())
            codes.write(b"".join(row.code for row in rows))
            created.write(np.array([row.created for row in rows], "<f8").tobytes())
            _spool([row.thumbnail for row in rows], picture_sizes, pictures)
            _spool([None if row.metadata is None else row.metadata.encode() for row in rows], metadata_sizes, metadata)
            done += len(rows)
            if progress is not None:
                progress(done, count)
        with zipfile.ZipFile(target, "w") as archive:
            _write_array(archive, "version", np.array(VERSION, "<i8"))
            _write_array(archive, "fingerprint", np.array(reader.state.fingerprint))
            _copy_array(archive, "labels", labels, text, (count,), zipfile.ZIP_DEFLATED)
            _copy_array(archive, "codes", codes, np.dtype("u1"), (count, dim))
            _copy_array(archive, "created", created, np.dtype("<f8"), (count,))
            for name, sizes, content in (("thumbnail", picture_sizes, pictures), ("metadata", metadata_sizes, metadata)):
                total = content.tell()
                if total:
                    _copy_array(archive, f"{name}_sizes", sizes, np.dtype("<i8"), (count,), zipfile.ZIP_DEFLATED)
                    _copy_array(archive, _CONTENT[name], content, np.dtype("u1"), (total,))
        with target.open("rb+") as file:
            os.fsync(file.fileno())


_CONTENT = {"thumbnail": "thumbnails", "metadata": "metadata"}


def _spool(parts: list[bytes | None], sizes: IO[bytes], content: IO[bytes]) -> None:
    sizes.write(np.array([-1 if part is None else len(part) for part in parts], "<i8").tobytes())
    content.write(b"".join(part or b"" for part in parts))


def _write_array(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    with archive.open(f"{name}.npy", "w") as file:
        npy.write_array(file, array, allow_pickle=False)


def _copy_array(
    archive: zipfile.ZipFile,
    name: str,
    content: IO[bytes],
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    compression: int = zipfile.ZIP_STORED,
) -> None:
    info = zipfile.ZipInfo(f"{name}.npy")
    info.compress_type = compression
    content.seek(0)
    with archive.open(info, "w", force_zip64=True) as file:
        npy.write_array_header_2_0(file, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape})
        shutil.copyfileobj(content, file, 1 << 20)

"""A whole gallery in one `.npz`: written and read in blocks, so that a million supports need little memory.

Arrays: `version` (), `fingerprint` (), `labels` str (N,), `codes` uint8 (N, D) or, when made elsewhere, `embeddings` float32
(N, D); optional `created` float64 (N,) in seconds since 1970, and two columns of bytes, `thumbnails` and `metadata` (JSON),
each uint8 (total,) beside int64 (N,) `thumbnail_sizes` and `metadata_sizes`, where -1 is none.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from oneshot_runtime.bundle import Bundle
from oneshot_runtime.codes import encode
from oneshot_runtime.errors import GalleryError, OneShotError
from oneshot_runtime.gallery import MAX_LABEL_LENGTH, Gallery, check_embeddings, check_label, check_thumbnail
from oneshot_runtime.places import appearing
from oneshot_runtime.reader import BLOCK
from oneshot_runtime.rows import MAX_METADATA_BYTES, MAX_THUMBNAIL_BYTES, pack_metadata
from oneshot_runtime.stores import Block, Reader, open_reader

__all__ = ["export_npz", "import_npz"]

Progress = Callable[[int, int], None]

_VERSION = 1
_MAX_SUPPORTS = 100_000_000
_MAX_HEADER = 10_000
_MAX_GROWTH = 200
"""How many times its size in the archive an array may unpack to: labels and codes don't compress that well, bombs do."""

_FREE_BYTES = 1 << 26
"""What may be unpacked whatever its compression."""


def export_npz(path: str | os.PathLike[str], target: str | os.PathLike[str], progress: Progress | None = None) -> int:
    """Write the gallery at `path`, or an address, to `target`, as one state and all or nothing; returns the number of supports.

    Raises `GalleryError` when `target` exists or cannot be written, or the gallery is damaged.
    """
    with appearing(target) as part, open_reader(path) as reader:
        _write_archive(reader, part, progress)
        return reader.state.supports


def import_npz(gallery: Gallery, bundle: Bundle, source: str | os.PathLike[str], progress: Progress | None = None) -> int:
    """Add all supports of an `.npz` to a gallery, or none; returns how many they are.

    Every array's size is checked before it is read, nothing is unpickled, and a file that was changed is found by the archive's
    checksums. Raises `GalleryError` for a file that is damaged, not of this form, or made with another model than `bundle`.
    """
    try:
        if not Path(source).is_file():
            raise GalleryError(f"cannot import '{source}': there is no such file")
        with ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(source))
            columns = _Columns(archive, stack, bundle)
            gallery.add_blocks(columns.blocks(progress))
            return columns.count
    except OneShotError:
        raise
    except Exception as error:  # numpy, zipfile and zlib each have their own for a damaged archive
        raise GalleryError(f"cannot import '{source}': {error!r}; expected what `oneshot gallery export` wrote") from error


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
            _write_array(archive, "version", np.array(_VERSION, "<i8"))
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


class _Column:
    """One array of the archive, read a block of rows at a time."""

    def __init__(self, archive: zipfile.ZipFile, stack: ExitStack, name: str) -> None:
        info = archive.getinfo(f"{name}.npy")
        self.name = name
        self._file = stack.enter_context(archive.open(info))
        version = npy.read_magic(self._file)
        if version not in ((1, 0), (2, 0)):
            raise GalleryError(f"array '{name}' has the unknown format {version}")
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        self.shape, fortran, self.dtype = read_header(self._file, max_header_size=_MAX_HEADER)
        size = math.prod(self.shape) * self.dtype.itemsize
        if (fortran and len(self.shape) > 1) or self.dtype.hasobject or size != info.file_size - self._file.tell():
            raise GalleryError(
                f"array '{name}' of {self.dtype} {self.shape} is not stored as plain rows of {info.file_size} bytes"
            )
        if info.file_size > _FREE_BYTES and info.file_size > _MAX_GROWTH * info.compress_size:
            raise GalleryError(f"array '{name}' unpacks {info.compress_size} bytes to {info.file_size}: refused as a zip bomb")

    def take(self, rows: int) -> NDArray[Any]:
        """The next `rows` rows."""
        width = math.prod(self.shape[1:])
        size = rows * width * self.dtype.itemsize
        content = self._file.read(size)
        if len(content) != size:
            raise GalleryError(f"array '{self.name}' ends early")
        return np.frombuffer(content, self.dtype).reshape(rows, *self.shape[1:])

    def finish(self) -> None:
        """Read to the end, where the archive's checksum is compared."""
        if self._file.read(1):
            raise GalleryError(f"array '{self.name}' goes on behind its last row")


class _Columns:
    """The arrays of an archive, checked against each other and against the model."""

    def __init__(self, archive: zipfile.ZipFile, stack: ExitStack, bundle: Bundle) -> None:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
        if not {"fingerprint", "labels"} <= names or len({"codes", "embeddings"} & names) != 1:
            raise GalleryError(f"expected fingerprint, labels and either codes or embeddings, got {sorted(names)[:20]}")
        for content, sizes in _SIZES.items():
            if (content in names) != (sizes in names):
                raise GalleryError(f"'{content}' and '{sizes}' come together, but only one of them is there")
        self._bundle = bundle
        self._open = {name: _Column(archive, stack, name) for name in sorted(names & set(_EXPECTED))}
        version = self._single("version", "i") if "version" in names else _VERSION
        if version != _VERSION:
            raise GalleryError(f"it has version {version}, this runtime reads {_VERSION}")
        fingerprint = self._single("fingerprint", "U")
        if fingerprint != bundle.fingerprint:
            raise GalleryError(
                f"it was exported with model {fingerprint}, the loaded model is {bundle.fingerprint}: load the bundle it "
                "was made with, or export the pictures to a folder and import that"
            )
        self.count = self._check_shapes()

    def blocks(self, progress: Progress | None) -> Iterator[Block]:
        """All supports; the archive's checksums are compared after the last of them."""
        for start in range(0, self.count, BLOCK):
            rows = min(BLOCK, self.count - start)
            labels = [check_label(label) for label in self._open["labels"].take(rows).tolist()]
            metadata = [self._metadata(part) for part in self._parts("metadata", rows, MAX_METADATA_BYTES)]
            thumbnails = [check_thumbnail(part) for part in self._parts("thumbnails", rows, MAX_THUMBNAIL_BYTES)]
            yield Block(labels, self._codes(rows), thumbnails, metadata, self._created(rows))
            if progress is not None:
                progress(start + rows, self.count)
        for column in self._open.values():
            column.finish()

    def _single(self, name: str, kind: str) -> Any:
        column = self._open[name]
        if column.shape != () or column.dtype.kind != kind or column.dtype.itemsize > 4 * MAX_LABEL_LENGTH:
            raise GalleryError(f"array '{name}' should be one value, got {column.dtype} {column.shape}")
        return column.take(1)[0].item()

    def _check_shapes(self) -> int:
        count = self._open["labels"].shape[0] if len(self._open["labels"].shape) == 1 else -1
        if not 0 <= count <= _MAX_SUPPORTS:
            raise GalleryError(f"labels have shape {self._open['labels'].shape}, expected (N,) with at most {_MAX_SUPPORTS}")
        for name, column in self._open.items():
            kinds, shape = _EXPECTED[name]
            wanted = tuple(
                {"N": count, "D": self._bundle.dim, "any": column.shape[-1] if column.shape else 0}[s] for s in shape
            )
            if column.shape != wanted or (column.dtype.str.lstrip("<|=") not in kinds and column.dtype.kind not in kinds):
                raise GalleryError(f"array '{name}' is {column.dtype} {column.shape}, expected {' or '.join(kinds)} {wanted}")
        if self._open["labels"].dtype.itemsize > 4 * MAX_LABEL_LENGTH:
            raise GalleryError(f"labels have more than {MAX_LABEL_LENGTH} characters")
        return count

    def _codes(self, rows: int) -> NDArray[np.uint8]:
        if "codes" in self._open:
            return self._open["codes"].take(rows)
        embeddings = self._open["embeddings"].take(rows)
        check_embeddings(embeddings)
        return encode(embeddings, self._bundle.head)

    def _created(self, rows: int) -> list[float] | None:
        if "created" not in self._open:
            return None
        values = self._open["created"].take(rows)
        if not np.isfinite(values).all():
            raise GalleryError("a time in 'created' is not finite")
        return [float(value) for value in values]

    def _parts(self, name: str, rows: int, limit: int) -> list[bytes | None]:
        sizes = self._open.get(_SIZES[name])
        content = self._open.get(name)
        if sizes is None or content is None:
            return [None] * rows
        found = sizes.take(rows).tolist()
        if any(not -1 <= size <= limit for size in found):
            raise GalleryError(f"'{_SIZES[name]}' has sizes outside -1 to {limit}")
        return [None if size < 0 else content.take(size).tobytes() for size in found]

    def _metadata(self, part: bytes | None) -> str | None:
        return None if part is None else pack_metadata(json.loads(part))


_SIZES = {"thumbnails": "thumbnail_sizes", "metadata": "metadata_sizes"}
_EXPECTED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "version": (("i8",), ()),
    "fingerprint": (("U",), ()),
    "labels": (("U",), ("N",)),
    "codes": (("u1",), ("N", "D")),
    "embeddings": (("f4",), ("N", "D")),
    "created": (("f8",), ("N",)),
    "thumbnails": (("u1",), ("any",)),
    "thumbnail_sizes": (("i8",), ("N",)),
    "metadata": (("u1",), ("any",)),
    "metadata_sizes": (("i8",), ("N",)),
}
"""Types and shapes of the arrays; N supports, D bytes of a code."""

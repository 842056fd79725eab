"""A gallery as a folder of pictures: one folder a label, for people and for other programs."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.codes import encode
from oneshot_runtime.errors import GalleryError, ImageError, LabelError
from oneshot_runtime.gallery import check_label
from oneshot_runtime.images import thumbnail, to_grey
from oneshot_runtime.matcher import OneShotMatcher
from oneshot_runtime.places import appearing
from oneshot_runtime.reader import GalleryReader
from oneshot_runtime.stores import Block

__all__ = ["Imported", "export_folder", "folder_name", "import_folder", "label_of"]

_BATCH = 64
_LONGEST_NAME = 200
_LABEL_FILE = "label.txt"
_HASHED = "%~"
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_ESCAPE = re.compile(r"(?:%[0-9A-F]{2})+")
_NAMED = 10


@dataclass
class Imported:
    """What an import of a folder did. present: pictures that their class holds already. failed: the others, with reasons."""

    added: int = 0
    present: int = 0
    failed: list[str] = field(default_factory=list)


def export_folder(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> int:
    """Write the thumbnails of the gallery file at `path` into a new folder `target`, all or nothing; returns their number.

    Raises `GalleryError` when `target` exists, or a support has no thumbnail: only an `.npz` then holds all.
    """
    with appearing(target) as part, GalleryReader(path) as reader:
        missing: dict[str, None] = {}
        part.mkdir()
        for rows in reader.rows():
            for row in rows:
                if row.thumbnail is None:
                    missing[row.label] = None
                else:
                    (_label_folder(part, row.label) / f"{row.id:08d}.png").write_bytes(row.thumbnail)
        if missing:
            names = ", ".join(map(repr, list(missing)[:_NAMED]))
            raise GalleryError(f"{len(missing)} symbol(s) have supports without a picture ({names}): export to an .npz instead")
        return reader.state.supports


def import_folder(
    matcher: OneShotMatcher, source: str | os.PathLike[str], progress: Callable[[int, int], None] | None = None
) -> Imported:
    """Enrol every picture of the folders in `source` under its folder's label, in batches that are on the disk one by one.

    A picture that cannot be used is listed and the others go on; one that a durable gallery holds already is left out, so an
    import that was cut off can be run again. Raises `GalleryError` when `source` holds no folders, and `LabelError` for a
    folder whose name makes no label, both before anything is enrolled.
    """
    pictures = list(_pictures(Path(source)))
    if not pictures:
        raise GalleryError(f"'{source}' holds no pictures: expected a folder for each label, with its pictures in it")
    result = Imported()
    for start in range(0, len(pictures), _BATCH):
        _import_batch(matcher, pictures[start : start + _BATCH], result)
        if progress is not None:
            progress(min(start + _BATCH, len(pictures)), len(pictures))
    return result


def folder_name(label: str) -> str:
    """A name for a label's folder that every file system keeps as it is and keeps apart; `label_of` is its inverse.

    Small letters, digits and a few signs stay; all others become %XX for each byte of UTF-8, capitals too, for some file
    systems don't tell them from small letters. A name that would be too long becomes a hash beside a `label.txt`.
    """
    safe = "".join(character if _is_safe(character) else _escape(character) for character in label)
    if safe[0] in " ." or _RESERVED.fullmatch(safe):
        safe = _escape(label[0]) + safe[len(safe[0]) :]
    if safe[-1] in " .":
        safe = safe[:-1] + _escape(safe[-1])
    if len(safe.encode()) > _LONGEST_NAME:
        return "long" + _HASHED + hashlib.blake2b(label.encode(), digest_size=16).hexdigest()
    return safe


def label_of(name: str) -> str:
    """The label of a folder's name. Raises `LabelError` for a name that makes none."""
    try:
        label = _ESCAPE.sub(lambda match: bytes.fromhex(match[0].replace("%", "")).decode(), name)
    except UnicodeDecodeError as error:
        raise LabelError(f"folder {name!r}: its %XX are no UTF-8 ({error.reason}), so it names no label") from error
    return check_label(label)


def _is_safe(character: str) -> bool:
    if character.isascii():
        return character.islower() or character.isdigit() or character in " -_.,+()=@"
    stable = all(unicodedata.normalize(form, character) == character for form in ("NFC", "NFD"))
    return character.isalnum() and stable and character.casefold() == character and not unicodedata.combining(character)


def _escape(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _label_folder(root: Path, label: str) -> Path:
    folder = root / folder_name(label)
    if not folder.is_dir():
        folder.mkdir()
        if _HASHED in folder.name:
            (folder / _LABEL_FILE).write_text(label, encoding="utf-8")
    return folder


def _pictures(root: Path) -> Iterator[tuple[str, Path]]:
    try:
        folders = sorted(place for place in root.iterdir() if place.is_dir() and not place.name.startswith("."))
        for folder in folders:
            named = folder / _LABEL_FILE
            label = check_label(named.read_text(encoding="utf-8")) if _HASHED in folder.name else label_of(folder.name)
            for place in sorted(folder.iterdir()):
                if place.is_file() and not place.name.startswith(".") and place != named:
                    yield label, place
    except (OSError, ValueError) as error:
        raise GalleryError(f"cannot read the folders in '{root}': {error}") from error


def _import_batch(matcher: OneShotMatcher, batch: list[tuple[str, Path]], result: Imported) -> None:
    labels, codes, thumbnails = [], [], []
    for label, path in batch:
        try:
            grey = to_grey(path)
            code = encode(matcher.embed(grey), matcher.bundle.head)[0]
        except ImageError as error:
            text = str(error)
            result.failed.append(text if str(path) in text else f"image '{path}': {text}")
            continue
        if matcher.gallery.holds(label, code):
            result.present += 1
            continue
        labels.append(label)
        codes.append(code)
        thumbnails.append(thumbnail(grey))
    if labels:
        rows: NDArray[np.uint8] = np.stack(codes)
        matcher.gallery.add_blocks(iter([Block(labels, rows, thumbnails, [None] * len(labels))]))
        result.added += len(labels)

"""A gallery as a folder of pictures: one folder a label, for people and for other programs."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from oneshot_runtime.errors import GalleryError, LabelError, OneShotError, counted
from oneshot_runtime.gallery import MAX_LABEL_LENGTH, check_label
from oneshot_runtime.stores.registry import open_reader
from oneshot_runtime.transfer.atomic_output import atomic_output
from oneshot_runtime.vision.regular_file import read_regular

__all__ = ["ClassFolder", "class_folders", "export_folder", "folder_name", "label_of", "leads_out"]

_LONGEST_NAME = 200
_LABEL_FILE = "label.txt"
_HASHED = "%~"
_RESERVED = re.compile(r"(con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³]) *(\..*)?", re.IGNORECASE)
_ESCAPE = re.compile(r"(?:%[0-9A-F]{2})+")
_NAMED = 10


@dataclass(frozen=True)
class ClassFolder:
    """A label's folder of pictures."""

    label: str
    path: Path

    def pictures(self) -> Iterator[Path]:
        """Its pictures, sorted by name; what is hidden is left out, as is the file that holds the label."""
        named = self.path / _LABEL_FILE if _HASHED in self.path.name else None
        # Names, not entries: a folder of a million pictures then takes a hundred megabytes less.
        with _listing(self.path):
            for name in sorted(os.listdir(self.path)):  # noqa: PTH208
                if not name.startswith(".") and (place := self.path / name) != named:
                    yield place


def leads_out(path: Path, root: Path) -> bool:
    """Whether a path is a link to something outside of the folder `root`, or to nothing."""
    return path.is_symlink() and not path.resolve().is_relative_to(root.resolve())


def class_folders(root: str | os.PathLike[str], follow_links: bool = False) -> list[ClassFolder]:
    """The folders in `root` with their labels, sorted by label; hidden ones are left out.

    Raises `GalleryError` when `root` cannot be read, holds no folders, or a link that leads out of it unless `follow_links`;
    `LabelError` for a name that makes no label.
    """
    folders = []
    with _listing(root), os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir() and not entry.name.startswith("."):
                path = Path(entry.path)
                if not follow_links and leads_out(path, Path(root)):
                    raise GalleryError(
                        f"'{path}' is a link that leads out of '{root}': copy what is meant, or pass --follow-links"
                    )
                folders.append(ClassFolder(_label_in(path), path))
    if not folders:
        raise GalleryError(f"'{root}' holds no pictures: expected a folder for each label, with its pictures in it")
    return sorted(folders, key=lambda folder: (folder.label, folder.path.name))


def export_folder(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> int:
    """Write the thumbnails of a gallery into a new folder, all of them or none.

    Args:
        path: The gallery's file or address.
        target: The folder, which must not exist.

    Returns:
        How many pictures were written.

    Raises:
        GalleryError: When `target` exists, or a support has no thumbnail: only an `.npz` then holds all.
    """
    with atomic_output(target) as part, open_reader(path) as reader:
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
            symbols = counted(len(missing), "symbol")
            raise GalleryError(f"a support has no picture, of {symbols} ({names}): export to an .npz instead")
        return reader.state.supports


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


def _label_in(folder: Path) -> str:
    if _HASHED not in folder.name:
        return label_of(folder.name)
    return check_label(read_regular(folder / _LABEL_FILE, 4 * MAX_LABEL_LENGTH).decode())


@contextmanager
def _listing(folder: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except OneShotError:
        raise
    except OSError as error:
        raise GalleryError(f"cannot read the folders in '{folder}': {error.strerror or error}") from error
    except ValueError as error:
        raise GalleryError(f"cannot read the folders in '{folder}': {error}") from error

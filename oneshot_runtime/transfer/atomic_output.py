"""Write something new to disk whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oneshot_runtime.errors import GalleryError

__all__ = ["atomic_output"]


@contextmanager
def atomic_output(target: str | os.PathLike[str]) -> Iterator[Path]:
    """A path beside `target` to write a file or a folder to, which takes its place when the block ends without an error.

    Raises `GalleryError` when `target` exists or cannot be written; nothing is left behind then.
    """
    place = Path(target)
    if os.path.lexists(place):
        raise GalleryError(f"'{place}' exists already: choose another name or remove it")
    part = place.with_name(f"{place.name}.part-{uuid.uuid4().hex}")  # a name that nobody can plant a link at
    try:
        yield part
        os.replace(part, place)
    except OSError as error:
        raise GalleryError(f"cannot write '{place}': {error.strerror or error}") from error
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)

"""Arrays that take minutes to make, kept in the user's cache by a digest of what they depend on."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["cache_folder", "cached"]


def cache_folder() -> Path:
    """`$ONESHOT_TRAIN_CACHE`, or `oneshot-train` in the user's cache."""
    named = os.environ.get("ONESHOT_TRAIN_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "oneshot-train"


def cached(name: str, key: str, make: Callable[[], dict[str, NDArray[np.generic]]]) -> dict[str, NDArray[np.generic]]:
    """The arrays that `make` gives, read from the cache where they were made before with the same `key`.

    A damaged file is made again.
    """
    file = cache_folder() / f"{name}-{hashlib.blake2b(key.encode(), digest_size=12).hexdigest()}.npz"
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
            return {part: kept[part] for part in kept.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        pass
    arrays = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    with partial.open("wb") as out:
        np.savez(out, **arrays)  # type: ignore[arg-type]
    os.replace(partial, file)
    return arrays

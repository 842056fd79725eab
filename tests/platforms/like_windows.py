"""A pytest plugin: Python loses what Windows does not have, and files that are open can't be moved or removed.

`PYTHONPATH=tests/platforms pytest -p like_windows ...`. It does not play Windows' locks, its paths and its devices' names.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

__all__ = ["open_here"]

_MODULES = ("fcntl", "resource")
_NAMES = (
    "fork", "forkpty", "register_at_fork", "sched_getaffinity", "statvfs", "pread", "pwrite", "mkfifo", "sync", "fchmod",
    "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_SYNC", "O_DSYNC", "posix_fallocate", "posix_fadvise",
)  # fmt: skip
"""What the standard library and the tests' tools do not miss."""


def open_here(path: object) -> bool:
    """Whether this process has the file open, or one in the folder."""
    name = os.path.realpath(os.fsdecode(path))
    for handle in Path("/proc/self/fd").iterdir():
        try:
            target = str(handle.readlink())
        except OSError:
            continue
        if target == name or target.startswith(name + os.sep):
            return True
    return False


def _refusing(real, count: int):
    """`real`, which raises as Windows does where one of its first `count` arguments is open."""

    def call(*arguments, **words):
        for path in arguments[:count]:
            if isinstance(path, str | bytes | os.PathLike) and words.get("dir_fd") is None and open_here(path):
                reason = "The process cannot access the file because it is being used by another process"
                raise PermissionError(13, reason, os.fsdecode(path))
        return real(*arguments, **words)

    return call


def _become_windows() -> None:
    for name in _MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for name in _NAMES:
        if hasattr(os, name):
            delattr(os, name)
    for name, count in (("replace", 2), ("rename", 2), ("unlink", 1), ("remove", 1)):
        setattr(os, name, _refusing(getattr(os, name), count))
    multiprocessing.set_start_method("spawn", force=True)


if Path("/proc/self/fd").exists():
    _become_windows()

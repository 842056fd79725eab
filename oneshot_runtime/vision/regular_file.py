"""Read a file that somebody else names: what is no regular file would be waited for, or never end."""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["read_regular"]


_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Without blocking, it does not wait for the other end of a pipe."""

_LEAST, _MOST = 1 << 16, 1 << 24
"""Bytes that are asked for at once: room for them is made first, so not many more than there are."""


def read_regular(path: str | os.PathLike[str], limit: int) -> bytes:
    """All bytes of a regular file.

    Raises `OSError` for one that cannot be read, `ValueError` for a path that can be none, what is no regular file (a pipe,
    a device) and more than `limit` bytes.
    """
    # By the system's calls alone: a file object takes ten times as long as a small picture's bytes.
    file = os.open(path, _FLAGS)
    try:
        status = os.fstat(file)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        if status.st_size > limit:
            raise ValueError(f"it has {status.st_size} bytes, more than the {limit} that are read")
        parts, length = [], 0
        while part := os.read(file, min(limit + 1 - length, max(_LEAST, min(_MOST, status.st_size - length + 1)))):
            parts.append(part)
            length += len(part)
            if length > limit:  # it grew meanwhile, or is a file that has no size, as in /proc
                raise ValueError(f"it has more than the {limit} bytes that are read")
    finally:
        os.close(file)
    return b"".join(parts)

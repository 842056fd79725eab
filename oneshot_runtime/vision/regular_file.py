"""Read a file that somebody else names: what is no regular file would be waited for, or never end."""

from __future__ import annotations

import os
import stat

__all__ = ["read_regular"]


def read_regular(path: str | os.PathLike[str], limit: int) -> bytes:
    """All bytes of a regular file.

    Raises `OSError` for one that cannot be read, `ValueError` for a path that can be none, what is no regular file (a pipe,
    a device) and more than `limit` bytes.
    """
    with open(path, "rb", buffering=0, opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no regular file")
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise ValueError(f"it has {size} bytes, more than the {limit} that are read")
        data = bytearray()
        while part := file.read(min(1 << 24, limit + 1 - len(data))):
            data += part
            if len(data) > limit:  # it grew meanwhile, or is a file that has no size, as in /proc
                raise ValueError(f"it has more than the {limit} bytes that are read")
    return bytes(data)


def _open_at_once(path: str, flags: int) -> int:
    """For `open`: does not wait for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))

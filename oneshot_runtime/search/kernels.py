"""Sums of absolute differences compiled for this processor by numba, of the `search` extra: they run at the speed of memory.

Importing numba and compiling take about a second, so a large gallery has it done on a thread of its own (`compile_for`), and
searches by OpenCV or numpy meanwhile. What was compiled is kept in memory only: a cache on disk could be someone else's.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.fork_lock import ForkLock

__all__ = ["Kernel", "compile_for", "of", "possible", "summing"]

_AHEAD = 2048
"""Bytes that are asked of memory before they are needed; the processor alone asks for too few."""

_ROWS_AHEAD = 6
"""The same where rows are picked."""

_LINE = 64

_Distances = Callable[[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int32]], None]
_DistancesAt = Callable[[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int32]], None]
_Summing = Callable[..., None]

_lock = ForkLock()
_kernels: dict[int, Kernel] = {}
_summing: list[_Summing] = []
_given_up = False
_busy = 0
"""The process that is compiling. One that was forked meanwhile never does: numba's own locks would stay closed in it."""


@dataclass(frozen=True)
class Kernel:
    """Distances of rows of one width, outside Python's lock."""

    _every: _Distances
    _at: _DistancesAt

    def every(self, rows: NDArray[np.uint8], query: NDArray[np.uint8]) -> NDArray[np.int32]:
        """L1 distances int32 (n,) of a query uint8 (W,) to rows uint8 (n, W), all contiguous."""
        found = np.empty(len(rows), np.int32)
        self._every(rows, query, found)
        return found

    def at(self, rows: NDArray[np.uint8], numbers: NDArray[np.int64], query: NDArray[np.uint8]) -> NDArray[np.int32]:
        """`every` of the rows at `numbers` int64 (m,)."""
        found = np.empty(len(numbers), np.int32)
        self._at(rows, numbers, query, found)
        return found


def of(width: int) -> Kernel | None:
    """The kernel of rows of `width` bytes, None while there is none."""
    return _kernels.get(width)


def summing() -> _Summing | None:
    """Sums components, of codes uint8 (n, D), groups and signs int32 (D,), offsets int32 (G,), a step; into uint8 (n, G)."""
    return _summing[0] if _summing else None


def possible() -> bool:
    """Whether there are kernels, or can be."""
    return bool(_kernels) or (not _given_up and _busy in (0, os.getpid()) and _installed())


@functools.cache
def _installed() -> bool:
    """By a look that imports nothing."""
    return importlib.util.find_spec("numba") is not None


def compile_for(widths: Iterable[int]) -> None:
    """Compile what is missing for rows of these widths. Nothing where numba is not installed, or cannot be used."""
    global _busy, _given_up
    with _lock:
        missing = [width for width in widths if width not in _kernels]
        if not missing or not possible():
            return
        _busy, _given_up = os.getpid(), True
        try:
            import numba

            if not _summing:
                _summing.append(_sums(numba))
            _kernels.update({width: _distances(numba, width) for width in missing})
            _given_up = False
        except ImportError:  # also where numba does not know this numpy
            return
        finally:
            _busy = 0


def _distances(numba: Any, width: int) -> Kernel:
    """A fixed width and whole 32-bit arithmetic are what LLVM knows how to put into the processor's own instruction for it."""
    prefetch = _prefetch()
    rows_type, row_type, numbers_type, found_type = _types(numba)

    @numba.njit(numba.void(rows_type, row_type, found_type), nogil=True)
    def every(rows, query, found):  # type: ignore[no-untyped-def]
        start = rows.ctypes.data
        for row in range(len(rows)):
            for byte in range(0, width, _LINE):
                prefetch(start + row * width + byte + _AHEAD)
            total = np.int32(0)
            for place in range(width):
                difference = np.int32(np.int32(rows[row, place]) - np.int32(query[place]))
                total = np.int32(total + np.int32(abs(difference)))
            found[row] = total

    @numba.njit(numba.void(rows_type, numbers_type, row_type, found_type), nogil=True)
    def at(rows, numbers, query, found):  # type: ignore[no-untyped-def]
        start = rows.ctypes.data
        for turn in range(len(numbers)):
            later = numbers[min(turn + _ROWS_AHEAD, len(numbers) - 1)]
            for byte in range(0, width, _LINE):
                prefetch(start + later * width + byte)
            row = numbers[turn]
            total = np.int32(0)
            for place in range(width):
                difference = np.int32(np.int32(rows[row, place]) - np.int32(query[place]))
                total = np.int32(total + np.int32(abs(difference)))
            found[turn] = total

    return Kernel(every, at)


def _sums(numba: Any) -> _Summing:
    rows_type, _, _, _ = _types(numba)
    numbers = numba.types.Array(numba.int32, 1, "C", readonly=True)

    @numba.njit(numba.void(rows_type, numbers, numbers, numbers, numba.int32, numba.uint8[:, ::1]), nogil=True)
    def summing(codes, groups, signs, offsets, step, sums):  # type: ignore[no-untyped-def]
        exact = np.empty(len(offsets), np.int32)
        for row in range(len(codes)):
            for group in range(len(offsets)):
                exact[group] = -offsets[group]
            for place in range(codes.shape[1]):
                exact[groups[place]] += signs[place] * np.int32(codes[row, place])
            for group in range(len(offsets)):
                sums[row, group] = min(max(exact[group], 0) // step, 255)

    return summing  # type: ignore[no-any-return]


def _types(numba: Any) -> tuple[Any, Any, Any, Any]:
    """Of rows, one row, row numbers and distances. What is only read may be writable or not."""
    array = numba.types.Array
    return (
        array(numba.uint8, 2, "C", readonly=True),
        array(numba.uint8, 1, "C", readonly=True),
        array(numba.int64, 1, "C", readonly=True),
        array(numba.int32, 1, "C"),
    )


def _prefetch() -> Any:
    """Asks memory for the line of an address; any address will do, also one that is not there."""
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    @intrinsic
    def prefetch(_, address):  # type: ignore[no-untyped-def]
        def code(context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
            byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
            call = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
            read, keep, data = word(0), word(3), word(1)
            builder.call(call, [builder.inttoptr(arguments[0], byte), read, keep, data])
            return context.get_dummy_value()

        return types.void(address), code

    return prefetch

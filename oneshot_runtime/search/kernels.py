"""Sums of absolute differences compiled for this processor by numba, of the `search` extra: they run at the speed of memory.

Importing numba and compiling take about a second, so a large gallery has it done on a thread of its own (`compile_for`), and
searches by OpenCV or numpy meanwhile. What was compiled is kept in memory only: a cache on disk could be someone else's.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.fork_lock import ForkLock

__all__ = ["REMOVED", "Kernel", "bounding", "compile_for", "of", "possible", "summing"]

_AHEAD = 2048
"""Bytes that are asked of memory before they are needed; the processor alone asks for too few."""

_LINE = 64

_BLOCK = 64
"""Bounds that are looked at together: where none is within the limit, as in most, that is one comparison."""

REMOVED = 0xFFFF
"""In the place of the bound of a row that was removed."""

_Call = Callable[..., Any]

_lock = ForkLock()
_kernels: dict[int, Kernel] = {}
_bounding: dict[int, _Call] = {}
_summing: list[_Call] = []
_given_up = False
_busy = 0
"""The process that is compiling. One that was forked meanwhile never does: numba's own locks would stay closed in it."""


@dataclass(frozen=True)
class Kernel:
    """Distances of codes of one length, outside Python's lock. Arrays are contiguous."""

    _every: _Call
    _within: _Call

    def every(self, codes: NDArray[np.uint8], query: NDArray[np.uint8]) -> NDArray[np.int32]:
        """L1 distances int32 (n,) of a code uint8 (D,) to codes uint8 (n, D)."""
        found = np.empty(len(codes), np.int32)
        self._every(codes, query, found)
        return found

    def within(
        self,
        codes: NDArray[np.uint8],
        query: NDArray[np.uint8],
        bounds: NDArray[np.uint16],
        radius: int,
        limit: tuple[int, int],
        count: int,
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Distances and places of the `count` nearest codes within the radius, in order, ties by place.

        Reads those whose bound uint16 (n,) is at most (radius + slack) // step. limit: slack and step.
        """
        distances, rows = np.empty(count, np.int32), np.empty(count, np.int64)
        found = self._within(codes, query, bounds, radius, *limit, distances, rows)
        return distances[:found], rows[:found]


def of(dim: int) -> Kernel | None:
    """The kernel of codes of `dim` bytes, None while there is none."""
    return _kernels.get(dim)


def bounding(count: int) -> _Call | None:
    """Distances of sums uint8 (n, G) to a query's uint8 (G,), G being `count`: into uint16 (n,), `REMOVED` - 1 for more.

    Called with sums, query, a number of rows, the array of the distances, and int64 (P,): the place of the smallest distance of
    each so many rows.
    """
    return _bounding.get(count)


def summing() -> _Call | None:
    """Sums components, of codes uint8 (n, D), groups and signs int32 (D,), offsets int32 (G,), a step; into uint8 (n, G)."""
    return _summing[0] if _summing else None


def possible() -> bool:
    """Whether there are kernels, or can be."""
    return bool(_kernels) or (not _given_up and _busy in (0, os.getpid()) and _installed())


@functools.cache
def _installed() -> bool:
    """By a look that imports nothing."""
    return importlib.util.find_spec("numba") is not None


def compile_for(dim: int, count: int) -> None:
    """Compile what is missing for codes of `dim` bytes with `count` sums. Nothing where numba is missing or cannot be used."""
    global _busy, _given_up
    with _lock:
        if (dim in _kernels and count in _bounding) or not possible():
            return
        _busy, _given_up = os.getpid(), True
        try:
            import numba

            if getattr(
                numba.config, "DISABLE_JIT", False
            ):  # as $NUMBA_DISABLE_JIT asks: what is not compiled is slower than numpy
                return
            if not _summing:
                _summing.append(_compiled_summing(numba))
            _bounding[count] = _compiled_bounding(numba, count)
            _kernels[dim] = Kernel(_compiled_every(numba, dim), _compiled_within(numba, dim))
            _given_up = False
        except Exception:  # whatever stops it, such as a numpy or a processor that it does not know: others search as well
            return
        finally:
            _busy = 0


# A fixed width and whole 32-bit arithmetic are what LLVM knows how to put into the processor's own instruction for this sum.


def _compiled_every(numba: Any, width: int) -> _Call:
    prefetch, types = _prefetch(), _Types(numba)

    @numba.njit(numba.void(types.rows, types.row, types.of(numba.int32)), nogil=True)
    def every(codes, query, found):  # type: ignore[no-untyped-def]
        start = codes.ctypes.data
        for row in range(len(codes)):
            for byte in range(0, width, _LINE):
                prefetch(start + row * width + byte + _AHEAD)
            total = np.int32(0)
            for place in range(width):
                total = np.int32(total + np.int32(abs(np.int32(np.int32(codes[row, place]) - np.int32(query[place])))))
            found[row] = total

    return every  # type: ignore[no-any-return]


def _compiled_bounding(numba: Any, width: int) -> _Call:
    prefetch, types = _prefetch(), _Types(numba)

    @numba.njit(numba.void(types.rows, types.row, numba.int64, types.of(numba.uint16), types.of(numba.int64)), nogil=True)
    def bounding(sums, query, size, bounds, likely):  # type: ignore[no-untyped-def]
        start = sums.ctypes.data
        for part in range(len(likely)):
            least, best = np.int32(REMOVED), part * size
            for row in range(part * size, min(part * size + size, len(sums))):
                for byte in range(0, width, _LINE):
                    prefetch(start + row * width + byte + _AHEAD)
                total = np.int32(0)
                for place in range(width):
                    total = np.int32(total + np.int32(abs(np.int32(np.int32(sums[row, place]) - np.int32(query[place])))))
                bounds[row] = min(total, REMOVED - 1)
                if total < least:
                    least, best = total, row
            likely[part] = best

    return bounding  # type: ignore[no-any-return]


def _compiled_within(numba: Any, width: int) -> _Call:
    prefetch, types = _prefetch(), _Types(numba)
    whole, found_types = numba.int64, (types.of(numba.int32), types.of(numba.int64))
    bounds_type = types.read(numba.uint16)

    @numba.njit(numba.int64(types.rows, types.row, bounds_type, whole, whole, whole, *found_types), nogil=True)
    def within(codes, query, bounds, radius, slack, step, distances, rows):  # type: ignore[no-untyped-def]
        start, found = codes.ctypes.data, 0
        limit = min((radius + slack) // step, REMOVED - 1)
        picked, many = np.empty(2 * _BLOCK, np.int64), 0
        for first in range(0, len(codes) + _BLOCK, _BLOCK):
            before = many
            if first + _BLOCK <= len(codes):
                least = np.uint16(REMOVED)
                for place in range(_BLOCK):
                    least = min(least, bounds[first + place])
                if least > limit:
                    continue
            for row in range(first, min(first + _BLOCK, len(codes))):
                picked[many] = row
                many += bounds[row] <= limit
            for turn in range(before, many):  # of memory while other bounds are looked at
                for byte in range(0, width, _LINE):
                    prefetch(start + picked[turn] * width + byte)
            if many < _BLOCK and first < len(codes):
                continue
            for turn in range(many):
                row = picked[turn]
                total = np.int32(0)
                for place in range(width):
                    total = np.int32(total + np.int32(abs(np.int32(np.int32(codes[row, place]) - np.int32(query[place])))))
                if total > radius or (found == len(rows) and total >= distances[found - 1]):
                    continue
                place = min(found, len(rows) - 1)
                found = place + 1
                while place > 0 and distances[place - 1] > total:
                    distances[place], rows[place] = distances[place - 1], rows[place - 1]
                    place -= 1
                distances[place], rows[place] = total, row
                if found == len(rows):
                    radius = min(radius, np.int64(distances[found - 1]))
                    limit = min((radius + slack) // step, REMOVED - 1)
            many = 0
        return found

    return within  # type: ignore[no-any-return]


def _compiled_summing(numba: Any) -> _Call:
    types = _Types(numba)
    numbers = types.read(numba.int32)

    @numba.njit(numba.void(types.rows, numbers, numbers, numbers, numba.int32, numba.uint8[:, ::1]), nogil=True)
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


class _Types:
    """Contiguous arrays. What is only read may be writable or not."""

    def __init__(self, numba: Any) -> None:
        self._array = numba.types.Array
        self.rows, self.row = self._array(numba.uint8, 2, "C", readonly=True), self.read(numba.uint8)

    def of(self, kind: Any) -> Any:
        return self._array(kind, 1, "C")

    def read(self, kind: Any) -> Any:
        return self._array(kind, 1, "C", readonly=True)


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

"""The corners drawn in the middle of a picture, and the symbols between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from oneshot_runtime.camera.frame_symbols import Box

__all__ = ["aimed_at", "reach"]


class _Boxed(Protocol):
    @property
    def box(self) -> Box: ...


_Symbol = TypeVar("_Symbol", bound=_Boxed)


def reach(width: int, height: int) -> int:
    """Pixels from the middle of a picture to each side of the square that the corners mark."""
    return min(width, height) // 8


def aimed_at(symbols: Iterable[_Symbol], width: int, height: int) -> list[_Symbol]:
    """The symbols whose middle lies between the corners."""
    most = reach(width, height)

    def inside(box: Box) -> bool:
        x, y = box[0] + box[2] / 2 - width / 2, box[1] + box[3] / 2 - height / 2
        return max(abs(x), abs(y)) <= most

    return [symbol for symbol in symbols if inside(symbol.box)]

"""A property that is worked out once, when it is first read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

__all__ = ["lazy_property"]

_Value = TypeVar("_Value")


class lazy_property(Generic[_Value]):  # noqa: N801, as `property`
    """`functools.cached_property` without its lock.

    Until Python 3.12 that is one for all objects: threads wait for each other, and a process that is forked while one holds it
    waits for ever. Without it two threads that read the value first may both work it out; they get equal ones.
    """

    def __init__(self, function: Callable[[Any], _Value]) -> None:
        self._function, self.__doc__ = function, function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazy_property[_Value]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> _Value: ...
    def __get__(self, instance: object | None, owner: type) -> lazy_property[_Value] | _Value:
        if instance is None:
            return self
        value = self._function(instance)
        instance.__dict__[self._name] = value  # which is looked at before this descriptor from now on
        return value

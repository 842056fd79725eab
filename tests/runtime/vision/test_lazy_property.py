"""A value that is worked out once, without a lock that a fork could leave closed."""

import threading
from dataclasses import dataclass

from oneshot_runtime.vision.lazy_property import lazy_property


def test_it_is_worked_out_once_also_in_a_frozen_object() -> None:
    calls = []

    @dataclass(frozen=True)
    class Square:
        side: int

        @lazy_property
        def area(self) -> int:
            """In pixels."""
            calls.append(self.side)
            return self.side**2

    squares = [Square(2), Square(3)]
    assert [square.area for square in squares * 2] == [4, 9, 4, 9]
    assert calls == [2, 3]
    assert Square.area.__doc__ == "In pixels."


def test_no_thread_waits_for_another_ones_value() -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow:
        def __init__(self, waits: bool) -> None:
            self.waits = waits

        @lazy_property
        def value(self) -> bool:
            if self.waits:
                begun.set()
                assert go_on.wait(60)
            return self.waits

    thread = threading.Thread(target=lambda: Slow(True).value)
    thread.start()
    assert begun.wait(60)
    read = threading.Thread(target=lambda: Slow(False).value)
    read.start()
    read.join(60)
    assert not read.is_alive()
    go_on.set()
    thread.join()

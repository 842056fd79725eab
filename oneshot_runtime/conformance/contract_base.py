"""What the parts of the contract share: where the store under test lives, what is put into it, and how errors are caught."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.base import Block, Changes, GalleryStore

__all__ = ["ContractBase", "following", "raised"]

_Error = TypeVar("_Error", bound=BaseException)


class ContractBase:
    """Derive a class named `Test...` and define `open` and `new_address`; `extra_seconds` is for a store that is far away."""

    extra_seconds = 0.0
    """Time that threads get beyond 60 s."""

    def open(self, address: str, fingerprint: str, dim: int) -> GalleryStore:
        """The store at an address, created when missing."""
        raise NotImplementedError

    def new_address(self) -> str:
        """Where no gallery is yet, and none of another test will be."""
        raise NotImplementedError

    def setup_method(self) -> None:
        """Before each test: a fresh place."""
        self.bundle = Bundle.open()
        self.dim = self.bundle.dim
        self.address = self.new_address()
        self._opened: list[GalleryStore] = []

    def teardown_method(self) -> None:
        """After each test: every store is closed, some twice, which must not matter."""
        for store in self._opened:
            store.close()

    def store(self, fingerprint: str | None = None) -> GalleryStore:
        """One more opening of the test's gallery."""
        opened = self.open(self.address, fingerprint or self.bundle.fingerprint, self.dim)
        self._opened.append(opened)
        return opened

    def gallery(self) -> Gallery:
        """A gallery over one more opening."""
        return Gallery(self.bundle, self.store())

    def _embeddings(self, count: int, seed: int = 0) -> NDArray[np.float32]:
        return np.random.default_rng(seed).random((count, self.dim), np.float32)

    def _codes(self, count: int, seed: int = 0) -> NDArray[np.uint8]:
        return np.random.default_rng(seed).integers(0, 256, (count, self.dim), np.uint8)

    def _block(self, labels: list[str], codes: NDArray[np.uint8] | None = None) -> Block:
        nothing = [None] * len(labels)
        return Block(labels, self._codes(len(labels)) if codes is None else codes, nothing, nothing)

    def _run(self, writers: list[Callable[[], None]], reader: Callable[[], None], stop: threading.Event) -> None:
        """Run them in threads; an error in one of them fails the test."""
        errors: list[BaseException] = []

        def guarded(work: Callable[[], None]) -> None:
            try:
                work()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in writers]
        watching = threading.Thread(target=guarded, args=(reader,), daemon=True)
        for thread in (*threads, watching):
            thread.start()
        for thread in threads:
            thread.join(60 + self.extra_seconds)
        stop.set()
        watching.join(60 + self.extra_seconds)
        assert errors == []
        assert not any(thread.is_alive() for thread in (*threads, watching))


def following() -> tuple[dict[str, int], list[tuple[bool, int, int]], Callable[[Changes], int]]:
    """The number of supports by label, what was seen (anew, labels removed, supports added), and an `apply` that keeps both."""
    held: dict[str, int] = {}
    seen: list[tuple[bool, int, int]] = []

    def apply(changes: Changes) -> int:
        if changes.anew:
            held.clear()
        for removed in changes.removed:
            if removed.place is None or held[removed.label] == 1:
                held.pop(removed.label, None)
            else:
                held[removed.label] -= 1
        added, last = 0, -1
        for block in changes.added:
            assert len(block.labels) == len(block.codes) == len(block.numbers)
            assert block.codes.dtype == np.uint8
            for label, number in zip(block.labels, block.numbers, strict=True):
                assert number > last
                held[label] = held.get(label, 0) + 1
                last = number
            added += len(block.labels)
        seen.append((changes.anew, len(changes.removed), added))
        return sum(held.values())

    return held, seen, apply


@contextmanager
def raised(kind: type[_Error] | tuple[type[BaseException], ...]) -> Iterator[list[BaseException]]:
    """The block must raise it; the error is in the list afterwards."""
    found: list[BaseException] = []
    try:
        yield found
    except kind as error:
        found.append(error)
        return
    raise AssertionError(f"expected {kind}, nothing was raised")

"""Models, threads and closed stores do not get in each other's way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from oneshot_runtime.conformance.contract_base import ContractBase, raised
from oneshot_runtime.errors import GalleryError
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.stores.registry import open_store

__all__ = ["SharingContract"]

_OTHER_MODEL = "0123456789abcdef"


class SharingContract(ContractBase):
    """Models, threads and closed stores do not get in each other's way."""

    def test_another_model_is_refused(self) -> None:
        """Naming both fingerprints; the gallery stays as it is."""
        self.store().add(iter([self._block(["a"])]))
        with raised(GalleryError) as error:
            self.store(_OTHER_MODEL)
        assert _OTHER_MODEL in str(error[0])
        assert self.bundle.fingerprint in str(error[0])
        assert self.gallery().labels == ["a"]

    def test_an_open_store_says_which_model_it_is_of(self) -> None:
        """So that no other model's codes are added to it, nor codes of another length."""
        store = self.store()
        assert (store.fingerprint, store.dim) == (self.bundle.fingerprint, self.dim)
        with raised(GalleryError) as error:
            open_store(store, _OTHER_MODEL, self.dim)
        assert _OTHER_MODEL in str(error[0])
        assert self.bundle.fingerprint in str(error[0])
        with raised(GalleryError):
            store.add(iter([self._block(["a", "b"], np.zeros((2, self.dim + 1), np.uint8))]))
        assert self.gallery().labels == []

    def test_a_closed_store_says_so(self) -> None:
        """Every call raises `GalleryError`; closing again does not."""
        store, other = self.store(), self.store()
        store.add(iter([self._block(["a"])]))
        store.close()
        store.close()
        calls: list[Callable[[], object]] = [
            lambda: store.add(iter([self._block(["b"])])),
            lambda: store.remove("a"),
            lambda: store.remove_support("a", 0),
            lambda: store.counts(),
            lambda: store.rename("a", "b"),
            lambda: store.supports("a"),
            lambda: store.holds("a", b"x"),
            lambda: store.sync(lambda _: 0) if store.engine is None else store.engine.snapshot,
        ]
        for call in calls:
            with raised(GalleryError):
                call()
        assert Gallery(self.bundle, other).labels == ["a"]

    def test_threads_of_one_store_lose_nothing(self) -> None:
        """Writers beside each other, and readers that see a class with all its three supports or without any."""
        gallery, other = self.gallery(), self.gallery()
        gallery.extend(["x"], self._embeddings(1))
        wrong: list[Any] = []
        stop = threading.Event()

        def write(number: int) -> None:
            for step in range(8):
                (gallery, other)[number % 2].extend([f"w{number}-{step}"] * 3, self._embeddings(3, step))

        def read() -> None:
            while not stop.is_set():
                view = gallery.snapshot()
                if view.supports - 1 != 3 * (view.classes - 1):
                    wrong.append((view.supports, view.classes))

        self._run([lambda number=number: write(number) for number in range(4)], read, stop)  # type: ignore[misc]
        assert wrong == []
        for one in (gallery, other, self.gallery()):
            assert len(one) == 1 + 4 * 8 * 3
            assert sorted(one.labels) == sorted(["x", *(f"w{number}-{step}" for number in range(4) for step in range(8))])

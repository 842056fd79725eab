"""What every gallery store must do, as tests for pytest: derive from `StoreContract` and give it your store.

```python
from oneshot_runtime.conformance import StoreContract

class TestMyStore(StoreContract):
    def new_address(self): return f"mystore://localhost/{uuid.uuid4().hex}"   # of a gallery that does not exist yet
    def open(self, address, fingerprint, dim): return MyStore(address, fingerprint, dim)
```

Nothing but `pytest` is needed; `pytest.register_assert_rewrite("oneshot_runtime.conformance")` in a conftest makes its failures
say more.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.bundle import Bundle
from oneshot_runtime.errors import GalleryError, LabelError, OneShotError
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.rows import pack_metadata
from oneshot_runtime.stores import Block, Changes, GalleryStore, Position

__all__ = ["StoreContract"]

_Error = TypeVar("_Error", bound=BaseException)
_PNG = b"\x89PNG\r\n\x1a\n kept byte for byte: \x00\xff"
_LABELS = [
    "a",
    "A",
    "á",
    "a\u0301",
    "ﬁ",
    "fi",
    "א",
    "漢字",
    "😀",
    "'; DROP TABLE supports; --",
    "50 %",
    "\\x00",
    "a b",
    "ß" * 256,
]
"""All different, though some look alike or are equal to a careless collation."""

_METADATA = [
    None,
    {},
    {"page": 3, "by": "ה", "site": "haifa"},
    {"nul": "\x00", "half of a pair": "\ud800", "key \x00": 1},
    {"large": 2**70, "small": 5e-324, "deep": [[[[{"x": None}]]]], "true": True},
]
_OTHER_MODEL = "0123456789abcdef"


class StoreContract:
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

    def test_is_a_store(self) -> None:
        """All of the protocol is there."""
        assert isinstance(self.store(), GalleryStore)

    def test_labels_and_supports_keep_their_order(self) -> None:
        """Labels by their first support, supports as they were enrolled, across openings."""
        gallery = self.gallery()
        gallery.extend(["b", "a", "b"], self._embeddings(3))
        gallery.extend(["c", "a"], self._embeddings(2, 1))
        for one in (gallery, self.gallery()):
            assert one.labels == ["b", "a", "c"]
            assert [one.count(label) for label in ("a", "b", "c", "d")] == [2, 2, 1, 0]
            assert np.array_equal(one.codes("b"), gallery.codes("b"))
            assert len(one.codes("d")) == 0
            assert len(one) == 5

    def test_an_error_in_the_iterator_adds_nothing(self) -> None:
        """However many blocks came before it; the error arrives as it was raised."""
        store = self.store()
        store.add(iter([self._block(["kept"])]))

        def blocks() -> Iterator[Block]:
            yield self._block([f"s{number}" for number in range(500)])
            yield self._block(["more"])
            raise KeyboardInterrupt("the second block was the last")

        with _raised(KeyboardInterrupt) as error:
            store.add(blocks())
        assert "the second block" in str(error[0])
        for one in (Gallery(self.bundle, store), self.gallery()):
            assert one.labels == ["kept"]
        store.add(iter([self._block(["after"])]))
        assert self.gallery().labels == ["kept", "after"]

    def test_adding_nothing_changes_nothing(self) -> None:
        """No block, and a block without supports."""
        gallery = self.gallery()
        gallery.add_blocks(iter([]))
        gallery.add_blocks(iter([self._block([])]))
        assert (gallery.labels, len(gallery)) == ([], 0)

    def test_removing(self) -> None:
        """All of a class at once; one that comes back takes a new place."""
        store = self.store()
        gallery, other = Gallery(self.bundle, store), self.gallery()
        gallery.extend(["a", "b", "a", "c"], self._embeddings(4))
        assert store.remove("nobody") == 0
        assert store.remove("a") == 2
        assert store.remove("a") == 0
        gallery.extend(["a"], self._embeddings(1, 1))
        for one in (gallery, other, self.gallery()):
            assert one.labels == ["b", "c", "a"]
            assert one.count("a") == 1

    def test_renaming(self) -> None:
        """The class counts as enrolled last; a name that is taken is refused, an unknown one is 0."""
        store = self.store()
        gallery, other = Gallery(self.bundle, store), self.gallery()
        gallery.extend(["a", "b", "a"], self._embeddings(3), [_PNG, None, None], [None, None, {"page": 1}])
        codes = gallery.codes("a")
        assert store.rename("nobody", "x") == 0
        for taken in ("b", "a"):
            with _raised(LabelError) as error:
                store.rename("a", taken)
            assert repr(taken) in str(error[0])
        before = gallery.supports("a")
        assert store.rename("a", "z") == 2
        for one in (gallery, other, self.gallery()):
            assert one.labels == ["b", "z"]
            assert np.array_equal(one.codes("z"), codes)
            after = one.supports("z")
            assert [s.label for s in after] == ["z", "z"]
            assert [(s.created, s.thumbnail, s.metadata) for s in after] == [
                (s.created, s.thumbnail, s.metadata) for s in before
            ]

    def test_two_openings_see_each_other(self) -> None:
        """What a write returned from is in the next answer of every opening."""
        one, two = self.gallery(), self.gallery()
        rng = np.random.default_rng(3)
        for number in range(30):
            writer, reader = (one, two) if number % 2 else (two, one)
            label = f"s{rng.integers(6)}"
            if number % 5 == 4 and writer.count(label):
                writer.remove(label)
            else:
                writer.extend([label] * 2, self._embeddings(2, number))
            assert reader.labels == writer.labels
            assert [reader.count(name) for name in reader.labels] == [writer.count(name) for name in writer.labels]

    def test_sync_hands_over_what_is_new(self) -> None:
        """Everything at first, then increments, nothing when nothing is new, and all again after an error."""
        store, writer = self.store(), self.store()
        if store.engine is not None:
            return
        held: dict[str, int] = {}
        seen: list[tuple[bool, int, int]] = []
        apply = _following(held, seen)
        store.sync(apply)
        assert seen == [(True, 0, 0)]
        writer.add(iter([self._block(["a", "b", "a"])]))
        store.sync(apply)
        assert held == {"a": 2, "b": 1}
        seen.clear()
        store.sync(apply)
        assert seen == []
        writer.add(iter([self._block(["c"])]))
        writer.remove("b")
        store.sync(apply)
        assert held == {"a": 2, "c": 1}
        assert seen == [(False, 1, 1)]

    def test_sync_says_which_state_it_leads_to(self) -> None:
        """One identity, a revision that every write raises, and how many supports there then are; nothing need be read."""
        first, second = self.store(), self.store()
        if first.engine is not None:
            return
        found: list[Position] = []

        def note(changes: Changes) -> int:
            found.append(changes.position)
            return changes.position.supports

        first.sync(note)
        first.add(iter([self._block(["a", "b", "a"])]))
        first.sync(note)
        first.rename("a", "c")
        first.sync(note)
        first.remove("b")
        first.sync(note)
        second.sync(note)
        assert [position.supports for position in found] == [0, 3, 3, 2, 2]
        assert found[3] == found[4]
        assert len({position.identity for position in found}) == 1
        revisions = [position.revision for position in found[:4]]
        assert revisions == sorted(set(revisions))

    def test_numbers_order_the_supports_alike_for_every_reader(self) -> None:
        """Whether a reader followed step by step or reads anew; what was renamed comes last."""
        first, second = self.store(), self.store()
        if first.engine is not None:
            return
        followed: dict[tuple[str, int], int] = {}

        def follow(into: dict[tuple[str, int], int]) -> Callable[[Changes], int]:
            def apply(changes: Changes) -> int:
                for key in [key for key in into if changes.anew or key[0] in changes.removed]:
                    del into[key]
                for block in changes.added:
                    for label, number in zip(block.labels, block.numbers, strict=True):
                        into[label, sum(key[0] == label for key in into)] = number
                return len(into)

            return apply

        for step in range(3):
            first.add(iter([self._block([f"s{step}", "a", "a"])]))
            first.sync(follow(followed))
        first.rename("s0", "z")
        first.remove("s1")
        first.sync(follow(followed))
        read: dict[tuple[str, int], int] = {}
        second.sync(follow(read))
        assert read == followed
        assert max(read, key=lambda key: read[key]) == ("z", 0)

    def test_sync_starts_anew_after_an_error(self) -> None:
        """An `apply` that raised, or ended with another number of supports, may have half of a change."""
        store, writer = self.store(), self.store()
        if store.engine is not None:
            return
        held: dict[str, int] = {}
        seen: list[tuple[bool, int, int]] = []
        apply = _following(held, seen)
        writer.add(iter([self._block(["a", "b"])]))
        store.sync(apply)
        writer.add(iter([self._block(["c"])]))

        def fail(_: Changes) -> int:
            raise ZeroDivisionError

        # The store may pass the error on as one of the library's family.
        with _raised((ZeroDivisionError, OneShotError)):
            store.sync(fail)
        seen.clear()
        store.sync(apply)
        assert held == {"a": 1, "b": 1, "c": 1}
        assert seen == [(True, 0, 3)]
        writer.add(iter([self._block(["d"])]))
        held["stranger"] = 1
        seen.clear()
        store.sync(apply)
        assert held == {"a": 1, "b": 1, "c": 1, "d": 1}
        assert [anew for anew, _, _ in seen] == [False, True]

    def test_another_model_is_refused(self) -> None:
        """Naming both fingerprints; the gallery stays as it is."""
        self.store().add(iter([self._block(["a"])]))
        with _raised(GalleryError) as error:
            self.store(_OTHER_MODEL)
        assert _OTHER_MODEL in str(error[0])
        assert self.bundle.fingerprint in str(error[0])
        assert self.gallery().labels == ["a"]

    def test_a_closed_store_says_so(self) -> None:
        """Every call raises `GalleryError`; closing again does not."""
        store, other = self.store(), self.store()
        store.add(iter([self._block(["a"])]))
        store.close()
        store.close()
        calls: list[Callable[[], object]] = [
            lambda: store.add(iter([self._block(["b"])])),
            lambda: store.remove("a"),
            lambda: store.rename("a", "b"),
            lambda: store.supports("a"),
            lambda: store.holds("a", b"x"),
            lambda: store.sync(lambda _: 0) if store.engine is None else store.engine.snapshot,
        ]
        for call in calls:
            with _raised(GalleryError):
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

    def test_thumbnails_metadata_and_time_come_back(self) -> None:
        """As they were given: bytes for bytes, JSON for JSON, none for none."""
        count = len(_METADATA)
        pictures = [None, _PNG, _PNG + b"2", b"\x89PNG", None]
        created = [0.0, 1.25, 1_700_000_000.123456, 2.0**33, 1e-3]
        texts = [pack_metadata(values) for values in _METADATA]
        store = self.store()
        store.add(iter([Block(["a"] * count, self._codes(count), pictures, texts, created)]))
        for one in (store, self.store()):
            found = one.supports("a")
            assert [s.thumbnail for s in found] == pictures
            assert [s.metadata for s in found] == [None if text is None else json.loads(text) for text in texts]
            assert [s.created for s in found] == created
            assert one.supports("nobody") == []

    def test_codes_that_are_there(self) -> None:
        """`holds` asks for one class's code of exactly these bytes."""
        store = self.store()
        codes = self._codes(2)
        store.add(iter([self._block(["a", "b"], codes)]))
        assert store.holds("a", codes[0].tobytes())
        assert not store.holds("a", codes[1].tobytes())
        assert not store.holds("c", codes[0].tobytes())

    def test_labels_of_any_script(self) -> None:
        """Labels that look alike, or mean something to a query language, stay apart and unchanged."""
        gallery = self.gallery()
        gallery.extend(_LABELS, self._embeddings(len(_LABELS)))
        for one in (gallery, self.gallery()):
            assert one.labels == _LABELS
            assert [one.count(label) for label in _LABELS] == [1] * len(_LABELS)
        gallery.remove("A")
        gallery.rename("fi", "Fi")
        expected = [label for label in _LABELS if label not in ("A", "fi")] + ["Fi"]
        assert self.gallery().labels == expected
        assert gallery.supports("ﬁ")[0].label == "ﬁ"

    def test_ties_go_to_the_support_enrolled_first(self) -> None:
        """Also after removals and renames."""
        gallery = self.gallery()
        same = np.repeat(self._embeddings(1), 4, axis=0)
        gallery.extend(["d", "b", "c", "a"], same)
        query = gallery.codes("a")[0]
        assert [(n.label, n.distance) for n in gallery.snapshot().nearest(query, 3)] == [("d", 0), ("b", 0), ("c", 0)]
        gallery.remove("d")
        gallery.rename("b", "d")
        assert [n.label for n in gallery.snapshot().nearest(query, 9)] == ["c", "a", "d"]

    def test_the_same_matches_as_in_memory(self) -> None:
        """Class by class and distance by distance, whatever was written by whom."""
        memory, galleries = Gallery(self.bundle), [self.gallery(), self.gallery()]
        rng = np.random.default_rng(7)
        # Few different values make many ties.
        rows = np.round(rng.random((60, self.dim), np.float32))
        rows[rng.random(60) < 0.5] = rows[0]
        for start in range(0, 60, 6):
            labels = [f"s{rng.integers(12)}" for _ in range(6)]
            writer = galleries[(start // 6) % 2]
            for one in (memory, writer):
                one.extend(labels, rows[start : start + 6])
            victim = f"s{rng.integers(12)}"
            if memory.count(victim):
                fresh = f"{victim}'{start}"
                for one in (memory, writer):
                    one.remove(victim) if start % 4 else one.rename(victim, fresh)
        queries = [*self._codes(5, 9), *(memory.codes(label)[0] for label in memory.labels)]
        for one in (*galleries, self.gallery()):
            assert one.labels == memory.labels
            view, expected = one.snapshot(), memory.snapshot()
            assert (view.supports, view.classes) == (expected.supports, expected.classes)
            for query in queries:
                for count in (1, 5, 100):
                    assert view.nearest(query, count) == expected.nearest(query, count)

    def test_an_empty_gallery_matches_nothing(self) -> None:
        """Before the first enrolment and after the last removal."""
        gallery = self.gallery()
        query = self._codes(1)[0]
        assert gallery.snapshot().nearest(query, 5) == []
        gallery.extend(["a"], self._embeddings(1))
        gallery.remove("a")
        view = gallery.snapshot()
        assert (view.supports, view.classes, view.nearest(query, 5)) == (0, 0, [])

    def test_a_larger_load(self) -> None:
        """More supports than any block or page holds at once, in one write."""
        gallery = self.gallery()
        count = 9000
        gallery.add_blocks(
            self._block([f"s{start + row}" for row in range(1000)], self._codes(1000, start)) for start in range(0, count, 1000)
        )
        other = self.gallery()
        assert len(other) == count
        assert other.labels == [f"s{number}" for number in range(count)]
        query = self._codes(1000, 8000)[7]
        assert [(n.label, n.distance) for n in other.snapshot().nearest(query, 1)] == [("s8007", 0)]

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


def _following(held: dict[str, int], seen: list[tuple[bool, int, int]]) -> Callable[[Changes], int]:
    """An `apply` that keeps the number of supports by label, and what it was given: anew, labels removed, supports added."""

    def apply(changes: Changes) -> int:
        if changes.anew:
            held.clear()
        for label in changes.removed:
            held.pop(label, None)
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

    return apply


@contextmanager
def _raised(kind: type[_Error] | tuple[type[BaseException], ...]) -> Iterator[list[BaseException]]:
    """The block must raise it; the error is in the list afterwards."""
    found: list[BaseException] = []
    try:
        yield found
    except kind as error:
        found.append(error)
        return
    raise AssertionError(f"expected {kind}, nothing was raised")

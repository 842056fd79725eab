"""What is written is there: in order, all or nothing, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from oneshot_runtime.conformance.contract_base import ContractBase, raised
from oneshot_runtime.errors import LabelError
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.stores.base import Block, GalleryStore
from oneshot_runtime.stores.records import pack_metadata

__all__ = ["WriteContract"]

_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x08\x00\x00\x00\x08 kept byte for byte: \x00\xff"
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


class WriteContract(ContractBase):
    """What is written is there: in order, all or nothing, byte for byte."""

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

        def blocks(thrown: BaseException) -> Iterator[Block]:
            yield self._block([f"s{number}" for number in range(500)])
            yield self._block(["more"])
            raise thrown

        for thrown in (KeyboardInterrupt(), ValueError("of the caller's data"), TypeError(), RuntimeError(), OSError()):
            with raised(type(thrown)) as error:
                store.add(blocks(thrown))
            assert error == [thrown]
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

    def test_removing_one_support(self) -> None:
        """By its place; the others keep their order, and a class counts from the first that it has left."""
        store = self.store()
        gallery, other = Gallery(self.bundle, store), self.gallery()
        gallery.extend(["a", "b", "a", "a", "c"], self._embeddings(5), [_PNG + bytes([n]) for n in range(5)])
        codes, pictures = gallery.codes("a"), [support.thumbnail for support in gallery.supports("a")]
        for label, place in (("a", 3), ("a", -1), ("nobody", 0)):
            assert not store.remove_support(label, place)
        assert store.remove_support("a", 1)
        assert np.array_equal(other.codes("a"), codes[[0, 2]])
        assert store.remove_support("a", 0)
        for one in (gallery, other, self.gallery()):
            assert one.labels == ["b", "a", "c"]
            assert np.array_equal(one.codes("a"), codes[2:])
            assert [support.thumbnail for support in one.supports("a")] == pictures[2:]
        assert store.remove_support("b", 0)
        assert not store.remove_support("b", 0)
        gallery.extend(["b"], self._embeddings(1, 1))
        for one in (gallery, other, self.gallery()):
            assert one.labels == ["a", "c", "b"]

    def test_counting_all_labels(self) -> None:
        """In one call, in the order of the first support that they have, whoever wrote."""
        store, other = self.store(), self.store()
        assert store.counts() == {}
        store.add(iter([self._block(["b", "a", "b"])]))
        other.add(iter([self._block(["c", "a"])]))
        for one in (store, other, self.store()):
            assert list(one.counts().items()) == [("b", 2), ("a", 2), ("c", 1)]
        other.rename("b", "z")
        other.remove_support("a", 0)
        other.remove("c")
        for one in (store, other, self.store()):
            assert list(one.counts().items()) == [("a", 1), ("z", 2)]

    def test_renaming(self) -> None:
        """The class counts as enrolled last; a name that is taken is refused, an unknown one is 0."""
        store = self.store()
        gallery, other = Gallery(self.bundle, store), self.gallery()
        gallery.extend(["a", "b", "a"], self._embeddings(3), [_PNG, None, None], [None, None, {"page": 1}])
        codes = gallery.codes("a")
        assert store.rename("nobody", "x") == 0
        for taken in ("b", "a"):
            with raised(LabelError) as error:
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

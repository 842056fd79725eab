"""Matches are those of a gallery in memory."""

from __future__ import annotations

import numpy as np

from oneshot_runtime.conformance.contract_base import ContractBase
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.codes import encode
from oneshot_runtime.search.ranking import ranked

__all__ = ["AnswerContract"]


class AnswerContract(ContractBase):
    """Matches are those of a gallery in memory."""

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
                    assert ranked(view, query, count) == ranked(expected, query, 100)[:count]

    def test_the_order_of_classes_does_not_depend_on_how_many_are_asked_for(self) -> None:
        """Where classes whose supports surround the query rank before many with a nearer support."""
        rng = np.random.default_rng(11)
        centre, signs = rng.uniform(0.35, 0.65, self.dim), rng.choice([-1, 1], (90, self.dim))
        rows = [centre + 0.1 * sign for sign in signs[:50]]
        rows += [centre + step * sign for sign in signs[50:] for step in (0.12, -0.12)]
        labels = [f"lone{n}" for n in range(50)] + [f"pair{n // 2}" for n in range(80)]
        memory, gallery = Gallery(self.bundle), self.gallery()
        for one in (memory, gallery):
            one.extend(labels, np.array(rows, np.float32))
        query = encode(centre[None].astype(np.float32), self.bundle.head)[0]
        expected = ranked(memory.snapshot(), query, 90)
        assert [near.label[:4] for near in expected[:9]] == ["pair"] * 9
        assert [near.label[:4] for near in gallery.snapshot().nearest(query, 40)] == ["lone"] * 40
        for count in (1, 5, 40, 89):
            assert ranked(gallery.snapshot(), query, count) == expected[:count]

    def test_an_empty_gallery_matches_nothing(self) -> None:
        """Before the first enrollment and after the last removal."""
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

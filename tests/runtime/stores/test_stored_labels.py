from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from oneshot_runtime.stores.labels import MAX_LABEL_LENGTH, is_label, split_labels

CHARACTERS = st.characters(exclude_characters="\n")
TEXTS = st.one_of(st.text(CHARACTERS, max_size=4), st.sampled_from(["", " ", "\u200f ", "א", "a b"]))


@given(labels=st.lists(TEXTS, min_size=1, max_size=6))
@example(labels=["a", "", "b"])
@example(labels=[" ", " "])
@example(labels=["a", "\u2028"])
@example(labels=["a" * MAX_LABEL_LENGTH, "ה" * (MAX_LABEL_LENGTH + 1)])
def test_stored_labels_are_those_that_could_be_enrolled(labels) -> None:
    stored = split_labels("\n".join(labels), len(labels))
    assert stored == (labels if all(map(is_label, labels)) else None)
    assert split_labels("\n".join(labels), len(labels) + 1) is None

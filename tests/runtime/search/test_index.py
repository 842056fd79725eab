"""The index keeps which support belongs to which class, through blocks of any kind, removals and labels that come back."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshot_runtime.search.index import CodeIndex

_LABEL = st.integers(0, 12).map(str)
_STEP = st.one_of(
    st.lists(_LABEL, max_size=12),  # a block to add
    st.tuples(st.just("remove"), _LABEL),
    st.tuples(st.just("one"), _LABEL, st.integers(0, 3)),
)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(_STEP, max_size=12))
def test_an_index_equals_plain_lists(steps) -> None:
    index, expected, number = CodeIndex(2), dict[str, list[int]](), 0
    for step in steps:
        if isinstance(step, list):
            for label in step:
                expected.setdefault(label, []).append(number)
                number += 1
            numbers = np.arange(number - len(step), number)
            index.add(step, np.stack((numbers // 256, numbers % 256), axis=1).astype(np.uint8))
        elif step[0] == "remove":
            assert index.remove(step[1]) == len(expected.pop(step[1], []))
        else:
            codes = expected.get(step[1], [])
            assert index.remove_support(step[1], step[2]) == (step[2] < len(codes))
            del codes[step[2] : step[2] + 1]
            if not codes:
                expected.pop(step[1], None)
    first = sorted(expected, key=lambda label: expected[label][0])
    assert index.labels() == first
    assert index.counts() == {label: len(expected[label]) for label in first}
    for label, codes in expected.items():
        assert (index.codes(label).astype(int) @ [256, 1]).tolist() == codes
    assert index.snapshot.supports == sum(map(len, expected.values()))
    assert index.snapshot.classes == len(expected)

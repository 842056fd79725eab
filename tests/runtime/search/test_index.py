"""The index keeps which support belongs to which class, through blocks of any kind, removals and labels that come back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshot_runtime.search.index import CodeIndex

_LABEL = st.integers(0, 12).map(str)
_BLOCK = st.lists(_LABEL, max_size=12)
_STEP = st.one_of(
    _BLOCK,  # to add
    st.tuples(st.just("blocks"), st.lists(_BLOCK, max_size=4), st.booleans()),
    st.tuples(st.just("remove"), _LABEL),
    st.tuples(st.just("one"), _LABEL, st.integers(0, 3)),
)


def codes_of(first: int, count: int) -> np.ndarray:
    numbers = np.arange(first, first + count)
    return np.stack((numbers // 256, numbers % 256), axis=1).astype(np.uint8)


def expect(expected: dict[str, list[int]], labels: list[str], number: int) -> int:
    for label in labels:
        expected.setdefault(label, []).append(number)
        number += 1
    return number


def failing(blocks: list) -> Iterator[tuple]:
    yield from blocks
    raise ZeroDivisionError


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(_STEP, max_size=12))
def test_an_index_equals_plain_lists(steps) -> None:
    index, expected, number = CodeIndex(2), dict[str, list[int]](), 0
    for step in steps:
        if isinstance(step, list):
            index.add(step, codes_of(number, len(step)))
            number = expect(expected, step, number)
        elif step[0] == "blocks":
            blocks, last = [], number
            for labels in step[1]:
                blocks.append((labels, codes_of(last, len(labels)), None))
                last += len(labels)
            if step[2]:
                index.add_blocks(iter(blocks))
                number = expect(expected, [label for labels in step[1] for label in labels], number)
            else:
                with pytest.raises(ZeroDivisionError):
                    index.add_blocks(failing(blocks))
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

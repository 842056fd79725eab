"""The calls that users look for, as in memory and in a file: the same tests, over PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("oneshot_runtime.stores.postgres", reason="needs the extra postgres", exc_type=ImportError)

from oneshot_runtime import OneShotMatcher
from tests.runtime.test_calls import (  # noqa: F401  pytest finds them here
    test_a_gallery_is_a_container_of_labels,
    test_a_saved_gallery_is_the_same,
    test_any_iterable_of_images_will_do,
    test_embeddings_come_with_any_iterables,
    test_every_change_raises_the_revision,
    test_one_support_is_removed_by_its_place,
    test_supports_come_in_the_order_of_their_enrollment,
    test_texts_of_other_kinds_are_labels,
)


@pytest.fixture
def known(server, drawings) -> Iterator[OneShotMatcher]:
    with OneShotMatcher.load(gallery=server.address(), precision="fp32", threads=1) as matcher:
        for number in range(4):
            matcher.enroll(f"s{number}", [drawings[0][number], drawings[1][number]], metadata={"number": number})
        yield matcher


@pytest.fixture
def matcher(server) -> Iterator[OneShotMatcher]:
    with OneShotMatcher.load(gallery=server.address(), precision="fp32", threads=1, far=None) as matcher:
        yield matcher

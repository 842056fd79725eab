"""What a search sees: one state of a gallery, wherever its codes are."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.search.snapshot import Neighbour

__all__ = ["BatchView", "View"]


class View(Protocol):
    """One state of a gallery's codes."""

    @property
    def supports(self) -> int:
        """How many it has."""
        ...

    @property
    def classes(self) -> int:
        """How many labels they have."""
        ...

    @property
    def revision(self) -> int:
        """Grows with every change of the gallery, so that what was worked out from an older state is known to be stale."""
        ...

    def nearest(self, query: NDArray[np.uint8], count: int) -> list[Neighbour]:
        """The `count` classes nearest to the code uint8 (D,), nearest first; ties go to the support enrolled first."""
        ...


@runtime_checkable
class BatchView(View, Protocol):
    """A view that answers many queries in less time than one by one, such as one on other machines."""

    def nearest_batch(self, queries: NDArray[np.uint8], count: int) -> list[list[Neighbour]]:
        """`nearest` for each of the codes uint8 (N, D)."""
        ...

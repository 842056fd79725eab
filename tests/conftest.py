from __future__ import annotations

from pathlib import Path

import pytest

OMNIGLOT = Path(__file__).parents[2] / "shared" / "omniglot"


@pytest.fixture(scope="session")
def omniglot() -> Path:
    """The real data, where it lies beside the checkout; it is never part of the repository."""
    if not (OMNIGLOT / "all_runs.zip").exists():
        pytest.skip("Omniglot is not beside this checkout")
    return OMNIGLOT

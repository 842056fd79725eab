"""`python -m train`: train a twin network, or evaluate a checkpoint or bundle."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code, see `train.command.main`."""
    # Read once, when torch loads OpenMP: threads that spin while they wait take the cores from those that work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from train.command import main as run

    return run(argv)


if __name__ == "__main__":
    sys.exit(main())

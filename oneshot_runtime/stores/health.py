"""What a check of a gallery found."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Health"]


@dataclass(frozen=True)
class Health:
    """What a check found.

    problems: sentences, empty when all is well. damaged: whether one of them is damage, which a repair can mend. supports: how
    many of them are intact.
    """

    problems: list[str]
    damaged: bool
    supports: int
    classes: int
    fingerprint: str | None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

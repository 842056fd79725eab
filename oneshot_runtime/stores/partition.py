"""A partition of a gallery: the classes whose labels' hash falls to one of several shards, worked out alike here and in SQL."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["Partition", "shard_of"]


@dataclass(frozen=True)
class Partition:
    """The classes that fall to shard `number` of `shards`."""

    number: int
    shards: int

    def owns(self, label: str) -> bool:
        """Whether the class is in this partition."""
        return shard_of(label, self.shards) == self.number

    def in_postgres(self) -> str:
        """The condition on a row's `label` that is `owns`, for PostgreSQL 11 and newer with a database in UTF-8."""
        hashed = "encode(substr(sha256(convert_to(label, 'UTF8')), 1, 4), 'hex')"
        return f"mod(('x' || {hashed})::bit(32)::bigint, {self.shards}) = {self.number}"


def shard_of(label: str, shards: int) -> int:
    """The shard that all supports of a label are in, the same on every machine."""
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:4], "big") % shards

"""What the gallery needs of a durable store, whichever engine keeps it.

docs/stores.md shows how to write another one; `oneshot_runtime.conformance` holds it to what is said here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import GalleryError, OptionError
from oneshot_runtime.results import shortened
from oneshot_runtime.search.view import View
from oneshot_runtime.stores.records import Row, State, Support

__all__ = [
    "Added",
    "Block",
    "Changes",
    "GalleryStore",
    "Position",
    "Reader",
    "Removed",
    "SearchEngine",
    "SearchIndex",
    "Where",
]


@dataclass(frozen=True, eq=False, repr=False)
class Block:
    """Supports to add.

    Attributes:
        labels: n labels, one for each support.
        codes: uint8 (n, D).
        thumbnails: A PNG's bytes, or None, for each.
        metadata: A JSON object's text, or None, for each.
        created: Seconds since 1970 for each; None for now.
    """

    labels: Sequence[str]
    codes: NDArray[np.uint8]
    thumbnails: Sequence[bytes | None]
    metadata: Sequence[str | None]
    created: Sequence[float] | None = None

    def __repr__(self) -> str:
        return f"Block({len(self.labels)} supports)"

    def require_dim(self, dim: int) -> None:
        """Check that the codes fit a gallery.

        Args:
            dim: Bytes of its codes.

        Raises:
            GalleryError: When these codes are longer or shorter.
        """
        if self.codes.shape[1] != dim:
            raise GalleryError(f"codes of {self.codes.shape[1]} dimensions cannot be added to a gallery of codes of {dim}")


@dataclass(frozen=True)
class Position:
    """One state of one gallery.

    Attributes:
        identity: Random, made with the gallery.
        revision: Counts writes.
        supports: How many it then has.
    """

    identity: str
    revision: int
    supports: int


@dataclass(frozen=True, eq=False, repr=False)
class Added:
    """Supports to add, in order.

    Attributes:
        labels: n labels.
        codes: uint8 (n, D).
        numbers: They grow with the order of enrollment, and are the same for every reader.
    """

    labels: list[str]
    codes: NDArray[np.uint8]
    numbers: list[int]

    def __repr__(self) -> str:
        return f"Added({len(self.labels)} supports)"


@dataclass(frozen=True)
class Removed:
    """A label whose supports are gone, or one of them. place: its place among those that were handed over, None for all."""

    label: str
    place: int | None


@dataclass(frozen=True)
class Changes:
    """What to do to stay equal to the store: forget all, forget what was removed, one after another, then add.

    Attributes:
        anew: Whether to forget all first.
        removed: What to forget.
        added: What to add.
        position: The state that this leads to.
    """

    anew: bool
    removed: list[Removed]
    added: Iterable[Added]
    position: Position

    def __repr__(self) -> str:
        return f"Changes(anew={self.anew}, {len(self.removed)} removed, {self.position!r})"


@dataclass(frozen=True)
class Where:
    """Which supports a match may compare with, where the store searches by itself.

    Attributes:
        metadata: What theirs must contain, a JSON object ({"site": "haifa"}); None asks for nothing.
        labels: The classes; None for all.

    Raises:
        OptionError: For anything else.
    """

    metadata: dict[str, Any] | None = None
    labels: Collection[str] | None = None

    def __post_init__(self) -> None:
        try:
            if not (self.metadata is None or isinstance(self.metadata, dict)):
                raise TypeError("not a dict")
            json.dumps(self.metadata, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise OptionError(
                f"metadata to match with is a JSON object (a dict), got {self.metadata!r:.80}: {error}"
            ) from error
        if isinstance(self.labels, Iterator):
            object.__setattr__(self, "labels", tuple(self.labels))
        if isinstance(self.labels, str) or not all(isinstance(label, str) for label in self.labels or ()):
            raise OptionError(f"labels to match with are a collection of texts, got {self.labels!r:.80}")

    def __repr__(self) -> str:
        metadata = "None" if self.metadata is None else shortened(json.dumps(self.metadata))
        labels = "None" if self.labels is None else f"<{len(self.labels)} labels>"
        return f"Where(metadata={metadata}, labels={labels})"


class SearchIndex(Protocol):
    """The codes of a gallery, searchable."""

    @property
    def snapshot(self) -> View:
        """The current state."""
        ...

    def labels(self) -> list[str]:
        """Labels with at least one support, in the order of their first enrollment."""
        ...

    def count(self, label: str) -> int:
        """How many supports a label has, 0 when it is unknown."""
        ...

    def codes(self, label: str) -> NDArray[np.uint8]:
        """The codes uint8 (n, D) of a label's supports, in the order of their enrollment."""
        ...


class SearchEngine(SearchIndex, Protocol):
    """An index outside this process's memory, which follows the store by itself."""

    def where(self, where: Where) -> View:
        """The current state of some of the supports. Raises `OptionError` where the engine cannot tell them apart."""
        ...


@runtime_checkable
class GalleryStore(Protocol):
    """Supports by label, bound to one model, shared by threads and processes.

    A write that returned is durable, and one that raised changed nothing. Every error is of the `OneShotError` family.
    """

    @property
    def fingerprint(self) -> str:
        """Of the model that the gallery is bound to."""
        ...

    @property
    def dim(self) -> int:
        """Bytes of a code."""
        ...

    @property
    def engine(self) -> SearchEngine | None:
        """The store's own search; None lets the gallery keep all codes in memory, where `sync` keeps them up to date."""
        ...

    def add(self, blocks: Iterable[Block]) -> None:
        """Append supports, all of them or none.

        Args:
            blocks: The supports. An error that the iterable raises changes nothing and is passed on.
        """

    def remove(self, label: str) -> int:
        """Delete a label's supports.

        Args:
            label: The label.

        Returns:
            How many there were, 0 when the label is unknown.
        """
        ...

    def remove_support(self, label: str, place: int) -> bool:
        """Delete one of a label's supports. The others keep their order, and a label without supports is gone.

        Args:
            label: The label.
            place: The support's place in `supports`, from 0.

        Returns:
            Whether there was one.
        """
        ...

    def counts(self) -> dict[str, int]:
        """How many supports each label has, read in one pass.

        Returns:
            Labels to numbers, in the order of the first support that each has.
        """
        ...

    def rename(self, old: str, new: str) -> int:
        """Give a label's supports another name; they count as enrolled last.

        Args:
            old: The label.
            new: The other name.

        Returns:
            How many supports there were.

        Raises:
            LabelError: When `new` is there already.
        """
        ...

    def sync(self, apply: Callable[[Changes], int]) -> None:
        """Hand over everything that is new since the last call, whoever wrote it; cheap when nothing is.

        The first call hands over an empty gallery too.

        Args:
            apply: Is called with the changes, and need not read what was added. It returns how many supports there are
                afterwards; where that differs from what the store holds, or it raises, the next changes start anew.
        """

    def supports(self, label: str) -> list[Support]:
        """A label's supports.

        Args:
            label: The label.

        Returns:
            The supports in the order of their enrollment; none when the label is unknown.
        """
        ...

    def notes(self) -> dict[str, str]:
        """Small texts that are kept with the gallery, such as its calibration, as every process sees them.

        Returns:
            Names to texts.
        """
        ...

    def write_note(self, name: str, text: str | None) -> None:
        """Keep a text with the gallery; durable like every write.

        Args:
            name: Its name.
            text: The text; None forgets it.
        """
        ...

    def holds(self, label: str, code: bytes) -> bool:
        """Whether a label has a support of exactly this code.

        Args:
            label: The label.
            code: D bytes.

        Returns:
            True when it has.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections; later calls raise `GalleryError`."""


class Reader(Protocol):
    """A context manager: inside it, `state` and `rows` show what a gallery held at its start, whoever writes meanwhile."""

    @property
    def state(self) -> State:
        """What the gallery must hold."""
        ...

    def __enter__(self) -> Reader: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def longest_label(self) -> int:
        """Characters of the longest label, 0 when there is none."""
        ...

    def rows(self) -> Iterator[list[Row]]:
        """All rows in the order of their enrollment, in blocks; after the last one it is sure that none is missing."""
        ...

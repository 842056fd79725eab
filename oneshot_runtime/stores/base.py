"""What the gallery needs of a durable store, whichever engine keeps it, and which store a gallery's address asks for.

docs/stores.md shows how to write another one; `oneshot_runtime.conformance` holds it to what is said here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import GalleryError, OptionError
from oneshot_runtime.search.index import Neighbour
from oneshot_runtime.stores.address import scheme_of, shown
from oneshot_runtime.stores.partition import Share
from oneshot_runtime.stores.records import Row, State, Support

if TYPE_CHECKING:
    from oneshot_runtime.stores.sqlite.repair import Health

__all__ = [
    "Added",
    "BatchView",
    "Block",
    "Changes",
    "GalleryStore",
    "Position",
    "Reader",
    "SearchEngine",
    "SearchIndex",
    "View",
    "Where",
    "check_store",
    "gallery_exists",
    "open_reader",
    "open_store",
]

_GROUP = "oneshot_runtime.stores"
"""Entry points by which an installed package offers stores for further schemes."""

_BUILT_IN = {"postgres": "oneshot_runtime.stores.postgres", "postgresql": "oneshot_runtime.stores.postgres"}


@dataclass(frozen=True)
class Block:
    """Supports to add. codes: uint8 (n, D). metadata: JSON texts. created: seconds since 1970, None for now."""

    labels: Sequence[str]
    codes: NDArray[np.uint8]
    thumbnails: Sequence[bytes | None]
    metadata: Sequence[str | None]
    created: Sequence[float] | None = None

    def require_dim(self, dim: int) -> None:
        """Raise `GalleryError` unless the codes are as long as those of the gallery that they are to be added to."""
        if self.codes.shape[1] != dim:
            raise GalleryError(f"codes of {self.codes.shape[1]} dimensions cannot be added to a gallery of codes of {dim}")


@dataclass(frozen=True)
class Position:
    """One state of one gallery. identity: random, made with it. revision: counts writes. supports: how many it then has."""

    identity: str
    revision: int
    supports: int


@dataclass(frozen=True)
class Added:
    """Supports to add, in order. codes: uint8 (n, D). numbers: grow with the order of enrolment, the same for every reader."""

    labels: list[str]
    codes: NDArray[np.uint8]
    numbers: list[int]


@dataclass(frozen=True)
class Changes:
    """What to do to stay equal to the store: forget all (`anew`), forget labels, then add blocks.

    position: the state that this leads to.
    """

    anew: bool
    removed: list[str]
    added: Iterable[Added]
    position: Position


@dataclass(frozen=True)
class Where:
    """Which supports a match may compare with, where the store searches by itself.

    metadata: what theirs must contain, a JSON object ({"site": "haifa"}); None asks for nothing. labels: the classes; None for
    all. Raises `OptionError` for anything else.
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
        if isinstance(self.labels, str) or not all(isinstance(label, str) for label in self.labels or ()):
            raise OptionError(f"labels to match with are a collection of texts, got {self.labels!r:.80}")


class View(Protocol):
    """What a match reads: one state of a gallery. supports, classes: how many there are."""

    @property
    def supports(self) -> int: ...  # noqa: D102

    @property
    def classes(self) -> int: ...  # noqa: D102

    def nearest(self, query: NDArray[np.uint8], count: int) -> list[Neighbour]:
        """The `count` classes nearest to the code uint8 (D,), nearest first; ties go to the support enrolled first."""
        ...


@runtime_checkable
class BatchView(View, Protocol):
    """A view that answers many queries in less time than one by one, such as one on other machines."""

    def nearest_batch(self, queries: NDArray[np.uint8], count: int) -> list[list[Neighbour]]:
        """`nearest` for each of the codes uint8 (N, D)."""
        ...


class SearchIndex(Protocol):
    """The codes of a gallery, searchable."""

    @property
    def snapshot(self) -> View:
        """The current state."""
        ...

    def labels(self) -> list[str]:
        """Labels with at least one support, in the order of their first enrolment."""
        ...

    def count(self, label: str) -> int:
        """How many supports a label has, 0 when it is unknown."""
        ...

    def codes(self, label: str) -> NDArray[np.uint8]:
        """The codes uint8 (n, D) of a label's supports, in the order of their enrolment."""
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
        """Append supports, all of them or none; an error that the iterable raises changes nothing and is passed on."""

    def remove(self, label: str) -> int:
        """Delete a label's supports; returns how many there were, 0 when it is unknown."""
        ...

    def rename(self, old: str, new: str) -> int:
        """Give a label's supports another name; they count as enrolled last. Returns how many there were.

        Raises `LabelError` when `new` is there already.
        """
        ...

    def sync(self, apply: Callable[[Changes], int]) -> None:
        """Hand everything that is new since the last call, whoever wrote it, to `apply`; cheap when nothing is.

        The first call hands over an empty gallery too. `apply` need not read what was added.
        `apply` returns how many supports there are afterwards; where that differs from what the store holds, or raises, the
        next changes start anew.
        """

    def supports(self, label: str) -> list[Support]:
        """A label's supports in the order of their enrolment."""
        ...

    def holds(self, label: str, code: bytes) -> bool:
        """Whether a label has a support of exactly this code."""
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
        """All rows in the order of their enrolment, in blocks; after the last one it is sure that none is missing."""
        ...


def open_store(
    address: str | os.PathLike[str] | GalleryStore, fingerprint: str, dim: int, share: Share | None = None
) -> GalleryStore:
    """The store at `address`, created when missing: a path is a SQLite file, `scheme://...` what serves that scheme.

    A store that is open already, for this model, is taken as it is. share: the classes that `sync` is to hand over, which
    spares reading the others; other packages' stores hand over all. Raises `GalleryError`, naming the schemes there are for one
    that is unknown.
    """
    if isinstance(address, GalleryStore):
        if (address.fingerprint, address.dim) != (fingerprint, dim):
            raise GalleryError(
                f"the store is open for model {address.fingerprint} (D={address.dim}), the loaded model is {fingerprint} "
                f"(D={dim}): open it with the bundle that the matcher loads"
            )
        return address
    scheme = scheme_of(address)
    if scheme is None:
        from oneshot_runtime.stores.sqlite.sqlite_store import SqliteStore

        return SqliteStore(address, fingerprint, dim, share)
    if scheme in _BUILT_IN:
        return cast(GalleryStore, _built_in(address).open_store(os.fspath(address), fingerprint, dim, share))
    found = {entry.name: entry for entry in entry_points(group=_GROUP)}
    if scheme not in found:
        known = ", ".join(f"{name}://" for name in sorted({*_BUILT_IN, *found}))
        raise GalleryError(
            f"gallery '{shown(address)}': no store is installed for {scheme}://; there are {known} and paths of SQLite "
            f"files, and a package can offer more as entry points of the group {_GROUP!r}"
        )
    opener: Callable[[str, str, int], GalleryStore] = found[scheme].load()
    return opener(os.fspath(address), fingerprint, dim)


def gallery_exists(address: str | os.PathLike[str]) -> bool:
    """Whether a gallery is there to be opened; a store of another package says so itself when it is opened."""
    scheme = scheme_of(address)
    if scheme is None:
        return Path(address).exists()
    return scheme not in _BUILT_IN or cast(bool, _built_in(address).gallery_exists(address))


def open_reader(address: str | os.PathLike[str]) -> Reader:
    """All rows of the gallery at `address`, without the model it was made with. Raises `GalleryError` where that cannot be."""
    if scheme_of(address) is None:
        from oneshot_runtime.stores.sqlite.sqlite_reader import GalleryReader

        return GalleryReader(address)
    return cast(Reader, _built_in(address).open_reader(address))


def check_store(address: str, fingerprint: str) -> Health:
    """What is wrong with a gallery that is no file. fingerprint: of the model that it should belong to."""
    return cast("Health", _built_in(address).check_gallery(address, fingerprint))


def _built_in(address: str | os.PathLike[str]) -> ModuleType:
    module = _BUILT_IN.get(scheme_of(address) or "")
    if module is None:
        raise GalleryError(f"'{shown(address)}' is kept by another package's store, which cannot be read row by row from here")
    return import_module(module)

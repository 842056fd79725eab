"""Which store a gallery's address asks for: a SQLite file, PostgreSQL, or what another package offers."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import cast

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.stores.address import redacted, scheme_of
from oneshot_runtime.stores.base import GalleryStore, Reader
from oneshot_runtime.stores.health import Health
from oneshot_runtime.stores.partition import Partition

__all__ = ["check_store", "gallery_exists", "open_reader", "open_store"]

_GROUP = "oneshot_runtime.stores"
"""Entry points by which an installed package offers stores for further schemes."""

_BUILT_IN = {"postgres": "oneshot_runtime.stores.postgres", "postgresql": "oneshot_runtime.stores.postgres"}


def open_store(
    address: str | os.PathLike[str] | GalleryStore, fingerprint: str, dim: int, partition: Partition | None = None
) -> GalleryStore:
    """The store at an address, created when missing.

    Args:
        address: A path is a SQLite file, `scheme://...` what serves that scheme. A store that is open already, for this model,
            is taken as it is.
        fingerprint: Of the model that the gallery is bound to.
        dim: Bytes of a code.
        partition: The classes that `sync` is to hand over, which spares reading the others; other packages' stores hand over
            all.

    Returns:
        The open store.

    Raises:
        GalleryError: For a scheme that is unknown, naming those that are there, or a gallery that cannot be opened.
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

        return SqliteStore(address, fingerprint, dim, partition)
    if scheme in _BUILT_IN:
        return cast(GalleryStore, _built_in(address).open_store(os.fspath(address), fingerprint, dim, partition))
    from importlib.metadata import entry_points  # takes longer to import than this module's other needs together

    found = {entry.name: entry for entry in entry_points(group=_GROUP)}
    if scheme not in found:
        known = ", ".join(f"{name}://" for name in sorted({*_BUILT_IN, *found}))
        raise GalleryError(
            f"gallery '{redacted(address)}': no store is installed for {scheme}://; there are {known} and paths of SQLite "
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
    return cast(Health, _built_in(address).check_gallery(address, fingerprint))


def _built_in(address: str | os.PathLike[str]) -> ModuleType:
    module = _BUILT_IN.get(scheme_of(address) or "")
    if module is None:
        raise GalleryError(f"'{redacted(address)}' is in another package's store, which cannot be read row by row from here")
    return import_module(module)

"""Galleries with what is expected of them beside them, as plain values, and what becomes of a damaged copy."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oneshot_runtime.errors import OneShotError
from oneshot_runtime.stores.base import Block, Changes, GalleryStore
from oneshot_runtime.stores.sqlite.sqlite_store import SqliteStore

__all__ = ["Gallery", "hot_gallery", "large_gallery", "outcome", "read", "small_gallery"]

_MODEL = "0123456789abcdef" * 2
_SECONDS = 10.0
Content = dict[str, list[tuple[bytes, bytes | None, int | None]]]
"""Of each label, in order: code, thumbnail, and the number in the metadata of each support."""


@dataclass
class Gallery:
    """A file, the length of its codes, and what is in it."""

    path: Path
    dim: int
    content: Content

    def open(self) -> SqliteStore:
        """The store under attack."""
        return SqliteStore(self.path, _MODEL, self.dim)

    def add(self, store: SqliteStore, label: str, count: int, rng: np.random.Generator, picture: int = 0) -> None:
        """Enrol supports, and note them. picture: bytes of each one's thumbnail, 0 for none."""
        codes = rng.integers(0, 256, (count, self.dim), np.uint8)
        pictures = [rng.bytes(picture) if picture else None for _ in range(count)]
        numbers = [int(rng.integers(1000)) if picture else None for _ in range(count)]
        texts = [None if number is None else json.dumps({"n": number}) for number in numbers]
        store.add([Block([label] * count, codes, pictures, texts, [1.0] * count)])
        rows = [(codes[place].tobytes(), pictures[place], numbers[place]) for place in range(count)]
        self.content.setdefault(label, []).extend(rows)


def read(store: GalleryStore, asked: Collection[str] | None = None, bare: str | None = None) -> Content:
    """Everything in a store, or some labels: codes as they are handed over, pictures and metadata as they are asked for.

    bare: how labels begin that have nothing but their codes, which is not asked again.
    """
    codes: dict[str, list[bytes]] = {}

    def apply(changes: Changes) -> int:
        if changes.anew:
            codes.clear()
        for block in changes.added:
            for label, code in zip(block.labels, block.codes, strict=True):
                codes.setdefault(label, []).append(code.tobytes())
        return sum(map(len, codes.values()))

    store.sync(apply)
    content: Content = {}
    for label, found in codes.items():
        if asked is not None and label not in asked:
            continue
        extras: list[tuple[bytes | None, int | None]] = [(None, None)] * len(found)
        if bare is None or not label.startswith(bare):
            extras = [(one.thumbnail, (one.metadata or {}).get("n")) for one in store.supports(label)]
        content[label] = [(code, *extra) for code, extra in zip(found, extras, strict=True)]
    return content


def outcome(gallery: Gallery, copy: Path) -> str:
    """What a damaged copy of a gallery gives: "refused", "as before", or in which way it was wrong."""
    damaged = Gallery(copy, gallery.dim, gallery.content)
    begun = time.perf_counter()
    try:
        return _as_before(damaged)
    except OneShotError:
        return "refused" if time.perf_counter() - begun < _SECONDS else "slow"
    except Exception as error:
        return f"raised {type(error).__name__}"


def _as_before(damaged: Gallery) -> str:
    store = damaged.open()
    try:
        if list(read(store).items()) != list(damaged.content.items()):
            return "WRONG answers"
        label = next(iter(damaged.content), None)
        if label is None:
            return "as before"
        if store.remove(label) != len(damaged.content[label]):
            return "WRONG removal"
        left = {name: rows for name, rows in damaged.content.items() if name != label}
    finally:
        store.close()
    # From here on the removal is acknowledged: it must hold, whatever else is refused.
    store = damaged.open()
    try:
        return "as before" if list(read(store).items()) == list(left.items()) else "WRONG after reopening"
    finally:
        store.close()


def small_gallery(folder: Path, state: str = "closed") -> Gallery:
    """A dozen supports with pictures, some removed, so that there are free pages; as it is closed, or when it was killed."""
    gallery = Gallery(folder / "small.db", 32, {})
    rng = np.random.default_rng(1)
    store = gallery.open()
    for number in range(4):
        gallery.add(store, f"label {number}", 2, rng, 300)
    gallery.add(store, "large", 1, rng, 9000)
    gallery.add(store, "gone", 2, rng, 9000)
    store.remove("gone")
    del gallery.content["gone"]
    if state == "closed":
        store.close()
    return gallery


def large_gallery(folder: Path, supports: int = 20_000) -> Gallery:
    """Many supports, a few with pictures."""
    gallery = Gallery(folder / "large.db", 64, {})
    rng = np.random.default_rng(2)
    store = gallery.open()
    for number in range(20):
        gallery.add(store, f"label {number}", supports // 20, rng)
        gallery.add(store, f"pictured {number}", 3, rng, 2000)
    store.close()
    return gallery


def hot_gallery(folder: Path) -> Gallery:
    """A gallery whose writer was killed in the middle of a commit: its journal must be rolled back."""
    gallery = small_gallery(folder)
    script = (
        "import os, sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\nc.execute('PRAGMA cache_size = 1')\n"
        "c.execute('BEGIN IMMEDIATE')\nc.execute('UPDATE gallery SET content = zeroblob(length(content)) WHERE id > 0')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(gallery.path)], check=False, timeout=60)
    journal = Path(f"{gallery.path}-journal")
    if not journal.exists() or not journal.stat().st_size:
        raise SystemExit("no hot journal came about")
    return gallery

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from oneshot_runtime import GalleryError, OneShotMatcher, OptionError
from oneshot_runtime.conformance import StoreContract
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores import base, registry
from oneshot_runtime.stores.address import redacted
from oneshot_runtime.stores.base import Where
from oneshot_runtime.stores.sqlite.sqlite_store import SqliteStore

BUNDLE = Bundle.open()


class TestSqlite(StoreContract):
    def setup_method(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        super().setup_method()

    def teardown_method(self) -> None:
        super().teardown_method()
        self.folder.cleanup()

    def new_address(self) -> str:
        return str(Path(self.folder.name) / "letters.db")

    def open(self, address, fingerprint, dim):
        return SqliteStore(address, fingerprint, dim)


class Forgetful(SqliteStore):
    """Loses the last support of every write but the first."""

    def add(self, blocks) -> None:
        everything = list(blocks)
        if self.supports("a") and len(everything[-1].labels):
            last = everything[-1]
            everything[-1] = base.Block(last.labels[:-1], last.codes[:-1], last.thumbnails[:-1], last.metadata[:-1])
        super().add(everything)


def test_the_contract_finds_a_store_that_loses_supports(tmp_path) -> None:
    class Contract(StoreContract):
        def new_address(self) -> str:
            return str(tmp_path / "letters.db")

        def open(self, address, fingerprint, dim):
            return Forgetful(address, fingerprint, dim)

    contract = Contract()
    contract.setup_method()
    with pytest.raises(AssertionError):
        contract.test_labels_and_supports_keep_their_order()
    contract.teardown_method()


def test_the_contract_needs_no_pytest() -> None:
    code = "import sys; sys.modules['pytest'] = None; import oneshot_runtime.conformance"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_another_package_offers_a_store_by_its_scheme(tmp_path, monkeypatch) -> None:
    def opened(address: str, fingerprint: str, dim: int) -> SqliteStore:
        return SqliteStore(tmp_path / address.rpartition("/")[2], fingerprint, dim)

    monkeypatch.setattr(sys.modules[__name__], "opened", opened, raising=False)
    entry = EntryPoint("attic", f"{__name__}:opened", "oneshot_runtime.stores")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [entry])
    with OneShotMatcher.load(gallery="attic://localhost/letters.db", precision="fp32", far=None) as matcher:
        assert matcher.labels == []
        assert not (tmp_path / "letters.db").exists()  # the first write makes it
        matcher.gallery.extend(["a"], np.full((1, BUNDLE.dim), 0.5, np.float32))
    assert (tmp_path / "letters.db").exists()
    with pytest.raises(GalleryError, match=r"no store is installed for cellar://; there are attic://, postgres"):
        registry.open_store("cellar://me:secret@x/y", BUNDLE.fingerprint, BUNDLE.dim)


def test_an_open_store_is_taken_as_it_is(tmp_path) -> None:
    store = SqliteStore(tmp_path / "letters.db", BUNDLE.fingerprint, BUNDLE.dim)
    gallery = Gallery(BUNDLE, store)
    assert gallery.labels == []
    gallery.close()
    with pytest.raises(GalleryError):
        store.remove("a")


class Away(SqliteStore):
    """Cannot be read for a moment after each write, as a database that restarts."""

    away = False

    def sync(self, apply) -> None:
        if self.away:
            self.away = False
            raise GalleryError("away")
        super().sync(apply)

    def add(self, blocks) -> None:
        super().add(blocks)
        self.away = True

    def remove(self, label) -> int:
        removed = super().remove(label)
        self.away = True
        return removed

    def rename(self, old, new) -> int:
        moved = super().rename(old, new)
        self.away = True
        return moved


def test_a_write_that_is_durable_is_no_error_when_it_cannot_be_read_at_once(tmp_path, drawings) -> None:
    matcher = OneShotMatcher.load(gallery=Away(tmp_path / "letters.db", BUNDLE.fingerprint, BUNDLE.dim))
    matcher.enroll("a", drawings[0][0])
    assert matcher.gallery.count("a") == 1
    assert matcher.gallery.rename("a", "b") == 1
    assert matcher.labels == ["b"]
    matcher.remove("b")
    assert matcher.labels == []
    matcher.close()


@pytest.mark.parametrize("place", [7, b"letters.db", object()])
def test_what_is_no_place_is_refused(place) -> None:
    with pytest.raises(GalleryError, match="path of a file"):
        Gallery(BUNDLE, place)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("letters.db", "letters.db"),
        ("C:/letters.db", "C:/letters.db"),
        ("postgresql://db/letters", "postgresql://db/letters"),
        ("postgresql://me@db:5433/letters", "postgresql://me@db:5433/letters"),
        ("postgresql://me:secret@db/letters", "postgresql://me@db/letters"),
        ("postgresql://me:sec@ret/?x@db/letters", "postgresql://me@db/letters"),
        ("postgres://me:secret@/letters?host=/run/pg&password=secret", "postgres://me@/letters?host=/run/pg"),
        ("postgresql://db/x?passfile=/secret&oneshot_search=hnsw&sslpassword=secret", "postgresql://db/x?oneshot_search=hnsw"),
    ],
)
def test_a_password_is_never_shown(address, expected) -> None:
    assert redacted(address) == expected


def test_codes_in_memory_cannot_be_filtered(tmp_path, drawings) -> None:
    matcher = OneShotMatcher.load(gallery=tmp_path / "letters.db", precision="fp32", far=None)
    with matcher, pytest.raises(OptionError, match="oneshot_search"):
        matcher.match(drawings[0][0], where=Where({"site": "haifa"}))
    with pytest.raises(OptionError, match="collection"):
        Where(labels="abc")
    for metadata in (["site"], {"site": b"haifa"}, {"site": float("nan")}):
        with pytest.raises(OptionError, match="JSON object"):
            Where(metadata=metadata)


def test_without_psycopg_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from oneshot_runtime import DependencyError, OneShotMatcher\n"
        "try: OneShotMatcher.load(gallery='postgresql://x/y')\n"
        "except DependencyError as error: print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "oneshot-runtime[postgres]" in result.stdout

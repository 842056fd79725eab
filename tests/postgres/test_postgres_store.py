from __future__ import annotations

import pytest

pytest.importorskip("oneshot_runtime.stores.postgres", reason="needs the extra postgres", exc_type=ImportError)

from oneshot_runtime.conformance import StoreContract
from oneshot_runtime.stores.postgres import PostgresStore


class _Contract(StoreContract):
    parameters = ""

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls, server) -> None:
        cls.running = server

    def new_address(self) -> str:
        return self.running.address(self.parameters)

    def open(self, address, fingerprint, dim):
        return PostgresStore(address, fingerprint, dim)


class TestCodesInMemory(_Contract):
    pass


class TestExactSearchInTheDatabase(_Contract):
    parameters = "&oneshot_search=exact"

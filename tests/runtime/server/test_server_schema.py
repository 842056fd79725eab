from __future__ import annotations

from contextlib import suppress

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("schemathesis")

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.server import ServerOptions, create_app

CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
    schemathesis.checks.allow_header_conformance,
]


@pytest.fixture(scope="module")
def schema() -> schemathesis.BaseSchema:
    matcher = OneShotMatcher.load(precision="fp32", threads=1)
    options = ServerOptions(names=frozenset({"testserver"}))
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(matcher, options))


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
def test_whatever_is_asked_the_answer_is_as_described_and_no_fault_of_the_server(schema, mode) -> None:
    asked = set()
    for operation in (result.ok() for result in schema.get_all_operations()):

        @settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case) -> None:
            asked.add(case.operation.label)
            case.call_and_validate(checks=CHECKS)

        with suppress(Unsatisfiable):  # what takes no parameter cannot be asked wrongly
            ask()
    assert len(asked) >= 10

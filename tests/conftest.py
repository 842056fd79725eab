from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.permitted_skips import permitted

OMNIGLOT = Path(__file__).parents[2] / "shared" / "omniglot"


@pytest.fixture(scope="session")
def omniglot() -> Path:
    """The real data, where it lies beside the checkout; it is never part of the repository."""
    if not (OMNIGLOT / "all_runs.zip").exists():
        pytest.skip("Omniglot is not beside this checkout")
    return OMNIGLOT


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory) -> Iterator[None]:
    """What training keeps is neither read from the user's cache nor written to it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ONESHOT_TRAIN_CACHE", str(tmp_path_factory.mktemp("kept")))
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--wheel-alone", action="store_true", help="the wheel is tested without its extras: permit their skips in CI"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    return _failed_unless_permitted((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    return _failed_unless_permitted((yield), collector.config)


def _failed_unless_permitted(report, config: pytest.Config):
    """A skip that `permitted_skips` does not name becomes a failure, whoever runs the tests."""
    if report.skipped and not hasattr(report, "wasxfail"):
        message = str(report.longrepr[2])
        ci, wheel_alone = bool(os.environ.get("CI")), config.getoption("--wheel-alone")
        if not permitted(report.nodeid, message, ci=ci, wheel_alone=wheel_alone):
            report.outcome = "failed"
            report.longrepr = f"{message}\ntests/permitted_skips.py does not permit this skip {'in CI' if ci else 'here'}."
    return report

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.page_driver import browser, find_chromium
from tests.web_site import NotThereError, checkout_served, npm_packages, packed


@pytest.fixture(scope="session")
def modules(tmp_path_factory) -> Path:
    """The folder of the packages from npm."""
    try:
        return npm_packages(tmp_path_factory.mktemp("npm"))
    except NotThereError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def package(tmp_path_factory, modules) -> Path:
    """The package, as npm packs it."""
    return packed(tmp_path_factory.mktemp("packed"), modules)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    pytest.importorskip("selenium")
    if None in find_chromium():
        pytest.skip("chromium and chromedriver are not installed (Debian: apt-get install chromium chromium-driver)")
    with browser() as driver:
        driver.set_script_timeout(120)
        yield driver


@pytest.fixture(scope="session")
def url(modules) -> Iterator[str]:
    """The page's address."""
    with checkout_served(modules) as address:
        yield address


@pytest.fixture(scope="session")
def in_node(package) -> Iterator[Any]:
    from tests.js_engine import node

    with node(package) as engine:
        yield engine


@pytest.fixture(params=["node", "chromium"])
def engine(request) -> Any:
    """Node with the package as it is packed, and Chromium with it as it is in the checkout."""
    from tests.js_engine import chromium_engine

    if request.param == "node":
        return request.getfixturevalue("in_node")
    driver, address = request.getfixturevalue("chromium"), request.getfixturevalue("url")
    if not driver.current_url.startswith(address):
        driver.get(address)
    return chromium_engine(driver)

"""The rule itself, on a small folder of tests with this project's conftest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.permitted_skips import PERMITTED

TESTS = Path(__file__).parent
BROWSER = """
import pytest
pytestmark = pytest.mark.skipif(True, reason="chromium and chromedriver are not installed")
def test_a(): pass
"""
EXTRA = """
import pytest
pytest.importorskip("no_such_module", reason="could not import 'ray'")
"""


@pytest.fixture
def run(tmp_path):
    """Run one file of tests; returns the exit status and what was printed."""

    def call(name: str, content: str, *options: str, ci: bool = False) -> tuple[int, str]:
        path = tmp_path / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        for file in ("conftest.py", "permitted_skips.py"):
            shutil.copy(TESTS / file, tmp_path / "tests")
        shutil.copy(TESTS.parent / "pyproject.toml", tmp_path)
        environment = {key: value for key, value in os.environ.items() if key != "CI"} | ({"CI": "true"} if ci else {})
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, "tests"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    return call


def test_a_skip_that_is_not_listed_fails_anywhere(run) -> None:
    code, printed = run("test_new.py", "import pytest\ndef test_a(): pytest.skip('not today')\ndef test_b(): pass\n")
    assert code == 1
    assert "not today" in printed
    assert "permitted_skips.py does not permit" in printed
    assert "1 failed, 1 passed" in printed


def test_a_browser_may_be_missing_on_a_developers_machine_but_not_in_ci(run) -> None:
    code, printed = run("test_page.py", BROWSER)
    assert (code, "chromium and chromedriver are not installed" in printed, "1 skipped" in printed) == (0, True, True)
    code, printed = run("test_page.py", BROWSER, ci=True)
    assert (code, "does not permit this skip in CI" in printed) == (1, True)


def test_a_whole_file_without_its_extra_is_skipped_only_where_the_wheel_is_alone(run) -> None:
    assert run("runtime/test_extra.py", EXTRA, "--wheel-alone", ci=True)[0] == 5  # no test was run
    code, printed = run("runtime/test_extra.py", EXTRA, ci=True)
    assert (code, "could not import 'ray'" in printed) == (2, True)


@pytest.mark.parametrize("entry", PERMITTED, ids=lambda entry: entry.message[:30])
def test_every_entry_is_about_tests_that_exist(entry) -> None:
    file, _, name = entry.tests.partition("::")
    found = list(TESTS.parent.glob(file)) if file.endswith(".py") else list(TESTS.parent.glob(file.rstrip("*") + "*"))
    assert found, entry.tests
    assert not name.strip("*") or any(f"def {name}(" in path.read_text() for path in found), entry.tests

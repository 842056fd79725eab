"""The skips that are permitted, and why. Any other skip fails: a test that is not run by accident would go unseen.

always: what a machine may lack for good.
wheel: the wheel is tested alone, without the extras (`--wheel-alone`).
local: what a newcomer may lack. Where the environment has CI set it is installed, and its absence fails.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import NamedTuple


class PermittedSkip(NamedTuple):
    """where: "always", "wheel" or "local"; tests: node ids, a pattern; message: what the skip says, a regular expression."""

    where: str
    tests: str
    message: str
    reason: str


def _without(module: str) -> str:
    return rf"could not import '{module}"


_EXTRAS = "argcomplete|fastapi|gunicorn|httptools|httpx|joblib|schemathesis|cv2|numba|ray"
_DEVELOPMENT = "torch|onnx|build|hatchling|selenium"

PERMITTED = [
    PermittedSkip("always", "tests/train/test_training.py::test_cuda_trains", "no CUDA device", "few machines have a GPU"),
    PermittedSkip(
        "always",
        "tests/runtime/test_matching.py::test_cuda_raises_where_there_is_none",
        "onnxruntime has CUDA",
        "it tests a machine that has no GPU",
    ),
    PermittedSkip("always", "tests/train/test_*", "Omniglot is not beside", "its images are no part of the repository"),
    PermittedSkip("always", "tests/*", "POSIX|SIGKILL|Ctrl-C", "Windows has other signals, permissions and processes"),
    PermittedSkip(
        "always",
        "tests/postgres/test_postgres_faults.py::test_a_disk_that_is_full_changes_nothing",
        "may not mount",
        "root may mount a small disk, and not in every container; another test makes the server raise the same error",
    ),
    PermittedSkip("wheel", "tests/runtime/*", _without(f"({_EXTRAS})'"), "the wheel is tested without its extras"),
    PermittedSkip(
        "wheel",
        "tests/runtime/test_package.py::test_the_example_runs",
        "not part of the wheel",
        "it runs a file of the checkout",
    ),
    PermittedSkip("local", "tests/*", _without(f"({_EXTRAS}|{_DEVELOPMENT})"), "not all of the extra dev is installed"),
    PermittedSkip(
        "local", "tests/postgres/*", "needs the extra postgres|needs a PostgreSQL server", "not all of dev is installed"
    ),
    PermittedSkip("local", "tests/test_*", "chromium and chromedriver are not installed", "pip cannot install a browser"),
    PermittedSkip("local", "tests/js/*", "chromium and chromedriver are not installed", "pip cannot install a browser"),
    PermittedSkip("local", "tests/js/*", "npm", "ONNX Runtime for JavaScript comes from npm's registry"),
]


def permitted(test: str, message: str, *, ci: bool, wheel_alone: bool) -> bool:
    """Whether a test may be skipped with this message, on a developer's machine or in continuous integration."""
    places = {"always"} | ({"wheel"} if wheel_alone else set()) | (set() if ci else {"wheel", "local"})
    return any(
        entry.where in places and fnmatchcase(test, entry.tests) and re.search(entry.message, message) for entry in PERMITTED
    )

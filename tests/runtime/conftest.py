from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ray_nodes import cluster  # noqa: F401

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model.bundle import DEFAULT_BUNDLE, checksum_of
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer

Drawings = list[NDArray[np.uint8]]


@pytest.fixture(scope="session")
def drawings() -> tuple[Drawings, Drawings]:
    """Twelve symbols by one writer, and the same by another."""
    rng = np.random.default_rng(5)
    writers = random_writer(rng), random_writer(rng)
    alphabet = invent_alphabet(12, seed=5)
    first, second = ([draw(symbol, writer, rng) for symbol in alphabet] for writer in writers)
    return first, second


@pytest.fixture
def matcher() -> OneShotMatcher:
    return OneShotMatcher.load(precision="fp32", threads=1, far=None)


@pytest.fixture
def altered_bundle(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the shipped bundle whose manifest was changed by a function, its checksum made right again."""

    def make(change: Callable[[dict[str, Any]], object] = lambda manifest: None) -> Path:
        folder = tmp_path / "bundle"
        shutil.copytree(DEFAULT_BUNDLE, folder)
        path = folder / "manifest.json"
        manifest = json.loads(path.read_text())
        change(manifest)
        manifest["checksum"] = checksum_of(manifest)
        path.write_text(json.dumps(manifest))
        return folder

    return make

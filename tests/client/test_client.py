"""A client that was written from docs/bundle.md gives the runtime's canvases and answers."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from client import Client, canvas_of, grey_of
from PIL import Image
from vectors import FILE, unpacked

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model import DEFAULT_BUNDLE, Bundle
from oneshot_runtime.synthetic import draw, invent_alphabet, random_writer
from oneshot_runtime.vision import preprocess

VECTORS = json.loads(FILE.read_text())
EXACT = {entry["kind"] for entry in VECTORS["pictures"]} - {"uneven light, pencil"}


def test_it_imports_nothing_of_the_project() -> None:
    tree = ast.parse((Path(__file__).parent / "client.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} == {"__future__", "json", "math", "pathlib", "numpy", "onnxruntime", "PIL"}


@pytest.mark.parametrize("entry", VECTORS["pictures"], ids=lambda entry: entry["kind"])
def test_the_vectors(entry) -> None:
    grey, canvas = unpacked(entry["grey"]), unpacked(entry["canvas"])
    spec = Bundle.open().spec
    assert VECTORS["preprocess"] == spec.to_dict()  # else run python -m tests.client.vectors
    assert np.array_equal(preprocess(grey, spec), canvas)
    made = canvas_of(grey_of(Image.fromarray(grey)), spec.to_dict())
    if entry["kind"] in EXACT:
        assert np.array_equal(made, canvas)
    else:
        assert np.abs(made.astype(int) - canvas).mean() < 4


def kinds(page: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    slope = np.linspace(0.5, 1, 170)[None] * np.linspace(0.8, 1, 150)[:, None]
    wide = np.full((150, 170), 255.0)
    wide[20:125, 30:135] = 255 - (255 - page.astype(float)) * 0.6
    return {
        "clean": page,
        "low contrast": (200 - (255 - page.astype(int)) * 30 // 255).astype(np.uint8),
        "uneven": np.clip(wide * slope + rng.normal(0, 2, wide.shape), 0, 255).astype(np.uint8),
    }


@pytest.mark.parametrize("supports", [1, 2])
def test_its_answers_are_the_runtimes(supports) -> None:
    rng = np.random.default_rng(5)
    writers, alphabet = [random_writer(rng) for _ in range(3)], invent_alphabet(8, seed=5)
    client = Client(DEFAULT_BUNDLE, 0.05)
    with OneShotMatcher.load(precision="fp32", threads=1, far=0.05) as matcher:
        for number, symbol in enumerate(alphabet):
            for writer in writers[:supports]:
                page = draw(symbol, writer, rng)
                matcher.enroll(str(number), page)
                client.enroll(str(number), Image.fromarray(page))
        for symbol in alphabet:
            for kind, page in kinds(draw(symbol, writers[2], rng), rng).items():
                label, found = client.match(Image.fromarray(page))
                match = matcher.match(page, len(alphabet))
                tolerance = 0.06 if kind == "uneven" else 1e-5
                assert label == match.label
                assert dict(found) == pytest.approx({c.label: c.probability for c in match.candidates}, abs=tolerance)

"""A client that was written from docs/bundle.md gives the runtime's canvases and answers."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from client import Client, canvas_of
from pictures import flattened, grey_of, is_clean
from PIL import Image, ImageDraw
from vectors import FILE, drawn, pictures, unpacked

from oneshot_runtime import ImageError, OneShotMatcher
from oneshot_runtime.model import DEFAULT_BUNDLE, Bundle
from oneshot_runtime.synthetic import draw, invent_alphabet, random_writer
from oneshot_runtime.vision import PreprocessSpec, preprocess
from oneshot_runtime.vision.clean import border_levels, even_ink, even_paper, reduced
from oneshot_runtime.vision.decode import to_grey

VECTORS = json.loads(FILE.read_text())


@pytest.mark.parametrize("name", ["client", "pictures"])
def test_it_imports_nothing_of_the_project(name) -> None:
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    known = {"__future__", "collections", "json", "math", "pathlib", "numpy", "onnxruntime", "PIL", "client"}
    assert {name.split(".")[0] for name in names} <= known


@pytest.mark.parametrize("entry", VECTORS["pictures"], ids=lambda entry: entry["kind"])
def test_the_vectors(entry) -> None:
    picture, canvas = unpacked(entry["picture"]), np.asarray(unpacked(entry["canvas"]))
    spec = Bundle.open().spec
    assert VECTORS["preprocess"] == spec.to_dict()  # else run python -m tests.client.vectors
    assert np.array_equal(preprocess(picture, spec), canvas)
    grey = grey_of(picture)
    if entry["exact"]:
        assert np.array_equal(canvas_of(grey, spec.to_dict()), canvas)
    else:
        assert not is_clean(picture)
        assert np.abs(canvas_of(flattened(grey), spec.to_dict()).astype(int) - canvas).mean() < 8


def rings(number: int) -> dict[str, Image.Image]:
    """A ring around as many strokes, some of it rubbed out."""
    page = Image.new("L", (120, 120), 255)
    pen = ImageDraw.Draw(page)
    pen.ellipse((20, 20, 100, 100), outline=0, width=4)
    for stroke in range(number % 5):
        pen.line((45 + 8 * stroke, 40, 40 + 9 * stroke, 80), fill=0, width=3)
    cut = page.copy()
    cut.paste(255, (10, 10, 20 + 8 * number, 60))
    return {"ring": page, "part of a ring": cut}


def test_what_it_calls_clean_is_read_in_one_way_to_the_same_canvas() -> None:
    clean, spec = 0, Bundle.open().spec
    with OneShotMatcher.load(precision="fp32", threads=1) as matcher:
        for number in range(10):
            for kind, picture in (pictures(drawn(number)) | rings(number)).items():
                try:
                    found = is_clean(picture)
                except ValueError:
                    with pytest.raises(ImageError, match="blank"):
                        preprocess(picture, spec)
                    continue
                small = reduced(to_grey(picture))
                paper = even_paper(border_levels(small))
                even = None if paper is None else even_ink(small, paper)
                assert found == (
                    even is not None and (even.is_clean() or (max(picture.size) < 48 and not even.may_be_tile()))
                ), (number, kind)
                if found:
                    clean += 1
                    made = canvas_of(grey_of(picture), spec.to_dict())
                    assert np.array_equal(made, preprocess(picture, spec)), (number, kind)
                    assert matcher.match(picture).readings == 1, (number, kind)
    assert clean > 80


@pytest.mark.parametrize("size", [(105, 105), (60, 90)])
def test_whole_frames(size) -> None:
    spec = PreprocessSpec(*size, fit="frame")
    for kind, picture in pictures(drawn(3)).items():
        if not kind.startswith("uneven"):
            assert np.array_equal(canvas_of(grey_of(picture), spec.to_dict()), preprocess(picture, spec)), kind


def kinds(page: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    slope = np.linspace(0.5, 1, 170)[None] * np.linspace(0.8, 1, 150)[:, None]
    wide = np.full((150, 170), 255.0)
    wide[20:125, 30:135] = 255 - (255 - page.astype(float)) * 0.6
    return {
        "clean": page,
        "low contrast": (200 - (255 - page.astype(int)) * 30 // 255).astype(np.uint8),
        "uneven": np.clip(wide * slope + rng.normal(0, 2, wide.shape), 0, 255).astype(np.uint8),
    }


@pytest.mark.parametrize(
    ("supports", "precision", "graph"),
    [(1, "fp32", "embedding.onnx"), (3, "fp32", "embedding.onnx"), (2, "int8", "embedding.int8.onnx")],
)
def test_its_answers_are_the_runtimes(supports, precision, graph) -> None:
    rng = np.random.default_rng(5)
    writers, alphabet = [random_writer(rng) for _ in range(supports + 1)], invent_alphabet(8, seed=5)
    client = Client(DEFAULT_BUNDLE, 0.05, graph)
    with OneShotMatcher.load(precision=precision, threads=1, far=0.05) as matcher:
        for number, symbol in enumerate(alphabet):
            for writer in writers[:supports]:
                page = draw(symbol, writer, rng)
                # The last two classes have the same pictures: the one that was enrolled first is named.
                for label in ("7", "again") if number == 7 else (str(number),):
                    matcher.enroll(label, page)
                    client.enroll(label, page.astype(int))
        for symbol in alphabet:
            for kind, page in kinds(draw(symbol, writers[-1], rng), rng).items():
                label, found = client.match(flattened(page.astype(int)) if kind == "uneven" else page.astype(int))
                match = matcher.match(page, len(found))
                assert label == match.label
                tolerance = 0.06 if kind == "uneven" else 1e-5
                assert dict(found) == pytest.approx({c.label: c.probability for c in match.candidates}, abs=tolerance)
                if kind != "uneven":
                    assert [name for name, _ in found] == [c.label for c in match.candidates]

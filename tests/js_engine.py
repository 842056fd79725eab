"""Runs the package in `js/` in Node and in Chromium, on pictures to hold it to Python's results by."""

from __future__ import annotations

import base64
import dataclasses
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oneshot_runtime import ImageError
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from oneshot_runtime.vision.decode import decode
from oneshot_runtime.vision.page import symbols_of_page
from oneshot_runtime.vision.preprocess import PreprocessSpec, canvas_of, ways_to_read
from oneshot_runtime.vision.readings import Reading
from tests.page_driver import ROOT

SYMBOLS = invent_alphabet(20, seed=11)

Drawing = NDArray[np.uint8]

_IN_BROWSER = """
const [question, values, done] = arguments;
async function opened() {
  const { answersOf } = await import("/tests/package_answers.mjs");
  const root = new URL("/js/", location);
  const { load } = await import(new URL("src/browser.js", root));
  const runtime = await import(new URL("node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs", root));
  runtime.env.wasm.numThreads = 1;
  const bundle = new URL("/oneshot_runtime/models/edge/", location);
  return answersOf(root, (options = {}) => load({ bundle, runtime, ...options }));
}
globalThis.answers ??= opened();
globalThis.answers.then((answers) => answers[question](values))
  .then((found) => done({ found }), (error) => done({ failed: `${error}` }));
"""


class JavaScriptError(Exception):
    """What the package raised."""


class Engine:
    """Whatever runs the package. ask: puts a question of `package_answers.mjs`, with its values."""

    def __init__(self, ask: Callable[[str, dict[str, Any]], Any]) -> None:
        self._ask = ask

    def ask(self, question: str, **values: Any) -> Any:
        """The answer. Raises `JavaScriptError`."""
        answer = self._ask(question, values)
        if "failed" in answer:
            raise JavaScriptError(answer["failed"])
        return answer["found"]

    def readings(self, images: Sequence[Drawing], spec: PreprocessSpec) -> list[list[dict[str, Any]] | str]:
        """The ways to read each picture, or the error's message, as `readings_of` has Python's."""
        return self._told("readings", images, spec)

    def pages(self, images: Sequence[Drawing], spec: PreprocessSpec) -> list[list[dict[str, Any]] | str]:
        """The symbols of each page, as `page_of` has Python's."""
        return self._told("pages", images, spec)

    def _told(self, question: str, images: Sequence[Drawing], spec: PreprocessSpec) -> list[list[dict[str, Any]] | str]:
        found = self.ask(question, images=[sent(image) for image in images], spec=spec.to_dict())
        return [one["error"] if isinstance(one, dict) else [_received(way, spec) for way in one] for one in found]


@contextmanager
def node(package: Path, bundle: Path | None = None) -> Iterator[Engine]:
    """One process of Node with the package in a folder; bundle: a model's folder, where it has none of its own."""
    program = shutil.which("node")
    assert program is not None
    addresses = [f"{package.resolve().as_uri()}/", *([f"{bundle.resolve().as_uri()}/"] if bundle else [])]
    command = [program, str(ROOT / "tests" / "node_worker.mjs"), *addresses]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)

        def ask(question: str, values: dict[str, Any]) -> Any:
            stdin.write(json.dumps({"ask": question, **values}) + "\n")
            stdin.flush()
            return json.loads(stdout.readline())

        try:
            yield Engine(ask)
        finally:
            process.kill()


def chromium_engine(driver: Any) -> Engine:
    """A browser that is at a page of the checkout."""
    return Engine(lambda question, values: driver.execute_async_script(_IN_BROWSER, question, values))


def sent(image: Drawing) -> dict[str, Any]:
    """Pixels uint8 (H, W), (H, W, 3) or (H, W, 4) as JSON."""
    height, width = image.shape[:2]
    return {"data": base64.b64encode(np.ascontiguousarray(image).tobytes()).decode(), "width": width, "height": height}


def received(image: dict[str, Any]) -> Drawing:
    """Grey pixels uint8 (H, W) from JSON."""
    return np.frombuffer(base64.b64decode(image["data"]), np.uint8).reshape(image["height"], image["width"])


def labelled(taught: dict[str, Drawing]) -> list[dict[str, Any]]:
    """Drawings by label as JSON."""
    return [{"label": label, "image": sent(image)} for label, image in taught.items()]


def readings_of(image: Drawing, spec: PreprocessSpec) -> list[dict[str, Any]] | str:
    """Python's ways to read a picture, or its error's message."""
    try:
        return [_told(one, spec) for one in ways_to_read(decode(source(image)), spec, "the picture")]
    except ImageError as error:
        return str(error).removeprefix("the picture: ")


def page_of(image: Drawing, spec: PreprocessSpec) -> list[dict[str, Any]] | str:
    """Python's symbols of a page, each with its ways to read it."""
    return [_told(one, spec) for ways in symbols_of_page(decode(source(image))) for one in ways]


def source(image: Drawing) -> Any:
    """Pixels as Python takes them."""
    return Image.fromarray(image) if image.shape[2:] == (4,) else image


def _told(one: Reading, spec: PreprocessSpec) -> dict[str, Any]:
    about = {
        "box": list(one.box),
        "whole": one.whole,
        "framed": one.framed,
        "dropped": list(one.dropped),
        "symbols": one.symbols,
    }
    return {"canvas": canvas_of(one, spec), "drawing": one.drawing, **about}


def _received(one: dict[str, Any], spec: PreprocessSpec) -> dict[str, Any]:
    canvas = np.frombuffer(base64.b64decode(one["canvas"]), np.uint8).reshape(spec.height, spec.width)
    about = {name: one[name] for name in ("box", "whole", "framed", "dropped", "symbols")}
    return {"canvas": canvas, "drawing": received(one["drawing"]), **about}


def assert_equal(found: list[dict[str, Any]] | str, expected: list[dict[str, Any]] | str) -> None:
    """Demand the same error, or the same readings in all that is told of them."""
    if isinstance(found, str) or isinstance(expected, str):
        assert found == expected
        return
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name, value in other.items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(one[name], value, err_msg=name)
            else:
                assert one[name] == value, name


def written(place: int, rng: np.random.Generator, pen: float, side: int) -> Drawing:
    """One of the symbols by some writer, uint8 (side, side); pen: stroke width as a share of the side."""
    return draw(SYMBOLS[place], dataclasses.replace(random_writer(rng), pen=pen), rng, side)


def vectors() -> list[Drawing]:
    """Drawings of many sizes, pens, papers and shapes, as grey and as RGB; the first are one of each symbol."""
    rng = np.random.default_rng(7)
    images = [written(place, rng, 0.03, 105) for place in range(len(SYMBOLS))]
    for side in (28, 64, 256, 620):
        images += [written(int(rng.integers(20)), rng, pen, side) for pen in (0.006, 0.02, 0.05, 0.12)]
    images += [255 - image for image in images[:6]]
    images += [np.asarray(Image.fromarray(image).resize(size)) for image in images[6:10] for size in ((40, 150), (200, 60))]
    inks = ([200, 40, 40], [20, 60, 200], [10, 90, 30])
    images += [np.where(images[at][..., None] < 128, ink, [235, 240, 225]).astype(np.uint8) for at, ink in enumerate(inks)]
    for top, bottom, left, right in ((50, 52, 20, 190), (20, 190, 50, 51), (100, 104, 100, 104), (0, 3, 0, 3), (0, 210, 0, 4)):
        sheet = np.full((210, 210), 255, np.uint8)
        sheet[top:bottom, left:right] = 0
        images.append(sheet)
    shade = np.linspace(150, 250, 180)[None] - np.linspace(0, 40, 140)[:, None]
    photo = np.where(np.asarray(Image.fromarray(images[3]).resize((180, 140))) < 128, shade * 0.4, shade)
    return [*images, (photo + rng.normal(0, 2, photo.shape)).clip(0, 255).astype(np.uint8)]

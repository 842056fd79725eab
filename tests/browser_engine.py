"""Runs the modules of `examples/web` in Chromium, on drawings to hold them to Python's results by."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from selenium import webdriver

from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from oneshot_runtime.vision.preprocess import PreprocessSpec

SYMBOLS = invent_alphabet(20, seed=11)

Drawing = NDArray[np.uint8]

_RUN = """
const [values, done] = [[...arguments].slice(0, -1), arguments[arguments.length - 1]];
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const read = ({ data, width, height }) => ({ data: bytes(data), width, height });
const sent = (array) => btoa(String.fromCharCode(...array));
const module = (name) => import(`/examples/web/${name}`);
async function open() {
  const { loadModel } = await module("model.js");
  const ort = await module("node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs");
  ort.env.wasm.numThreads = 1;
  return loadModel(new URL("/oneshot_runtime/models/edge/", location), ort);
}
function unkept() {
  const texts = new Map();
  return { getItem: (key) => texts.get(key) ?? null, setItem: (key, text) => texts.set(key, text) };
}
(async () => { %s })().then(done, (error) => done({ failed: `${error}` }));
"""

_CANVASES = """
const [images, spec] = values;
const { preprocess } = await module("preprocess.js");
return images.map((image) => {
  try { return { canvas: sent(preprocess(read(image), spec)) }; } catch (error) { return { error: error.message }; }
});
"""

_MATCHES = """
const [taught, images, far] = values;
const { preprocess } = await module("preprocess.js");
const { encode } = await module("codes.js");
const { Gallery } = await module("gallery.js");
const model = await open();
const gallery = new Gallery(model, unkept());
const embed = (image) => model.embed(preprocess(read(image), model.spec));
for (const image of taught) gallery.add(image.label, [{ code: encode(await embed(image), model.head), picture: "" }]);
const answers = [];
for (const image of images) {
  const embedding = await embed(image);
  const code = encode(embedding, model.head);
  answers.push({ embedding: [...embedding], code: [...code], match: gallery.match(code, far) });
}
return answers;
"""

_BOTH_GRAPHS = """
const model = await open();
const rows = [];
for (const canvas of values[0]) rows.push(await model.embed(read(canvas).data));
const probabilities = [];
for (const row of rows) for (const other of rows) probabilities.push(await model.compare(row, other));
return { rows: rows.map((row) => [...row]), probabilities };
"""

_THRESHOLDS = """
const [table, cases] = values;
const { threshold } = await module("thresholds.js");
return cases.map(([far, classes]) => threshold(table, far, classes));
"""

_TIMES = """
const [images, rounds, size] = values;
const { preprocess } = await module("preprocess.js");
const { encode } = await module("codes.js");
const { Gallery } = await module("gallery.js");
const model = await open();
const gallery = new Gallery(model, unkept());
const pixels = images.map(read);
const codes = [];
for (const image of pixels) codes.push(encode(await model.embed(preprocess(image, model.spec)), model.head));
const known = (place) => ({ label: `${place}`, code: codes[place % codes.length], picture: "" });
gallery.supports = Array.from({ length: size }, (_, place) => known(place));
const times = { preprocess: [], embed: [], match: [] };
const timed = async (name, work) => {
  const start = performance.now();
  const result = await work();
  times[name].push(performance.now() - start);
  return result;
};
for (let round = 0; round < rounds; round++) {
  const canvas = await timed("preprocess", () => preprocess(pixels[round % pixels.length], model.spec));
  const embedding = await timed("embed", () => model.embed(canvas));
  await timed("match", () => gallery.match(encode(embedding, model.head), 0.05));
}
return times;
"""


def canvases(driver: webdriver.Chrome, images: list[Drawing], spec: PreprocessSpec) -> list[Drawing | str]:
    """The canvas uint8 (H, W) of each image, or the message of the error it makes."""
    found = _run(driver, _CANVASES, [_sent(image) for image in images], spec.to_dict())
    shape = spec.height, spec.width
    return [
        one["error"] if "error" in one else np.frombuffer(base64.b64decode(one["canvas"]), np.uint8).reshape(shape)
        for one in found
    ]


def matches(driver: webdriver.Chrome, taught: dict[str, Drawing], images: list[Drawing], far: float) -> list[dict[str, Any]]:
    """For each image: "embedding", "code", and its "match" in a gallery of the drawings taught."""
    labelled = [{**_sent(image), "label": label} for label, image in taught.items()]
    found: list[dict[str, Any]] = _run(driver, _MATCHES, labelled, [_sent(image) for image in images], far)
    return found


def both_graphs(driver: webdriver.Chrome, golden: Drawing) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Embeddings (N, D) of canvases uint8 (N, H, W) by embedding.onnx, and by head.onnx all against all of them (N, N)."""
    found = _run(driver, _BOTH_GRAPHS, [_sent(canvas) for canvas in golden])
    return np.array(found["rows"]), np.reshape(found["probabilities"], (len(golden), len(golden)))


def thresholds(driver: webdriver.Chrome, table: list[dict[str, Any]], cases: list[tuple[float, int]]) -> list[float]:
    """The probability from which a match is known, for each false accept rate and number of classes."""
    found: list[float] = _run(driver, _THRESHOLDS, table, cases)
    return found


def times(driver: webdriver.Chrome, images: list[Drawing], rounds: int, size: int) -> dict[str, list[float]]:
    """Milliseconds of each stage for `rounds` images in turn, matched in a gallery of `size` symbols."""
    found: dict[str, list[float]] = _run(driver, _TIMES, [_sent(image) for image in images], rounds, size)
    return found


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


def _sent(image: Drawing) -> dict[str, Any]:
    height, width = image.shape[:2]
    return {"data": base64.b64encode(image.tobytes()).decode(), "width": width, "height": height}


def _run(driver: webdriver.Chrome, script: str, *arguments: Any) -> Any:
    result = driver.execute_async_script(_RUN % script, *arguments)
    assert not (isinstance(result, dict) and "failed" in result), result
    return result

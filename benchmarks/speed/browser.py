"""How near the JavaScript package comes to Python in Chromium, its times and its sizes: `python -m benchmarks.speed.browser`.

Uses `js/node_modules` where `npm ci --prefix js` was run, else has npm install it.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import positive
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model.bundle import DEFAULT_BUNDLE
from tests.js_engine import (
    SYMBOLS,
    Drawing,
    Engine,
    chromium_engine,
    labelled,
    readings_of,
    sent,
    vectors,
    written,
)
from tests.page_driver import ROOT, browser
from tests.web_site import checkout_served, npm_packages

TAUGHT = 12
FAR = 0.05
SIDE = 256
"""The page's drawing area is read at this size."""


def main(argv: list[str] | None = None) -> int:
    """Compare and time drawings in Chromium, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drawings", type=positive, default=200)
    parser.add_argument("--rounds", type=positive, default=200)
    arguments = parser.parse_args(argv)
    rng = np.random.default_rng(8)
    images = vectors()
    pens, sides = rng.uniform(0.01, 0.06, arguments.drawings), rng.integers(60, 300, arguments.drawings)
    drawn = zip(range(arguments.drawings), pens, sides, strict=True)
    queries = images + [written(at % len(SYMBOLS), rng, pen, side) for at, pen, side in drawn]
    with tempfile.TemporaryDirectory() as folder, browser() as driver:
        modules = npm_packages(Path(folder))
        with checkout_served(modules) as url:
            driver.set_script_timeout(600)
            driver.get(url)
            engine = chromium_engine(driver)
            for precision in ("fp32", "int8"):
                _compare(engine, precision, images, queries)
            sheets = [sent(written(at, rng, 0.03, SIDE)) for at in range(len(SYMBOLS))]
            for precision in ("fp32", "int8"):
                options = {"precision": precision}
                times = engine.ask("times", options=options, images=sheets, rounds=arguments.rounds, size=1000)
                for name, milliseconds in times.items():
                    median, slow = np.percentile(milliseconds, [50, 95])
                    print(f"{precision} {name:>12}: median {median:.1f} ms, 95 % within {slow:.1f} ms")
        _sizes(modules)
    return 0


def _compare(engine: Engine, precision: str, images: list[Drawing], queries: list[Drawing]) -> None:
    taught = {f"symbol {place}": images[place] for place in range(TAUGHT)}
    with OneShotMatcher.load(precision="fp32", far=FAR) as matcher:
        for label, image in taught.items():
            matcher.enroll(label, image)
        expected, spec = matcher.match_batch(queries), matcher.bundle.spec
    pairs = zip(engine.readings(queries, spec), queries, strict=True)
    same = sum(_canvases(found) == _canvases(readings_of(image, spec)) for found, image in pairs)
    pictures = [sent(image) for image in queries]
    answers = engine.ask("matches", options={"precision": precision}, taught=labelled(taught), images=pictures)["matches"]
    labels = sum(answer["label"] == match.label for answer, match in zip(answers, expected, strict=True))
    apart = [answer["probability"] - match.probability for answer, match in zip(answers, expected, strict=True)]
    print(f"{precision}: of {len(queries)} drawings {same} canvases and {labels} labels equal Python's with fp32")
    print(f"{precision}: probabilities within {np.abs(apart).max():.1e}, half of them within {np.median(np.abs(apart)):.1e}")


def _canvases(found: object) -> list[bytes] | str:
    return found if isinstance(found, str) else [one["canvas"].tobytes() for one in found]  # type: ignore[attr-defined]


def _sizes(modules: Path) -> None:
    """Bytes that the page loads, as they are and compressed."""
    dist = modules / "onnxruntime-web" / "dist"
    static = ROOT / "oneshot_runtime/server/static"
    parts = {
        "model, int8": [DEFAULT_BUNDLE / name for name in ("embedding.int8.onnx", "head.onnx", "manifest.json", "golden.npz")],
        "model, fp32": [DEFAULT_BUNDLE / name for name in ("embedding.onnx", "head.onnx", "manifest.json", "golden.npz")],
        "onnxruntime-web": [dist / "ort.wasm.bundle.min.mjs", dist / "ort-wasm-simd-threaded.wasm"],
        "package": sorted((ROOT / "js/src").rglob("*.js")),
        "page": [*(ROOT / "examples/web").glob("*.*s"), *static.glob("*.*s")],
    }
    for name, paths in parts.items():
        contents = [path.read_bytes() for path in paths]
        whole, packed = sum(map(len, contents)), sum(len(gzip.compress(content)) for content in contents)
        print(f"{name:>16}: {whole / 1e6:6.2f} MB, {packed / 1e6:6.2f} MB by gzip")


if __name__ == "__main__":
    sys.exit(main())

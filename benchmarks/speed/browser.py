"""How near the browser's port comes to Python, its times and its sizes: `python -m benchmarks.speed.browser`.

Uses `examples/web/node_modules` where `npm ci` was run, else fetches onnxruntime-web by npm.
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
from oneshot_runtime.model.codes import encode
from oneshot_runtime.vision.preprocess import preprocess
from tests.browser_engine import SYMBOLS, Drawing, canvases, matches, times, vectors, written
from tests.page_driver import ROOT, browser
from tests.web_site import checkout_served, onnxruntime_web

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
        package = onnxruntime_web(Path(folder))
        with checkout_served(package) as url:
            driver.set_script_timeout(600)
            driver.get(url)
            _compare(driver, images, queries)
            sheets = [written(at, rng, 0.03, SIDE) for at in range(len(SYMBOLS))]
            for name, milliseconds in times(driver, sheets, arguments.rounds, 1000).items():
                median, slow = np.percentile(milliseconds, [50, 95])
                print(f"{name:>12}: median {median:.1f} ms, 95 % within {slow:.1f} ms")
        _sizes(package)
    return 0


def _compare(driver: object, images: list[Drawing], queries: list[Drawing]) -> None:
    with OneShotMatcher.load(precision="fp32", far=FAR) as matcher:
        for place in range(TAUGHT):
            matcher.enroll(f"symbol {place}", images[place])
        embeddings, expected = matcher.embed(queries), matcher.match_batch(queries)
        spec, codes = matcher.bundle.spec, encode(embeddings, matcher.bundle.head)
    found = canvases(driver, queries, spec)
    same = sum(np.array_equal(one, preprocess(image, spec)) for one, image in zip(found, queries, strict=True))
    taught = {f"symbol {place}": images[place] for place in range(TAUGHT)}
    answers = matches(driver, taught, queries, FAR)
    labels = sum(answer["match"]["label"] == match.label for answer, match in zip(answers, expected, strict=True))
    nearest = [answer["match"]["probability"] - match.probability for answer, match in zip(answers, expected, strict=True)]
    apart = np.abs(np.array([answer["embedding"] for answer in answers]) - embeddings).max()
    other = (np.array([answer["code"] for answer in answers]) != codes).sum()
    print(f"{len(queries)} drawings: {same} canvases and {labels} labels equal Python's")
    print(f"embeddings within {apart:.1e}, probabilities within {np.abs(nearest).max():.1e}")
    print(f"{other} of {codes.size} code bytes differ")


def _sizes(package: Path) -> None:
    """Bytes that the page loads, as they are and compressed."""
    dist = package / "dist"
    parts = {
        "model": [DEFAULT_BUNDLE / name for name in ("embedding.onnx", "head.onnx", "manifest.json")],
        "onnxruntime-web": [dist / "ort.wasm.bundle.min.mjs", dist / "ort-wasm-simd-threaded.wasm"],
        "page": [*(ROOT / "examples/web").glob("*.*s"), *(ROOT / "oneshot_runtime/server/static").glob("*.*s")],
    }
    for name, paths in parts.items():
        contents = [path.read_bytes() for path in paths]
        whole, packed = sum(map(len, contents)), sum(len(gzip.compress(content)) for content in contents)
        print(f"{name:>16}: {whole / 1e6:6.2f} MB, {packed / 1e6:6.2f} MB by gzip")


if __name__ == "__main__":
    sys.exit(main())

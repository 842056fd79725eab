"""How equal the answers stay when a gallery is embedded again from its thumbnails, with the same model.

    python -m benchmarks.accuracy.migration --alphabets 20 --json migration.json

Each alphabet of invented symbols is enrolled by one writer, asked for by another, migrated, and asked again. `--enlarge` makes
the pages that many times as large as the strokes come, so that thumbnails (128 pixels at most) lose something.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measure import positive
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from oneshot_runtime.transfer.encoder import ImageEncoder
from oneshot_runtime.transfer.migrate import migrate

_SYMBOLS = 20


def compare(path: Path, seed: int, enlarge: int, encoder: ImageEncoder) -> dict[str, float]:
    """Counts for one alphabet: queries, equal and right answers before and after, and the largest change of a probability."""
    rng = np.random.default_rng(seed)
    writers = random_writer(rng), random_writer(rng)
    pages = [[draw(symbol, writer, rng) for symbol in invent_alphabet(_SYMBOLS, seed=seed)] for writer in writers]
    first, second = ([_enlarged(page, enlarge) for page in side] for side in pages)
    labels = [f"s{index}" for index in range(_SYMBOLS)]
    with OneShotMatcher.load(gallery=path, precision="fp32", far=None) as matcher:
        for label, page in zip(labels, first, strict=True):
            matcher.enroll(label, page)
        before = matcher.match_batch(second, top_k=1)
    migrate(path, encoder)
    with OneShotMatcher.load(gallery=path, precision="fp32", far=None) as matcher:
        after = matcher.match_batch(second, top_k=1)
    return {
        "queries": _SYMBOLS,
        "equal": sum(a.label == b.label for a, b in zip(before, after, strict=True)),
        "right_before": sum(a.label == label for a, label in zip(before, labels, strict=True)),
        "right_after": sum(b.label == label for b, label in zip(after, labels, strict=True)),
        "largest_change": max(abs(a.probability - b.probability) for a, b in zip(before, after, strict=True)),
        "side": max(first[0].shape),
    }


def _enlarged(page: np.ndarray, times: int) -> np.ndarray:
    image = Image.fromarray(page)
    return np.asarray(image.resize((image.width * times, image.height * times), Image.Resampling.BICUBIC))


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--alphabets", type=positive, default=20)
    parser.add_argument("--enlarge", type=positive, nargs="+", default=[1, 4])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    encoder, results = ImageEncoder(Bundle.open(), precision="fp32"), []
    with tempfile.TemporaryDirectory() as folder:
        for times in arguments.enlarge:
            found = [compare(Path(folder) / f"{times}-{s}.db", s, times, encoder) for s in range(arguments.alphabets)]
            total = {key: sum(row[key] for row in found) for key in ("queries", "equal", "right_before", "right_after")}
            results.append({"side": found[0]["side"], **total, "largest_change": max(row["largest_change"] for row in found)})
    for result in results:
        print(
            "  ".join(f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in result.items())
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())

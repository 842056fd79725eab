"""Names that strangers get, by the ways to read a picture: `python -m benchmarks.picture_strangers [--data DIR]`.

`match` takes the best of several readings, which gives a stranger several chances. Twenty symbols of one alphabet are enrolled;
symbols of other alphabets are asked for in pictures of every kind of `picture_kinds` at its mildest strength, and so are the
symbols themselves. `read` is asked the same pictures: of what it finds beside the symbol, how much gets a name?
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.measure import positive
from benchmarks.picture_kinds import KINDS, tight
from benchmarks.pictures import galleries, taught
from oneshot_runtime import ImageError, OneShotMatcher
from oneshot_runtime.vision.decode import decode
from oneshot_runtime.vision.preprocess import ways_to_read

__all__ = ["count", "main"]

_MOST_WAYS = 4


def count(matcher: OneShotMatcher, pictures: list[object]) -> dict[int, list[int]]:
    """Asked and named, by the number of ways to read a picture; all of more than `_MOST_WAYS` together."""
    found: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for picture in pictures:
        try:
            ways = len(ways_to_read(decode(picture), matcher.bundle.spec, "it"))  # type: ignore[arg-type]
            label = matcher.match(picture).label  # type: ignore[arg-type]
        except ImageError:
            continue
        cell = found[min(ways, _MOST_WAYS)]
        cell[0] += 1
        cell[1] += label is not None
    return dict(found)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.picture_strangers", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with Omniglot's zips: its held-out alphabets, not invented ones")
    parser.add_argument("--each", type=positive, default=20, help="pictures of strangers of each kind and gallery")
    parser.add_argument("--galleries", type=positive, default=4, help="alphabets; two at least")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(argv)
    alphabets = galleries(max(2, options.galleries), options.data)
    totals: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    pieces = [0, 0]
    for number, drawings in enumerate(tqdm(alphabets, desc="galleries", disable=not sys.stderr.isatty(), leave=False)):
        matcher = taught(drawings)
        others = [drawing for at, other in enumerate(alphabets) if at != number for drawing in other]
        for kind in KINDS:
            rng = np.random.default_rng(zlib.crc32(f"{number} {kind.name}".encode()))
            asked = [others[at] for at in rng.choice(len(others), min(options.each, len(others)), replace=False)]
            pictures: list[object] = [kind.make(tight(drawing), kind.strengths[0], rng) for drawing in asked]
            for ways, (some, named) in count(matcher, pictures).items():
                totals[ways][0] += some
                totals[ways][1] += named
            for picture in pictures[:2]:
                try:
                    symbols = matcher.read(picture)  # type: ignore[arg-type]
                except ImageError:
                    continue
                pieces[0] += len(symbols)
                pieces[1] += sum(symbol.match.label is not None for symbol in symbols)
    print("| ways to read the picture | strangers | named |\n|---|---|---|")
    for ways, (some, named) in sorted(totals.items()):
        print(f"| {ways}{' or more' if ways == _MOST_WAYS else ''} | {some} | {100 * named / some:.1f} % |")
    print(f"| pieces that `read` finds | {pieces[0]} | {100 * pieces[1] / max(1, pieces[0]):.1f} % |")
    if options.json:
        options.json.write_text(json.dumps({"by ways": totals, "pieces": pieces}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

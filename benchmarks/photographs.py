"""Real photographs of signs, displays and a newspaper: `apt install opencv-doc`, then `python -m benchmarks.photographs`.

`photographs.json` says which symbols each of them shows, and where: boxes and labels of people who looked. `read` is asked for
all of them, `match` for each in a loose crop, as a person cuts it out, with halves of its neighbours. The symbols are
enrolled from Pillow's own font, once each: other letters than those of the signs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from oneshot_runtime import ImageError, OneShotMatcher

__all__ = ["Photograph", "Score", "known_photographs", "main", "score"]

_FOLDER = Path("/usr/share/doc/opencv-doc/examples")
_FAR = 0.05
_FOUND = 0.5
"""Area that a box and the symbol's share, over the area of both, from which on the symbol is found."""

_LOOSE = 0.6
"""Share of a symbol's longer side that a loose crop leaves around it."""


@dataclass(frozen=True)
class Photograph:
    """A picture and its symbols. file: within the folder of photographs. boxes: int64 (n, 4), x, y, width, height."""

    file: str
    kind: str
    labels: list[str]
    boxes: NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """What became of a photograph's symbols.

    found: how many have a box of their own. right, wrong: how many of those `read` names as they are called, and otherwise.
    others: boxes that are no symbol's; named: how many of these get a name. crops, crops_wrong: how many `match` names in loose
    crops, right and wrong. ms: what `read` takes without decoding.
    """

    symbols: int
    found: int
    right: int
    wrong: int
    others: int
    named: int
    crops: int
    crops_wrong: int
    ms: float


def known_photographs() -> list[Photograph]:
    """Those that people looked at."""
    known = json.loads(Path(__file__).with_suffix(".json").read_text())
    return [
        Photograph(one["file"], one["kind"], [row[0] for row in one["symbols"]], np.array([row[1:] for row in one["symbols"]]))
        for one in known
    ]


def score(photograph: Photograph, image: Image.Image, rounds: int = 3) -> Score:
    """Read a photograph, and match each of its symbols in a loose crop, after enrolling each of them from a font."""
    matcher = OneShotMatcher.load(far=_FAR)
    for label in sorted(set(photograph.labels)):
        matcher.enroll(label, _printed(label))
    grey = np.asarray(image.convert("RGB"))
    took = []
    for _ in range(rounds):
        start = time.process_time()
        read = matcher.read(grey)
        took.append(1000 * (time.process_time() - start))
    shared = _shared(photograph.boxes, np.array([one.box for one in read]).reshape(-1, 4))
    own = {
        int(row.argmax()): label for row, label in zip(shared, photograph.labels, strict=True) if row.max(initial=0) >= _FOUND
    }
    names = [read[at].match.label for at in own]
    same = [_is_same(name, label) for name, label in zip(names, own.values(), strict=True)]
    others = [one.match.label for at, one in enumerate(read) if at not in own]
    crops = [_matched(matcher, image, box) for box in photograph.boxes]
    crops_same = [_is_same(name, label) for name, label in zip(crops, photograph.labels, strict=True)]
    return Score(
        symbols=len(photograph.labels),
        found=len(own),
        right=sum(same),
        wrong=sum(name is not None for name in names) - sum(same),
        others=len(others),
        named=sum(name is not None for name in others),
        crops=sum(crops_same),
        crops_wrong=sum(name is not None for name in crops) - sum(crops_same),
        ms=round(statistics.median(took), 1),
    )


def _printed(label: str) -> Image.Image:
    image = Image.new("L", (105, 105), 255)
    ImageDraw.Draw(image).text((52, 52), label, 0, ImageFont.load_default(70), "mm")
    return image


def _is_same(name: str | None, label: str) -> bool:
    """Whether a name is the label's; many letters are alike as capitals and not."""
    return name is not None and name.casefold() == label.casefold()


def _shared(boxes: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each two boxes share, float64 (n, m): the area of both together over that of either."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum((boxes[:, :2] + boxes[:, 2:])[:, None], (others[:, :2] + others[:, 2:])[None])
    both = np.maximum(high - low, 0).prod(axis=2)
    either = boxes[:, 2:].prod(axis=1)[:, None] + others[:, 2:].prod(axis=1)[None] - both
    return np.asarray(both / either)


def _matched(matcher: OneShotMatcher, image: Image.Image, box: NDArray[np.int64]) -> str | None:
    """The name that a symbol gets in a loose crop."""
    x, y, width, height = (int(value) for value in box)
    around = round(_LOOSE * max(width, height))
    right, bottom = min(image.width, x + width + around), min(image.height, y + height + around)
    try:
        return matcher.match(image.crop((max(0, x - around), max(0, y - around), right, bottom))).label
    except ImageError:
        return None


def main(argv: list[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photographs", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, default=_FOLDER, metavar="DIR", help=f"examples of opencv-doc ({_FOLDER})")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args(argv)
    rows: list[dict[str, Any]] = []
    for photograph in known_photographs():
        path = arguments.folder / photograph.file
        if not path.is_file():
            parser.error(f"no photograph {path}: install Debian's opencv-doc, or say with --folder where its examples are")
        with Image.open(path) as image:
            size = f"{image.width}x{image.height}"
            rows.append({"file": photograph.file, "kind": photograph.kind, "size": size, **asdict(score(photograph, image))})
    names = ("kind", "file", "size", *Score.__dataclass_fields__)
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
    print("\n".join("| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows))
    total = {name: sum(row[name] for row in rows) for name in Score.__dataclass_fields__ if name != "ms"}
    print("| all | | | " + " | ".join(map(str, total.values())) + " | |")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())

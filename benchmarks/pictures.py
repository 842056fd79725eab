"""From pictures as people have them to the symbol: `python -m benchmarks.pictures [--data shared/omniglot] [--quick]`.

Symbols are enrolled from clean drawings, twenty to a gallery, and asked for in pictures of every kind of `picture_kinds` at
every strength: right by label at `far=0.05`, and ranked first. Then pictures that are odd themselves are enrolled: the clean
drawings must find them, and no other symbol's picture of that kind may be named after them. `--sheet` shows, for each kind
and strength, pictures, the canvas that was made of them, and the answer.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.picture_kinds import KINDS, ODDITIES, Kind, tight
from oneshot_runtime import ImageError, OneShotMatcher
from oneshot_runtime.quality.sheet import font
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from oneshot_runtime.vision.preprocess import preprocess

__all__ = ["Asked", "ask", "galleries", "main", "odd_enrolments"]

_CLASSES, _SIDE = 20, 420
_FAR = 0.05
_AIM = 0.95


@dataclass(frozen=True)
class Asked:
    """One picture and its answer. canvas: what was made of it, None when that failed. label, first: the name it got and the
    best candidate's; `error` where there was none."""

    name: str
    picture: Image.Image
    canvas: NDArray[np.uint8] | None
    label: str | None
    first: str | None
    error: str | None


def galleries(count: int, data: Path | None) -> list[list[NDArray[np.uint8]]]:
    """`count` alphabets of twenty drawings uint8 (H, W): invented, or of Omniglot's held-out alphabets below `data`."""
    if data is None:
        rng = np.random.default_rng(1)
        return [
            [draw(s, random_writer(rng), rng, _SIDE) for s in invent_alphabet(_CLASSES, seed)]
            for seed in range(100, 100 + count)
        ]
    from train.omniglot import EVALUATION, load_images

    images = load_images(data, EVALUATION)
    ranges = [(first, last) for first, last in images.alphabets.values() if last - first + 1 >= _CLASSES][:count]
    return [[_smooth(images.images[first + number, 3]) for number in range(_CLASSES)] for first, _ in ranges]


def _smooth(drawing: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A one-bit drawing four times as large, with edges as a pen leaves them."""
    image = Image.fromarray(drawing).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    return np.asarray(image.point([0] * 96 + [round((level - 96) * 255 / 63) for level in range(96, 160)] + [255] * 96))


def taught(drawings: list[NDArray[np.uint8]]) -> OneShotMatcher:
    """A matcher that knows the drawings, 105 pixels large, as s0, s1, ..."""
    matcher = OneShotMatcher.load(far=_FAR)
    for number, drawing in enumerate(drawings):
        matcher.enroll(f"s{number}", np.asarray(Image.fromarray(drawing).reduce(_SIDE // 105)))
    return matcher


def ask(matcher: OneShotMatcher, drawing: NDArray[np.uint8], name: str, kind: Kind, strength: float) -> Asked:
    """Make a picture of the drawing, and match it. The same picture for the same arguments."""
    rng = np.random.default_rng(zlib.crc32(f"{name} {kind.name} {strength}".encode()))
    picture = kind.make(tight(drawing), strength, rng)
    try:
        match = matcher.match(picture)
    except ImageError as error:
        return Asked(name, picture, None, None, None, str(error))
    return Asked(name, picture, preprocess(picture, matcher.bundle.spec), match.label, match.candidates[0].label, None)


def odd_enrolments(drawings: list[NDArray[np.uint8]], kind: Kind, strength: float) -> dict[str, int]:
    """Half of the drawings are enrolled as pictures of a kind; all are asked for, as clean drawings and as such pictures."""
    matcher = OneShotMatcher.load(far=_FAR)
    half = len(drawings) // 2
    for number, drawing in enumerate(drawings[:half]):
        rng = np.random.default_rng([number, 7])
        matcher.enroll(f"s{number}", kind.make(tight(drawing), strength, rng))
    counts = {"enrolled": half, "clean found": 0, "pictures found": 0, "others named, clean": 0, "others named, pictures": 0}
    for number, drawing in enumerate(drawings):
        clean = np.asarray(Image.fromarray(drawing).reduce(_SIDE // 105))
        labels = [matcher.match(clean).label, ask(matcher, drawing, f"s{number}", kind, strength).label]
        for way, label in zip(("clean", "pictures"), labels, strict=True):
            if number < half:
                counts[f"{way} found"] += label == f"s{number}"
            else:
                counts[f"others named, {way}"] += label is not None
    return counts


def _sheet(rows: list[tuple[str, list[Asked]]]) -> Image.Image:
    """A row for each kind and strength: pictures with their canvases and answers."""
    side, text = 120, 210
    columns = max(len(asked) for _, asked in rows)
    sheet = Image.new("RGB", (text + columns * (2 * side + 14), len(rows) * (side + 22)), "white")
    pen = ImageDraw.Draw(sheet)
    for at, (title, asked) in enumerate(rows):
        y = at * (side + 22)
        pen.multiline_text((6, y + 10), title, fill="black", font=font(14))
        for column, one in enumerate(asked):
            x = text + column * (2 * side + 14)
            picture = one.picture.convert("RGBA")
            picture.thumbnail((side, side), Image.Resampling.BOX)
            ground = Image.new("RGBA", picture.size, (255, 190, 255, 255))
            sheet.paste(Image.alpha_composite(ground, picture).convert("RGB"), (x, y + 2))
            if one.canvas is not None:
                sheet.paste(Image.fromarray(255 - one.canvas).resize((side, side)), (x + side + 2, y + 2))
            pen.rectangle((x + side + 2, y + 2, x + 2 * side + 2, y + side + 2), outline=(200, 200, 200))
            answer = (
                f"{one.name}: {one.label or '-'} (first {one.first})" if one.error is None else f"{one.name}: {one.error}"[:40]
            )
            pen.text((x, y + side + 4), answer, fill=(22, 128, 61) if one.label == one.name else (190, 30, 45), font=font(12))
    return sheet


def _row(kind: Kind, strength: float, aim: bool, asked: list[Asked]) -> dict[str, Any]:
    label, rank = sum(one.label == one.name for one in asked), sum(one.first == one.name for one in asked)
    values = {"kind": kind.name, "strength": strength, "unit": kind.unit, "aim": aim}
    return {**values, "label": label, "rank": rank, "of": len(asked)}


def _table(rows: list[dict[str, Any]]) -> str:
    lines = ["| picture | strength | label | rank | of |", "|---|---|---|---|---|"]
    for row in rows:
        strength = f"{row['strength']:g} {row['unit']}" + ("" if row["aim"] else " (beyond)")
        short = " **" if row["aim"] and row["label"] < _AIM * row["of"] else ""
        lines.append(f"| {row['kind']} | {strength} | {row['label']}{short} | {row['rank']} | {row['of']} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run the suite; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, metavar="DIR", help="ask with Omniglot's held-out alphabets instead")
    parser.add_argument("--quick", action="store_true", help="one gallery of twenty symbols instead of five")
    parser.add_argument("--kind", nargs="*", metavar="WORD", help="only kinds whose name holds one of these")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="save a contact sheet")
    parser.add_argument("--failures", action="store_true", help="show on the sheet what was not given its name")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args(argv)
    chosen = [kind for kind in KINDS if not arguments.kind or any(word in kind.name for word in arguments.kind)]
    sets = galleries(1 if arguments.quick else 5, arguments.data)
    matchers = [taught(drawings) for drawings in sets]
    rows: list[dict[str, Any]] = []
    shown: list[tuple[str, list[Asked]]] = []
    for kind in chosen:
        for place, strength in enumerate(kind.strengths):
            asked = [
                ask(matcher, drawing, f"s{number}", kind, strength)
                for matcher, drawings in zip(matchers, sets, strict=True)
                for number, drawing in enumerate(drawings)
            ]
            row = _row(kind, strength, place < kind.aim, asked)
            rows.append(row)
            print(f"{kind.name:34} {strength:>6g} {kind.unit:20} {row['label']:4} {row['rank']:4}", flush=True, file=sys.stderr)
            some = [one for one in asked if one.label != one.name] if arguments.failures else asked
            if some:
                shown.append(
                    (f"{kind.name}\n{strength:g} {kind.unit}\n{row['label']} / {row['rank']} of {row['of']}", some[:6])
                )
    odd = {kind.name: odd_enrolments(sets[0], kind, ODDITIES[kind.name]) for kind in chosen if kind.name in ODDITIES}
    print(_table(rows))
    if odd:
        names = list(next(iter(odd.values())))
        print("\n| enrolled as | " + " | ".join(names) + " |\n|---" + "|---" * len(names) + "|")
        print(
            "\n".join(f"| {kind} | " + " | ".join(str(counts[name]) for name in names) + " |" for kind, counts in odd.items())
        )
    if arguments.json:
        arguments.json.write_text(json.dumps({"kinds": rows, "enrolled": odd}, indent=1))
    if arguments.sheet:
        _sheet(shown).save(arguments.sheet)
    return 0


if __name__ == "__main__":
    sys.exit(main())

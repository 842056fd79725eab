"""`oneshot read`: every symbol of pictures and folders."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneshot_runtime.cli.common import add_command, count, load_existing, match_json, print_result
from oneshot_runtime.cli.pictures import add_page, named_pictures
from oneshot_runtime.cli.terminal import verdict
from oneshot_runtime.errors import ImageError, counted, visible
from oneshot_runtime.results import ReadSymbol
from oneshot_runtime.vision.decode import decode, to_grey
from oneshot_runtime.vision.image_source import ImageSource

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["register"]

_NOTHING = "no symbol found: it is blank, its ink is too faint, or its symbols are smaller than 16 pixels"
_KNOWN, _UNKNOWN = (22, 128, 61), (190, 30, 45)


def register(commands: Any) -> None:
    """Add the command."""
    text = "find and name every symbol of photographs, scans and screenshots"
    examples = ["oneshot read page.jpg --output named.png", "oneshot read scans/ --json"]
    read = add_command(commands, "read", _read, text, gallery=True, model=True, far=True, examples=examples)
    read.add_argument("images", nargs="+", metavar="IMAGE", help="picture, folder of pictures, or - for the standard input")
    read.add_argument("--top-k", type=count, default=5, metavar="N", help="candidates to list with --json (default: 5)")
    add_page(read)
    text = "save the picture with boxes and names; with several pictures, a folder to save them in"
    read.add_argument("--output", type=Path, metavar="FILE.png", help=text)


def _read(arguments: argparse.Namespace) -> int:
    pictures = named_pictures(arguments.images, arguments.page)
    values: list[dict[str, Any]] = []
    lines: list[str] = []
    failed = 0
    with load_existing(arguments) as matcher:
        for name, picture in pictures:
            try:
                symbols = matcher.read(picture, arguments.top_k)
            except ImageError as error:
                if len(pictures) == 1:
                    raise
                failed += 1
                values.append({"image": name, "error": type(error).__name__, "message": str(error)})
                lines.append(str(error))
                continue
            found = [{"box": list(one.box), **match_json(one.match)} for one in symbols]
            values.append({"image": name, "symbols": found})
            lines.append(f"{visible(name)}: {counted(len(symbols), 'symbol') if symbols else _NOTHING}")
            lines += [
                f"  {verdict(one.match)} at {', '.join(map(str, one.box))} ({one.match.probability:.3f})" for one in symbols
            ]
            page = symbols[0].match.page if symbols else _page_of_several(picture, name)
            if page is not None:
                lines.append(f"  page {page} of a file of several: --page takes another")
            if arguments.output is not None:
                from oneshot_runtime.quality.sheet import save_sheet

                target = arguments.output if len(pictures) == 1 else arguments.output / f"{Path(name).stem}.png"
                save_sheet(_annotated(picture, symbols), target)
    print_result(arguments, {"pictures": values}, "\n".join(lines))
    return 1 if failed else 0


def _page_of_several(picture: ImageSource, name: str) -> int | None:
    """Which page was read, of a file that has several."""
    read = decode(picture, name)
    return read.page if read.more else None


def _annotated(picture: ImageSource, symbols: list[ReadSymbol]) -> Image.Image:
    """The picture in grey, each symbol in a box with its name."""
    from PIL import Image, ImageDraw

    from oneshot_runtime.quality.sheet import font

    drawn = Image.fromarray(to_grey(picture)).convert("RGB")
    pen = ImageDraw.Draw(drawn)
    size = max(12, max(drawn.size) // 60)
    for one in symbols:
        x, y, width, height = one.box
        colour = _KNOWN if one.match.label is not None else _UNKNOWN
        pen.rectangle((x - 2, y - 2, x + width + 1, y + height + 1), outline=colour, width=max(1, size // 8))
        pen.text((x, max(0, y - size - 3)), verdict(one.match), fill=colour, font=font(size))
    return drawn

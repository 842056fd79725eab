"""`oneshot camera`: read symbols from a camera, a video or pictures, and teach them by pointing."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneshot_runtime.cli.common import add_command, load
from oneshot_runtime.errors import DependencyError, GalleryError, SourceError
from oneshot_runtime.gallery import check_label
from oneshot_runtime.stores.address import redacted
from oneshot_runtime.stores.registry import gallery_exists

if TYPE_CHECKING:
    from oneshot_runtime.camera.watch import Summary

__all__ = ["register"]


def register(commands: Any) -> None:
    """Add this group's parser to the command line's sub-parsers."""
    text = "read symbols from a camera, a video or pictures, and teach them by pointing"
    camera = add_command(commands, "camera", _camera, text, gallery=True, model=True, far=True)
    camera.add_argument("source", help="camera number, video file, picture, folder of pictures, or RTSP/HTTP address")
    camera.add_argument("--enroll", metavar="NAME", help="teach the symbol held still in the middle under this name")
    camera.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write the annotated video (.mp4, .avi, .mkv, .mov) or pictures (.png, .jpg)",
    )
    camera.add_argument("--window", action="store_true", help="show a window also with --output or --json")
    camera.add_argument(
        "--ink",
        choices=("auto", "dark", "light"),
        default="auto",
        help="dark ink on light paper, or light on a dark board (default: auto)",
    )


def _camera(arguments: argparse.Namespace) -> int:
    if arguments.enroll is not None:
        check_label(arguments.enroll)
    summary = _watch(arguments)
    if summary is None:
        return 0
    rate = summary.frames / max(summary.seconds, 1e-6)
    _report(f"{summary.frames} frames in {summary.seconds:.1f} s, {rate:.1f} a second")
    if arguments.enroll is not None and not summary.enrolled:
        raise SourceError(f"{arguments.enroll!r} was not taught: {summary.problem}")
    return 0


def _watch(arguments: argparse.Namespace) -> Summary | None:
    """Run the source; None when the browser showed it instead."""
    from oneshot_runtime.camera.frame_reader import FrameReader
    from oneshot_runtime.camera.recorder import open_output
    from oneshot_runtime.camera.sources import open_source
    from oneshot_runtime.camera.watch import Watch
    from oneshot_runtime.camera.window import Window, window_problem

    headless = arguments.output is not None or arguments.json or arguments.enroll is not None
    with open_source(arguments.source, _report) as source:
        windowed = arguments.window or not headless
        problem = window_problem() if windowed else None
        if problem is not None and (headless or not arguments.source.isdecimal()):
            raise DependencyError(f"cannot open a window: {problem}. Without one, pass --output FILE, --json, or both")
        if problem is not None:
            source.close()  # the browser opens the camera itself
            _report(f"{problem}: the browser shows the camera instead")
            _browse(arguments)
            return None
        recorder = open_output(arguments.output, source) if arguments.output is not None else None
        _ask_for_gallery(arguments)
        with load(arguments) as matcher:
            window = Window() if windowed else None
            reader = FrameReader(matcher, ink=arguments.ink, still=source.still)
            emit = (lambda line: print(json.dumps(line), flush=True)) if arguments.json else None
            watch = Watch(source, reader, enroll=arguments.enroll, recorder=recorder, window=window, emit=emit, report=_report)
            return watch.run()


def _ask_for_gallery(arguments: argparse.Namespace) -> None:
    """Ask whether to create a gallery that is not there: its name may be mistyped. `--enroll` creates it without asking."""
    if gallery_exists(arguments.gallery):
        return
    name = f"gallery '{redacted(arguments.gallery)}' does not exist"
    if arguments.enroll is not None:
        _report(f"{name}: it is created")
    elif not sys.stdin.isatty():
        raise GalleryError(f"{name}, so nothing could be recognised; `oneshot enroll`, or --enroll NAME here, creates it")
    else:
        print(f"oneshot: {name}. Create it? [y/N] ", end="", file=sys.stderr, flush=True)
        if input().strip().lower() not in ("y", "yes"):
            raise GalleryError(f"{name}; --gallery names another")


def _browse(arguments: argparse.Namespace) -> None:
    """Serve the live page on loopback, and open it."""
    from oneshot_runtime.cli.serve_command import serve_live

    _ask_for_gallery(arguments)
    with load(arguments) as matcher:
        serve_live(matcher, arguments.gallery)


def _report(message: str) -> None:
    print(f"oneshot: {message}", file=sys.stderr, flush=True)

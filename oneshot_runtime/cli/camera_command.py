"""`oneshot camera`: read symbols from a camera, a video or pictures, and teach them by pointing."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneshot_runtime.cli.common import add_command, load
from oneshot_runtime.errors import SourceError
from oneshot_runtime.gallery import check_label

if TYPE_CHECKING:
    from oneshot_runtime.camera.watch import Summary
    from oneshot_runtime.matcher import OneShotMatcher

__all__ = ["register"]

_FAR = 0.05
"""A symbol is seen in many frames, and one that is refused for good is more of a nuisance than a stranger with a name."""

_INTERRUPTED = 130


def register(commands: Any) -> None:
    """Add this group's parser to the command line's sub-parsers."""
    text = "read symbols from a camera, a video or pictures, and teach them by pointing"
    camera = add_command(commands, "camera", _camera, text, gallery=True, far=_FAR)
    camera.add_argument("source", help="camera number, video file, picture, folder of pictures, or RTSP/HTTP address")
    camera.add_argument("--enroll", metavar="NAME", help="teach the symbol in the middle of the picture under this name")
    camera.add_argument("--output", type=Path, metavar="FILE", help="write the annotated video here (.mp4, .avi, .mkv, .mov)")
    camera.add_argument("--window", action="store_true", help="show a window also with --output or --json")
    camera.add_argument("--ink", choices=("auto", "dark", "light"), default="auto", help="on light paper or a dark board")


def _camera(arguments: argparse.Namespace) -> int:
    if arguments.enroll is not None:
        check_label(arguments.enroll)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service that is stopped completes its video too
    try:
        with load(arguments) as matcher:
            summary = _watch(arguments, matcher)
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
    rate = summary.frames / max(summary.seconds, 1e-6)
    _report(f"{summary.frames} frames in {summary.seconds:.1f} s, {rate:.1f} a second")
    if arguments.enroll is not None and not summary.enrolled:
        raise SourceError(f"no symbol was in the middle of the picture, so {arguments.enroll!r} was not taught")
    return 0


def _watch(arguments: argparse.Namespace, matcher: OneShotMatcher) -> Summary:
    from oneshot_runtime.camera.frame_reader import FrameReader
    from oneshot_runtime.camera.recorder import Recorder
    from oneshot_runtime.camera.sources import open_source
    from oneshot_runtime.camera.watch import Watch
    from oneshot_runtime.camera.window import Window

    headless = arguments.output is not None or arguments.json or arguments.enroll is not None
    window = Window() if arguments.window or not headless else None
    with open_source(arguments.source, _report) as source:
        recorder = Recorder(arguments.output, source.fps) if arguments.output is not None else None
        reader = FrameReader(matcher, ink=arguments.ink, still=source.still)
        emit = (lambda line: print(json.dumps(line), flush=True)) if arguments.json else None
        return Watch(source, reader, enroll=arguments.enroll, recorder=recorder, window=window, emit=emit, report=_report).run()


def _report(message: str) -> None:
    print(f"oneshot: {message}", file=sys.stderr, flush=True)

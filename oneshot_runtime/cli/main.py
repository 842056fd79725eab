"""The `oneshot` command: enroll, match, verify and look after a gallery from the shell."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn, TextIO

from oneshot_runtime import __version__
from oneshot_runtime.cli import camera_command, gallery_commands, match_commands, model_commands, read_command, serve_command
from oneshot_runtime.cli.parser import USAGE, Parser
from oneshot_runtime.cli.terminal import controls_shown
from oneshot_runtime.errors import OneShotError, OptionError

__all__ = ["main"]

_INTERRUPTED, _READER_LEFT, _TERMINATED = 130, 141, 143
"""128 and the number of the signal, as a shell says it."""

_EXAMPLES = (
    "oneshot demo                          invent twenty symbols and recognise them",
    "oneshot enroll alef alef.png          teach a symbol from one picture",
    "oneshot match photo.png drawings/     say what pictures show",
    "oneshot read page.jpg                 find and name every symbol of a photograph or a scan",
    "oneshot list                          what is known",
    "oneshot serve --open                  draw, teach and recognise in the browser",
    "oneshot camera 0                      read symbols from a camera",
)

_GROUPS = (match_commands, read_command, gallery_commands, camera_command, serve_command, model_commands)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 done, 1 an error or a failed check, 2 wrong usage, 130 interrupted, 141 the reader of a pipe left, 143 terminated.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a label need not fit the console's encoding
    with controls_shown():
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    try:
        with _terminable():
            return _run(_parser().parse_args(argv))
    except KeyboardInterrupt as interrupt:
        terminated = isinstance(interrupt, _TerminatedError)
        print(f"oneshot: {'terminated' if terminated else 'interrupted'}", file=sys.stderr)
        return _TERMINATED if terminated else _INTERRUPTED
    except OSError as error:  # of the output: all else is said in the library's words
        _silence(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return _READER_LEFT
        with suppress(OSError):
            print(f"oneshot: cannot write {error.filename or 'the output'}: {error.strerror or error}", file=sys.stderr)
        return 1
    finally:
        if argv is None:  # a Ctrl-C, or a second one, while Python shuts down adds nothing
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(arguments: Namespace) -> int:
    try:
        code: int = arguments.run(arguments)
    except OneShotError as error:
        if arguments.json:
            print(json.dumps({"error": type(error).__name__, "message": str(error)}))
        print(f"oneshot: {error}", file=sys.stderr)
        code = USAGE if isinstance(error, OptionError) else 1
    if sys.stdout is not None:
        sys.stdout.flush()  # a full disk is noticed here rather than after the exit code is fixed
    return code


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM came: what is at work ends as it does for Ctrl-C."""


@contextmanager
def _terminable() -> Iterator[None]:
    """Has SIGTERM unwind the stack, so that files are closed and what is half written goes away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: object) -> NoReturn:  # noqa: ARG001
        raise _TerminatedError

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _silence(stream: TextIO | None) -> None:
    """Sends what a stream still holds to nowhere: Python would fail on it once more while it ends."""
    if stream is not None:
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _parser() -> Parser:
    text = "Recognise symbols after seeing each of them once: show it a picture with a name, and it knows the symbol."
    parser = Parser(prog="oneshot", description=text, examples=_EXAMPLES)
    parser.add_argument("--version", action="version", version=f"oneshot {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in _GROUPS:
        group.register(commands)
    return parser

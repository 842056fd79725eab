"""The `oneshot` command: enroll, match, verify and look after a gallery from the shell."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence

from oneshot_runtime import __version__
from oneshot_runtime.cli import camera_command, gallery_commands, match_commands, model_commands, serve_command
from oneshot_runtime.errors import OneShotError

__all__ = ["main"]

_GROUPS = (match_commands, gallery_commands, camera_command, serve_command, model_commands)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 an error or a failed check, 2 wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a label need not fit the console's encoding
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        return code
    except OneShotError as error:
        if arguments.json:
            print(json.dumps({"error": type(error).__name__, "message": str(error)}))
        print(f"oneshot: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe left, as head does
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="oneshot", description="Recognise symbols after seeing each of them once.")
    parser.add_argument("--version", action="version", version=f"oneshot {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in _GROUPS:
        group.register(commands)
    return parser

"""`oneshot list` and `remove`: what a gallery holds."""

from __future__ import annotations

import argparse
from typing import Any

from oneshot_runtime.commands.common import add_command, load_existing, print_result
from oneshot_runtime.errors import LabelError

__all__ = ["register"]


def register(commands: Any) -> None:
    """Add this group's parsers to the command line's sub-parsers."""
    add_command(commands, "list", _list, "list the enrolled symbols", gallery=True)
    remove = add_command(commands, "remove", _remove, "forget symbols", gallery=True)
    remove.add_argument("labels", nargs="+", metavar="LABEL")


def _list(arguments: argparse.Namespace) -> int:
    with load_existing(arguments) as matcher:
        classes = [{"label": label, "supports": matcher.gallery.count(label)} for label in matcher.labels]
    text = "\n".join(f"{entry['label']}  ({entry['supports']})" for entry in classes)
    print_result(arguments, {"gallery": arguments.gallery, "classes": classes}, text or f"{arguments.gallery} is empty")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    with load_existing(arguments) as matcher:
        unknown = [label for label in arguments.labels if not matcher.gallery.count(label)]
        if unknown:
            raise LabelError(f"not in the gallery, so nothing was removed: {', '.join(map(repr, unknown))}")
        for label in dict.fromkeys(arguments.labels):
            matcher.remove(label)
        classes = len(matcher.labels)
    text = f"removed {', '.join(arguments.labels)}; {arguments.gallery} now holds {classes} symbol(s)"
    print_result(arguments, {"removed": arguments.labels, "classes": classes}, text)
    return 0

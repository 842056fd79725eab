"""The command line's parser: usage errors as text or JSON, what was probably meant, and help with examples."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Collection, Sequence
from typing import Any, NoReturn

__all__ = ["USAGE", "Parser", "did_you_mean"]

USAGE = 2
"""Exit code of wrong usage."""


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose sub-parsers are of this class too.

    Examples: lines that are shown at the end of the help.
    """

    as_json = False
    """Whether the words of this run ask for JSON; of all parsers, for an error is raised by whichever meets it."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        if examples:
            options["epilog"] = "examples:\n" + "\n".join(f"  {line}" for line in examples)
        super().__init__(*arguments, **options)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As in the base class; without any words the help is shown."""
        words = sys.argv[1:] if args is None else list(args)
        Parser.as_json = "--json" in words
        self._complete()
        if not words:
            self.print_help()
            raise SystemExit(USAGE)
        found, unknown = self.parse_known_args(words, namespace)
        if unknown:
            command: Parser = getattr(found, "parser", self)
            known = [option for action in command._actions for option in action.option_strings]
            hints = [did_you_mean(word.split("=")[0], known) for word in unknown if word.startswith("-")]
            command.error(f"unknown arguments: {' '.join(unknown)}{next((hint for hint in hints if hint), '')}")
        return found

    def error(self, message: str) -> NoReturn:
        """Ends with exit code 2, and a JSON object on the output where the words ask for JSON."""
        if Parser.as_json:
            print(json.dumps({"error": "UsageError", "message": message}))
        self.exit(USAGE, f"{self.format_usage()}{self.prog}: {message}\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            names = [str(choice) for choice in action.choices]
            what = "command" if isinstance(action, argparse._SubParsersAction) else f"value for {action.option_strings[0]}"
            hint = did_you_mean(str(value), names) or f": there are {', '.join(names)}"
            self.error(f"unknown {what} {value!r}{hint}")

    def _complete(self) -> None:
        """Completes the words for a shell that asks, where argcomplete is installed."""
        if "_ARGCOMPLETE" in os.environ:
            try:
                import argcomplete
            except ImportError:
                return
            argcomplete.autocomplete(self)


def did_you_mean(word: str, known: Collection[str]) -> str:
    """The end of an error's sentence, empty where nothing known is close to the word."""
    import difflib  # only an error needs it

    close = difflib.get_close_matches(word, list(known), 3, 0.6)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""

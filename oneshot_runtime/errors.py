"""The errors this library raises on purpose: one family, each also the fitting builtin."""

from __future__ import annotations

import re

__all__ = [
    "ArchiveError",
    "BundleError",
    "DamageError",
    "DependencyError",
    "DeviceError",
    "GalleryError",
    "ImageError",
    "LabelError",
    "OneShotError",
    "OneShotWarning",
    "OptionError",
    "SourceError",
    "UnpicklableError",
    "counted",
    "visible",
]

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def counted(number: int, noun: str) -> str:
    """A number and what is counted, as a message says it: "1 picture", "2 pictures"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def visible(text: str, keep: str = "") -> str:
    r"""The text with an escape such as `\x1b` for each control and line separator, but for the characters of `keep`.

    So names of files and what files say are shown, and no terminal and no log obeys them. From U+007F on as `\u007f`, as JSON
    has it.
    """
    return text if text.isprintable() else _CONTROLS.sub(lambda found: _escape(found[0], keep), text)


def _escape(character: str, keep: str) -> str:
    code = ord(character)
    if character in keep:
        return character
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x7F else f"\\u{code:04x}")


class OneShotError(Exception):
    """Base of every error raised on purpose; the message names the value, the file and the remedy, in one line."""

    def __str__(self) -> str:
        return visible(super().__str__())


class ImageError(OneShotError, ValueError):
    """An image cannot be used: unreadable, blank, too large, or an array of the wrong dtype or shape."""


class BundleError(OneShotError, ValueError):
    """A model bundle is missing a file, was altered, or was written for another version."""


class GalleryError(OneShotError, ValueError):
    """A gallery belongs to another model, is damaged, or cannot be opened or written."""


class ArchiveError(GalleryError):
    """A file to import is damaged, of another form or of another model: the gallery that it was for is not to blame."""


class DamageError(GalleryError):
    """A gallery does not hold what was written to it: a support was changed, or some are missing."""


class LabelError(OneShotError, KeyError):
    """A label is unknown to the gallery, or is not a usable label."""

    def __str__(self) -> str:
        # KeyError quotes its argument, which would turn a sentence into a repr.
        return visible(str(self.args[0])) if self.args else ""


class OptionError(OneShotError, ValueError):
    """An argument lies outside what it can be: a false accept rate, a number of threads or of candidates."""


class DeviceError(OneShotError, RuntimeError):
    """The device or the precision that was asked for is not what the session can run on."""


class DependencyError(OneShotError, ImportError):
    """An optional dependency is missing; the message says which extra installs it."""


class SourceError(OneShotError, OSError):
    """A camera, an address or a video cannot be opened, read or written."""


class UnpicklableError(OneShotError, TypeError):
    """An object with sessions, files or connections was to be pickled; the message says what to do instead."""


class OneShotWarning(UserWarning):
    """Something was asked for that cannot be had, and the library goes on without it."""

"""Enrolling a folder of pictures from the shell, for `oneshot enroll --folder` and `oneshot gallery import`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from oneshot_runtime.cli.common import open_encoder, print_result
from oneshot_runtime.errors import GalleryError, counted
from oneshot_runtime.stores.address import redacted

if TYPE_CHECKING:
    from oneshot_runtime.transfer.bulk import BulkResult

__all__ = ["load_folder"]

_EVERY_SECONDS, _LOGGED_SECONDS = 0.2, 30.0
"""Between two looks at a terminal, and between two lines of a log."""


def load_folder(arguments: argparse.Namespace, folder: str, strict: bool = False, follow_links: bool = False) -> int:
    """Enroll the folder into the gallery of the arguments; the exit code is 1 when a picture could not be used."""
    from oneshot_runtime.model.bundle import Bundle
    from oneshot_runtime.stores.registry import open_store
    from oneshot_runtime.transfer.bulk import encode_here, enroll_folder

    if not Path(folder).is_dir():  # before a gallery is created for it
        raise GalleryError(f"'{folder}' is no folder; nothing was enrolled")
    bundle = Bundle.open(arguments.bundle)
    encoder = open_encoder(bundle, arguments)
    # The store alone: a gallery would read all of it into memory, which enrolling does not need.
    store = open_store(arguments.gallery, bundle.fingerprint, bundle.dim)
    line = _ProgressLine()
    try:
        coding = encode_here(encoder)
        result = enroll_folder(
            store, coding, folder, strict=strict, follow_links=follow_links, progress=line.show, failure=line.warn
        )
    finally:
        line.end()
        store.close()
    place = redacted(arguments.gallery)
    values = {"gallery": place, "folder": str(folder), "pictures": result.pictures, "added": result.added}
    values |= {"present": result.present, "failed": result.failed, "reasons": result.reasons}
    values |= {"seconds": result.seconds, "images_per_second": result.rate, "threads": encoder.threads}
    text = f"{counted(result.added, 'picture')} added to {place}, {result.present} there already, {result.failed} failed"
    speed = f" ({result.rate:,.0f} images/s, {encoder.precision}, {encoder.threads} threads)" if result.added else ""
    print_result(arguments, values, text + speed)
    return 1 if result.failed else 0


class _ProgressLine:
    """One line on a terminal that is written again and again; in a log a line now and then. Pictures that failed are named."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._begun = time.monotonic()
        self._shown = 0.0
        self._width = 0

    def show(self, result: BulkResult) -> None:
        """Where the load is, a few times a second."""
        now = time.monotonic()
        if now - (self._shown or self._begun) < (_EVERY_SECONDS if self._live else _LOGGED_SECONDS):
            return
        self._shown = now
        speed = result.done / max(now - self._begun, 1e-9)
        left = (result.pictures - result.done) / max(speed, 1e-9)
        text = f"{result.done:,} of {result.pictures:,} pictures, {speed:,.0f}/s, {left:,.0f} s left"
        text = f"{text}, {result.failed} failed" if result.failed else text
        if self._live:
            self._write(text)
        else:
            print(f"oneshot: {text}", file=sys.stderr, flush=True)

    def warn(self, reason: str) -> None:
        """Name a picture that failed, above the line."""
        self._write("")
        print(f"{chr(13) if self._live else ''}FAIL {reason}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the terminal as it was."""
        self._write("")
        if self._live:
            print(end="\r", file=sys.stderr, flush=True)

    def _write(self, text: str) -> None:
        if self._live:
            print(f"\r{text:{self._width}}", end="", file=sys.stderr, flush=True)
            self._width = len(text)

"""Read symbols from a camera, a video or pictures.

Opening a source needs OpenCV, which the extra `camera` installs; reading frames that come from elsewhere does not.

with OneShotMatcher.load(gallery="letters.db") as matcher, open_source("0") as source:
    reader = FrameReader(matcher)
    for frame in source:
        for symbol in reader.read(frame.image).symbols:
            print(symbol.label, symbol.probability, symbol.box)
"""

from typing import TYPE_CHECKING, Any

from oneshot_runtime.camera.frame_reader import FrameReader, Reading, Sighting
from oneshot_runtime.camera.frame_symbols import Found, find_symbols
from oneshot_runtime.camera.overlay import annotate

if TYPE_CHECKING:
    from oneshot_runtime.camera.sources import Frame, Source, open_source

__all__ = ["Found", "Frame", "FrameReader", "Reading", "Sighting", "Source", "annotate", "find_symbols", "open_source"]


def __getattr__(name: str) -> Any:
    """What needs OpenCV, imported when it is asked for. Raises `DependencyError` where that is missing."""
    if name not in ("Frame", "Source", "open_source"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from oneshot_runtime.camera import sources

    return getattr(sources, name)

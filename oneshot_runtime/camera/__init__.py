"""Read symbols from a camera, a video or pictures. Needs OpenCV, which the extra `camera` installs.

with OneShotMatcher.load(gallery="letters.db") as matcher, open_source("0") as source:
    reader = FrameReader(matcher)
    for frame in source:
        for symbol in reader.read(frame.image).symbols:
            print(symbol.label, symbol.probability, symbol.box)
"""

from oneshot_runtime.camera.frame_reader import FrameReader, Reading, Sighting
from oneshot_runtime.camera.frame_segment import Found, find_symbols
from oneshot_runtime.camera.overlay import annotate
from oneshot_runtime.camera.sources import Frame, Source, open_source

__all__ = ["Found", "Frame", "FrameReader", "Reading", "Sighting", "Source", "annotate", "find_symbols", "open_source"]

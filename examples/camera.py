"""A camera that prints what it reads: python examples/camera.py 0 letters.db (`oneshot camera 0 --enroll NAME` teaches)."""

import sys

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.camera import FrameReader, open_source


def main(name: str, gallery: str) -> None:
    """Print every symbol whose label has changed since it was last seen."""
    with OneShotMatcher.load(gallery=gallery, far=0.05) as matcher, open_source(name, report=print) as source:
        reader = FrameReader(matcher, still=source.still)
        labels: dict[int, str | None] = {}
        for frame in source:  # a camera's newest frame, a file's next one
            for symbol in reader.read(frame.image).symbols:
                if labels.get(symbol.track, "") != symbol.label:
                    labels[symbol.track] = symbol.label
                    where = "x {}, y {}, {} by {} pixels".format(*symbol.box)
                    print(f"{frame.seconds:7.2f} s  {symbol.label or 'unknown'} (p = {symbol.probability:.2f}) at {where}")


if __name__ == "__main__":
    main(*(sys.argv[1:] + ["0", "letters.db"][len(sys.argv) - 1 :]))

"""A camera that is taught by pointing: python examples/camera.py 0 letters.db (a window needs the extra `window`).

Hold a symbol in the middle and press t, then type its name in the terminal. q ends.
"""

import sys

import cv2

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.camera import FrameReader, annotate, open_source


def main(name: str, gallery: str) -> None:
    """Show what is read until q is pressed."""
    with OneShotMatcher.load(gallery=gallery, far=0.05) as matcher, open_source(name, report=print) as source:
        reader = FrameReader(matcher, still=source.still)
        for frame in source:  # a camera's newest frame, a file's next one
            symbols = reader.read(frame.image).symbols
            cv2.imshow("oneshot", annotate(frame.image, symbols))
            key = cv2.waitKey(1) & 0xFF
            if key == ord("t"):
                taught = reader.enroll(input("name of the symbol in the middle: "))
                print(f"taught {taught.label}, track {taught.track}" if taught else "no symbol is alone in the middle")
            if key == ord("q"):
                break


if __name__ == "__main__":
    main(*(sys.argv[1:] + ["0", "letters.db"][len(sys.argv) - 1 :]))

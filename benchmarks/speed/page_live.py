"""How many frames a second the live page reads, and how old its picture is: `python -m benchmarks.speed.page_live`.

Chromium's camera shows a film in 1280x720 of eight symbols on a sheet; they and others up to a hundred are enrolled. Browser
and server share the machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.film import Film, film, lay_out
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.synthetic.strokes import Symbol, draw, invent_alphabet, random_writer
from tests.page_driver import Page, browser, server_process

_SECONDS = 2
_FPS = 30

_STALLED = 20.0
"""Seconds without a frame after which the page has stopped."""


def main() -> int:
    """Film, enrol, watch, and print frames a second, delays, and the server's processor time a frame; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200, help="to watch at most (default: 200)")
    parser.add_argument("--seconds", type=float, default=60.0, help="to watch at most (default: 60)")
    parser.add_argument("--enrolled", type=int, default=100, help="symbols in the gallery (default: 100)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(5)
    alphabet = invent_alphabet(arguments.enrolled, seed=12)
    with tempfile.TemporaryDirectory() as name:
        gallery, camera = Path(name) / "g.db", Path(name) / "film.y4m"
        _write_film(camera, alphabet[:8], rng)
        with OneShotMatcher.load(gallery=gallery) as matcher:
            for number, symbol in enumerate(alphabet):
                matcher.enroll(f"symbol-{number}", draw(symbol, random_writer(rng), rng))
        with server_process(gallery) as (url, pid), browser(camera=camera) as driver:
            page = Page(driver, url)
            page.look(1280, 900)
            page.element("live").click()
            page.wait(lambda: _count(page) >= 10)
            return _watch(page, pid, arguments.frames, arguments.seconds)


def _watch(page: Page, pid: int, frames: int, seconds: float) -> int:
    """Watch until so many frames were read or so many seconds are over, and print what was seen."""
    state = "return [document.getElementById('view').dataset.delay, document.querySelectorAll('.box').length]"
    delays: list[float] = []
    boxes: list[int] = []
    first, start, worked = _count(page), time.perf_counter(), _processor_time(pid)
    seen, last = first, start
    while seen < first + frames and time.perf_counter() < start + seconds:
        if (now := _count(page)) > seen:
            seen, last = now, time.perf_counter()
            delay, shown = page.driver.execute_script(state)
            delays.append(float(delay))
            boxes.append(shown)
        elif time.perf_counter() > last + _STALLED:
            print(f"the page has read no frame for {_STALLED:g} s; it says: {page.text('stage-notice') or 'nothing'}")
            return 1
        time.sleep(0.1)
    if not delays:
        print(f"no frame was read in {seconds:g} s")
        return 1
    passed, worked = time.perf_counter() - start, _processor_time(pid) - worked
    read = seen - first
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {read} frames in {passed:.0f} s")
    print(f"{read / passed:.1f} frames a second, {1000 * worked / read:.1f} ms of the server's processor each")
    print(f"delay: median {np.median(delays):.0f} ms, 95 % within {np.percentile(delays, 95):.0f} ms")
    print(f"boxes in view: median {np.median(boxes):.0f}")
    return 0


def _write_film(path: Path, symbols: list[Symbol], rng: np.random.Generator) -> None:
    settings = Film(fps=_FPS)
    scene = lay_out([(str(number), draw(symbol, random_writer(rng), rng, 210)) for number, symbol in enumerate(symbols)], rng)
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{settings.width} H{settings.height} F{_FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for image, _ in film(scene, settings, _SECONDS * _FPS, rng):
            file.write(b"FRAME\n" + cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420).tobytes())


def _count(page: Page) -> int:
    return int(page.driver.execute_script("return Number(document.getElementById('view').dataset.frames ?? 0)"))


def _processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())

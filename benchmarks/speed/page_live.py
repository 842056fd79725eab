"""How many frames a second the live page reads, and how old its picture is: `python -m benchmarks.speed.page_live`.

Chromium's camera shows a film in 1280x720 of eight symbols on a sheet; they and others up to a hundred are enrolled. Browser
and server share the machine.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
import urllib.request
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.film import Film, film, lay_out
from oneshot_runtime.synthetic.strokes import Symbol, draw, invent_alphabet, random_writer
from tests.page_driver import Page, browser, server_process

_SECONDS = 2
_FPS = 30


def main() -> None:
    """Film, enrol, watch, and print frames a second, delays, and the server's processor time a frame."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--enrolled", type=int, default=100)
    arguments = parser.parse_args()
    rng = np.random.default_rng(5)
    alphabet = invent_alphabet(arguments.enrolled, seed=12)
    with tempfile.TemporaryDirectory() as name, server_process(Path(name) / "g.db") as (url, pid):
        _write_film(Path(name) / "film.y4m", alphabet[:8], rng)
        for number, symbol in enumerate(alphabet):
            file = io.BytesIO()
            Image.fromarray(draw(symbol, random_writer(rng), rng)).save(file, "PNG")
            urllib.request.urlopen(f"{url}v1/classes?label=symbol-{number}", file.getvalue()).close()
        with browser(camera=Path(name) / "film.y4m") as driver:
            page = Page(driver, url)
            page.look(1280, 900)
            page.element("live").click()
            page.wait(lambda: _count(page) >= 10)
            delays, boxes = [], []
            first, start, worked = _count(page), time.perf_counter(), _processor_time(pid)
            while (seen := _count(page)) < first + arguments.frames:
                delay, shown = driver.execute_script(
                    "return [document.getElementById('view').dataset.delay, document.querySelectorAll('.box').length]"
                )
                delays.append(float(delay))
                boxes.append(shown)
                time.sleep(0.1)
            seconds, worked = time.perf_counter() - start, _processor_time(pid) - worked
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    frames = seen - first
    print(f"{frames / seconds:.1f} frames a second, {1000 * worked / frames:.1f} ms of the server's processor each")
    print(f"delay: median {np.median(delays):.0f} ms, 95 % within {np.percentile(delays, 95):.0f} ms")
    print(f"boxes in view: median {np.median(boxes):.0f}")


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
    main()

"""How long after the end of a stroke the page shows its answer, in Chromium: `python -m benchmarks.speed.page_latency`.

`--web` measures the page of `examples/web`, which runs the model in the browser, instead of that of `oneshot serve`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from benchmarks.measure import positive
from oneshot_runtime.synthetic.strokes import invent_alphabet, random_writer
from tests.page_driver import Page, browser, served
from tests.web_site import checkout_served, npm_packages


def main(argv: list[str] | None = None) -> int:
    """Teach symbols, draw them again and strangers, and print what the page says about its own time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drawings", type=positive, default=40)
    parser.add_argument("--taught", type=positive, default=8)
    parser.add_argument("--web", action="store_true", help="the page without a server")
    arguments = parser.parse_args(argv)
    rng = np.random.default_rng(3)
    symbols = invent_alphabet(20, seed=11)
    with tempfile.TemporaryDirectory() as name, browser() as driver, _page(Path(name), arguments.web) as url:
        page = Page(driver, url)
        page.wait(lambda: page.text("verdict") == "Nothing taught yet")
        page.look(1280, 900)
        for place, symbol in enumerate(symbols[: arguments.taught]):
            page.draw(symbol, random_writer(rng), rng)
            page.teach(f"symbol {place}")
        times = []
        for place in range(arguments.drawings):
            page.draw(symbols[place % len(symbols)], random_writer(rng), rng)
            page.answer()
            times.append(int(page.text("latency").split()[0]))
            page.element("clear").click()
            page.answer()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    median, slow = statistics.median(times), sorted(times)[int(0.95 * len(times))]
    print(f"{len(times)} drawings: median {median:.0f} ms, 95 % within {slow} ms, slowest {max(times)} ms")
    return 0


def _page(folder: Path, web: bool) -> AbstractContextManager[str]:
    return checkout_served(npm_packages(folder)) if web else served(folder / "g.db")


if __name__ == "__main__":
    sys.exit(main())

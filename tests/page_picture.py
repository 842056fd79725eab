"""Draws on the page and saves what it looks like: `python -m tests.page_picture docs/page.png`, or `--all FOLDER`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from oneshot_runtime.synthetic.strokes import invent_alphabet, random_writer
from tests.page_driver import Page, browser, served

NAMES = ("gimel", "wave", "hook", "gate", "river", "fish", "crown", "tree")


def main() -> None:
    """Teach eight symbols, draw one of them again, and save the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--all", action="store_true", help="at phone and desktop width, light and dark, known and unknown")
    arguments = parser.parse_args()
    rng = np.random.default_rng(3)
    symbols = invent_alphabet(9, seed=11)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "g.db") as url, browser() as driver:
        page = Page(driver, url)
        page.look(1280, 900)
        for name, symbol in zip(NAMES, symbols, strict=False):
            page.draw(symbol, random_writer(rng), rng)
            page.teach(name)
        driver.refresh()
        page.wait(lambda: len(page.labels()) == len(NAMES))
        page.draw(symbols[4], random_writer(rng), rng)
        page.wait(lambda: page.answer() == NAMES[4])
        if arguments.all:
            _every_look(page, arguments.target, "known")
            page.element("clear").click()
            page.draw(symbols[8], random_writer(rng), rng)
            page.wait(lambda: page.answer() == "Unknown")
            _every_look(page, arguments.target, "stranger")
        else:
            page.picture(arguments.target)
            Image.open(arguments.target).convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(
                arguments.target, optimize=True
            )


def _every_look(page: Page, folder: Path, state: str) -> None:
    for width, height, phone in ((1280, 900, False), (390, 1500, True)):
        for dark in (False, True):
            page.look(width, height, dark=dark, phone=phone)
            page.driver.execute_script("window.scrollTo(0, 0)")
            page.picture(folder / f"{state}-{width}-{'dark' if dark else 'light'}.png")
    page.look(1280, 900)


if __name__ == "__main__":
    main()

"""Drives the page of `oneshot serve` in Chromium as a visitor would: by mouse, finger and keyboard."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from oneshot_runtime.synthetic.strokes import Symbol, Writer

ROOT = Path(__file__).parents[1]
PATIENCE = 20.0
"""Seconds until something that should appear counts as missing."""

_Found = TypeVar("_Found")


def find_chromium() -> tuple[str | None, str | None]:
    """The browser and its driver, where they are installed."""
    return shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")


@contextmanager
def served(gallery: Path, *options: str) -> Iterator[str]:
    """`oneshot serve` in a process of its own; gives its address."""
    with server_process(gallery, *options) as (url, _):
        yield url


@contextmanager
def server_process(gallery: Path, *options: str) -> Iterator[tuple[str, int]]:
    """The same; gives the address and the process's id."""
    code = "import sys; from oneshot_runtime.cli.main import main; sys.exit(main())"
    fixed = ("serve", "--json", "--port", "0", "--threads", "1", "--gallery", str(gallery))
    command = [sys.executable, "-c", code, *fixed, *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"], process.pid
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def browser(downloads: Path | None = None, camera: Path | None = None, name: str | None = None) -> Iterator[webdriver.Chrome]:
    """Headless Chromium. camera: a Y4M video that its camera shows, and pages may use without asking. name: a host's name
    that leads to this machine, to be a stranger to it."""
    chromium, driver = find_chromium()
    options = webdriver.ChromeOptions()
    options.binary_location = str(chromium)
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    if camera is not None:
        options.add_argument("--use-fake-ui-for-media-stream")
        options.add_argument("--use-fake-device-for-media-stream")
        options.add_argument(f"--use-file-for-fake-video-capture={camera}")
    if name is not None:
        options.add_argument(f"--host-resolver-rules=MAP {name} 127.0.0.1")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if downloads is not None:
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(driver)))
    try:
        yield opened
    finally:
        opened.quit()


def forget_all(url: str) -> None:
    """Remove every symbol from the gallery of a server."""
    with urllib.request.urlopen(f"{url}v1/classes") as response:
        for entry in json.load(response)["classes"]:
            request = urllib.request.Request(f"{url}v1/classes?label={quote(entry['label'], safe='')}", method="DELETE")
            urllib.request.urlopen(request).close()


class Page:
    """The page, open at `url`."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        driver.get(url)
        self.wait(lambda: self.text("verdict") != "")

    def look(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Give the page a size and a colour scheme."""
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})

    def element(self, name: str) -> WebElement:
        """The element with this id."""
        return self.driver.find_element(By.ID, name)

    def text(self, name: str) -> str:
        """What the element with this id says."""
        return self.element(name).text

    def wait(self, condition: Callable[[], _Found]) -> _Found:
        """The condition's result as soon as it is true."""
        deadline = time.monotonic() + PATIENCE
        while not (result := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"did not come: verdict {self.text('verdict')!r}, toast {self.text('toast')!r}, {self.log()}"
                )
            time.sleep(0.02)
        return result

    def log(self) -> list[Any]:
        """The browser's messages since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def draw(self, symbol: Symbol, writer: Writer, rng: np.random.Generator, *, finger: bool = False) -> None:
        """Draw a symbol stroke by stroke with the mouse, or with a finger."""
        box = self.driver.execute_script(
            "const pad = document.getElementById('pad'); pad.scrollIntoView({block: 'nearest'});"
            "const box = pad.getBoundingClientRect(); return [box.left, box.top, box.width];"
        )
        for stroke in symbol.strokes:
            bent = stroke + rng.normal(0, writer.wobble, 2) + writer.wobble * np.sin(np.linspace(0, 5, len(stroke)))[:, None]
            x = (bent[:, 0] - writer.slant * bent[:, 1]) * writer.width
            points = box[:2] + (0.5 + 0.36 * np.stack((x, bent[:, 1] * writer.height), axis=1)) * box[2]
            self._drag(points.tolist(), finger)

    def answer(self) -> str:
        """The verdict on what is drawn now."""
        self.wait(lambda: self.element("answer").get_attribute("aria-busy") == "false")
        return self.text("verdict")

    def teach(self, label: str) -> None:
        """Type the name of what is drawn, and press Enter."""
        self.element("name").send_keys(label + "\n")
        self.wait(lambda: label in self.labels())

    def labels(self) -> list[str]:
        """The symbols that the page lists."""
        return self.driver.execute_script("return [...document.querySelectorAll('.class')].map(card => card.dataset.label)")

    def press(self, name: str) -> None:
        """Click the button that a screen reader calls by this name."""
        self.driver.find_element(By.CSS_SELECTOR, f'button[aria-label="{name}"]').click()

    def confirm(self, dialog: str) -> None:
        """Click the button that does what an open dialog asks about."""
        self.driver.find_element(By.CSS_SELECTOR, f'#{dialog} button[value="ok"]').click()

    def picture(self, path: Path) -> None:
        """Save what is visible, when all has moved to its place."""
        self.driver.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 300))")
        self.driver.save_screenshot(str(path))

    def _drag(self, points: list[list[float]], finger: bool) -> None:
        last = len(points) - 1
        for place, (x, y) in enumerate([*points, points[-1]]):
            if finger:
                kind = "touchStart" if place == 0 else "touchEnd" if place > last else "touchMove"
                touches = [] if kind == "touchEnd" else [{"x": x, "y": y}]
                self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
            else:
                kind = "mousePressed" if place == 0 else "mouseReleased" if place > last else "mouseMoved"
                event = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
                self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)

"""The page `examples/web` in Chromium: drawings, pictures with several symbols, galleries, and the built page offline."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("selenium")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.synthetic.strokes import random_writer
from oneshot_runtime.transfer.npz import export_npz
from tests.js_engine import SYMBOLS, written
from tests.page_driver import ROOT, Page
from tests.web_site import checkout_served, folder_served


@pytest.fixture
def page(chromium, url) -> Iterator[Page]:
    yield from opened(chromium, url)


def opened(chromium, url) -> Iterator[Page]:
    """The page with an empty gallery; what it says to the browser's console fails the test."""
    forget(chromium, url)
    found = Page(chromium, url)
    found.look(1280, 900)
    found.wait(lambda: found.text("verdict") == "Nothing taught yet")
    found.log()
    yield found
    assert found.log() == []  # no script failed, and nothing was refused by the page's own policy


def forget(chromium, url) -> None:
    """Clear all that a site has kept in the browser."""
    origin = url[: url.index("/", len("http://"))]
    chromium.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def teach(page: Page, rng: np.random.Generator, *labels: str) -> None:
    for place, label in enumerate(labels):
        page.draw(SYMBOLS[place + 4], random_writer(rng), rng)
        page.teach(label)


def test_drawn_named_drawn_again_and_recognised_also_after_a_reload_until_it_is_removed(page, rng) -> None:
    teach(page, rng, "river", "a/b <i>&amp;", "..")
    assert page.labels() == ["..", "a/b <i>&amp;", "river"]
    page.driver.refresh()
    page.wait(lambda: page.text("verdict") == "Waiting for a drawing")
    page.draw(SYMBOLS[5], random_writer(rng), rng)
    assert page.answer() == "a/b <i>&amp;"
    assert page.element("answer").get_attribute("data-state") == "known"
    page.press("Remove a/b <i>&amp;")
    page.confirm("remove-dialog")
    page.wait(lambda: page.labels() == ["..", "river"])
    assert page.answer() == "Unknown"
    page.driver.refresh()
    page.wait(lambda: page.labels() == ["..", "river"])


def test_a_stranger_is_unknown_and_an_answer_disappears_with_its_drawing(page, rng) -> None:
    teach(page, rng, "river", "fish", "crown")
    page.draw(SYMBOLS[8], random_writer(rng), rng)
    assert page.answer() == "Unknown"
    page.element("undo").click()
    assert page.answer() == "Waiting for a drawing"
    assert not page.element("bars").is_displayed()


def test_with_a_finger_on_a_phone_nothing_sticks_out(page, rng) -> None:
    page.look(390, 844, phone=True, dark=True)
    page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        page.draw(SYMBOLS[4], random_writer(rng), rng, finger=True)
        page.teach("a name that is much longer than a phone is wide, and goes on")
        page.draw(SYMBOLS[4], random_writer(rng), rng, finger=True)
        assert page.answer().startswith("a name that")
    finally:
        page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    sticking_out = """
      return [...document.querySelectorAll("main *, header *, footer")]
        .filter((part) => !part.closest(".unseen, .who, [hidden]") && part.getBoundingClientRect().right > 390)
        .map((part) => part.outerHTML.slice(0, 80));
    """
    assert page.driver.execute_script(sticking_out) == []


def test_by_keyboard_alone_drawn_taught_and_removed_and_everything_has_a_name(page) -> None:
    pad = page.element("pad")
    keys = [Keys.SPACE, *[Keys.ARROW_DOWN] * 6, *[Keys.ARROW_RIGHT] * 6, Keys.SPACE]
    pad.send_keys(*keys)
    page.teach("corner")
    assert page.driver.switch_to.active_element == pad
    pad.send_keys(*keys)
    assert page.answer() == "corner"
    assert "corner" in str(page.element("spoken").get_attribute("textContent"))
    parts = page.driver.find_elements(By.CSS_SELECTOR, "button, input, canvas, section")
    unnamed = [part.get_attribute("outerHTML")[:90] for part in parts if part.is_displayed() and not part.accessible_name]
    assert unnamed == []
    page.driver.find_element(By.CSS_SELECTOR, '[aria-label="Remove corner"]').send_keys(Keys.ENTER)
    page.driver.switch_to.active_element.send_keys(Keys.TAB, Keys.ENTER)
    page.wait(lambda: page.labels() == [])


def test_a_browser_that_keeps_no_more_says_so_and_forgets_nothing(page, rng) -> None:
    teach(page, rng, "river")
    page.driver.execute_script("IDBObjectStore.prototype.add = () => { throw new Error('full'); }")
    page.draw(SYMBOLS[5], random_writer(rng), rng)
    page.element("name").send_keys("fish\n")
    page.wait(lambda: "keeps no more: full" in page.text("toast"))
    assert page.labels() == ["river"]


def test_without_onnxruntime_web_the_page_says_how_to_get_it(chromium, package) -> None:
    with checkout_served(None) as address:
        page = Page(chromium, address)
        page.wait(lambda: page.text("verdict") == "This page cannot start")
        assert "npm ci" in page.text("reason")
    page.log()  # the browser lists what it did not find


def sheet(rng: np.random.Generator, numbers: list[int]) -> Image.Image:
    """Symbols beside each other on paper."""
    return Image.fromarray(np.hstack([written(number, rng, 0.035, 220) for number in numbers]))


def test_a_picture_with_several_symbols_teaches_each_of_them(page, rng, tmp_path) -> None:
    sheet(rng, [4, 5, 6]).save(tmp_path / "sheet.png")
    page.element("pictures").send_keys(str(tmp_path / "sheet.png"))
    page.wait(lambda: page.text("pace") == "3 symbols, 0 known")
    for place, label in ((1, "fish"), (0, "river")):
        page.driver.find_element(By.CSS_SELECTOR, f'[data-track="{place}"]').click()
        page.element("naming-name").send_keys(label + "\n")
        page.wait(lambda name=label: name in page.labels() and not page.element("naming").is_displayed())
    page.wait(lambda: page.text("pace") == "3 symbols, 2 known")
    boxes = page.driver.find_elements(By.CSS_SELECTOR, "#boxes .box")
    assert [box.get_attribute("data-label") for box in boxes] == ["river", "fish", ""]
    page.element("stage-close").click()
    page.draw(SYMBOLS[5], random_writer(rng), rng)
    assert page.answer() == "fish"


def test_a_picture_with_one_symbol_is_asked_about_and_taught(page, rng, tmp_path) -> None:
    teach(page, rng, "river")
    Image.fromarray(written(4, rng, 0.03, 300)).save(tmp_path / "one.png")
    (tmp_path / "none.png").write_bytes(b"no picture")
    page.element("pictures").send_keys(str(tmp_path / "one.png"))
    page.wait(lambda: page.answer() == "river")
    page.element("name").send_keys("again\n")
    page.wait(lambda: page.labels() == ["again", "river"])
    page.element("pictures").send_keys(str(tmp_path / "none.png"))
    page.wait(lambda: "none.png” is no picture" in page.text("toast"))


def test_a_gallery_of_python_is_imported(page, rng, tmp_path) -> None:
    with OneShotMatcher.load(threads=1, gallery=tmp_path / "g.db") as matcher:
        for place, label in ((4, "river"), (5, "fish")):
            matcher.enroll(label, written(place, rng, 0.03, 105))
    export_npz(tmp_path / "g.db", tmp_path / "g.npz")
    page.element("archive").send_keys(str(tmp_path / "g.npz"))
    page.wait(lambda: page.labels() == ["fish", "river"])
    page.draw(SYMBOLS[5], random_writer(rng), rng)
    assert page.answer() == "fish"


def test_another_tab_shows_what_this_one_taught(page, rng, url) -> None:
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    other = Page(page.driver, url)
    page.driver.switch_to.window(first)
    teach(page, rng, "river")
    second = next(handle for handle in page.driver.window_handles if handle != first)
    page.driver.switch_to.window(second)
    other.wait(lambda: other.labels() == ["river"])
    page.driver.close()
    page.driver.switch_to.window(first)


def test_the_built_page_is_installable_and_works_without_its_server(chromium, modules, rng, tmp_path) -> None:
    runtime = modules / "onnxruntime-web" / "dist"
    subprocess.run(["node", str(ROOT / "examples" / "web" / "build.js"), str(tmp_path), str(runtime)], check=True)
    assert not (tmp_path / "parts" / "api.js").exists()
    with folder_served(tmp_path) as url:
        steps = opened(chromium, url)
        page = next(steps)
        page.wait(lambda: chromium.execute_script("return navigator.serviceWorker.controller !== null"))
        problems = chromium.execute_cdp_cmd("Page.getInstallabilityErrors", {})["installabilityErrors"]
        assert [one["errorId"] for one in problems if one["errorId"] != "in-incognito"] == []
        teach(page, rng, "river", "fish")
        next(steps, None)
    page.driver.refresh()  # the server is gone
    page.wait(lambda: page.text("verdict") == "Waiting for a drawing")
    assert page.labels() == ["fish", "river"]
    page.draw(SYMBOLS[5], random_writer(rng), rng)
    assert page.answer() == "fish"
    assert page.log() == []

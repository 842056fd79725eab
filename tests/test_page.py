from __future__ import annotations

import io
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("selenium")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from oneshot_runtime.synthetic.strokes import Symbol, draw, invent_alphabet, random_writer
from tests.page_driver import Page, browser, find_chromium, forget_all, served

pytestmark = pytest.mark.skipif(
    None in find_chromium(),
    reason="chromium and chromedriver are not installed (Debian: apt-get install chromium chromium-driver)",
)

SYMBOLS = invent_alphabet(9, seed=11)
TOKEN = "a-token-of-24-characters"


@pytest.fixture(scope="module")
def downloads(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def chromium(downloads) -> Iterator[object]:
    with browser(downloads) as driver:
        yield driver


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("gallery") / "g.db") as address:
        yield address


@pytest.fixture
def page(chromium, url) -> Iterator[Page]:
    forget_all(url)
    opened = Page(chromium, url)
    opened.look(1280, 900)
    opened.log()
    yield opened
    assert opened.log() == []  # no script failed, and nothing was refused by the page's own policy


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def teach(page: Page, rng: np.random.Generator, *labels: str) -> None:
    for place, label in enumerate(labels):
        page.draw(SYMBOLS[place + 4], random_writer(rng), rng)
        page.teach(label)


def picture(path: Path, place: int, rng: np.random.Generator) -> Path:
    Image.fromarray(draw(SYMBOLS[place], random_writer(rng), rng)).save(path)
    return path


def test_drawn_named_drawn_again_and_recognised_also_after_a_reload(page, rng) -> None:
    assert page.text("verdict") == "Nothing taught yet"
    teach(page, rng, "river", "a/b <i>&amp;")
    assert page.labels() == ["a/b <i>&amp;", "river"]
    page.draw(SYMBOLS[4], random_writer(rng), rng)
    assert page.answer() == "river"
    assert page.element("answer").get_attribute("data-state") == "known"
    assert "threshold" in page.text("threshold-text")
    rows = page.driver.find_elements(By.CSS_SELECTOR, "#candidates .candidate")
    assert [row.get_attribute("data-label") for row in rows] == ["river", "a/b <i>&amp;"]
    page.driver.refresh()
    page.wait(lambda: len(page.labels()) == 2)
    assert page.text("verdict") == "Waiting for a drawing"
    page.draw(SYMBOLS[5], random_writer(rng), rng)
    assert page.answer() == "a/b <i>&amp;"
    images = "return [...document.querySelectorAll('.pictures img')].every(image => image.naturalWidth === 128)"
    page.wait(lambda: page.driver.execute_script(images))


def test_what_is_odd_about_a_drawing_is_said_and_any_name_can_be_taught(page, rng) -> None:
    teach(page, rng, "..")
    assert not page.element("findings").is_displayed()
    writer = random_writer(rng)
    page.draw(SYMBOLS[4], writer, rng)
    page.teach(".")
    assert "“.” " in page.text("findings")
    assert "'..'" in page.text("findings")
    images = "return [...document.querySelectorAll('.pictures img')].every(image => image.naturalWidth === 128)"
    page.wait(lambda: page.driver.execute_script(images))
    page.press("Remove .")
    page.confirm("remove-dialog")
    page.wait(lambda: page.labels() == [".."])
    assert not page.element("findings").is_displayed()


def test_the_answer_comes_while_the_stroke_is_drawn(page, rng) -> None:
    teach(page, rng, "river")
    box = page.element("pad").rect
    event = {"x": box["x"] + 50, "y": box["y"] + 50, "button": "left", "buttons": 1, "clickCount": 1}
    page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mousePressed", **event})
    page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", **event, "x": box["x"] + 300})
    page.wait(lambda: page.element("answer").get_attribute("data-state") != "idle")
    assert page.element("answer").get_attribute("aria-busy") == "true"
    page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseReleased", **event, "x": box["x"] + 300})
    page.answer()


def test_a_dot_is_a_drawing_too(page) -> None:
    page.element("pad").click()
    page.answer()
    page.teach("dot")
    page.element("pad").click()
    assert page.answer() == "dot"


def test_a_stranger_is_unknown_and_an_answer_disappears_with_its_drawing(page, rng) -> None:
    teach(page, rng, "river", "fish", "crown")
    page.draw(SYMBOLS[8], random_writer(rng), rng)
    assert page.answer() == "Unknown"
    page.element("undo").click()
    assert page.answer() == "Waiting for a drawing"
    assert not page.element("bars").is_displayed()
    assert not page.element("teach-button").is_enabled()


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
    sticking_out = (
        "return [...document.querySelectorAll('main *, header *')].filter(part => !part.closest('.unseen, .who, [hidden]')"
        " && part.getBoundingClientRect().right > 390).map(part => part.outerHTML.slice(0, 80))"
    )
    assert page.driver.execute_script(sticking_out) == []


def test_by_keyboard_alone_drawn_taught_renamed_and_removed(page) -> None:
    pad = page.element("pad")
    keys = [Keys.SPACE, *[Keys.ARROW_DOWN] * 6, *[Keys.ARROW_RIGHT] * 6, Keys.SPACE]
    pad.send_keys(*keys)
    page.teach("corner")
    assert page.driver.switch_to.active_element == pad
    pad.send_keys(*keys)
    assert page.answer() == "corner"
    pad.send_keys(Keys.CONTROL, "z")
    assert page.answer() == "Waiting for a drawing"
    rename = page.driver.find_element(By.CSS_SELECTOR, '[aria-label="Rename corner"]')
    rename.send_keys(Keys.ENTER)
    page.driver.switch_to.active_element.send_keys("edge", Keys.TAB, Keys.TAB, Keys.ENTER)
    page.wait(lambda: page.labels() == ["edge"])
    page.driver.find_element(By.CSS_SELECTOR, '[aria-label="Remove edge"]').send_keys(Keys.ENTER)
    page.driver.switch_to.active_element.send_keys(Keys.TAB, Keys.ENTER)
    page.wait(lambda: page.labels() == [])
    assert page.element("empty").is_displayed()


def test_pictures_are_uploaded_or_dropped_and_bad_ones_are_named(page, rng, tmp_path) -> None:
    both = [picture(tmp_path / f"{place}.png", 4, rng) for place in range(2)]
    page.element("pictures").send_keys("\n".join(map(str, both)))
    page.answer()
    page.teach("river")
    assert "2 pictures" in page.text("classes")
    dropped = io.BytesIO(picture(tmp_path / "dropped.png", 4, rng).read_bytes()).getvalue()
    page.driver.execute_script(
        "const data = new DataTransfer(); data.items.add(new File([new Uint8Array(arguments[0])], 'x.png'));"
        "document.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}))",
        list(dropped),
    )
    page.wait(lambda: page.element("answer").get_attribute("data-state") != "idle")
    assert page.answer() == "river"
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    page.element("pictures").send_keys(str(broken))
    page.wait(lambda: "broken.png" in page.text("toast"))


def test_a_gallery_is_exported_removed_and_imported(page, rng, downloads) -> None:
    teach(page, rng, "river")
    page.element("export").click()
    archive = downloads / "gallery.npz"
    page.wait(archive.exists)
    page.press("Remove river")
    page.confirm("remove-dialog")
    page.wait(lambda: page.labels() == [])
    page.element("archive").send_keys(str(archive))
    page.wait(lambda: page.labels() == ["river"])


def test_everything_to_press_or_fill_in_has_a_name_for_screen_readers(page, rng) -> None:
    teach(page, rng, "river")
    page.draw(SYMBOLS[4], random_writer(rng), rng)
    page.answer()
    parts = page.driver.find_elements(By.CSS_SELECTOR, "button, input:not([hidden]), canvas, section")
    unnamed = [part.get_attribute("outerHTML")[:90] for part in parts if part.is_displayed() and not part.accessible_name]
    assert unnamed == []
    assert page.text("spoken") or "river" in str(page.element("spoken").get_attribute("textContent"))


def test_a_server_with_a_token_is_asked_for_once(chromium, tmp_path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with served(tmp_path / "g.db", "--token-file", str(tmp_path / "token")) as address:
        page = Page(chromium, address)
        page.wait(page.element("token").is_displayed)
        page.element("token").send_keys("a wrong one\n")
        page.wait(lambda: page.element("token").is_displayed() and page.element("token").get_property("value") == "")
        page.element("token").send_keys(f"{TOKEN}\n")
        page.wait(lambda: page.text("verdict") == "Nothing taught yet")
        page.driver.refresh()
        page.wait(lambda: page.text("verdict") == "Nothing taught yet")
        page.log()  # the browser lists the refusals


def test_ten_examples_are_loaded_and_one_of_them_is_drawn_explained_and_highlighted(page, rng) -> None:
    assert "Show it a symbol once" in page.text("empty")
    page.element("examples").click()
    page.wait(lambda: len(page.labels()) == 10)
    assert not page.element("empty").is_displayed()
    corners = np.array([(0.05, -0.75), (0.8, 0.6), (-0.7, 0.7), (0.05, -0.75)])
    along = np.linspace(0, 3, 24)
    triangle = np.stack([np.interp(along, range(4), corners[:, axis]) for axis in (0, 1)], axis=1)
    page.draw(Symbol((triangle,)), random_writer(rng), rng)
    assert page.answer() == "triangle"
    matched = page.driver.find_elements(By.CSS_SELECTOR, ".class.matched")
    assert [card.get_attribute("data-label") for card in matched] == ["triangle"]
    page.element("why").click()
    page.wait(lambda: page.driver.execute_script("return document.getElementById('why-picture').naturalWidth") > 300)
    assert "triangle" in page.element("why-picture").get_attribute("alt")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.element("clear").click()
    assert page.driver.find_elements(By.CSS_SELECTOR, ".class.matched") == []
    assert not page.element("why").is_displayed()


def test_a_slider_makes_the_answer_more_or_less_strict(page, rng) -> None:
    assert page.text("strict-text") == "names 1 of 20 unknown symbols"  # the server's own
    teach(page, rng, "river", "fish", "crown")
    page.draw(SYMBOLS[8], random_writer(rng), rng)
    assert page.answer() == "Unknown"
    page.element("strict").send_keys(Keys.HOME)
    assert page.text("strict-text") == "names everything"
    page.wait(lambda: page.answer() in ("river", "fish", "crown"))
    page.element("strict").send_keys(Keys.END)
    assert page.text("strict-text") == "names 1 of 1000 unknown symbols"
    page.wait(lambda: page.answer() == "Unknown")


def test_single_pictures_are_shown_and_removed(page, rng, tmp_path) -> None:
    both = [picture(tmp_path / f"{place}.png", 4, rng) for place in range(2)]
    page.element("pictures").send_keys("\n".join(map(str, both)))
    page.answer()
    page.teach("river")
    page.press("Pictures of river")
    page.press("Remove picture 1 of river")
    page.wait(lambda: "1 picture" in page.text("classes") and "2 pictures" not in page.text("classes"))
    assert page.element("pictures-dialog").is_displayed()
    page.press("Remove picture 1 of river")
    page.wait(lambda: page.labels() == [])
    assert not page.element("pictures-dialog").is_displayed()


def test_from_thirty_symbols_on_they_are_searched(page, url) -> None:
    body = io.BytesIO()
    Image.fromarray(draw(SYMBOLS[0], random_writer(np.random.default_rng(1)), np.random.default_rng(1))).save(body, "PNG")
    for number in range(30):
        if number == 29:
            page.driver.refresh()
            page.wait(lambda: len(page.labels()) == 29)
            assert not page.element("search").is_displayed()
        request = urllib.request.Request(f"{url}v1/classes?label=Sign-{number}", body.getvalue(), method="POST")
        urllib.request.urlopen(request).close()
    page.driver.refresh()
    page.wait(lambda: len(page.labels()) == 30)
    page.element("search").send_keys("SIGN-2")
    page.wait(lambda: len(page.labels()) == 11)
    assert page.text("count") == "11 of 30 symbols"
    page.element("search").send_keys("7")
    page.wait(lambda: page.labels() == ["Sign-27"])


def test_the_page_is_opened_in_the_browser(tmp_path, monkeypatch) -> None:
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opening && mv {tmp_path}/opening {tmp_path}/opened\n')
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    with served(tmp_path / "g.db", "--open") as address:
        deadline = time.monotonic() + 20
        while not (tmp_path / "opened").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (tmp_path / "opened").read_text().strip() == address

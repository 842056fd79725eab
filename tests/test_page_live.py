from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("websockets")
pytest.importorskip("selenium")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from oneshot_runtime.synthetic.strokes import invent_alphabet
from tests.page_driver import Page, browser, find_chromium, forget_all, served
from tests.page_film import sheet_of, write_film

pytestmark = pytest.mark.skipif(None in find_chromium(), reason="chromium and chromedriver are not installed")

TOKEN = "a-token-of-24-characters"
SYMBOLS = [symbol for symbol in invent_alphabet(30, seed=11) if len(symbol.strokes) == 1][:4]
"""Of one stroke: each is one symbol whoever looks at it."""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory) -> Iterator[object]:
    """A browser whose camera sees four symbols on a sheet that moves."""
    path = tmp_path_factory.mktemp("film") / "camera.y4m"
    with browser(camera=write_film(sheet_of(SYMBOLS, np.random.default_rng(2)), path)) as driver:
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
    opened.element("live").click()
    opened.wait(lambda: len(boxes(opened)) == len(SYMBOLS))
    yield opened
    assert opened.log() == []
    chromium.get("about:blank")


def boxes(page: Page) -> list[dict[str, str]]:
    """The data of the boxes over the picture, from left to right."""
    script = (
        "return [...document.querySelectorAll('.box')].sort((a, b) => parseFloat(a.style.left) - parseFloat(b.style.left))"
        ".map(box => ({...box.dataset}))"
    )
    found: list[dict[str, str]] = page.driver.execute_script(script)
    return found


def labels(page: Page) -> list[str]:
    return [box["label"] for box in boxes(page)]


def frames(page: Page) -> int:
    return int(page.driver.execute_script("return Number(document.getElementById('view').dataset.frames ?? 0)"))


def choose(page: Page, place: int) -> None:
    track = boxes(page)[place]["track"]
    page.driver.execute_script(f"document.querySelector('.box[data-track=\"{track}\"]').click()")
    page.wait(page.element("naming").is_displayed)


def name(page: Page, place: int, label: str) -> None:
    choose(page, place)
    page.element("naming-name").send_keys(label + "\n")
    page.wait(lambda: labels(page)[place : place + 1] == [label])


def test_a_box_is_tapped_named_and_known_in_the_next_frames_and_corrected(page) -> None:
    assert {box["state"] for box in boxes(page)} == {"unknown"}
    name(page, 1, "river")
    name(page, 3, "wrong")
    assert labels(page) == ["", "river", "", "wrong"]
    assert boxes(page)[1]["state"] == "known"
    page.wait(lambda: "wrong" in page.labels())
    choose(page, 3)
    assert "wrong" in page.text("naming-label")
    page.wait(lambda: page.driver.execute_script("return document.getElementById('naming-crop').naturalWidth") > 20)
    page.driver.find_element(By.CSS_SELECTOR, '[aria-label="It is river"]')  # names it may have are offered
    page.element("naming-name").send_keys("fish\n")
    page.wait(lambda: labels(page) == ["", "river", "", "fish"])
    assert not page.element("naming").is_displayed()
    page.wait(lambda: sorted(page.labels()) == ["fish", "river"])  # what was taught by mistake is gone


def test_boxes_lie_on_their_symbols_and_keep_their_tracks_while_the_sheet_moves(page) -> None:
    """The ink within each box of the frame that is shown is all the ink there is."""
    script = """
      const canvas = document.getElementById("picture"), {width, height} = canvas;
      const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
      const view = document.getElementById("view").getBoundingClientRect();
      const boxes = [...document.querySelectorAll(".box")].map((box) => box.getBoundingClientRect());
      let inside = 0, ink = 0;
      for (let at = 0; at < width * height; at++) {
        if (data[4 * at] > 110) continue;
        ink += 1;
        const x = view.left + (at % width + 0.5) * view.width / width;
        const y = view.top + (Math.floor(at / width) + 0.5) * view.height / height;
        inside += boxes.some((box) => x >= box.left && x <= box.right && y >= box.top && y <= box.bottom);
      }
      return [ink, inside];
    """
    before = [box["track"] for box in boxes(page)]
    for _ in range(5):
        frames = page.driver.execute_script("return Number(document.getElementById('view').dataset.frames)")
        page.wait(
            lambda seen=frames: (
                page.driver.execute_script("return Number(document.getElementById('view').dataset.frames)") > seen
            )
        )
        ink, inside = page.driver.execute_script(script)
        assert ink > 500
        assert inside == ink
    assert [box["track"] for box in boxes(page)] == before
    assert "ms delay" in page.text("pace")
    page.log()  # the browser remarks that this test reads the canvas


def test_a_slider_makes_live_more_or_less_strict(page) -> None:
    name(page, 1, "river")
    slider = page.element("stage-strict")
    slider.send_keys(Keys.HOME)
    page.wait(lambda: labels(page) == ["river"] * len(SYMBOLS))
    assert "names everything" in str(slider.get_attribute("ariaValueText"))
    slider.send_keys(Keys.END)
    page.wait(lambda: labels(page).count("river") <= 1)


def test_by_keyboard_and_screen_reader(page) -> None:
    page.driver.find_elements(By.CSS_SELECTOR, ".box")[0].send_keys(Keys.ENTER)
    page.wait(page.element("naming").is_displayed)
    assert page.driver.switch_to.active_element == page.element("naming-name")
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not page.element("naming").is_displayed()
    assert "box" in str(page.driver.switch_to.active_element.get_attribute("class"))
    parts = page.driver.find_elements(By.CSS_SELECTOR, "#stage button, #stage input, #stage select, #stage img")
    assert [part.get_attribute("outerHTML")[:90] for part in parts if part.is_displayed() and not part.accessible_name] == []
    page.wait(lambda: "4 unknown" in str(page.element("stage-spoken").get_attribute("textContent")))
    page.element("stage-close").send_keys(Keys.ENTER)
    assert page.driver.switch_to.active_element == page.element("live")
    assert page.driver.execute_script("return document.getElementById('video').srcObject") is None
    assert page.element("pad").is_displayed()


@pytest.mark.parametrize(("width", "height", "phone", "dark"), [(390, 844, True, True), (820, 1180, True, False)])
def test_nothing_sticks_out_on_phone_and_tablet(page, width, height, phone, dark) -> None:
    page.look(width, height, phone=phone, dark=dark)
    choose(page, 0)
    script = (
        "return [...document.querySelectorAll('main *, header *')]"
        ".filter(part => !part.closest('.unseen, .who, [hidden], #boxes')"
        f" && part.getBoundingClientRect().right > {width}).map(part => part.outerHTML.slice(0, 80))"
    )
    assert page.driver.execute_script(script) == []
    view, naming = page.element("view").rect, page.element("naming").rect
    assert view["width"] > 0.85 * width
    assert naming["y"] + naming["height"] < height  # picture and form are seen together


def test_a_server_that_comes_back_is_read_again(chromium, tmp_path) -> None:
    with served(tmp_path / "g.db") as url:
        page = Page(chromium, url)
        page.element("live").click()
        page.wait(lambda: len(boxes(page)) == len(SYMBOLS))
    page.wait(lambda: "Trying again" in page.text("stage-notice"))
    with served(tmp_path / "g.db", "--port", url.rsplit(":", 1)[1].rstrip("/")):
        page.wait(lambda: page.text("stage-notice") == "" and len(boxes(page)) == len(SYMBOLS))
    page.log()  # the browser lists the refused connections


def test_the_token_goes_along(chromium, tmp_path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with served(tmp_path / "g.db", "--token-file", str(tmp_path / "token")) as address:
        page = Page(chromium, address)
        page.wait(page.element("token").is_displayed)
        page.element("token").send_keys(f"{TOKEN}\n")
        page.wait(lambda: page.text("verdict") == "Nothing taught yet")
        page.element("live").click()
        page.wait(lambda: len(boxes(page)) == len(SYMBOLS))
        page.log()


def test_over_plain_http_from_elsewhere_the_page_says_how_to_get_a_camera(tmp_path) -> None:
    with served(tmp_path / "g.db", "--allow-host", "elsewhere.test") as url, browser(name="elsewhere.test") as driver:
        page = Page(driver, url.replace("127.0.0.1", "elsewhere.test"))
        page.element("live").click()
        assert "plain HTTP" in page.text("stage-notice")
        assert "ssh -L" in page.text("stage-notice")


def test_without_a_camera_the_page_says_so(tmp_path) -> None:
    with served(tmp_path / "g.db") as url, browser() as driver:
        page = Page(driver, url)
        page.element("live").click()
        page.wait(lambda: "camera" in page.text("stage-notice") and "Opening" not in page.text("stage-notice"))
        assert "press Live again" in page.text("stage-notice")


def test_a_picture_with_several_symbols_is_read_with_boxes_and_taught(chromium, url, tmp_path) -> None:
    forget_all(url)
    page = Page(chromium, url)
    page.look(1280, 900)
    page.log()
    rng = np.random.default_rng(2)
    for place, sheet in enumerate([sheet_of(SYMBOLS, rng), sheet_of(SYMBOLS[::-1], rng)]):
        Image.fromarray(sheet).save(tmp_path / f"{place}.png")
    page.element("pictures").send_keys(str(tmp_path / "0.png"))
    page.wait(lambda: len(boxes(page)) == len(SYMBOLS))
    assert page.text("pace") == "4 symbols, 0 known"
    for place, label in enumerate("abcd"):
        name(page, place, label)
    assert page.text("pace") == "4 symbols, 4 known"
    page.element("pictures").send_keys(str(tmp_path / "1.png"))  # other drawings, from right to left
    page.wait(lambda: labels(page) == [*"dcba"])
    page.element("as-one").click()
    page.wait(page.element("pad").is_displayed)
    assert page.answer() in ("Unknown", *"abcd")
    assert page.log() == []

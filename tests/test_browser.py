from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("selenium")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from oneshot_runtime import ImageError, OneShotMatcher
from oneshot_runtime.synthetic.strokes import random_writer
from oneshot_runtime.vision.decode import decode
from oneshot_runtime.vision.preprocess import PreprocessSpec, canvas_of
from oneshot_runtime.vision.readings import readings, whole_picture
from tests.browser_engine import SYMBOLS, both_graphs, canvases, matches, thresholds, vectors, written
from tests.page_driver import Page, browser, find_chromium
from tests.web_site import NotThereError, checkout_served, onnxruntime_web

pytestmark = pytest.mark.skipif(
    None in find_chromium(),
    reason="chromium and chromedriver are not installed (Debian: apt-get install chromium chromium-driver)",
)

TAUGHT = 12
FAR = 0.05


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    try:
        return onnxruntime_web(tmp_path_factory.mktemp("npm"))
    except NotThereError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as driver:
        driver.set_script_timeout(120)
        yield driver


@pytest.fixture(scope="module")
def url(package) -> Iterator[str]:
    with checkout_served(package) as address:
        yield address


@pytest.fixture(scope="module")
def engine(chromium, url) -> Any:
    """The browser at an address of this site, to run its modules in."""
    chromium.get(url)
    return chromium


@pytest.fixture
def page(chromium, url) -> Iterator[Page]:
    chromium.get(url)
    chromium.execute_script("localStorage.clear()")
    opened = Page(chromium, url)
    opened.look(1280, 900)
    opened.wait(lambda: opened.text("verdict") == "Nothing taught yet")
    opened.log()
    yield opened
    assert opened.log() == []  # no script failed, and nothing was refused by the page's own policy


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def check_canvases(driver: Any, images: list[np.ndarray], spec: PreprocessSpec) -> None:
    for image, found in zip(images, canvases(driver, images, spec), strict=True):
        if isinstance(found, str):
            with pytest.raises(ImageError) as raised:
                whole_canvas(image, spec)
            assert found == str(raised.value)
        else:
            np.testing.assert_array_equal(found, whole_canvas(image, spec))


def reads_one_way(image: np.ndarray) -> bool:
    return [way.whole for way in readings(decode(image))] == [True]


def whole_canvas(image: Any, spec: PreprocessSpec) -> np.ndarray:
    """The canvas of a picture in which nothing is left out: the browser reads drawings, not photographs."""
    return canvas_of(whole_picture(decode(image)), spec)


def test_every_canvas_is_pythons_byte_for_byte(engine) -> None:
    spec = OneShotMatcher.load(precision="fp32", threads=1).bundle.spec
    blank = [np.full((30, 40), 250, np.uint8), np.full((20, 20, 3), 7, np.uint8), np.zeros((1, 1), np.uint8)]
    check_canvases(engine, [*vectors(), *blank], spec)


@st.composite
def pictures(draw_from: st.DrawFn) -> tuple[np.ndarray, PreprocessSpec]:
    """A few patches on paper with grain, and a preprocessing of any kind."""
    rng = np.random.default_rng(draw_from(st.integers(0, 2**32 - 1)))
    shape = (draw_from(st.integers(1, 160)), draw_from(st.integers(1, 160)))
    image = np.full((*shape, 3) if draw_from(st.booleans()) else shape, draw_from(st.integers(0, 255)), np.int64)
    for _ in range(draw_from(st.integers(0, 5))):
        top, left = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        image[top : top + rng.integers(1, 60), left : left + rng.integers(1, 60)] = rng.integers(0, 256)
    image += rng.integers(-2, 3, image.shape) * draw_from(st.sampled_from([0, 1, 5, 60]))
    spec = PreprocessSpec(
        draw_from(st.integers(8, 90)),
        draw_from(st.integers(8, 90)),
        draw_from(st.sampled_from(["ink", "frame"])),
        draw_from(st.floats(0.1, 1)),
        draw_from(st.floats(0.01, 1)),
        draw_from(st.floats(0, 16)),
    )
    return image.clip(0, 255).astype(np.uint8), spec


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(picture=pictures())
def test_every_canvas_of_any_picture_and_preprocessing_is_pythons(engine, picture) -> None:
    image, spec = picture
    check_canvases(engine, [image], spec)


def test_a_transparent_drawing_lies_on_the_paper_that_shows_it(engine, rng) -> None:
    spec = PreprocessSpec(48, 48)
    ink = 255 - written(2, rng, 0.04, 90)
    images = [np.dstack([np.full((*ink.shape, 3), level, np.uint8), ink]) for level in (0, 40, 230)]
    for image, found in zip(images, canvases(engine, images, spec), strict=True):
        np.testing.assert_array_equal(found, whole_canvas(Image.fromarray(image), spec))


def test_labels_are_pythons_and_probabilities_within_a_hundredth(engine) -> None:
    images = [image for image in vectors() if reads_one_way(image)]
    assert len(images) > 2 * TAUGHT
    with OneShotMatcher.load(precision="fp32", threads=1, far=FAR) as matcher:
        for place in range(TAUGHT):
            matcher.enroll(f"symbol {place}", images[place])
        rng = np.random.default_rng(8)
        queries = images + [written(place, rng, 0.03, 180) for place in range(len(SYMBOLS))]
        queries = [query for query in queries if reads_one_way(query)]
        expected = matcher.match_batch(queries)
        embeddings = matcher.embed(queries)
    answers = matches(engine, {f"symbol {place}": images[place] for place in range(TAUGHT)}, queries, FAR)
    np.testing.assert_allclose([answer["embedding"] for answer in answers], embeddings, atol=1e-4)
    found = [answer["match"] for answer in answers]
    assert [match["label"] for match in found] == [match.label for match in expected]
    assert {match.label for match in expected} >= {None, *(f"symbol {place}" for place in range(TAUGHT))}
    for match, other in zip(found, expected, strict=True):
        assert match["threshold"] == pytest.approx(other.threshold, abs=1e-9)
        assert match["probability"] == pytest.approx(other.probability, abs=0.01)
        assert len(match["candidates"]) == len(other.candidates)
        for candidate, pythons in zip(match["candidates"], other.candidates, strict=True):
            assert candidate["probability"] == pytest.approx(pythons.probability, abs=0.01)


def test_thresholds_are_pythons_at_every_size_and_rate(engine) -> None:
    table = OneShotMatcher.load(precision="fp32", threads=1).bundle
    cases = [(far, classes) for far in (0.05, 0.03, 0.01, 0.002, 0.001) for classes in (1, 2, 3, 7, 20, 100, 5000)]
    found = thresholds(engine, table.manifest["thresholds"], cases)
    assert found == pytest.approx([1 / (1 + np.exp(-table.thresholds.logit(*case))) for case in cases], abs=1e-12)


def test_both_graphs_give_the_bundles_golden_values(engine) -> None:
    golden = OneShotMatcher.load(precision="fp32", threads=1).bundle.golden()
    count = min(12, len(golden.images))
    rows, probabilities = both_graphs(engine, golden.images[:count])
    np.testing.assert_allclose(rows, golden.embeddings[:count], atol=1e-4)
    np.testing.assert_allclose(probabilities, golden.probabilities[:count, :count], atol=1e-3)


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
    page.driver.execute_script("Storage.prototype.setItem = () => { throw new Error('full'); }")
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

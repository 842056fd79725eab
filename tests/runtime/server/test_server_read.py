from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

from fastapi.testclient import TestClient

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.server import create_app
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer

SYMBOLS = [symbol for symbol in invent_alphabet(20, seed=11) if len(symbol.strokes) == 1][:3]
RNG = np.random.default_rng(4)
DRAWINGS = [draw(symbol, random_writer(RNG), RNG, 150) for symbol in SYMBOLS]


def png(grey: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return file.getvalue()


def sheet(*places: int) -> np.ndarray:
    grey = np.full((220, 600), 215, np.uint8)
    for place in places:
        grey[30:180, 20 + 190 * place : 170 + 190 * place] = DRAWINGS[place].clip(35, 215)
    return grey


@pytest.fixture
def client() -> Iterator[TestClient]:
    with OneShotMatcher.load(precision="fp32", threads=1, far=0.05) as matcher:
        yield TestClient(create_app(matcher), "http://localhost")


def test_every_symbol_of_a_picture_has_its_box_crop_and_match(client) -> None:
    grey = sheet(0, 1, 2)
    client.post("/v1/classes/middle", content=png(DRAWINGS[1]))
    (picture,) = client.post("/v1/read?crops=true&top_k=1", content=png(grey)).json()["pictures"]
    assert (picture["width"], picture["height"]) == (600, 220)
    symbols = sorted(picture["symbols"], key=lambda symbol: symbol["box"])
    assert [symbol["match"]["label"] for symbol in symbols] == [None, "middle", None]
    for symbol in symbols:
        x, y, width, height = symbol["box"]
        assert grey[y : y + height, x : x + width].min() < 100
        crop = Image.open(io.BytesIO(base64.b64decode(symbol["crop"])))
        assert (crop.mode, crop.getextrema()[1]) == ("L", 255)
        assert len(symbol["match"]["candidates"]) == 1
    inked = np.argwhere(grey < 110)[:, ::-1]
    boxes = np.array([symbol["box"] for symbol in symbols])
    inside = ((inked[:, None] >= boxes[:, :2]) & (inked[:, None] < boxes[:, :2] + boxes[:, 2:])).all(axis=2)
    assert inside.any(axis=1).all()
    taught = base64.b64decode(symbols[0]["crop"])
    assert client.post("/v1/classes/left", content=taught).status_code == 201
    (again,) = client.post("/v1/read", content=png(grey)).json()["pictures"]
    symbols = sorted(again["symbols"], key=lambda symbol: symbol["box"])
    assert [symbol["match"]["label"] for symbol in symbols[:2]] == ["left", "middle"]
    assert {symbol["crop"] for symbol in again["symbols"]} == {None}


def test_several_pictures_are_answered_in_their_order_and_a_blank_one_has_no_symbols(client) -> None:
    files = [("image", png(grey)) for grey in (sheet(0, 2), np.full((50, 70), 200, np.uint8), sheet(1))]
    answer = client.post("/v1/read", files=files).json()
    assert [len(picture["symbols"]) for picture in answer["pictures"]] == [2, 0, 1]
    assert answer["milliseconds"] > 0
    assert answer["pictures"][0]["symbols"][0]["match"]["candidates"] == []  # nothing is enrolled


def test_what_is_no_picture_is_named(client) -> None:
    answer = client.post("/v1/read", content=b"no picture")
    assert (answer.status_code, answer.json()["error"]) == (422, "ImageError")


def test_an_answer_is_explained_as_a_picture(client) -> None:
    assert client.post("/v1/explain", content=png(DRAWINGS[0])).json()["error"] == "GalleryError"
    for label, drawing in zip("ab", DRAWINGS, strict=False):
        client.post(f"/v1/classes/{label}", content=png(drawing))
    answer = client.post("/v1/explain", content=png(DRAWINGS[0]))
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).width > 300
    two = client.post("/v1/explain", files=[("image", png(drawing)) for drawing in DRAWINGS[:2]])
    assert (two.status_code, two.json()["error"]) == (422, "ImageError")


@pytest.mark.parametrize("label", ["river", "a/b", ".."])
def test_one_picture_of_a_symbol_is_forgotten_and_the_symbol_with_its_last(client, label) -> None:
    for drawing in DRAWINGS:
        client.post("/v1/classes", params={"label": label}, content=png(drawing))
    before = [client.get(f"/v1/classes/supports/{place}", params={"label": label}).content for place in range(3)]
    answer = client.delete("/v1/classes/supports/1", params={"label": label})
    assert answer.json() == {"label": label, "supports": 2}
    after = [client.get(f"/v1/classes/supports/{place}", params={"label": label}).content for place in range(2)]
    assert after == [before[0], before[2]]
    for place in ("2", "-1"):
        assert client.delete(f"/v1/classes/supports/{place}", params={"label": label}).status_code == 404
    assert client.delete("/v1/classes/supports/x", params={"label": label}).status_code == 422
    for left in (1, 0):
        assert client.delete("/v1/classes/supports/0", params={"label": label}).json()["supports"] == left
    assert client.get("/v1/classes").json()["total"] == 0
    assert client.delete("/v1/classes/supports/0", params={"label": label}).status_code == 404


def test_a_match_may_ask_for_its_own_false_accept_rate(client) -> None:
    for label, drawing in zip("ab", DRAWINGS, strict=False):
        client.post(f"/v1/classes/{label}", content=png(drawing))
    thresholds = {}
    for far in ("none", "0.05", "0.01", None):
        answer = client.post("/v1/match", params={"far": far} if far else {}, content=png(DRAWINGS[2]))
        thresholds[far] = answer.json()["matches"][0]["threshold"]
    assert thresholds["none"] == 0 < thresholds["0.05"] < thresholds["0.01"]
    assert thresholds[None] == thresholds["0.05"]  # the server's own
    for far in ("0", "-1", "2", "nan", "some"):
        assert client.post("/v1/match", params={"far": far}, content=png(DRAWINGS[2])).status_code == 422
    assert client.get("/v1/health").json()["far"] == 0.05

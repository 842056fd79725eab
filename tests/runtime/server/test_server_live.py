from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.server import ServerOptions, create_app, live_routes
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer

BASE, LIVE = "http://localhost", "ws://localhost/v1/live"
TOKEN = "a-token/of+24=characters"
SYMBOLS = [symbol for symbol in invent_alphabet(20, seed=11) if len(symbol.strokes) == 1][:3]


def frame(*places: int, kind: str = "JPEG") -> bytes:
    """A sheet that shows the symbols of these numbers from left to right."""
    rng = np.random.default_rng(4)
    drawings = [draw(symbol, random_writer(rng), rng, 150) for symbol in SYMBOLS]
    sheet = np.full((220, 600), 215, np.uint8)
    for place in places:
        sheet[30:180, 20 + 190 * place : 170 + 190 * place] = drawings[place].clip(35, 215)
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, kind)
    return file.getvalue()


@pytest.fixture
def app() -> Iterator[Any]:
    with OneShotMatcher.load(precision="fp32", threads=1, far=0.05) as matcher:
        yield create_app(matcher)


@pytest.fixture
def socket(app) -> Iterator[Any]:
    with TestClient(app).websocket_connect(LIVE, headers={"Origin": BASE}) as opened:
        yield opened


def read(socket: Any, data: bytes) -> dict[str, Any]:
    socket.send_bytes(data)
    answer: dict[str, Any] = socket.receive_json()
    return answer


def ask(socket: Any, **command: Any) -> dict[str, Any]:
    socket.send_text(json.dumps(command))
    answer: dict[str, Any] = socket.receive_json()
    return answer


def test_a_symbol_looked_at_is_taught_as_it_was_seen_then_and_read_from_the_next_frame_on(app, socket) -> None:
    assert read(socket, frame(0, 1, 2))["symbols"] == []  # a moving picture: what lasts two frames counts
    answer = read(socket, frame(0, 1, 2, kind="PNG"))
    assert (answer["about"], answer["width"], answer["height"]) == ("frame", 600, 220)
    assert set(answer["milliseconds"]) == {"decode", "segment", "track", "match"}
    middle = sorted(answer["symbols"], key=lambda symbol: symbol["box"])[1]
    assert middle["label"] is None
    looked = ask(socket, look=middle["track"])
    assert looked["about"] == "look"
    crop = np.asarray(Image.open(io.BytesIO(base64.b64decode(looked["crop"]))))
    assert crop.min() < 60
    assert crop.max() == 255
    read(socket, frame())  # the camera moved on before the name was typed
    taught = ask(socket, teach="middle")
    assert (taught["about"], taught["label"], taught["still"]) == ("teach", "middle", None)
    labels = [symbol["label"] for symbol in sorted(read(socket, frame(0, 1, 2))["symbols"], key=lambda one: one["box"])]
    assert labels == [None, "middle", None]
    assert app.state.service.matcher.labels == ["middle"]


def test_a_wrong_name_is_corrected_and_the_picture_taught_by_mistake_is_taken_back(app, socket) -> None:
    for _ in range(2):
        track = (read(socket, frame(0))["symbols"] or [{"track": 0}])[0]["track"]
    ask(socket, look=track)
    ask(socket, teach="wrong")
    assert read(socket, frame(0))["symbols"][0]["label"] == "wrong"
    looked = ask(socket, look=track)
    assert (looked["label"], looked["candidates"]) == ("wrong", ["wrong"])
    assert ask(socket, teach="right")["still"] is None
    assert read(socket, frame(0))["symbols"][0]["label"] == "right"
    assert app.state.service.matcher.labels == ["right"]


def test_a_picture_of_another_camera_that_is_in_the_way_is_named_and_stays(app, socket) -> None:
    for _ in range(2):
        track = (read(socket, frame(0))["symbols"] or [{"track": 0}])[0]["track"]
    crop = base64.b64decode(ask(socket, look=track)["crop"])
    app.state.service.matcher.enroll("theirs", crop)
    assert ask(socket, teach="ours")["still"] == "theirs"
    assert app.state.service.matcher.labels == ["theirs", "ours"]


def test_mistakes_are_answered_and_the_next_frame_is_read(socket) -> None:
    assert "format" in read(socket, b"no picture")["problem"]
    for command in ("", "no json", "[]", "{}", '{"look": "1"}', '{"teach": 5}', '{"look": null}'):
        socket.send_text(command)
        assert "look" in socket.receive_json()["problem"]
    assert "out of sight" in ask(socket, look=77)["problem"]
    assert "choose a symbol" in ask(socket, teach="name")["problem"]
    assert "label" in ask(socket, teach=" ")["problem"]
    large = io.BytesIO()
    Image.new("L", (4000, 1001)).save(large, "PNG")
    assert "4000x1001" in read(socket, large.getvalue())["problem"]
    assert read(socket, frame(0))["about"] == "frame"


@pytest.mark.parametrize("message", ["send_bytes", "send_text"])
def test_what_is_too_large_ends_the_connection(app, message) -> None:
    with TestClient(app).websocket_connect(LIVE) as socket:
        if message == "send_bytes":
            socket.send_bytes(b"x" * ((4 << 20) + 1))
        else:
            socket.send_text("x" * 5000)
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert closed.value.code == 1009


def refused(app: Any, url: str = LIVE, **options: Any) -> bool:
    try:
        with TestClient(app).websocket_connect(url, **options) as socket:
            read(socket, frame(0))
    except WebSocketDisconnect as closed:
        return closed.code == 1008
    return False


def test_pages_of_other_sites_and_other_names_are_refused(app) -> None:
    assert refused(app, headers={"Origin": "http://evil.example"})
    assert refused(app, headers={"Origin": "null"})
    assert refused(app, headers={"Sec-Fetch-Site": "cross-site"})
    assert refused(app, headers={"Host": "rebound.example", "Origin": "http://rebound.example"})
    assert not refused(app, headers={"Origin": BASE})
    assert not refused(app)  # no browser


def test_the_token_is_checked_at_the_handshake() -> None:
    def protocols(token: str) -> list[str]:
        return ["oneshot.live", "oneshot.token." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")]

    with OneShotMatcher.load(precision="fp32", threads=1) as matcher:
        app = create_app(matcher, ServerOptions(token=TOKEN))
        assert refused(app)
        assert refused(app, subprotocols=["oneshot.live"])
        assert refused(app, subprotocols=protocols("a-wrong-token-of-24-chars"))
        assert refused(app, subprotocols=["oneshot.token.*", "oneshot.token.a"])
        assert refused(app, headers={"Authorization": "Bearer wrong"}, subprotocols=protocols(TOKEN))
        assert not refused(app, headers={"Authorization": f"Bearer {TOKEN}"})
        with TestClient(app).websocket_connect(LIVE, subprotocols=protocols(TOKEN)) as socket:
            assert socket.accepted_subprotocol == "oneshot.live"  # never the token


def test_one_camera_too_many_is_asked_to_come_later(app, monkeypatch) -> None:
    monkeypatch.setattr(live_routes, "_CAMERAS", 1)
    client = TestClient(app)
    with client.websocket_connect(LIVE) as first:
        read(first, frame(0))
        with client.websocket_connect(LIVE) as second, pytest.raises(WebSocketDisconnect) as closed:
            second.receive_json()
        assert closed.value.code == 1013
    with client.websocket_connect(LIVE) as again:
        assert read(again, frame(0))["about"] == "frame"


def test_a_camera_that_sends_nothing_is_let_go(app, monkeypatch) -> None:
    monkeypatch.setattr(live_routes, "_IDLE", 0.05)
    with TestClient(app).websocket_connect(LIVE) as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    assert closed.value.code == 1001


def test_a_camera_is_read_more_or_less_strictly(socket) -> None:
    for place in (0, 1):
        read(socket, frame(0, 1, 2))
        tracks = [one["track"] for one in sorted(read(socket, frame(0, 1, 2))["symbols"], key=lambda one: one["box"])]
        ask(socket, look=tracks[place])
        ask(socket, teach=f"symbol {place}")
    assert ask(socket, far="none") == {"about": "far", "far": None}
    assert all(one["label"] for one in read(socket, frame(0, 1, 2))["symbols"])
    assert ask(socket, far=1e-5) == {"about": "far", "far": 1e-5}
    assert {one["label"] for one in read(socket, frame(0, 1, 2))["symbols"]} == {"symbol 0", "symbol 1", None}
    assert ask(socket, far=None) == {"about": "far", "far": 0.05}
    for wrong in (2, -1, "some", True, [1]):
        assert "problem" in ask(socket, far=wrong)
    assert len(read(socket, frame(0, 1, 2))["symbols"]) == 3


def test_symbols_too_small_to_be_read_give_a_hint(socket) -> None:
    small = Image.open(io.BytesIO(frame(0, 1, 2))).resize((60, 22), Image.Resampling.BOX)
    sheet = Image.new("L", (640, 480), 215)
    sheet.paste(small, (200, 200))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    assert "move closer" in [read(socket, file.getvalue())["hint"] for _ in range(8)][-1]

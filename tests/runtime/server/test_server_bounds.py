from __future__ import annotations

import asyncio
import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from picture_bombs import BOMBS
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

import httpx
from fastapi import FastAPI
from fastapi.testclient import TestClient

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.server import ServerOptions, create_app
from oneshot_runtime.server.lanes import Room
from oneshot_runtime.server.workers import BoundedServer, uvicorn_config

BASE = "http://localhost"
TOKEN = "a-token-of-24-characters"
GUARDED = ["/v1/classes", "/v1/classes/a/supports/0", "/v1/gallery/export", "/metrics", "/openapi.json"]


@pytest.fixture(scope="module")
def matcher() -> OneShotMatcher:
    return OneShotMatcher.load(precision="fp32", threads=1, far=None)


@pytest.fixture(scope="module")
def picture() -> bytes:
    page = np.full((60, 60), 255, np.uint8)
    page[20:40, 28:32] = 0
    file = io.BytesIO()
    Image.fromarray(page).save(file, "PNG")
    return file.getvalue()


@contextmanager
def running(app: FastAPI, options: ServerOptions, connections: int = 1024) -> Iterator[tuple[str, int]]:
    """A server in a thread; gives its address."""
    config = uvicorn_config(app, options, log=False)
    config.backlog = config.backlog * connections // (config.limit_concurrency or 1)
    config.limit_concurrency = connections
    server = BoundedServer(config)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield bound.getsockname()
        finally:
            server.should_exit = True
            thread.join(30)


def answer(where: tuple[str, int], method: str, path: str, body: bytes | None = None) -> int:
    connection = http.client.HTTPConnection(*where, timeout=30)
    connection.request(method, path, body)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("address", GUARDED)
def test_the_token_holds_wherever_the_application_is_mounted(matcher, address) -> None:
    app = create_app(matcher, ServerOptions(token=TOKEN))
    outer = FastAPI()
    outer.mount("/oneshot", app)
    clients = [
        (TestClient(app, base_url=BASE), address),
        (TestClient(outer, base_url=BASE), f"/oneshot{address}"),
        (TestClient(app, base_url=BASE, root_path="/oneshot"), address),
        (TestClient(app, base_url=BASE, root_path="/oneshot"), f"/oneshot{address}"),
    ]
    for client, path in clients:
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code in (200, 404, 409)


def test_limits_hold_wherever_the_application_is_mounted(matcher, picture) -> None:
    outer = FastAPI()
    outer.mount("/oneshot", create_app(matcher, ServerOptions(max_bytes=1000, max_import=2000)))
    client = TestClient(outer, base_url=BASE)
    assert client.post("/oneshot/v1/match", content=bytes(1001)).status_code == 413
    assert client.post("/oneshot/v1/gallery/import", content=bytes(1500)).status_code == 422
    assert client.post("/oneshot/v1/gallery/import", content=bytes(2001)).status_code == 413
    assert client.post("/oneshot/v1/gallery/import", content=iter([bytes(1500)] * 2)).status_code == 413
    rename = b'{"label": "' + b"a" * (1 << 17) + b'"}'
    assert client.patch("/oneshot/v1/classes/a", content=rename).status_code == 413
    assert client.patch("/oneshot/v1/classes/a", content=iter([rename])).status_code == 413


@pytest.mark.parametrize("origin", ["http://[", "http://evil.example", "null", "http://localhost:1", "]", "http://%"])
def test_another_sites_origin_is_refused_whatever_it_looks_like(matcher, origin) -> None:
    client = TestClient(create_app(matcher), base_url=BASE)
    for method, path in (("POST", "/v1/match"), ("GET", "/v1/gallery/export"), ("GET", "/v1/classes")):
        assert client.request(method, path, headers={"Origin": origin}).status_code == 403
    assert client.get("/v1/gallery/export", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.get("/v1/classes", headers={"Sec-Fetch-Site": "none"}).status_code == 200


@pytest.mark.parametrize(
    ("address", "status"),
    [("%e9", 400), ("%c3%28", 400), ("a%ff%fe", 400), ("%ed%a0%80", 400), ("%c3%a9", 404), ("%EF%BF%BD", 404)],
)
def test_an_address_that_is_no_text_is_refused_instead_of_guessed(matcher, address, status) -> None:
    with running(create_app(matcher), ServerOptions()) as where:
        assert answer(where, "DELETE", f"/v1/classes/{address}") == status
        assert answer(where, "DELETE", f"/v1/classes?label={address}") == status


def test_two_ways_to_end_a_body_end_the_connection(matcher) -> None:
    head = b"POST /v1/match HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    smuggled = b"0\r\n\r\nGET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with running(create_app(matcher), ServerOptions()) as where, socket.create_connection(where, 20) as client:
        client.sendall(head + smuggled)
        data = b""
        with suppress(ConnectionResetError):
            while part := client.recv(65536):
                data += part
    assert data.startswith(b"HTTP/1.1 400")
    assert data.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        ([b"localhost"], b"200"),
        ([b"localhost:80"], b"200"),
        ([b"[::1]:80"], b"200"),
        ([b"evil.example"], b"421"),
        ([b"evil.example@localhost"], b"421"),
        ([b"localhost/.evil.example"], b"421"),
        ([b"localhost#.evil.example"], b"421"),
        ([b"localhost", b"evil.example"], b"400"),
        ([b"evil.example", b"localhost"], b"400"),
    ],
)
def test_the_host_is_one_name_that_is_this_servers(matcher, hosts, status) -> None:
    lines = b"".join(b"Host: " + host + b"\r\n" for host in hosts)
    with running(create_app(matcher), ServerOptions()) as where, socket.create_connection(where, 20) as client:
        client.sendall(b"GET /v1/classes HTTP/1.1\r\n" + lines + b"Connection: close\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 " + status


@pytest.mark.parametrize("sent", [b"", b"GET /v1/health HT", b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nA: b\r\n"])
def test_silent_connections_keep_no_client_out_and_are_closed_in_time(matcher, picture, sent) -> None:
    options = ServerOptions(timeout=2)
    with running(create_app(matcher, options), options, connections=128) as where:
        silent = [socket.create_connection(where, 20) for _ in range(200)]
        for client in silent:
            with suppress(OSError):
                client.sendall(sent)
        start = time.monotonic()
        assert answer(where, "GET", "/v1/health") == 200
        assert answer(where, "POST", "/v1/match", picture) == 200
        for client in silent:
            with suppress(ConnectionResetError):
                assert client.recv(1) == b""
            client.close()
        assert time.monotonic() - start < 20


def test_a_request_that_came_before_a_flood_is_read_before_the_flood_is_accepted(matcher) -> None:
    options = ServerOptions()
    app = create_app(matcher, options)

    async def stalls(scope, receive, send) -> None:
        if scope.get("path") == "/stall":
            time.sleep(1)  # everything else waits, as when the processor is busy
        await app(scope, receive, send)

    with running(stalls, options, connections=128) as where:
        asks = threading.Thread(target=answer, args=(where, "GET", "/stall"))
        asks.start()
        time.sleep(0.3)
        client = socket.create_connection(where, 20)
        client.sendall(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        flood = [socket.create_connection(where, 20) for _ in range(300)]
        for one in flood:
            one.sendall(b"GET /v1/health HTTP/1.1\r\nHo")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
        asks.join()
        for one in (client, *flood):
            one.close()


def test_half_a_body_keeps_no_client_out(matcher, picture) -> None:
    with running(create_app(matcher), ServerOptions(), connections=100) as where:
        half = [socket.create_connection(where, 20) for _ in range(120)]
        for client in half:
            with suppress(OSError):
                client.sendall(b"POST /v1/match HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n" + bytes(100))
        # Who comes while room is still being made may be told to come again, and need not do so for long.
        deadline = time.monotonic() + 10
        status = answer(where, "POST", "/v1/match", picture)
        while status == 503 and time.monotonic() < deadline:
            time.sleep(0.1)
            status = answer(where, "POST", "/v1/match", picture)
        for client in half:
            client.close()
        assert status == 200


def test_an_endless_head_is_refused(matcher) -> None:
    with running(create_app(matcher), ServerOptions()) as where, socket.create_connection(where, 20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        with pytest.raises(OSError, match=r"reset|pipe|abort"):  # long before it is sent
            client.sendall((b"A: " + b"b" * 8000 + b"\r\n") * 4000)


def test_a_client_that_sends_many_requests_at_once_is_cut_off_and_keeps_no_other_out(matcher, capsys) -> None:
    pytest.importorskip("httptools")
    options = ServerOptions(timeout=20)
    with running(create_app(matcher, options), options) as address:
        floods = [socket.create_connection(address, timeout=20) for _ in range(20)]
        for flood in floods:
            with suppress(OSError):
                flood.sendall(b"GET /v1/classes HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000)
        with httpx.Client(base_url="http://{}:{}".format(*address), timeout=20) as client:
            assert client.get("/v1/health").status_code == 200
        answers = 0
        for flood in floods:
            with flood, suppress(ConnectionResetError):
                while part := flood.recv(1 << 16):
                    answers += part.count(b"HTTP/1.1 200")
    assert answers < 20 * 100
    assert "Traceback" not in capsys.readouterr().err


def test_work_that_waits_for_room_may_be_given_up_as_its_turn_comes() -> None:
    async def given_up() -> int:
        room = Room(10)
        held = await room.enter(10)
        waiting = asyncio.create_task(room.enter(5))
        await asyncio.sleep(0)
        waiting.cancel()
        room.leave(held)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return await asyncio.wait_for(room.enter(10), 5)

    assert asyncio.run(given_up()) == 10


def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_error_of_the_server(matcher, capsys) -> None:
    options = ServerOptions(timeout=20)
    with running(create_app(matcher, options), options) as address:
        with socket.create_connection(address, timeout=20) as left:
            left.sendall(b"POST /v1/match HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf")
        with httpx.Client(base_url="http://{}:{}".format(*address), timeout=20) as client:
            assert client.get("/v1/health").status_code == 200
    assert "Traceback" not in capsys.readouterr().err


def test_pictures_that_take_long_do_not_hold_up_what_is_quick(matcher, picture) -> None:
    file = io.BytesIO()
    Image.new("RGB", (3000, 3000), "white").save(file, "PNG", compress_level=1)
    large = file.getvalue()
    with running(create_app(matcher), ServerOptions()) as where:
        attackers = [threading.Thread(target=answer, args=(where, "POST", "/v1/match", large)) for _ in range(8)]
        for thread in attackers:
            thread.start()
        assert [answer(where, "GET", path) for path in ("/v1/health", "/v1/classes", "/metrics")] == [200] * 3
        assert answer(where, "POST", "/v1/match", picture) == 200
        assert any(thread.is_alive() for thread in attackers)
        for thread in attackers:
            thread.join(60)


@pytest.mark.parametrize("name", ["JPEG of 100,000 scans", "TIFF of doubles in one strip", "plain PBM of comments"])
def test_a_bomb_is_a_problem_of_the_client(matcher, name) -> None:
    client = TestClient(create_app(matcher), base_url=BASE)
    data = BOMBS[name]()
    for path in ("/v1/match", "/v1/embed", "/v1/classes/a"):
        response = client.post(path, content=data)
        assert (response.status_code, response.json()["error"]) == (422, "ImageError")


def test_bodies_of_all_requests_share_what_memory_there_is_for_them(matcher, picture) -> None:
    app = create_app(matcher)
    service = app.state.service
    client = TestClient(app, base_url=BASE)
    service.bodies.free = 1000
    response = client.post("/v1/match", content=bytes(200_000))
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert service.bodies.free == 1000
    assert client.post("/v1/match", content=picture).status_code == 200
    service.bodies.free = 1 << 20
    assert client.post("/v1/match", content=bytes(200_000)).status_code == 422
    assert service.bodies.free == 1 << 20


def test_the_description_names_the_token(matcher) -> None:
    description = TestClient(create_app(matcher), base_url=BASE).get("/openapi.json").json()
    assert description["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert description["paths"]["/v1/match"]["post"]["security"] == [{"token": []}]
    assert description["paths"]["/v1/health"]["get"]["security"] == []


def test_no_answer_names_a_folder_of_the_server(tmp_path) -> None:
    folder = tmp_path / "o'brien and sons"
    folder.mkdir()
    path = folder / "letters.db"
    with OneShotMatcher.load(gallery=path, precision="fp32", threads=1) as matcher:
        client = TestClient(create_app(matcher, gallery=path), base_url=BASE, raise_server_exceptions=False)
        for file in folder.iterdir():
            file.write_bytes(b"garbage" * 9000)
        bodies = [client.get(address).text for address in ("/v1/health", "/v1/classes", "/metrics", "/v1/gallery/export")]
    assert any(json.loads(body).get("status") == 503 for body in bodies if body.startswith("{"))
    for body in bodies:
        assert "brien" not in body
        assert str(tmp_path) not in body


def test_only_health_and_the_page_need_no_token(matcher) -> None:
    client = TestClient(create_app(matcher, ServerOptions(token=TOKEN)), base_url=BASE)
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    for address, operations in client.get("/openapi.json", headers=bearer).json()["paths"].items():
        for method in operations:
            response = client.request(method, address.replace("{number}", "0"))
            assert response.status_code == (200 if address == "/v1/health" else 401), (method, address)
    assert client.get("/").status_code == 200


def sent_until_cut_off(where: tuple[str, int], head: bytes, part: bytes, most: int) -> int:
    """Bytes that a client gets rid of before its connection ends, `most` at most."""
    sent = 0
    with socket.create_connection(where, 20) as client, suppress(ConnectionError):
        client.sendall(head)
        while sent < most:
            client.sendall(part)
            sent += len(part)
        client.settimeout(5)
        client.recv(1)
    return sent


CHUNKED = b"POST /v1/match HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (CHUNKED + b"1;name=", bytes([120]) * 65536),
        (CHUNKED + b"1\r\nx\r\n0\r\nTrailer: ", bytes([120]) * 65536),
        (CHUNKED + b"1\r\nx\r\n0\r\n", b"A: b\r\n" * 10_000),
        (CHUNKED, b"1\r\nx\r\n" * 10_000),
    ],
    ids=["extension", "trailer", "trailers", "chunks of a byte"],
)
def test_what_stands_between_the_chunks_of_a_body_is_bounded_as_heads_are(matcher, head, part) -> None:
    pytest.importorskip("httptools")
    with running(create_app(matcher), ServerOptions()) as where:
        assert sent_until_cut_off(where, head, part, 24 << 20) < 20 << 20  # systems keep some MiB on the way
        assert answer(where, "GET", "/v1/health") == 200


@pytest.mark.parametrize(("size", "count"), [(1, None), (64, None), (1000, None), (1, 2000)])
def test_bodies_in_chunks_of_any_size_are_read(matcher, picture, size, count) -> None:
    body = picture if count is None else picture + bytes(count)
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    with running(create_app(matcher), ServerOptions()) as where:
        connection = http.client.HTTPConnection(*where, timeout=30)
        for _ in range(2):
            connection.request("POST", "/v1/match", iter(chunks), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
            response = connection.getresponse()
            assert (response.status, json.loads(response.read())["matches"][0]["candidates"]) == (200, [])
        connection.close()


def test_who_has_sent_a_request_does_not_make_room_for_others(matcher) -> None:
    request = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    config = uvicorn_config(create_app(matcher), ServerOptions(), log=False)
    config.limit_concurrency = 256
    server = BoundedServer(config)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as bound:
        clients = [socket.create_connection(bound.getsockname(), 20) for _ in range(220)]
        for client in clients:
            client.sendall(request)  # all of them come in one turn of the server's loop
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            assert [client.recv(12) for client in clients] == [b"HTTP/1.1 200"] * 220
        finally:
            for client in clients:
                client.close()
            server.should_exit = True
            thread.join(30)

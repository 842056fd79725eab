from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

from fastapi.testclient import TestClient

from oneshot_runtime import (
    DependencyError,
    EnrollmentReport,
    Finding,
    Gallery,
    GalleryError,
    ImageError,
    Match,
    OneShotMatcher,
    OptionError,
)
from oneshot_runtime.cli.main import main
from oneshot_runtime.server import ServerOptions, create_app
from oneshot_runtime.server.microbatches import MatchQueue
from oneshot_runtime.stores.sqlite import database_file

BASE = "http://localhost"
TOKEN = "a-token-of-24-characters"


def png(grey: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def pictures(drawings) -> tuple[list[bytes], list[bytes]]:
    first, second = drawings
    return [png(grey) for grey in first], [png(grey) for grey in second]


@pytest.fixture(scope="module")
def shared() -> OneShotMatcher:
    return OneShotMatcher.load(precision="fp32", threads=1, far=None)


@pytest.fixture
def store(tmp_path) -> Path:
    return tmp_path / "hidden-folder" / "letters.db"


@pytest.fixture
def client(store: Path, monkeypatch) -> Iterator[TestClient]:
    monkeypatch.setattr(database_file, "BUSY_SECONDS", 1.0)
    store.parent.mkdir()
    with OneShotMatcher.load(gallery=store, precision="fp32", threads=1, far=None) as matcher:
        yield TestClient(create_app(matcher, gallery=store), base_url=BASE)


def guarded(matcher: OneShotMatcher, **options) -> TestClient:
    return TestClient(create_app(matcher, ServerOptions(**options)), base_url=BASE)


def in_event_loop() -> bool:
    """Whether this is called from the thread that all other requests wait for."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def check_problem(response, status: int, *words: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["title"]
    assert all(word in body["detail"] for word in words), body
    assert "hidden-folder" not in response.text
    assert "/tmp" not in response.text


def test_taught_by_one_client_and_recognised_for_another_one_or_many_at_once(client, pictures) -> None:
    first, second = pictures
    for place in range(3):
        response = client.post(f"/v1/classes/sign {place}", content=first[place])
        assert (response.status_code, response.json()) == (201, {"label": f"sign {place}", "supports": 1, "findings": []})
    answer = client.post("/v1/match?top_k=2", content=second[1]).json()["matches"][0]
    assert answer["label"] == "sign 1"
    assert [len(answer["candidates"]), answer["candidates"][0]["label"]] == [2, "sign 1"]
    assert answer["candidates"][0]["probability"] == answer["probability"] > answer["candidates"][1]["probability"]
    files = [("image", (f"{place}.png", second[place], "image/png")) for place in (2, 0, 1)]
    several = client.post("/v1/match", files=files).json()["matches"]
    assert [match["label"] for match in several] == ["sign 2", "sign 0", "sign 1"]
    assert several[2]["probability"] == pytest.approx(answer["probability"], abs=1e-4)


def test_a_symbol_gains_pictures_is_renamed_and_forgotten(client, pictures) -> None:
    first, second = pictures
    label = "a/b ñ?"
    address = "/v1/classes/a%2Fb%20%C3%B1%3F"
    files = [("image", ("a.png", picture, "image/png")) for picture in (first[0], second[0])]
    assert client.post(address, files=files).json() == {"label": label, "supports": 2, "findings": []}
    thumbnail = client.get(f"{address}/supports/1")
    assert thumbnail.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(thumbnail.content)).size == (105, 105)
    check_problem(client.get(f"{address}/supports/2"), 404, "no picture 2")
    client.post("/v1/classes/taken", content=first[1])
    check_problem(client.patch(address, json={"label": "taken"}), 409, "'taken' is in the gallery already")
    check_problem(client.patch(address, json={"label": " "}), 422, "label")
    check_problem(client.patch(address, json={}), 422, "label")
    assert client.patch(address, json={"label": "new"}).json() == {"label": "new", "supports": 2}
    check_problem(client.patch(address, json={"label": "newer"}), 404, repr(label))
    listed = client.get("/v1/classes").json()
    assert listed == {"classes": [{"label": "taken", "supports": 1}, {"label": "new", "supports": 2}], "total": 2}
    assert client.get("/v1/classes?offset=1&limit=1").json()["classes"] == listed["classes"][1:]
    assert client.delete("/v1/classes/new").json() == {"label": "new", "supports": 2}
    check_problem(client.delete("/v1/classes/new"), 404, "'new' is not in the gallery")
    check_problem(client.get("/v1/classes/new/supports/0"), 404, "'new' is not in the gallery")


@pytest.mark.parametrize("label", [".", "..", "supports/0", "a/../b", "a&label=b"])
def test_a_name_that_no_address_can_carry_goes_into_the_query(client, pictures, label) -> None:
    query = {"label": label}
    assert client.post("/v1/classes", params=query, content=pictures[0][0]).json()["label"] == label
    assert client.get("/v1/classes/supports/0", params=query).content.startswith(b"\x89PNG")
    check_problem(client.get("/v1/classes/supports/1", params=query), 404, "no picture 1")
    assert client.patch("/v1/classes", params=query, json={"label": "new"}).json() == {"label": "new", "supports": 1}
    assert client.patch("/v1/classes", params={"label": "new"}, json=query).json() == {"label": label, "supports": 1}
    assert client.delete("/v1/classes", params=query).json() == {"label": label, "supports": 1}
    check_problem(client.delete("/v1/classes", params=query), 404, repr(label))
    check_problem(client.delete("/v1/classes"), 422, "label")


def test_teaching_tells_what_is_odd_about_the_pictures(client, pictures) -> None:
    first, second = pictures
    client.post("/v1/classes/river", content=first[0])
    edge = np.full((60, 60), 255, np.uint8)
    edge[:30, 20:24] = 0
    files = [("image", ("a.png", first[0])), ("image", ("b.png", png(edge)))]
    body = client.post("/v1/classes/stream", files=files).json()
    assert body["supports"] == 2
    twin, clipped = body["findings"]
    assert (twin["kind"], twin["image"], twin["other"]) == ("duplicate", 0, "river")
    assert twin["probability"] > 0.99
    assert "the same symbol under two labels?" in twin["message"]
    assert (clipped["kind"], clipped["image"], clipped["other"], clipped["probability"]) == ("clipped", 1, None, None)
    assert client.post("/v1/classes/lake", content=second[3]).json()["findings"] == []


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"", "0 bytes"), (b"no picture", "unsupported image format"), (png(np.full((50, 50), 200, np.uint8)), "blank")],
    ids=["empty", "text", "blank"],
)
def test_what_is_no_picture_of_a_symbol_is_a_problem_in_the_librarys_words_and_teaches_nothing(client, body, words) -> None:
    for address in ("/v1/match", "/v1/embed", "/v1/classes/x"):
        response = client.post(address, content=body)
        check_problem(response, 422, words)
        assert response.json()["error"] == "ImageError"
    assert client.get("/v1/classes").json()["total"] == 0


def test_one_bad_picture_of_several_teaches_none_and_pixels_are_counted_over_all(client, pictures) -> None:
    files = [("image", ("a.png", pictures[0][0])), ("image", ("b.png", b"broken"))]
    check_problem(client.post("/v1/classes/x", files=files), 422, "unsupported image format")
    huge = png(np.zeros((6000, 6000), np.uint8))
    check_problem(client.post("/v1/classes/x", files=[("i", ("a.png", huge))] * 2), 422, "72000000", "64000000")
    check_problem(client.post("/v1/match", files=[("i", ("a.png", pictures[0][0]))] * 65), 400, "64")
    assert client.get("/v1/classes").json()["total"] == 0


def test_pictures_are_looked_at_beside_the_event_loop_and_only_in_formats_that_name_their_size(
    client, pictures, monkeypatch
) -> None:
    opened, real = [], Image.open

    def watched(*given: object, **named: object) -> Image.Image:
        opened.append(in_event_loop())
        return real(*given, **named)

    monkeypatch.setattr(Image, "open", watched)
    icon = io.BytesIO()
    Image.new("L", (64, 64)).save(icon, "ICO")
    for address in ("/v1/match", "/v1/embed"):
        check_problem(client.post(address, content=icon.getvalue()), 422, "unsupported image format")
        files = [("i", ("a.png", pictures[0][0])), ("i", ("b.ico", icon.getvalue()))]
        check_problem(client.post(address, files=files), 422, "unsupported image format")
    assert opened
    assert not any(opened)


def test_embeddings_are_those_of_the_library(client, shared, pictures) -> None:
    body = client.post("/v1/embed", content=pictures[0][0]).json()
    assert body["model"] == shared.bundle.fingerprint
    np.testing.assert_allclose(body["embeddings"], shared.embed(pictures[0][0]), atol=1e-5)


def test_a_gallery_leaves_by_export_and_returns_by_import(client, pictures) -> None:
    client.post("/v1/classes/one", content=pictures[0][0])
    exported = client.get("/v1/gallery/export")
    assert "gallery.npz" in exported.headers["content-disposition"]
    client.delete("/v1/classes/one")
    assert client.post("/v1/gallery/import", content=exported.content).json() == {"added": 1, "classes": 1}
    assert client.get("/v1/classes/one/supports/0").content.startswith(b"\x89PNG")
    damaged = bytearray(exported.content)
    damaged[damaged.index(b"codes.npy") + 300] ^= 0xFF  # of what the archive holds, not of its headers, which it has twice
    for body in (bytes(damaged), b"no archive"):
        response = client.post("/v1/gallery/import", content=body)
        check_problem(response, 422, "cannot import 'upload.npz'")
        assert response.json()["error"] == "ArchiveError"
    assert client.get("/v1/classes").json()["total"] == 1


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("part", ["bytes=abc", "bytes=999999999-", "lines=0-1", "bytes=0-9", "bytes=0-1,4-5", ""])
def test_an_export_comes_whole_whatever_part_is_asked_for_and_leaves_no_copy(client, pictures, temporary, part) -> None:
    client.post("/v1/classes/one", content=pictures[0][0])
    exported = client.get("/v1/gallery/export", headers={"Range": part})
    assert list(temporary.iterdir()) == []
    assert exported.status_code == 200
    assert len(exported.content) == int(exported.headers["content-length"])
    assert exported.headers["accept-ranges"] == "none"
    assert client.post("/v1/gallery/import", content=exported.content).json() == {"added": 1, "classes": 1}
    assert list(temporary.iterdir()) == []


def test_an_export_to_a_client_that_goes_away_leaves_no_copy(client, pictures, temporary) -> None:
    client.post("/v1/classes/one", content=pictures[0][0])
    seen = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.body":
            seen.extend(temporary.iterdir())
            raise OSError("the client has gone")

    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET"}
    scope |= {"path": "/v1/gallery/export", "raw_path": b"", "query_string": b"", "headers": [(b"host", b"localhost")]}
    with pytest.raises(Exception, match=r"^$|the client has gone"):
        asyncio.run(client.app({**scope, "scheme": "http", "root_path": ""}, receive, send))
    assert seen
    assert list(temporary.iterdir()) == []


def test_an_import_that_the_server_cannot_take_is_not_blamed_on_the_archive(client, store, pictures, temporary) -> None:
    client.post("/v1/classes/one", content=pictures[0][0])
    archive = client.get("/v1/gallery/export").content
    with closing(sqlite3.connect(store)) as other:
        other.execute("BEGIN IMMEDIATE")
        check_problem(client.post("/v1/gallery/import", content=archive), 503, "letters.db")
    assert client.get("/v1/classes").json()["total"] == 1
    temporary.rmdir()
    for response in (client.get("/v1/gallery/export"), client.post("/v1/gallery/import", content=archive)):
        check_problem(response, 503, "No such file or directory", "TMPDIR")
    temporary.mkdir()
    for file in store.parent.iterdir():
        file.unlink()
    check_problem(client.post("/v1/gallery/import", content=archive), 503, "letters.db")


def gone_after(monkeypatch, store: Path, gallery: Gallery, write: str) -> None:
    """Has the gallery's file vanish as soon as a write to it is done."""
    done = getattr(gallery, write)

    def writing(*given: object, **named: object) -> None:
        done(*given, **named)
        for file in store.parent.iterdir():
            file.unlink()

    monkeypatch.setattr(gallery, write, writing)


def test_a_write_that_is_done_is_no_error_when_the_gallery_fails_afterwards(
    client, store, pictures, monkeypatch, caplog
) -> None:
    matcher = client.app.state.service.matcher
    client.post("/v1/classes/one", content=pictures[0][0])
    exported = client.get("/v1/gallery/export").content
    gone_after(monkeypatch, store, matcher.gallery, "add_blocks")
    response = client.post("/v1/gallery/import", content=exported)
    assert (response.status_code, response.json()) == (200, {"added": 1, "classes": None})
    assert "letters.db" in caplog.text
    check_problem(client.get("/v1/classes"), 503)


def test_a_symbol_that_is_taught_is_no_error_when_the_gallery_fails_afterwards(client, store, pictures, monkeypatch) -> None:
    matcher = client.app.state.service.matcher
    enroll = matcher.enroll

    def fail() -> tuple[Finding, ...]:
        raise GalleryError("cannot search")

    def blind(label: str, images: list[bytes]) -> EnrollmentReport:
        return EnrollmentReport(label, enroll(label, images).supports, fail)

    monkeypatch.setattr(matcher, "enroll", blind)
    response = client.post("/v1/classes/one", content=pictures[0][0])
    assert (response.status_code, response.json()) == (201, {"label": "one", "supports": 1, "findings": None})
    monkeypatch.setattr(matcher, "enroll", enroll)
    gone_after(monkeypatch, store, matcher.gallery, "extend")
    response = client.post("/v1/classes/two", content=pictures[0][1])
    assert (response.status_code, response.json()) == (201, {"label": "two", "supports": None, "findings": []})


def test_no_request_waits_for_the_gallery_or_the_disk_of_another(client, pictures, monkeypatch) -> None:
    waited, real_open = [], Path.open

    def watched(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            waited.append((name, in_event_loop()))
            return real(*given, **named)

        return call

    def opened(path: Path, *given: str, **named: object) -> object:
        file = watched("open", real_open)(path, *given, **named)
        if path.name != "upload.npz":
            return file
        disk = MagicMock(wraps=file)
        disk.write = watched("write", file.write)
        disk.close = watched("close", file.close)
        disk.__enter__ = lambda _: disk
        disk.__exit__ = lambda *_: disk.close()
        return disk

    for name in ("count", "snapshot"):
        monkeypatch.setattr(Gallery, name, watched(name, getattr(Gallery, name)))
    client.post("/v1/classes/one", content=pictures[0][0])
    client.post("/v1/classes/two", content=pictures[0][1])
    exported = client.get("/v1/gallery/export").content
    monkeypatch.setattr(Path, "open", opened)
    assert client.post("/v1/gallery/import", content=exported).json() == {"added": 2, "classes": 2}
    check_problem(client.patch("/v1/classes/one", json={"label": "two"}), 409)
    check_problem(client.delete("/v1/classes/three"), 404)
    check_problem(client.get("/v1/classes/three/supports/0"), 404)
    assert {name for name, _ in waited} == {"count", "snapshot", "open", "write", "close"}
    assert [name for name, held_up in waited if held_up] == []


def test_a_gallery_in_memory_has_nothing_to_export(shared) -> None:
    check_problem(guarded(shared).get("/v1/gallery/export"), 409, "--gallery")


def test_a_gallery_that_went_away_is_a_503_without_its_folder(client, store, pictures) -> None:
    client.post("/v1/classes/one", content=pictures[0][0])  # an empty gallery has no file yet
    for file in store.parent.iterdir():
        file.unlink()
    for response in (client.get("/v1/health"), client.post("/v1/classes/x", content=pictures[0][0])):
        check_problem(response, 503, "letters.db")


def test_a_token_guards_everything_but_the_page_and_health(shared, pictures) -> None:
    client = guarded(shared, host="0.0.0.0", token=TOKEN)
    for address in ("/v1/classes", "/metrics", "/openapi.json"):
        response = client.get(address)
        check_problem(response, 401, "token")
        assert response.headers["www-authenticate"] == "Bearer"
        assert client.get(address, headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 401
        assert client.get(address, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    check_problem(client.post("/v1/match", content=pictures[0][0]), 401)
    assert [client.get(address).status_code for address in ("/", "/v1/health")] == [200, 200]


@pytest.mark.parametrize("options", [{"host": "0.0.0.0"}, {"host": "::"}, {"host": "example.org"}, {"token": "short"}])
def test_beyond_loopback_a_token_of_some_length_is_required(options) -> None:
    with pytest.raises(OptionError, match="token"):
        ServerOptions(**options)


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "evil.example:8765", ""])
def test_other_names_of_the_same_address_are_refused(shared, host) -> None:
    client = guarded(shared, names=frozenset({"pad.example"}))
    check_problem(client.get("/v1/classes", headers={"Host": host}), 421)
    for name in ("pad.example", "127.0.0.1:80", "[::1]:8765", "localhost:1"):
        assert client.get("/v1/classes", headers={"Host": name}).status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}])
def test_pages_of_other_sites_change_nothing(shared, pictures, headers) -> None:
    client = guarded(shared)
    check_problem(client.post("/v1/classes/x", content=pictures[0][0], headers=headers), 403)
    check_problem(client.delete("/v1/classes/x", headers=headers), 403)
    assert client.post("/v1/match", content=pictures[0][0], headers={"Origin": BASE}).status_code == 200
    assert shared.labels == []


def test_a_body_that_is_too_large_is_cut_off_also_when_it_does_not_say_so(shared) -> None:
    client = guarded(shared, max_bytes=1000)
    read = 0

    def chunks() -> Iterator[bytes]:
        nonlocal read
        for _ in range(10):
            read += 500
            yield b"x" * 500

    check_problem(client.post("/v1/match", content=b"x" * 1001), 413, "1000 bytes")
    check_problem(client.post("/v1/match", content=chunks()), 413, "1000 bytes")
    check_problem(client.post("/v1/match", files={"i": ("a.png", b"x" * 1001)}), 413, "1000 bytes")


def test_unknown_addresses_and_methods_are_problems_too(client) -> None:
    check_problem(client.get("/v1/nothing"), 404)
    check_problem(client.get("/static/../app.py"), 404)
    allowed = {
        "/v1/match": "POST",
        "/v1/classes": "DELETE, GET, PATCH, POST",
        "/v1/classes/a": "DELETE, PATCH, POST",
        "/": "GET",
    }
    for address, methods in allowed.items():
        response = client.put(address)
        check_problem(response, 405)
        assert response.headers["allow"] == methods
    check_problem(client.post("/v1/match?top_k=0", content=b"x"), 422, "top_k")


def test_an_unexpected_error_tells_nothing_of_itself(shared, pictures, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret in hidden-folder")

    monkeypatch.setattr(shared, "match", fail)
    client = TestClient(create_app(shared), base_url=BASE, raise_server_exceptions=False)
    check_problem(client.post("/v1/match", content=pictures[0][0]), 500)


def test_work_that_takes_too_long_is_answered_and_other_requests_go_on(shared, pictures, monkeypatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(shared, "match", lambda *_: release.wait(20))
    with guarded(shared, timeout=0.3) as client:
        slow: list[int] = []
        thread = threading.Thread(target=lambda: slow.append(client.post("/v1/match", content=pictures[0][0]).status_code))
        thread.start()
        assert client.get("/v1/health").status_code == 200
        thread.join(10)
        release.set()
    assert slow == [503]


def test_what_several_clients_ask_meanwhile_is_matched_together_and_answered_as_if_alone(shared, pictures, monkeypatch) -> None:
    first, second = pictures
    for place in range(4):
        shared.enroll(f"sign {place}", first[place])
    alone, together = shared.match, shared.match_batch
    release, busy, batches = threading.Event(), threading.Semaphore(0), []

    def slow(image: bytes, top_k: int) -> Match:
        if not release.is_set():
            busy.release()
            release.wait(20)
        return alone(image, top_k)

    monkeypatch.setattr(shared, "match", slow)
    monkeypatch.setattr(
        shared,
        "match_batch",
        lambda images, top_k, **options: batches.append((len(images), top_k)) or together(images, top_k, **options),
    )
    queue = MatchQueue(shared, batch=4)
    held = [queue.ask(second[0], 1) for _ in range(2)]
    for _ in held:
        busy.acquire()
    counts = (2,) * 8 + (3, 3)
    asked = [queue.ask(second[place % 4], top_k) for place, top_k in enumerate(counts)]
    bad, unwanted = queue.ask(b"no picture", 3), queue.ask(second[0], 3)
    unwanted.cancel()
    release.set()
    for place, (answer, top_k) in enumerate(zip(asked, counts, strict=True)):
        match, expected = answer.result(20).match, alone(second[place % 4], top_k)
        assert [match.label, len(match.candidates)] == [f"sign {place % 4}", top_k]
        assert match.probability == pytest.approx(expected.probability, abs=1e-4)
    with pytest.raises(ImageError, match="unsupported image format"):
        bad.result(20)
    assert [answer.result(20).match.label for answer in held] == ["sign 0"] * 2
    assert batches.count((4, 2)) == 2
    assert len(queue) == 0
    for place in range(4):
        shared.remove(f"sign {place}")


def test_a_gallery_that_is_away_is_waited_for_once_and_not_by_every_image(shared, pictures, monkeypatch) -> None:
    _, second = pictures
    release, busy, asked_alone, alone = threading.Event(), threading.Semaphore(0), [], shared.match

    def slow(image: bytes, top_k: int) -> Match:
        asked_alone.append(image)
        busy.release()
        release.wait(20)
        return alone(image, top_k)

    def away(images: list[bytes], top_k: int, on_error: str) -> list[Match]:
        raise GalleryError("away")

    monkeypatch.setattr(shared, "match", slow)
    monkeypatch.setattr(shared, "match_batch", away)
    queue = MatchQueue(shared, batch=4)
    held = [queue.ask(second[0], 1) for _ in range(2)]
    for _ in held:
        busy.acquire()
    asked = [queue.ask(second[0], 1) for _ in range(4)]
    release.set()
    for answer in asked:
        with pytest.raises(GalleryError, match="away"):
            answer.result(20)
    assert len(asked_alone) == 2


def test_two_threads_that_take_from_the_queue_at_once_lose_no_question(shared, pictures, monkeypatch) -> None:
    release, busy, alone = threading.Event(), threading.Semaphore(0), shared.match

    def slow(image: bytes, top_k: int) -> Match:
        busy.release()
        release.wait(20)
        return alone(image, top_k)

    class Slow(int):
        """A number whose comparison leaves the other thread time to look into the queue."""

        def __ne__(self, other: object) -> bool:
            release.wait(20)
            time.sleep(0.5)
            return int(self) != other

        __hash__ = int.__hash__

    shared.enroll("sign", pictures[0][0])
    monkeypatch.setattr(shared, "match", slow)
    queue = MatchQueue(shared, batch=4)
    held = [queue.ask(pictures[1][0], 1) for _ in range(2)]
    for _ in held:
        busy.acquire()
    asked = [queue.ask(pictures[1][0], top_k) for top_k in (2, Slow(3))]
    release.set()
    assert [answer.result(20).match.label for answer in held + asked] == ["sign"] * 4
    shared.remove("sign")


def test_metrics_count_requests_by_template_and_answers(client, pictures) -> None:
    client.post("/v1/classes/secret-label", content=pictures[0][0])
    client.post("/v1/match", content=pictures[1][0])
    client.get("/v1/nothing/secret-label")
    text = client.get("/metrics").text
    assert 'oneshot_requests_total{method="POST",route="/v1/classes/{label:path}",status="201"} 1' in text
    assert 'oneshot_request_seconds_count{route="/v1/match"} 1' in text
    assert 'oneshot_request_seconds_bucket{le="+Inf",route="/v1/match"} 1.0' in text
    assert 'oneshot_matches_total{verdict="known"} 1' in text
    assert "oneshot_gallery_supports 1.0" in text
    assert "oneshot_requests_in_flight 1" in text
    assert "secret-label" not in text


def test_the_description_names_every_route_with_examples(client) -> None:
    description = client.get("/openapi.json").json()
    paths = {"/v1/match", "/v1/read", "/v1/explain", "/v1/embed", "/v1/classes", "/v1/classes/{label}"}
    paths |= {"/v1/classes/supports/{number}", "/v1/classes/{label}/supports/{number}"}
    assert paths | {"/v1/health", "/metrics", "/v1/gallery/export", "/v1/gallery/import"} == set(description["paths"])
    assert "multipart/form-data" in description["paths"]["/v1/match"]["post"]["requestBody"]["content"]
    schemas = description["components"]["schemas"]
    assert "example" in schemas["MatchesBody"]
    assert "example" in schemas["ProblemBody"]


def test_the_page_comes_from_this_server_alone(client) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "://" not in page.text


def test_without_the_extra_the_command_names_it(monkeypatch, capsys) -> None:
    for name in [name for name in sys.modules if name.startswith("oneshot_runtime.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["serve", "--json"]) == 1
    body = json.loads(capsys.readouterr().out)
    assert body["error"] == DependencyError.__name__
    assert "oneshot-runtime[server]" in body["message"]


def test_the_command_refuses_what_is_open_to_all_and_a_port_in_use(monkeypatch, capsys, tmp_path) -> None:
    import socket

    monkeypatch.delenv("ONESHOT_TOKEN", raising=False)
    gallery = ["--gallery", str(tmp_path / "g.db")]
    assert main(["serve", "--host", "0.0.0.0", *gallery]) == 2
    assert "ONESHOT_TOKEN" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1]), *gallery]) == 2
    assert "--port" in capsys.readouterr().err

"""Searching in the database: modes, filters, the index, and the commands with such an address."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("oneshot_runtime.stores.postgres", reason="needs the extra postgres", exc_type=ImportError)

from oneshot_runtime import GalleryError, OneShotMatcher, OptionError
from oneshot_runtime.cli.main import main
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.base import Block, Where
from oneshot_runtime.stores.postgres import PostgresStore, build_index
from oneshot_runtime.stores.postgres import postgres_schema as schema
from oneshot_runtime.stores.postgres.connection_options import Options
from oneshot_runtime.stores.postgres.postgres_schema import Connector

BUNDLE = Bundle.open()
SEARCHES = ("", "&oneshot_search=exact", "&oneshot_search=hnsw")


def clustered(count: int, seed: int = 0) -> np.ndarray:
    """Codes uint8 (N, D) around ten centres."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).integers(0, 256, (10, BUNDLE.dim))
    return np.clip(centres[rng.integers(10, size=count)] + rng.normal(0, 20, (count, BUNDLE.dim)), 0, 255).astype(np.uint8)


def block(labels: list[str], codes: np.ndarray, metadata: list[dict | None] | None = None) -> Block:
    texts = [None if values is None else json.dumps(values) for values in metadata or [None] * len(labels)]
    return Block(labels, codes, [None] * len(labels), texts)


def test_every_mode_gives_the_answers_of_a_gallery_in_memory(server, drawings) -> None:
    address = server.address()
    others = [OneShotMatcher.load(gallery=address + search, precision="fp32", threads=1, far=0.01) for search in SEARCHES]
    memory = OneShotMatcher.load(precision="fp32", threads=1, far=0.01)
    for number, drawing in enumerate([*drawings[0], *drawings[1][:4]]):
        for one in (memory, others[number % 3]):
            one.enroll(f"s{number % 12}", drawing)
    for one in others:
        assert one.labels == memory.labels
        assert one.match_batch(drawings[1]) == memory.match_batch(drawings[1])
        assert [one.match(drawing, 12) for drawing in drawings[1]] == [memory.match(drawing, 12) for drawing in drawings[1]]
        one.close()


@pytest.mark.parametrize("search", SEARCHES[:2])
def test_a_picture_gets_one_answer_in_every_way(server, drawings, tmp_path, search) -> None:
    """Python, the command line and the API, as in memory."""
    for module in ("cv2", "fastapi", "httpx"):
        pytest.importorskip(module)
    from tests.runtime.every_way import matches, readings

    path, address = tmp_path / "page.png", server.address() + search
    Image.fromarray(drawings[1][2]).save(path)
    with (
        OneShotMatcher.load(precision="fp32", threads=1) as memory,
        OneShotMatcher.load(gallery=address, precision="fp32", threads=1) as stored,
    ):
        for number in range(8):
            for matcher in (memory, stored):
                matcher.enroll(f"s{number}", [drawings[0][number], np.fliplr(drawings[1][number])])
        memory.gallery.save(tmp_path / "memory.db")
        for ask in (matches, readings):
            assert ask(stored, address, path, 3) == ask(memory, tmp_path / "memory.db", path, 3)


def test_an_enrollment_report_compares_with_the_gallery_before(server, drawings) -> None:
    address = server.address("&oneshot_search=exact")
    with OneShotMatcher.load(gallery=address, precision="fp32", threads=1) as matcher:
        matcher.enroll("first", drawings[0][0])
        report = matcher.enroll("second", drawings[0][0])
        assert [finding.other for finding in report.findings if finding.kind == "duplicate"] == ["first"]
        assert matcher.gallery.calibration(0.01) is None


def test_prototypes_of_large_classes_are_exact(server) -> None:
    address = server.address("&oneshot_search=exact")
    gallery, memory = Gallery(BUNDLE, address), Gallery(BUNDLE)
    rng = np.random.default_rng(4)
    labels = [f"s{number % 3}" for number in range(301)]
    codes = rng.integers(0, 256, (301, BUNDLE.dim), np.uint8)
    for one in (gallery, memory):
        one.add_blocks(iter([block(labels, codes)]))
    for query in clustered(5):
        assert gallery.snapshot().nearest(query, 3) == memory.snapshot().nearest(query, 3)
    gallery.close()


def test_a_large_class_does_not_crowd_out_the_others(server) -> None:
    """More supports of one class lie around the query than a search asks for at first."""
    codes = clustered(400)
    codes[:300] = codes[0]
    labels = ["crowd"] * 300 + [f"s{number % 50}" for number in range(100)]
    memory = Gallery(BUNDLE)
    memory.add_blocks(iter([block(labels, codes)]))
    address = server.address()
    for search in SEARCHES[1:]:
        gallery = Gallery(BUNDLE, address + search)
        if not len(gallery):
            gallery.add_blocks(iter([block(labels, codes)]))
        for count in (1, 5, 51, 99):
            assert gallery.snapshot().nearest(codes[0], count) == memory.snapshot().nearest(codes[0], count)
        gallery.close()


def test_filters_by_site_and_by_classes(server, drawings) -> None:
    address = server.address("&oneshot_search=exact")
    with OneShotMatcher.load(gallery=address, precision="fp32", threads=1, far=None) as matcher:
        for number, drawing in enumerate(drawings[0]):
            matcher.enroll(f"s{number}", drawing, metadata={"site": ("haifa", "jaffa")[number % 2], "shelf": {"row": number}})
        query = drawings[1][3]
        everywhere = matcher.match(query, 12)
        assert len(everywhere.candidates) == 12
        haifa = matcher.match(query, 12, where=Where({"site": "haifa"}))
        assert [c for c in everywhere.candidates if int(c.label[1:]) % 2 == 0] == list(haifa.candidates)
        some = Where({"site": "jaffa"}, {"s1", "s2", "s3"})
        assert {c.label for c in matcher.match(query, 12, where=some).candidates} == {"s1", "s3"}
        assert matcher.match_batch([query], where=Where(labels=["s4"]))[0].candidates[0].label == "s4"
        assert matcher.match(query, where=Where({"shelf": {"row": 5}})).candidates[0].label == "s5"
        assert matcher.match(query, where=Where({"site": "nowhere"})).candidates == ()
        assert matcher.match(query, where=Where(labels=[])).candidates == ()
        assert matcher.match(query, where=Where(labels=["s\x00", "\ud800"])).candidates == ()
        assert matcher.match(query, 12, where=Where({})).candidates == everywhere.candidates
        matcher.enroll("late", drawings[0][3], metadata={"site": "haifa"})
        assert "late" in {c.label for c in matcher.match(query, 12, where=Where({"site": "haifa"})).candidates}


def test_a_filter_asks_for_the_classes_of_its_own_threshold(server, drawings) -> None:
    address = server.address("&oneshot_search=exact")
    with OneShotMatcher.load(gallery=address, precision="fp32", threads=1, far=0.01) as matcher:
        for number, drawing in enumerate(drawings[0]):
            matcher.enroll(f"s{number}", drawing)
        alone = OneShotMatcher.load(precision="fp32", threads=1, far=0.01)
        alone.enroll("s2", drawings[0][2])
        assert matcher.match(drawings[1][2], where=Where(labels={"s2"})) == alone.match(drawings[1][2])


def test_codes_of_odd_metadata_can_be_filtered(server) -> None:
    address = server.address("&oneshot_search=exact")
    gallery = Gallery(BUNDLE, address)
    codes = clustered(3)
    metadata = [{"by": "x\x00y"}, {"by": "\ud800", "n": 1}, {"by": "😀", "n": 1.0}]
    gallery.add_blocks(iter([block(["a", "b", "c"], codes, metadata)]))

    def found(wanted: dict) -> list[str]:
        return sorted(n.label for n in gallery.snapshot(Where(wanted)).nearest(codes[0], 9))

    assert found({"by": "x\x00y"}) == ["a"]
    assert found({"by": "😀"}) == ["c"]
    assert found({"n": 1}) == ["b", "c"]
    gallery.close()


def test_hnsw_finds_nearly_all_of_the_nearest_by_its_index(server) -> None:
    address = server.address()
    count = 4000
    store = PostgresStore(address, BUNDLE.fingerprint, BUNDLE.dim)
    store.add(iter([block([f"s{number}" for number in range(count)], clustered(count))]))
    store.close()
    build_index(address)
    by_index = "&oneshot_search=hnsw&options=-c%20enable_seqscan%3Doff"  # a table of this size is soon read
    exact, near = (Gallery(BUNDLE, address + search) for search in ("&oneshot_search=exact", by_index))
    hits = 0
    for query in clustered(20, seed=1):
        expected, found = exact.snapshot().nearest(query, 5), near.snapshot().nearest(query, 5)
        hits += len({n.label for n in expected} & {n.label for n in found})
        distances = {n.label: n.distance for n in exact.snapshot().nearest(query, 200)}
        assert all(distances.get(n.label, n.distance) == n.distance for n in found)
    assert hits >= 95
    few = near.snapshot(Where(labels=["s7", "s9"])).nearest(clustered(1)[0], 5)
    assert sorted(n.label for n in few) == ["s7", "s9"]
    exact.close()
    near.close()
    options = Options.of(address + by_index)
    with Connector(options).connect() as connection:
        point = str(clustered(1)[0].tolist())

        def plan(order: str) -> str:
            text = f"EXPLAIN SELECT label FROM supports WHERE 0 + id <= {count} ORDER BY {order} LIMIT 5"
            return str(connection.execute(text).fetchall())

        assert "supports_by_point" in plan(f"point <+> '{point}'::vector")
        assert "supports_by_point" not in plan(f"0 + (point <+> '{point}'::vector), id")


def test_how_many_are_asked_for_changes_no_order(server) -> None:
    """Three supports of each of 800 classes, by the index and exactly."""
    address = server.address()
    store = PostgresStore(address, BUNDLE.fingerprint, BUNDLE.dim)
    store.add(iter([block([f"s{number % 800}" for number in range(2400)], clustered(2400))]))
    store.close()
    build_index(address)
    for search in ("&oneshot_search=exact", "&oneshot_search=hnsw&options=-c%20enable_seqscan%3Doff"):
        with contextlib.closing(Gallery(BUNDLE, address + search)) as gallery:
            for query in clustered(12, seed=2):
                most = [(n.label, n.class_distance) for n in gallery.snapshot().nearest(query, 20)]
                for count in (1, 2, 5, 6):
                    found = [(n.label, n.class_distance) for n in gallery.snapshot().nearest(query, count)]
                    assert found == most[:count], (search, count)


def test_the_index_is_built_at_once_for_a_small_gallery_only(server, monkeypatch) -> None:
    address = server.address()
    gallery = Gallery(BUNDLE, address)
    gallery.add_blocks(iter([block(["a", "b", "c"], clustered(3))]))
    gallery.close()
    monkeypatch.setattr(schema, "_BUILT_AT_ONCE", 2)
    with pytest.raises(GalleryError, match=r"3 supports and no HNSW index.*gallery index"):
        Gallery(BUNDLE, address + "&oneshot_search=hnsw")
    build_index(address)
    build_index(address)  # again changes nothing
    Gallery(BUNDLE, address + "&oneshot_search=hnsw").close()
    with pytest.raises(GalleryError, match="does not exist"):
        build_index(server.address())


def test_codes_with_too_many_dimensions_are_searched_exactly(server) -> None:
    """As those of the koch preset."""
    dim = 4096
    address = server.address()
    store = PostgresStore(address + "&oneshot_search=exact", "f" * 16, dim)
    codes = np.random.default_rng(0).integers(0, 256, (20, dim), np.uint8)
    store.add(iter([block([f"s{number}" for number in range(20)], codes)]))
    assert store.engine is not None
    found = store.engine.snapshot.nearest(codes[3], 2)
    assert (found[0].label, found[0].distance) == ("s3", 0)
    assert found[1].distance == np.sort(np.abs(codes.astype(int) - codes[3]).sum(axis=1))[1]
    store.close()
    for call in (lambda: PostgresStore(address + "&oneshot_search=hnsw", "f" * 16, dim), lambda: build_index(address)):
        with pytest.raises(OptionError, match="4096 dimensions, and pgvector's HNSW takes 2000 at most"):
            call()


@pytest.fixture
def pictures(tmp_path, drawings):
    for number in range(3):
        Image.fromarray(drawings[0][number]).save(tmp_path / f"{number}.png")
    return [str(tmp_path / f"{number}.png") for number in range(3)]


def run(capsys, *arguments: str, code: int = 0) -> dict:
    assert main([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_the_commands_take_such_an_address(server, pictures, capsys, tmp_path) -> None:
    address = server.address().replace("//postgres:@", "//postgres:s3cret@")  # trusted, whatever the password
    options = ("--gallery", address)
    refused = run(capsys, "list", *options, code=1)
    assert "does not exist; `oneshot enroll LABEL IMAGE` creates it" in refused["message"]
    for number, picture in enumerate(pictures):
        enrolled = run(capsys, "enroll", f"s{number}", picture, *options)
    assert enrolled["classes"] == 3
    assert run(capsys, "match", pictures[1], *options, "--far", "none")["matches"][0]["label"] == "s1"
    assert len(run(capsys, "list", *options)["classes"]) == 3
    run(capsys, "gallery", "rename", "s0", "t0", *options)
    run(capsys, "remove", "s2", *options)
    checked = run(capsys, "gallery", "check", *options)
    assert (checked["ok"], checked["supports"]) == (True, 2)
    assert run(capsys, "gallery", "index", *options)["index"] == "hnsw"
    assert run(capsys, "gallery", "export", str(tmp_path / "out.npz"), *options)["supports"] == 2
    assert run(capsys, "gallery", "export", str(tmp_path / "out"), *options)["supports"] == 2
    other = server.address()
    assert run(capsys, "gallery", "import", str(tmp_path / "out.npz"), "--gallery", other)["added"] == 2
    assert [c["label"] for c in run(capsys, "list", "--gallery", other)["classes"]] == ["s1", "t0"]
    for command in (("gallery", "migrate"), ("gallery", "check", "--repair")):
        assert "is for gallery files" in run(capsys, *command, *options, code=2)["message"]
    assert main(["list", *options]) == 0
    assert main(["list", "--gallery", "postgresql://me:s3cret@127.0.0.1:1/x"]) == 1
    captured = capsys.readouterr()
    assert "s3cret" not in captured.out + captured.err + json.dumps([refused, enrolled, checked])


def test_the_server_answers_over_such_a_gallery(server, drawings, tmp_path) -> None:
    testing = pytest.importorskip("fastapi.testclient")
    from oneshot_runtime.server import create_app

    address = server.address("&oneshot_timeout=1")
    Image.fromarray(drawings[0][0]).save(tmp_path / "a.png")
    picture = (tmp_path / "a.png").read_bytes()
    with OneShotMatcher.load(gallery=address, precision="fp32", threads=1, far=None) as matcher:
        client = testing.TestClient(create_app(matcher, gallery=address), base_url="http://127.0.0.1")
        headers = {"content-type": "image/png"}
        assert client.post("/v1/classes/a/supports", content=picture, headers=headers).status_code in (200, 201)
        assert client.get("/v1/gallery/export").status_code == 200
        server.kill()
        try:
            answer = client.get("/v1/health")
        finally:
            server.start()
    assert answer.status_code == 503
    assert "postgresql" not in answer.text
    assert "/oneshot-pg" not in answer.text


def test_a_process_that_forgets_to_close_ends_quietly(server) -> None:
    code = (
        "import sys; from oneshot_runtime import OneShotMatcher\n"
        "matcher = OneShotMatcher.load(gallery=sys.argv[1], precision='fp32'); print(matcher.labels)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, server.address()], capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stdout, result.stderr) == (0, "[]\n", "")

"""What a server, a network and other processes can do to an open gallery."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("oneshot_runtime.stores.postgres", reason="needs the extra postgres", exc_type=ImportError)

import psycopg

from oneshot_runtime import DamageError, GalleryError, OneShotMatcher, OptionError
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.base import Block
from oneshot_runtime.stores.postgres import PostgresReader, PostgresStore, check_gallery, faults, gallery_exists
from oneshot_runtime.stores.postgres import postgres_schema as schema
from oneshot_runtime.vision.grey_png import thumbnail

BUNDLE = Bundle.open()
OPEN = (
    "import sys, numpy as np\nfrom oneshot_runtime.model.bundle import Bundle\nfrom oneshot_runtime.gallery import Gallery\n"
    "bundle = Bundle.open(); gallery = Gallery(bundle, sys.argv[1])\n"
    "def rows(n, seed=0): return np.random.default_rng(seed).random((n, bundle.dim), np.float32)\n"
)


def embeddings(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, BUNDLE.dim), np.float32)


def blocks(label: str, count: int, size: int) -> Iterator[Block]:
    rng = np.random.default_rng(1)
    for _ in range(count):
        codes = rng.integers(0, 256, (size, BUNDLE.dim), np.uint8)
        yield Block([label] * size, codes, [None] * size, [None] * size)


def child(script: str, address: str, *arguments: str) -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", OPEN + script, address, *arguments], **pipes)


def test_an_open_matcher_outlives_a_restart_of_the_server(server, drawings) -> None:
    address = server.address()
    with OneShotMatcher.load(gallery=address, precision="fp32", threads=1, far=None) as matcher:
        for number, drawing in enumerate(drawings[0]):
            matcher.enroll(f"s{number}", drawing)
        expected = [matcher.match(drawing) for drawing in drawings[1]]
        server.kill()
        server.start()
        assert [matcher.match(drawing) for drawing in drawings[1]] == expected
        server.kill()
        server.start()
        matcher.enroll("after", drawings[1][0])  # a write is the first to meet the cut connections
        assert matcher.labels == [*(f"s{number}" for number in range(12)), "after"]
        searching = Gallery(BUNDLE, address + "&oneshot_search=exact")
        server.kill()
        server.start()
        assert searching.labels == matcher.labels
        searching.close()
    assert check_gallery(address).ok


def test_a_server_that_stays_away_is_an_error_and_then_it_goes_on(server) -> None:
    address = server.address("&oneshot_timeout=1")
    gallery = Gallery(BUNDLE, address)
    gallery.extend(["a"], embeddings(1))
    server.kill()
    try:
        for call in (lambda: gallery.labels, lambda: gallery.extend(["b"], embeddings(1)), lambda: gallery.supports("a")):
            start = time.monotonic()
            with pytest.raises(GalleryError, match="check that the server runs"):
                call()
            assert time.monotonic() - start < 10
        with pytest.raises(GalleryError, match="check that the server runs"):
            Gallery(BUNDLE, address)
    finally:
        server.start()
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        with contextlib.suppress(GalleryError):
            gallery.extend(["c"], embeddings(1))
            break
    assert gallery.labels == ["a", "c"]
    gallery.close()


def test_a_server_that_dies_in_the_middle_of_a_write_keeps_none_of_it(server) -> None:
    address = server.address()
    gallery = Gallery(BUNDLE, address)
    gallery.extend(["a"], embeddings(1))

    def dying() -> Iterator[Block]:
        yield from blocks("half", 2, 500)
        server.kill()
        server.start()
        yield from blocks("half", 1, 500)

    with pytest.raises(GalleryError, match="cannot be used"):
        gallery.add_blocks(dying())
    assert gallery.labels == ["a"]
    gallery.extend(["b"], embeddings(1))
    assert gallery.labels == ["a", "b"]
    gallery.close()
    health = check_gallery(address, BUNDLE.fingerprint)
    assert (health.problems, health.supports) == ([], 2)


class _Proxy:
    """Passes bytes between a client and the server, and cuts the connection at the server's answer to the first COMMIT."""

    def __init__(self, server_socket: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        Path(self.folder.name).chmod(0o755)
        self._target = server_socket
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self.folder.name}/.s.PGSQL.5432")
        self._listener.listen()
        self._ends: list[socket.socket] = [self._listener]
        self.armed = False
        self.cut = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                upstream = socket.socket(socket.AF_UNIX)
                self._ends += [client, upstream]
                upstream.connect(self._target)
                for pair in ((client, upstream, False), (upstream, client, True)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if answers and self.armed and b"COMMIT\x00" in data:
                    self.armed = False
                    self.cut += 1
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.folder.cleanup()


def test_a_commit_whose_answer_is_lost_is_looked_up(server) -> None:
    direct = server.address()
    place = direct.partition("host=")[2].partition("&")[0]
    proxy = _Proxy(f"{place}/.s.PGSQL.5432")
    gallery = Gallery(BUNDLE, direct.replace(place, proxy.folder.name))
    proxy.armed = True
    gallery.extend(["a"], embeddings(1))  # returns, for it was committed
    assert proxy.cut == 1
    assert gallery.labels == ["a"]
    gallery.close()
    proxy.close()
    other = Gallery(BUNDLE, direct)
    assert other.labels == ["a"]
    other.close()


def test_a_second_process_matches_an_enrollment_at_once(server) -> None:
    address = server.address()
    gallery = Gallery(BUNDLE, address)
    script = (
        "for line in sys.stdin:\n"
        "    if not line.strip(): break\n"
        "    label, seed = line.split(); gallery.extend([label], rows(1, int(seed))); print(label, flush=True)\n"
        "gallery.close()\n"
    )
    process = child(script, address)
    for number in range(20):
        process.stdin.write(f"s{number} {number}\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"s{number}\n"
        view = gallery.snapshot()
        assert view.classes == number + 1
        assert view.nearest(gallery.codes(f"s{number}")[0], 1)[0].label == f"s{number}"
    out, err = process.communicate("\n", timeout=30)
    assert (process.returncode, out, err) == (0, "", "")
    gallery.close()


def test_a_writer_that_is_killed_leaves_whole_writes_and_its_lock(server) -> None:
    address = server.address()
    script = "for i in range(10_000):\n    gallery.extend([f's{i}'] * 3, rows(3, i)); print(i, flush=True)\n"
    process = child(script, address)
    for line in process.stdout:
        if int(line) == 25:
            process.send_signal(signal.SIGKILL)
            break
    rest = process.stdout.read().split()
    process.communicate()
    acknowledged = max([25, *map(int, rest)])
    gallery = Gallery(BUNDLE, address)
    gallery.extend(["after"], embeddings(1))
    labels = gallery.labels
    assert labels[: acknowledged + 1] == [f"s{index}" for index in range(acknowledged + 1)]
    assert {gallery.count(label) for label in labels[:-1]} == {3}
    gallery.close()
    assert check_gallery(address).ok


def test_a_writer_that_is_killed_inside_a_load_leaves_nothing_of_it(server) -> None:
    address = server.address()
    Gallery(BUNDLE, address).close()
    script = (
        "from oneshot_runtime.stores.base import Block\n"
        "def blocks():\n"
        "    for i in range(100):\n"
        "        codes = np.zeros((200, bundle.dim), np.uint8)\n"
        "        yield Block(['half'] * 200, codes, [None] * 200, [None] * 200); print(i, flush=True)\n"
        "gallery.add_blocks(blocks())\n"
    )
    process = child(script, address)
    for line in process.stdout:
        if int(line) == 5:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    gallery = Gallery(BUNDLE, address)
    gallery.extend(["after"], embeddings(1))
    assert gallery.labels == ["after"]
    gallery.close()
    assert check_gallery(address).ok


def test_a_server_that_reports_a_full_disk_changes_nothing(server, schema_of) -> None:
    address = server.address()
    with _one_support(address) as gallery:
        name = schema_of(address)
        server.execute(
            f"CREATE FUNCTION {name}.full() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END$$",
            f"CREATE TRIGGER full_disk BEFORE INSERT ON {name}.supports FOR EACH STATEMENT EXECUTE FUNCTION {name}.full()",
        )
        _refuses_many(gallery)
        server.execute(f"DROP TRIGGER full_disk ON {name}.supports")


def test_a_disk_that_is_full_changes_nothing(server, schema_of) -> None:
    address = server.address()
    with _one_support(address) as gallery, _small_disk(server) as tablespace:
        server.execute(f"ALTER TABLE {schema_of(address)}.supports SET TABLESPACE {tablespace}")
        _refuses_many(gallery)
        server.execute(f"ALTER TABLE {schema_of(address)}.supports SET TABLESPACE pg_default")


@contextlib.contextmanager
def _one_support(address: str) -> Iterator[Gallery]:
    """A gallery of one support, to be troubled; afterwards it must take another, and be in order."""
    gallery = Gallery(BUNDLE, address)
    gallery.extend(["a"], embeddings(1))
    yield gallery
    gallery.extend(["c"], embeddings(1))
    assert gallery.labels == ["a", "c"]
    gallery.close()
    assert check_gallery(address).ok


def _refuses_many(gallery: Gallery) -> None:
    with pytest.raises(GalleryError, match=r"No space left on device.*nothing was changed: make room"):
        gallery.add_blocks(blocks("b", 30, 500))
    assert gallery.labels == ["a"]


@contextlib.contextmanager
def _small_disk(server) -> Iterator[str]:
    """A tablespace on a file system of 8 MB."""
    folder = tempfile.mkdtemp(prefix="oneshot-small-")
    Path(folder).chmod(0o777)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0777", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        Path(folder).rmdir()
        pytest.skip("this user may not mount a small disk")
    try:
        import pwd

        place = Path(folder) / "space"
        place.mkdir()
        os.chown(place, pwd.getpwnam("pgserver").pw_uid, -1)
        server.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        yield "small"
        server.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        Path(folder).rmdir()


def test_a_server_that_is_not_there_and_no_password_in_the_words() -> None:
    address = "postgresql://me:s3cret@127.0.0.1:1/letters?password=s3cret"
    for call in (lambda: Gallery(BUNDLE, address), lambda: gallery_exists(address)):
        with pytest.raises(GalleryError, match=r"'postgresql://me@127.0.0.1:1/letters' cannot be used: .*refused") as error:
            call()
        assert "s3cret" not in str(error.value)
    for broken in (
        "postgresql://me:s3cret@[::1/x",
        "postgresql://me:x@s3cret@h/x",
        "postgresql://me:x/s3cret@h/x",
        "postgresql://h/x?s3cret=1",
    ):
        with pytest.raises(GalleryError, match="no address that libpq reads") as error:
            Gallery(BUNDLE, broken)
        assert "s3cret" not in f"{error.value} {error.value.__cause__}"


def test_a_database_and_a_user_that_are_not_there(server) -> None:
    with pytest.raises(GalleryError, match=r"nowhere.*createdb"):
        Gallery(BUNDLE, server.uri.replace("/postgres?", "/nowhere?"))
    with pytest.raises(GalleryError, match="nobody"):
        Gallery(BUNDLE, server.uri.replace("//postgres:@", "//nobody@"))


@pytest.mark.parametrize(
    ("parameter", "named"),
    [
        ("oneshot_search=fuzzy", "memory, exact, hnsw"),
        ("oneshot_schema=A;B", "small letters"),
        ("oneshot_ef=0", "from 1 to 1000"),
        ("oneshot_pool=many", "from 2 to 1000"),
        ("oneshot_sarch=hnsw", "oneshot_sarch is unknown; there are oneshot_schema"),
    ],
)
def test_parameters_that_mean_nothing(parameter, named) -> None:
    with pytest.raises(OptionError, match=named):
        Gallery(BUNDLE, f"postgresql://localhost/letters?{parameter}")


def test_a_newer_schema_another_programs_and_an_older_one(server, schema_of, monkeypatch) -> None:
    address = server.address()
    gallery = Gallery(BUNDLE, address)
    gallery.extend(["a"], embeddings(1))
    gallery.close()
    name = schema_of(address)
    server.execute(f"UPDATE {name}.oneshot_version SET version = 99")
    with pytest.raises(GalleryError, match="schema version 99, this runtime reads 2"):
        Gallery(BUNDLE, address)
    server.execute(f"UPDATE {name}.oneshot_version SET version = 2")
    step = lambda dim: [f"ALTER TABLE supports ADD COLUMN added_later integer DEFAULT {dim}"]  # noqa: E731
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
    gallery = Gallery(BUNDLE, address)
    assert gallery.labels == ["a"]
    gallery.close()
    found = server.execute(f"SELECT version, added_later FROM {name}.oneshot_version, {name}.supports")
    assert found == [(3, BUNDLE.dim)]
    broken = lambda dim: ["ALTER TABLE classes ADD COLUMN half integer", "ALTER TABLE nonsense ADD COLUMN x integer"]  # noqa: E731
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
    with pytest.raises(GalleryError, match="nonsense"):
        Gallery(BUNDLE, address)
    assert server.execute(f"SELECT version FROM {name}.oneshot_version") == [(3,)]
    assert server.execute(f"SELECT * FROM {name}.classes") == [("a", 1, 1)]

    other = server.address()
    server.execute(f"CREATE SCHEMA {schema_of(other)}", f"CREATE TABLE {schema_of(other)}.songs (name text)")
    with pytest.raises(GalleryError, match="another program's tables"):
        Gallery(BUNDLE, other)


def test_pgvector_that_is_missing_too_old_or_may_not_be_made(server) -> None:
    def uri(database: str) -> str:
        return server.uri.replace("/postgres?", f"/{database}?")

    server.execute("CREATE DATABASE without", "ALTER DATABASE without SET extension_control_path = '/nowhere'")
    with pytest.raises(GalleryError, match="the server has no pgvector; install it"):
        Gallery(BUNDLE, uri("without"))
    server.execute("CREATE DATABASE old")
    server.execute("CREATE EXTENSION vector", "UPDATE pg_extension SET extversion = '0.6.2'", uri=uri("old"))
    with pytest.raises(GalleryError, match="pgvector 0.6.2, 0.8 is needed"):
        Gallery(BUNDLE, uri("old"))
    server.execute("CREATE DATABASE apart", "CREATE ROLE reader LOGIN")
    with pytest.raises(GalleryError, match="CREATE EXTENSION vector"):
        Gallery(BUNDLE, uri("apart").replace("//postgres:@", "//reader@"))
    server.execute("CREATE SCHEMA extensions", "CREATE EXTENSION vector SCHEMA extensions", uri=uri("apart"))
    gallery = Gallery(BUNDLE, uri("apart") + "&oneshot_search=exact")  # not on anybody's search path
    gallery.extend(["a"], embeddings(1))
    assert gallery.snapshot().nearest(gallery.codes("a")[0], 1)[0].label == "a"
    gallery.close()
    server.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(GalleryError, match="LATIN1"):
        Gallery(BUNDLE, uri("latin"))


def test_an_old_server_is_refused(server, monkeypatch) -> None:
    monkeypatch.setattr(schema, "_MIN_SERVER", 99)
    with pytest.raises(GalleryError, match="PostgreSQL 18, version 99 is the oldest"):
        Gallery(BUNDLE, server.address())


def test_who_may_only_read_can_match(server, schema_of) -> None:
    address = server.address()
    gallery = Gallery(BUNDLE, address)
    gallery.extend(["a"], embeddings(1))
    name = schema_of(address)
    server.execute(
        "CREATE ROLE onlooker LOGIN",
        f"GRANT USAGE ON SCHEMA {name} TO onlooker",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO onlooker",
    )
    reading = Gallery(BUNDLE, address.replace("//postgres:@", "//onlooker@"))
    assert reading.labels == ["a"]
    with pytest.raises(GalleryError, match=r"permission denied.*SELECT, INSERT, UPDATE, DELETE"):
        reading.extend(["b"], embeddings(1))
    gallery.extend(["c"], embeddings(1))
    assert reading.labels == ["a", "c"]
    reading.close()
    gallery.close()


def test_a_lock_held_for_long_is_reported(server, schema_of, monkeypatch) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 1)
    address = server.address()
    gallery = Gallery(BUNDLE, address)
    started, end = threading.Event(), threading.Event()

    def slow() -> Iterator[Block]:
        started.set()
        end.wait(30)
        yield from blocks("slow", 1, 1)

    other = PostgresStore(address, BUNDLE.fingerprint, BUNDLE.dim)
    thread = threading.Thread(target=lambda: other.add(slow()))
    thread.start()
    assert started.wait(30)
    with pytest.raises(GalleryError, match="another process has been writing"):
        gallery.extend(["b"], embeddings(1))
    assert gallery.labels == []  # reading waits for nobody
    end.set()
    thread.join()
    gallery.extend(["b"], embeddings(1))
    assert gallery.labels == ["slow", "b"]
    gallery.close()
    other.close()


def test_a_gallery_that_is_dropped_replaced_or_set_back(server, schema_of) -> None:
    address = server.address()
    name = schema_of(address)
    gallery = Gallery(BUNDLE, address)
    gallery.extend(["a"], embeddings(1))
    before = server.execute(f"SELECT state, checksum FROM {name}.state")[0]
    gallery.extend(["b"], embeddings(1))
    assert gallery.labels == ["a", "b"]
    server.execute(f"UPDATE {name}.state SET state = '{before[0]}', checksum = '{before[1]}'")
    with pytest.raises(GalleryError, match="went back from write 2 to write 1"):
        _ = gallery.labels
    server.execute(f"DROP SCHEMA {name} CASCADE")
    with pytest.raises(GalleryError, match="its tables were removed"):
        _ = gallery.labels
    Gallery(BUNDLE, address).close()
    for call in (lambda: gallery.labels, lambda: gallery.extend(["c"], embeddings(1))):
        with pytest.raises(GalleryError, match="replaced by another"):
            call()
    gallery.close()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE {0}.supports SET code = set_byte(code, 0, get_byte(code, 0) # 1) WHERE id = 2", "support 2 of 'b' is damaged"),
        ("DELETE FROM {0}.supports WHERE id = 2", "holds 1 supports, but not the 2"),
        ("UPDATE {0}.state SET checksum = 'x'", "state does not match its checksum"),
    ],
)
def test_what_another_tool_changed_is_found(server, schema_of, statement, named) -> None:
    address = server.address()
    gallery = Gallery(BUNDLE, address)
    gallery.extend(["a", "b"], embeddings(2))
    gallery.close()
    server.execute(statement.format(schema_of(address)))
    with pytest.raises(GalleryError, match=named):
        Gallery(BUNDLE, address)


def test_a_check_compares_vectors_and_classes_too(server, schema_of) -> None:
    address = server.address()
    gallery = Gallery(BUNDLE, address)
    gallery.extend(["a", "b"], embeddings(2))
    gallery.close()
    assert check_gallery(address, BUNDLE.fingerprint).problems == []
    assert check_gallery(address, "other").problems[0].endswith("the loaded model is other")
    name = schema_of(address)
    server.execute(f"UPDATE {name}.supports SET point = array_fill(0, ARRAY[{BUNDLE.dim}])::vector WHERE id = 2")
    server.execute(f"UPDATE {name}.classes SET supports = 7 WHERE label = 'a'")
    problems = check_gallery(address).problems
    assert ["classes" in problem for problem in problems] == [True, False]
    assert "the first of support 2" in problems[1]


@pytest.mark.parametrize(("table", "cut"), [("supports", True), ("supports", False), ("classes", True), ("classes", False)])
def test_a_check_that_the_server_does_not_answer_finds_no_damage(server, schema_of, monkeypatch, table, cut) -> None:
    """While another session locks the table that it comes to: its connection is cut there, or it waits in vain."""
    address = server.address()
    gallery = Gallery(BUNDLE, address)
    gallery.extend(["a", "b"], embeddings(2))
    gallery.close()
    name = schema_of(address)
    waiting = f"SELECT pid FROM pg_locks WHERE relation = '{name}.{table}'::regclass AND NOT granted"
    cutter = threading.Thread(target=lambda: _cut(server, waiting))
    if not cut:
        monkeypatch.setattr(schema, "BUSY_SECONDS", 1)
    with psycopg.connect(server.uri) as other:
        other.execute(f"LOCK TABLE {name}.{table} IN ACCESS EXCLUSIVE MODE")
        if cut:
            cutter.start()
        with pytest.raises(GalleryError, match="check that the server runs" if cut else "another process has been writing"):
            check_gallery(address)
    if cut:
        cutter.join()
    assert check_gallery(address).ok


def _cut(server, waiting: str) -> None:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up and not server.execute(f"SELECT pg_terminate_backend(pid) FROM ({waiting}) AS w"):
        time.sleep(0.02)


def test_a_check_of_tables_without_a_column_is_an_error_of_the_gallery(server, schema_of) -> None:
    address = server.address()
    gallery = Gallery(BUNDLE, address)
    gallery.extend(["a"], embeddings(1))
    gallery.close()
    server.execute(f"ALTER TABLE {schema_of(address)}.supports DROP COLUMN point CASCADE")
    with pytest.raises(GalleryError, match="point"):
        check_gallery(address)


@pytest.mark.parametrize("error", [psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted])
def test_pages_that_the_server_finds_damaged_are_damage(error) -> None:
    with pytest.raises(DamageError, match="invalid page"), faults.gallery_errors("postgresql://somewhere"):
        raise error("invalid page in block 7")
    with pytest.raises(GalleryError) as found, faults.gallery_errors("postgresql://somewhere"):
        raise psycopg.OperationalError("server closed the connection unexpectedly")
    assert not isinstance(found.value, DamageError)


def test_a_block_holds_few_bytes_however_large_thumbnails_are(server) -> None:
    address = server.address()
    picture = thumbnail(np.zeros((8, 8), np.uint8))
    pictures = [picture + bytes([number]) * (1_000_000 - len(picture)) for number in range(48)]
    texts = [{"note": "x" * 60_000} if number % 2 else None for number in range(48)]
    gallery = Gallery(BUNDLE, address)
    gallery.extend([f"s{number}" for number in range(48)], embeddings(48), pictures, texts)
    gallery.extend(["last"], embeddings(1))
    gallery.close()
    with PostgresReader(address) as reader:
        blocks = [[(row.label, row.thumbnail) for row in rows] for rows in reader.rows()]
    expected = [*((f"s{number}", kept) for number, kept in enumerate(pictures)), ("last", None)]
    assert [row for rows in blocks for row in rows] == expected
    assert max(sum(len(kept or b"") for _, kept in rows) for rows in blocks) < 35_000_000


def test_a_forked_process_is_told_to_open_the_gallery_again(server) -> None:
    script = (
        "import os\n"
        "if os.fork():\n    os.wait()\n"
        "else:\n    try: gallery.extend(['a'], rows(1))\n    except Exception as error: print(error, flush=True)\n"
        "    os._exit(0)\n"
        "gallery.extend(['b'], rows(1)); print(gallery.labels); gallery.close()\n"
    )
    process = child(script, server.address())
    out, err = process.communicate(timeout=60)
    assert "after the fork" in out
    assert "['b']" in out
    assert (process.returncode, err) == (0, "")


def test_processes_that_create_the_same_gallery_at_once_all_succeed(server) -> None:
    address = server.address()
    processes = [child(f"gallery.extend(['w{number}'], rows(1)); gallery.close()\n", address) for number in range(3)]
    for process in processes:
        assert process.communicate(timeout=60)[1] == ""
    gallery = Gallery(BUNDLE, address)
    assert sorted(gallery.labels) == ["w0", "w1", "w2"]
    gallery.close()


def test_a_gallery_of_the_first_schema_is_upgraded(server, schema_of) -> None:
    """Its list of removals had no single supports."""
    address = server.address()
    gallery = Gallery(BUNDLE, address)
    gallery.extend(["a", "a", "b"], embeddings(3))
    gallery.remove("b")
    gallery.close()
    name = schema_of(address)
    server.execute(f"ALTER TABLE {name}.removals DROP COLUMN support", f"UPDATE {name}.oneshot_version SET version = 1")
    gallery, other = Gallery(BUNDLE, address), Gallery(BUNDLE, address)
    gallery.remove("a", 0)
    assert (other.labels, other.count("a")) == (["a"], 1)
    gallery.close()
    other.close()

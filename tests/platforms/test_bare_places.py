"""Where a program is carried to: an archive, a file system that can't be written, an environment without a home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import oneshot_runtime

PACKAGE = Path(oneshot_runtime.__file__).parent
resource = pytest.importorskip("resource", reason="POSIX only")


def run(*words: str, folder: Path, path: Path | None = None, writable: bool = True) -> subprocess.CompletedProcess[str]:
    """A Python without a home; with writable=False nothing can be written to any file."""

    def limit() -> None:
        if not writable:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    environment = {"PATH": os.defpath, "PYTHONPATH": str(path or PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *words], env=environment, cwd=folder, capture_output=True, text=True, timeout=120, preexec_fn=limit
    )


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """The package in a zip file that is a program, too."""
    place = tmp_path_factory.mktemp("zip") / "oneshot.pyz"
    with zipfile.ZipFile(place, "w") as file:
        for path in PACKAGE.rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                file.write(path, path.relative_to(PACKAGE.parent))
        file.writestr("__main__.py", "import sys\nfrom oneshot_runtime.cli.main import main\nsys.exit(main())\n")
    return place


def test_the_package_runs_from_a_zip_archive(archive, tmp_path) -> None:
    done = run(str(archive), "demo", "--symbols", "3", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["correct"] == 3
    assert (tmp_path / "oneshot-demo.png").exists()
    script = "import oneshot_runtime; print(oneshot_runtime.__file__); oneshot_runtime.OneShotMatcher.load(precision='int8')"
    done = run("-c", script, folder=tmp_path, path=archive)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(archive) in done.stdout


def test_the_page_says_that_it_needs_a_folder(archive, tmp_path) -> None:
    pytest.importorskip("fastapi")
    done = run(str(archive), "serve", "--port", "0", "--gallery", "letters.db", folder=tmp_path)
    assert done.returncode == 1
    assert "unpack the archive" in done.stderr
    assert "Traceback" not in done.stderr


MATCHES = """
import numpy as np
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.synthetic import draw, invent_alphabet, random_writer
rng = np.random.default_rng(1)
drawings = [draw(symbol, random_writer(rng), rng) for symbol in invent_alphabet(3, seed=1)]
matcher = OneShotMatcher.load({options})
for index, drawing in enumerate(drawings):
    matcher.enroll(f"s{{index}}", drawing)
print([matcher.match(drawing).label for drawing in drawings])
matcher.close()
"""


def test_matching_needs_no_place_to_write_to(tmp_path) -> None:
    done = run("-c", MATCHES.format(options=""), folder=tmp_path, writable=False)
    assert (done.stdout.strip(), done.stderr) == ("['s0', 's1', 's2']", "")
    assert list(tmp_path.iterdir()) == []


def test_what_must_be_written_and_cannot_be_is_named(tmp_path) -> None:
    done = run("-c", MATCHES.format(options="gallery='letters.db'"), folder=tmp_path, writable=False)
    assert "GalleryError: gallery 'letters.db' cannot be used" in done.stderr
    done = run("-m", "oneshot_runtime", "demo", "--symbols", "2", folder=tmp_path, writable=False)
    assert done.returncode == 1
    assert "oneshot-demo.png" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_gallery_that_is_there_is_matched_where_nothing_can_be_written(tmp_path) -> None:
    assert run("-c", MATCHES.format(options="gallery='letters.db'"), folder=tmp_path).returncode == 0
    before = (tmp_path / "letters.db").read_bytes()
    done = run("-m", "oneshot_runtime", "list", "--gallery", "letters.db", "--json", folder=tmp_path, writable=False)
    assert len(json.loads(done.stdout)["classes"]) == 3, done.stderr
    assert (tmp_path / "letters.db").read_bytes() == before


SERVES = """
from fastapi.testclient import TestClient
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.server import create_app
app = create_app(OneShotMatcher.load(gallery="letters.db"), gallery="letters.db")
with TestClient(app, base_url="http://127.0.0.1") as client:
    for address in ("/v1/health", "/"):
        assert client.get(address).status_code == 200, client.get(address).text
    answer = client.get("/v1/gallery/export")
    print(answer.status_code, answer.text)
"""


def test_the_server_answers_without_a_home_and_without_a_temporary_folder(tmp_path) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx")
    assert run("-c", MATCHES.format(options="gallery='letters.db'"), folder=tmp_path).returncode == 0
    done = run("-W", "ignore", "-c", SERVES, folder=tmp_path, writable=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("503 ")
    assert "TMPDIR" in done.stdout
    words = ["serve", "--port", "0", "--workers", "2", "--gallery", "letters.db"]
    done = run("-m", "oneshot_runtime", *words, folder=tmp_path, writable=False)
    assert done.returncode in (1, 2)
    assert "TMPDIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_messages_need_no_home_and_no_current_folder(monkeypatch, tmp_path) -> None:
    problems = pytest.importorskip("oneshot_runtime.server.problems", reason="could not import 'fastapi'")

    def missing() -> Path:
        raise RuntimeError("Could not determine home directory.")

    def gone() -> str:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "home", missing)
    monkeypatch.setattr(problems.tempfile, "gettempdir", gone)
    assert f"{tmp_path}{os.sep}" in problems.folders_of(tmp_path / "letters.db")

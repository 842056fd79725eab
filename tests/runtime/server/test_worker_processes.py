"""The recipes of docs/runtime.md and docs/server.md for servers that start several processes."""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oneshot_runtime import OneShotMatcher

EXAMPLES = Path(__file__).parents[3] / "examples"
TOOLS = {
    "gunicorn": ("-k", "asgi", "-w", "2", "-b", "127.0.0.1:{port}", "--no-control-socket", "workers:application()"),
    "uvicorn": ("--factory", "--workers", "2", "--port", "{port}", "workers:application"),
}


def upright() -> bytes:
    page = np.full((60, 60), 255, np.uint8)
    page[10:50, 28:32] = 0
    file = io.BytesIO()
    Image.fromarray(page).save(file, "PNG")
    return file.getvalue()


@contextlib.contextmanager
def served(tool: str, gallery: Path) -> Iterator[int]:
    """A server of two processes; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = [option.format(port=port) for option in TOOLS[tool]]
    paths = os.pathsep.join([str(EXAMPLES), str(EXAMPLES.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "ONESHOT_GALLERY": str(gallery), "PYTHONPATH": paths}
    with subprocess.Popen(
        [sys.executable, "-m", tool, *options], env=environment, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            yield port
        finally:
            process.terminate()
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise


def asked(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, dict]:
    """Status and answer, once the server is there."""
    give_up = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except ConnectionError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX has these servers")
@pytest.mark.parametrize("tool", TOOLS)
def test_workers_of_other_servers_share_one_gallery(tmp_path, tool) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip(tool)
    if not EXAMPLES.is_dir():
        pytest.skip("not part of the wheel")
    with served(tool, tmp_path / "symbols.db") as port:
        assert asked(port, "POST", "/v1/classes/upright", upright())[0] == 201
        for _ in range(8):  # by whichever worker
            status, answer = asked(port, "POST", "/v1/match", upright())
            assert (status, answer["matches"][0]["candidates"][0]["label"]) == (200, "upright")


@functools.cache
def matcher_of(path: str) -> OneShotMatcher:
    return OneShotMatcher.load(gallery=path, precision="fp32", threads=1)


def label_of(path: str, image: bytes) -> tuple[int, str]:
    return os.getpid(), matcher_of(path).match(image).candidates[0].label


def test_joblib_matches_in_threads_and_in_processes(tmp_path) -> None:
    joblib = pytest.importorskip("joblib")
    path = str(tmp_path / "symbols.db")
    with OneShotMatcher.load(gallery=path, precision="fp32") as matcher:
        matcher.enroll("upright", upright())
        shared = joblib.Parallel(2, prefer="threads")(joblib.delayed(matcher.match)(upright()) for _ in range(8))
        assert [match.candidates[0].label for match in shared] == ["upright"] * 8
        found = joblib.Parallel(2)(joblib.delayed(label_of)(path, upright()) for _ in range(8))
    joblib.externals.loky.get_reusable_executor().shutdown()
    assert [label for _, label in found] == ["upright"] * 8
    assert os.getpid() not in {process for process, _ in found}

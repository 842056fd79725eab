from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneshot_runtime import BundleError
from oneshot_runtime.model.bundle import Bundle, checksum_of, fingerprint_of
from oneshot_runtime.vision.preprocess import PreprocessSpec

NAMES = ["manifest.json", "embedding.onnx", "head.onnx", "golden.npz"]

DIM = Bundle.open().dim


def replaced(folder: Path, name: str, data: bytes) -> Path:
    """The bundle with another file, all of its checksums made right again, as someone who means harm would."""
    (folder / name).write_bytes(data)
    path = folder / "manifest.json"
    manifest: dict[str, Any] = json.loads(path.read_text())
    manifest["sha256"][name] = hashlib.sha256(data).hexdigest()
    manifest["fingerprint"] = fingerprint_of(
        manifest["sha256"], PreprocessSpec.from_dict(manifest["preprocess"]), manifest["head"]
    )
    manifest["checksum"] = checksum_of(manifest)
    path.write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_regular_file_is_refused_at_once(altered_bundle: Callable[..., Path], name: str, kind: str) -> None:
    folder = altered_bundle()
    path = folder / name
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif not hasattr(os, "mkfifo"):
        pytest.skip("needs POSIX")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")

    def read_all() -> None:
        bundle = Bundle.open(folder)
        for part in (lambda: bundle.embedding_graph("fp32"), bundle.head_graph, bundle.golden):
            part()

    with pytest.raises(BundleError, match=name):
        read_all()


@pytest.mark.parametrize(
    ("method", "count", "words"),
    [
        (zipfile.ZIP_LZMA, 1, "neither stored nor deflated"),
        (zipfile.ZIP_BZIP2, 1, "neither stored nor deflated"),
        (zipfile.ZIP_DEFLATED, 100, "members"),
    ],
)
def test_golden_vectors_unpack_in_bounded_ways_only(altered_bundle, method, count, words) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for number in range(count):
            archive.writestr(f"{number}.npy", bytes(1000))
    with pytest.raises(BundleError, match=words):
        Bundle.open(replaced(altered_bundle(), "golden.npz", file.getvalue())).golden()


def test_golden_vectors_that_unpack_to_gigabytes_are_refused(altered_bundle) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("images.npy", "w") as member:
        for _ in range(80):
            member.write(bytes(1 << 20))
    with pytest.raises(BundleError, match="unpacks to"):
        Bundle.open(replaced(altered_bundle(), "golden.npz", file.getvalue())).golden()


class Session:
    """In place of a graph of someone else's."""

    def __init__(self, answer: Callable[[int], np.ndarray]) -> None:
        self.answer = answer

    def run(self, names: object, given: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [self.answer(len(given["images"]))]

    def get_outputs(self) -> list[Any]:
        return [type("Value", (), {"shape": ["batch", DIM]})]


def fail(count: int) -> np.ndarray:
    raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : a loop without an end")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda count: np.full((count, DIM), np.nan, np.float32), "not finite"),
        (lambda count: np.full((count, DIM), np.inf, np.float32), "not finite"),
        (lambda count: np.zeros((count + 1, DIM), np.float32), "expected"),
        (lambda count: np.zeros((count, 3), np.float32), "expected"),
        (lambda count: ["text"] * count, "expected"),
        (fail, "a loop without an end"),
    ],
)
def test_a_graph_that_fails_or_gives_no_embeddings_is_an_error_of_the_bundle(matcher, drawings, answer, words) -> None:
    first, second = drawings
    matcher.enroll("a", first[0])
    object.__setattr__(matcher._embedder, "session", Session(answer))
    calls: list[Callable[[], object]] = [
        lambda: matcher.match(second[0]),
        lambda: matcher.match_batch(second[:2]),
        lambda: matcher.verify(first[0], second[0]),
        lambda: matcher.embed(first[0]),
        lambda: matcher.enroll("b", first[1]),
    ]
    for call in calls:
        with pytest.raises(BundleError, match=words):
            call()
    assert matcher.labels == ["a"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_onnxruntime_writes_no_file_and_opens_no_socket_of_its_own(tmp_path: Path) -> None:
    """It looks up a server ten seconds after it was imported, where its telemetry is on."""
    code = """
        import os, sys, time
        end = time.monotonic() + 12
        from oneshot_runtime import OneShotMatcher
        from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
        import numpy as np
        rng = np.random.default_rng(0)
        with OneShotMatcher.load(threads=1) as matcher:
            matcher.enroll("a", draw(invent_alphabet(2, seed=1)[0], random_writer(rng), rng))
            sockets = set()
            while time.monotonic() < end:
                for name in os.listdir("/proc/self/fd"):
                    try:
                        target = os.readlink(f"/proc/self/fd/{name}")
                    except OSError:
                        continue
                    sockets |= {target} if target.startswith("socket:") else set()
                time.sleep(0.005)
        sys.exit(f"opened {sockets}" if sockets else 0)
    """
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_the_runtime_and_its_model_and_nothing_else(tmp_path) -> None:
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"oneshot_runtime"}
    model = {"embedding.onnx", "embedding.int8.onnx", "head.onnx", "golden.npz", "manifest.json"}
    assert {f"oneshot_runtime/models/edge/{name}" for name in model} <= names
    assert {"oneshot_runtime/py.typed", "oneshot_runtime/server/static/index.html"} <= names
    assert wheel.stat().st_size < 13_000_000

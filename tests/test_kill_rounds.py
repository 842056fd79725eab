from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_what_was_acknowledged_survives_kills(tmp_path) -> None:
    report = tmp_path / "kills.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.reliability.kill_rounds",
        "--rounds",
        "25",
        "--seed",
        "77",
        "--json",
        str(report),
    ]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads(report.read_text())
    assert (counts["rounds"], counts["lost"], counts["unopenable"]) == (25, 0, 0), done.stdout
    assert counts["operations"] >= 10

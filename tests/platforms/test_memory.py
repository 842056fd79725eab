"""A process that matches fits a small board: figures in docs/platforms.md."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="POSIX only")


def test_a_process_that_matches_takes_little_memory() -> None:
    """102 MB when this was written; 142 while the golden images were embedded all at once."""
    script = Path(__file__).with_name("memory_check.py")
    done = subprocess.run([sys.executable, str(script), "135"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["bare Python"] < 50

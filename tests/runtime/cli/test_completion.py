"""What a shell offers after TAB, by argcomplete's own protocol."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("argcomplete")

from oneshot_runtime import OneShotMatcher

OFFERED = {
    "oneshot ma": ["match"],
    "oneshot gallery ca": ["calibrate"],
    "oneshot match x.png --prec": ["--precision"],
    "oneshot match x.png --precision i": ["int8"],
    "oneshot remove b": ["bet"],
    "oneshot gallery rename al": ["alef", "all"],
    "oneshot remove --gallery missing.db b": [],
}

CHILDREN = """
import json, os, sys
from oneshot_runtime.cli.main import main
sys.argv[0] = "oneshot"
for number, line in enumerate(json.loads(sys.argv.pop())):
    if os.fork() == 0:
        os.environ |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_STDOUT_FILENAME": f"{number}.txt"}
        main()
    os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="shells that complete are of POSIX")
def test_commands_options_and_labels_are_completed(tmp_path: Path, drawings) -> None:
    with OneShotMatcher.load(gallery=tmp_path / "oneshot.db", precision="fp32", threads=1) as matcher:
        for label, page in zip(("alef", "bet", "all"), drawings[0], strict=False):
            matcher.enroll(label, page)
    environment = {**os.environ, "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_TYPE": "9"}
    subprocess.run(
        [sys.executable, "-c", CHILDREN, json.dumps(list(OFFERED))], env=environment, cwd=tmp_path, timeout=60, check=True
    )
    words = {line: (tmp_path / f"{number}.txt").read_text().split() for number, line in enumerate(OFFERED)}
    assert words == OFFERED
    assert not (tmp_path / "missing.db").exists()

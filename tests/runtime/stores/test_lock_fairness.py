"""Whoever waits for a gallery file gets it in time, however many others read or write without a pause."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from oneshot_runtime.stores.sqlite import process_lock

pytestmark = pytest.mark.skipif(not hasattr(process_lock.fcntl, "F_OFD_SETLK"), reason="POSIX of Linux has locks of open files")

BUSY = """
import sys, time
from pathlib import Path
from oneshot_runtime.stores.sqlite.process_lock import FileLock
lock = FileLock(Path(sys.argv[1]))
take = lock.reading if sys.argv[2] == "reads" else lock.writing
print(flush=True)
while True:
    with take(30):
        time.sleep(0.02)
"""


@pytest.mark.parametrize(("busy", "waits"), [("reads", "writing"), ("writes", "reading")])
def test_who_waits_for_the_lock_is_not_passed_over(tmp_path: Path, busy: str, waits: str) -> None:
    path = tmp_path / "gallery.db"
    path.write_bytes(b"x")
    lock = process_lock.FileLock(path)
    command = [sys.executable, "-c", BUSY, str(path), busy]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    try:
        for other in others:
            other.stdout.readline()
        for _ in range(5):
            with getattr(lock, waits)(10):
                pass
    finally:
        for other in others:
            other.kill()
            other.communicate()
        lock.close()

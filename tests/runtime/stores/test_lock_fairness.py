"""Whoever waits for a gallery file gets it in time, however many others read or write without a pause."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
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


def test_threads_that_read_by_turns_do_not_keep_their_own_process_from_writing(tmp_path: Path) -> None:
    path = tmp_path / "gallery.db"
    path.write_bytes(b"x")
    lock, done = process_lock.FileLock(path), threading.Event()

    def read_on() -> None:
        while not done.is_set():
            with lock.reading(10):
                time.sleep(0.01)
                with lock.reading(10):  # what is inside goes on, whoever waits
                    time.sleep(0.01)

    readers = [threading.Thread(target=read_on) for _ in range(8)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(10):  # each within its ten seconds: there is always one who reads
            with lock.writing(10):
                pass
    finally:
        done.set()
        for reader in readers:
            reader.join()
        lock.close()

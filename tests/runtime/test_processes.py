"""A matcher beside forks and in the processes that multiprocessing starts, as docs/runtime.md shows it."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from oneshot_runtime import OneShotMatcher

POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
SCRIPT = """
import os, signal, sys, threading, time, numpy as np
from oneshot_runtime import OneShotMatcher
matcher = OneShotMatcher.load(threads=2, precision="fp32", far=None)
page = np.full((60, 60), 255, np.uint8); page[10:50, 28:32] = 0
matcher.enroll("upright", page); matcher.enroll("level", page.T.copy())
stop = threading.Event()
def work():
    while not stop.is_set(): matcher.match(page); matcher.match_batch([page.T.copy()] * 12)
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
ends = []
for _ in range(12):
    child = os.fork()
    if not child:
        signal.alarm(20)
        right = matcher.match(page).label == "upright" and matcher.match_batch([page.T.copy()] * 9)[8].label == "level"
        os._exit(0 if right else 1)
    ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
for thread in threads: thread.join()
print(ends)
"""


@POSIX
def test_every_forked_child_answers_while_threads_match() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=200)
    assert done.stdout == f"{[0] * 12}\n", done.stderr


def page(level: bool) -> np.ndarray:
    drawn = np.full((60, 60), 255, np.uint8)
    drawn[10:50, 28:32] = 0
    return drawn.T.copy() if level else drawn


def open_in_worker(path: str) -> None:
    global matcher
    matcher = OneShotMatcher.load(gallery=path, precision="fp32", threads=1, far=None)


def label_of(level: bool) -> str | None:
    return matcher.match(page(level)).label


@pytest.mark.parametrize("method", [m for m in ("fork", "spawn", "forkserver") if m in multiprocessing.get_all_start_methods()])
def test_each_worker_opens_the_gallery_for_itself(tmp_path, method) -> None:
    path = str(tmp_path / "symbols.db")
    with OneShotMatcher.load(gallery=path, precision="fp32", far=None) as writer:
        writer.enroll("upright", page(False))
        writer.enroll("level", page(True))
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(2, mp_context=context, initializer=open_in_worker, initargs=(path,)) as pool:
            assert list(pool.map(label_of, [False, True, False, True], timeout=100)) == ["upright", "level"] * 2

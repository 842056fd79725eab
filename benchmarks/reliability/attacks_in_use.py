"""Attacks on a gallery file that is in use: openings and checks beside writers, copies in the same process, forks."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.reliability.expected_gallery import Gallery, read, small_gallery
from oneshot_runtime.errors import OneShotError
from oneshot_runtime.stores.sqlite.file_check import check_file

__all__ = ["copies_in_the_same_process", "forks", "openings_beside_writers"]


def _write_on(path: str, dim: int, number: int, stop: float, acknowledged: multiprocessing.SimpleQueue[int]) -> None:
    """A child: enrol and remove until it is time, then say how much is acknowledged."""
    gallery, rng, done = Gallery(Path(path), dim, {}), np.random.default_rng(number), 0
    store = gallery.open()
    while time.time() < stop:
        gallery.add(store, f"writer {number} {done % 40}", 1, rng, 500 * (done % 3))
        done += 1
        if done % 50 == 49:
            store.remove(f"writer {number} {done % 40}")
            gallery.content.pop(f"writer {number} {done % 40}", None)
        time.sleep(0.02)
    store.close()
    acknowledged.put(sum(map(len, gallery.content.values())))


def openings_beside_writers(folder: Path, arguments: argparse.Namespace) -> Counter[str]:
    """Open, read and check a healthy gallery while three processes write to it: nothing may be called damaged."""
    gallery = small_gallery(folder)
    counts: Counter[str] = Counter()
    queue: multiprocessing.SimpleQueue[int] = multiprocessing.get_context("fork").SimpleQueue()
    stop = time.time() + arguments.seconds
    writers = [
        multiprocessing.get_context("fork").Process(target=_write_on, args=(str(gallery.path), gallery.dim, n, stop, queue))
        for n in range(3)
    ]
    for writer in writers:
        writer.start()
    while time.time() < stop and sum(counts.values()) < arguments.openings:
        try:
            if sum(counts.values()) % 4 == 3:
                counts["as before" if check_file(gallery.path).ok else "WRONG: a check found damage"] += 1
                continue
            store = gallery.open()
            content = read(store, gallery.content)
            store.close()
            known = all(content.get(label) == rows for label, rows in gallery.content.items())
            counts["as before" if known else "WRONG answers"] += 1
        except OneShotError as error:
            counts[f"WRONG: {str(error)[-120:]}"] += 1
    for writer in writers:
        writer.join()
    store = gallery.open()
    held = sum(map(len, read(store).values()))
    store.close()
    expected = sum(queue.get() for _ in writers) + sum(map(len, gallery.content.values()))
    counts["as before" if held == expected else f"WRONG: {held} supports of {expected}"] += 1
    return counts


def copies_in_the_same_process(folder: Path, arguments: argparse.Namespace) -> Counter[str]:
    """`shutil.copy` in a thread takes the locks away: nothing acknowledged may be lost, every copy is complete or refused."""
    gallery = small_gallery(folder)
    queue: multiprocessing.SimpleQueue[tuple[dict[str, int], Counter[str]]] = multiprocessing.get_context("fork").SimpleQueue()
    stop = time.time() + arguments.seconds
    children = [
        multiprocessing.get_context("fork").Process(
            target=_write_and_copy, args=(str(gallery.path), gallery.dim, n, stop, queue)
        )
        for n in range(2)
    ]
    for child in children:
        child.start()
    counts: Counter[str] = Counter()
    expected: dict[str, int] = {label: len(rows) for label, rows in gallery.content.items()}
    for _ in children:
        written, found = queue.get()
        expected |= written
        counts += found
    for child in children:
        child.join()
    store = gallery.open()
    try:
        held = store.counts()
    except OneShotError as error:
        counts[f"refused afterwards: {str(error)[:120]}"] += 1
        return counts
    finally:
        store.close()
    lost = sum(max(0, count - held.get(label, 0)) for label, count in expected.items())
    counts[f"WRONG: {lost} acknowledged supports lost" if lost else "as before"] += 1
    return counts


def _write_and_copy(path: str, dim: int, number: int, stop: float, queue: multiprocessing.SimpleQueue[object]) -> None:
    import threading

    gallery, rng, counts = Gallery(Path(path), dim, {}), np.random.default_rng(number), Counter[str]()
    store = gallery.open()

    def copy() -> None:
        target = Path(f"{path}.copy-{number}")
        while time.time() < stop:
            shutil.copy(path, target)
            time.sleep(0.001)

    thread = threading.Thread(target=copy)
    thread.start()
    done = 0
    while time.time() < stop:
        try:
            gallery.add(store, f"copier {number} {done}", 1, rng)
            counts["as before"] += 1
        except OneShotError as error:
            counts["noticed" if "two processes at once" in str(error) else f"refused: {str(error)[-80:]}"] += 1
            gallery.content.pop(f"copier {number} {done}", None)
        done += 1
    thread.join()
    store.close()
    queue.put(({label: len(rows) for label, rows in gallery.content.items()}, counts))


def forks(folder: Path, arguments: argparse.Namespace) -> Counter[str]:
    """Fork while threads read and write: every child must get an answer or an error at once."""
    import threading

    gallery = small_gallery(folder)
    store, stop, counts = gallery.open(), threading.Event(), Counter[str]()

    def work(write: bool) -> None:
        number = 0
        while not stop.is_set():
            if write:
                store.write_note("n", str(number))
                number += 1
            else:
                store.sync(lambda changes: changes.position.supports)
                store.supports("large")

    threads = [threading.Thread(target=work, args=(number == 0,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(arguments.forks):
        child = os.fork()
        if not child:
            signal.alarm(10)
            try:
                store.supports("large")
            except OneShotError:
                os._exit(7)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        counts["refused" if status == 7 else "as before" if not status else f"WRONG: the child ended with {status}"] += 1
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    store.close()
    return counts

"""Kill a process in the middle of its writes, again and again, and count what it had acknowledged and the gallery lost.

    python -m benchmarks.reliability.kill_rounds --rounds 1000 --json kills.json

A child enrolls, removes, renames and migrates, and reports each operation over a pipe once it returned. The parent kills it at
a random moment, reads the whole gallery back with a fresh opening, and compares: everything acknowledged must be there, the one
operation that may have been under way must be there wholly or not at all, and the checksum over all rows must be right.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.measure import positive
from oneshot_runtime.errors import OneShotError
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.sqlite.file_check import check_file
from oneshot_runtime.stores.sqlite.sqlite_store import SqliteStore

Model = dict[str, int]
_FRESH_AFTER = 40
"""Rounds after which a new file is begun, so that creation is killed too."""


def operate(path: str, seed: int, model: Model, generation: int, pipe: Connection) -> None:
    """The child: random operations until it is killed; before each it says what it will do, after it that it is done."""
    rng, bundle = random.Random(seed), bundle_of(generation)
    gallery = Gallery(bundle, path)
    pipe.send("open")
    while True:
        step = rng.choices(["enroll", "remove", "rename", "migrate"], [10, 5, 2, 1])[0]
        label, new = f"s{rng.randrange(30)}", f"s{rng.randrange(30)}"
        if step in ("remove", "rename") and (label not in model or (step == "rename" and new in model)):
            continue
        count = rng.choice([1, 1, 3, 500])
        operation = (step, label, new, count)
        pipe.send(("begin", operation))
        if step == "enroll":
            gallery.extend([label] * count, np.random.default_rng(seed).random((count, bundle.dim), np.float32))
        elif step == "remove":
            gallery.remove(label)
        elif step == "rename":
            gallery.rename(label, new)
        else:
            generation += 1
            store = SqliteStore(path, bundle.fingerprint, bundle.dim)
            bundle = bundle_of(generation)
            # The embedding is left out: a kill before the transaction starts can harm nothing.
            store.recode(bundle.fingerprint, bundle.dim, lambda row: row.code[::-1])
            store.close()
            gallery.close()
            gallery = Gallery(bundle, path)
        pipe.send(("done", operation))
        model, _ = after(operation, model, 0)


def after(operation: tuple[str, str, str, int], model: Model, generation: int) -> tuple[Model, int]:
    """The labels with their supports, and the model's generation, after an operation."""
    step, label, new, count = operation
    model = dict(model)
    if step == "enroll":
        model[label] = model.get(label, 0) + count
    elif step == "remove":
        model.pop(label)
    elif step == "rename":
        model[new] = model.pop(label)
    return model, generation + (step == "migrate")


_SHIPPED = Bundle.open()


def bundle_of(generation: int) -> Bundle:
    """The shipped model under another name for each migration."""
    return replace(_SHIPPED, fingerprint=f"{_SHIPPED.fingerprint[:24]}{generation:08d}")


def play(path: Path, seed: int, model: Model, generation: int) -> tuple[list[tuple[Model, int]], int]:
    """One round: the states that the gallery may have after the kill, and the operations acknowledged."""
    context = multiprocessing.get_context("fork")
    mine, its = context.Pipe(duplex=False)
    child = context.Process(target=operate, args=(str(path), seed, model, generation, its), daemon=True)
    child.start()
    its.close()
    rng, told = random.Random(seed), []
    if rng.random() < 0.9:  # the rest is killed while it creates or opens the file
        wanted = rng.choice([0, 0, 1, 2, 5])  # operations; the first write, which makes the file, is among what is hit
        while not told or sum(message[0] == "done" for message in told) < wanted:
            told.append(mine.recv())
    time.sleep(rng.uniform(0, 0.3))
    os.kill(child.pid or 0, signal.SIGKILL)
    acknowledged, under_way = 0, None
    try:
        while True:
            message = told.pop(0) if told else mine.recv()
            if message == "open":
                continue
            kind, operation = message
            if kind == "begin":
                under_way = operation
            else:
                model, generation = after(operation, model, generation)
                acknowledged, under_way = acknowledged + 1, None
    except (EOFError, OSError):
        pass
    child.join()
    mine.close()
    possible = [(model, generation)]
    if under_way is not None:
        possible.append(after(under_way, model, generation))
    return possible, acknowledged


def read_back(path: Path, possible: list[tuple[Model, int]]) -> tuple[Model, int] | None:
    """The possible state that the file holds, None when it holds none of them. Raises when the gallery does not open."""
    if not path.exists():
        return possible[0] if not possible[0][0] else None
    for model, generation in possible:
        try:
            gallery = Gallery(bundle_of(generation), path)
        except OneShotError as error:
            if "was made with model" in str(error):
                continue
            raise
        found = {label: gallery.count(label) for label in gallery.labels}
        gallery.close()
        if found == model and check_file(path).ok:
            return model, generation
    return None


def run(rounds: int, seed: int, folder: Path) -> dict[str, int]:
    """All rounds; the counts that are reported."""
    counts = {"rounds": 0, "operations": 0, "migrations": 0, "lost": 0, "unopenable": 0}
    path, model, generation = folder / "gallery.db", {}, 0
    for number in range(rounds):
        if number % _FRESH_AFTER == 0:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            model, generation = {}, 0
        possible, acknowledged = play(path, seed + number, model, generation)
        counts["rounds"] += 1
        counts["operations"] += acknowledged
        try:
            state = read_back(path, possible)
        except OneShotError as error:
            print(f"round {number}: {error}")
            counts["unopenable"] += 1
            break
        if state is None:
            print(f"round {number}: the gallery holds none of {possible}")
            counts["lost"] += 1
            break
        counts["migrations"] += state[1] - generation
        model, generation = state
    return counts


def main(argv: list[str] | None = None) -> int:
    """Run the rounds and print the counts; the exit code is 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        counts = run(arguments.rounds, arguments.seed, Path(folder) / "rounds")
    for name, value in counts.items():
        print(f"{name:12} {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(counts))
    return 1 if counts["lost"] or counts["unopenable"] else 0


if __name__ == "__main__":
    raise SystemExit(main())

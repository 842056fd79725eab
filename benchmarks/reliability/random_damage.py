"""Damage a large gallery at random, closed, killed, and with a hot journal: refused, or every answer as before.

    python -m benchmarks.reliability.random_damage --count 100000 --jobs 2 --folder /dev/shm --json damage.json

It knows the public store alone, keeps what it expects as plain values, and has its own hot journals: a process that is killed
while it commits. Each damaged copy is opened and read (codes, pictures, metadata), a symbol is removed, another enrolled, and
the file is read again by a fresh opening. `--seed` and the number that is printed give a failing case again.
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
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure import positive
from benchmarks.reliability import expected_gallery
from oneshot_runtime import OneShotError
from oneshot_runtime.stores import Block, open_store

__all__ = ["STATES", "main", "run"]

_MODEL, _DIM = "fedcba9876543210" * 2, 64
_SECONDS = 10
_PAGE = 4096
_KINDS = ["bit"] * 8 + ["bits", "bits", "garbage", "garbage", "zeros", "cut", "grow", "swap", "move"]
Content = dict[str, list[tuple[bytes, bytes | None, int | None]]]
"""Of each label in order: code, picture, and the number in the metadata of each support."""


@dataclass(frozen=True)
class Case:
    """A gallery file with what may be in it, and the file to damage: itself, or the journal beside it."""

    file: bytes
    journal: bytes | None
    allowed: list[Content]
    damage_journal: bool = False


class Writer:
    """Writes through the public store, and keeps beside it what is there."""

    def __init__(self, path: Path, seed: int = 1) -> None:
        self.store = open_store(path, _MODEL, _DIM)
        self.content: Content = {}
        self._rng = np.random.default_rng(seed)

    def enroll(self, label: str, count: int, picture: int = 0) -> None:
        """Add supports. picture: bytes of each one's, 0 for none."""
        codes = self._rng.integers(0, 256, (count, _DIM), np.uint8)
        pictures = [self._rng.bytes(picture) if picture else None for _ in range(count)]
        numbers = [int(self._rng.integers(1000)) if picture else None for _ in range(count)]
        texts = [None if number is None else json.dumps({"n": number}) for number in numbers]
        self.store.add([Block([label] * count, codes, pictures, texts)])
        self.content.setdefault(label, []).extend(zip((code.tobytes() for code in codes), pictures, numbers, strict=True))


def _fill(path: Path, supports: int) -> Writer:
    writer = Writer(path)
    for number in range(40):
        writer.enroll(f"label {number}", supports // 40)
        if number % 4 == 0:
            writer.enroll(f"pictured {number}", 3, 2000)
    writer.enroll("gone", 5, 3000)
    writer.store.remove("gone")
    del writer.content["gone"]
    return writer


def closed(folder: Path, supports: int) -> Case:
    """A gallery that was closed."""
    path = folder / "closed.db"
    writer = _fill(path, supports)
    writer.store.close()
    return Case(path.read_bytes(), None, [writer.content])


def killed(folder: Path, supports: int) -> Case:
    """One whose writer was killed after some dozen enrollments that it had acknowledged."""
    path = folder / "killed.db"
    writer = _fill(path, supports)
    writer.store.close()
    ours, its = multiprocessing.Pipe()

    def enroll_on() -> None:
        child = Writer(path, 2)
        for number in range(24):
            child.enroll(f"last {number % 5}", 1, 0 if number % 2 else 400)
        its.send(child.content)
        time.sleep(60)

    process = multiprocessing.get_context("fork").Process(target=enroll_on)
    process.start()
    writer.content.update(ours.recv())
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    journal = Path(f"{path}-journal")
    return Case(path.read_bytes(), journal.read_bytes() if journal.exists() else None, [writer.content])


def hot(folder: Path, supports: int) -> Case:
    """One whose writer was killed while it wrote the pages of a commit: its journal has to be rolled back."""
    path = folder / "hot.db"
    writer = _fill(path, supports)
    writer.store.close()
    before, journal = path.read_bytes(), Path(f"{path}-journal")
    half = [f"label {number}" for number in range(20)]
    after = {label: rows for label, rows in writer.content.items() if label != half[0]}
    after["renamed"] = writer.content[half[0]]
    for _ in range(500):
        path.write_bytes(before)
        journal.unlink(missing_ok=True)
        process = multiprocessing.get_context("fork").Process(target=_rename, args=(path, half[0]))
        process.start()
        while process.is_alive():
            with suppress(OSError), journal.open("rb") as file:
                if any(file.read(12)[8:]):
                    break
        with suppress(ProcessLookupError):
            os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        left = journal.read_bytes() if journal.exists() else b""
        if any(left[:12]) and path.read_bytes() != before:
            return Case(path.read_bytes(), left, [writer.content, after])
    raise SystemExit("no hot journal came about")


def _rename(path: Path, label: str) -> None:
    Writer(path).store.rename(label, "renamed")


def hot_journal(folder: Path, supports: int) -> Case:
    """The same; the journal is damaged, or gone."""
    case = hot(folder, supports)
    return Case(case.file, case.journal, case.allowed, damage_journal=True)


STATES: dict[str, Callable[[Path, int], Case]] = {
    "closed": closed,
    "killed": killed,
    "hot": hot,
    "hot journal": hot_journal,
}


def damaged(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """One random damage, and what it is called."""
    kind, place = rng.choice(_KINDS), rng.randrange(len(content))
    changed = bytearray(content)
    if kind in ("bit", "bits"):
        for _ in range(1 if kind == "bit" else rng.randrange(2, 17)):
            changed[place] ^= 1 << rng.randrange(8)
            place = rng.randrange(len(content))
    elif kind in ("garbage", "zeros"):
        length = min(rng.choice([1, 2, 8, 100, 512, _PAGE, 20_000]), len(content) - place)
        if rng.random() < 0.3:
            place -= place % 512
        changed[place : place + length] = rng.randbytes(length) if kind == "garbage" else bytes(length)
    elif kind == "cut":
        del changed[rng.choice([place, place - place % 512, place - place % _PAGE]) :]
    elif kind == "grow":
        changed += rng.randbytes(rng.choice([1, 512, _PAGE])) if rng.random() < 0.5 else bytes(_PAGE)
    else:
        one, two = (rng.randrange(max(1, len(content) // _PAGE)) * _PAGE for _ in range(2))
        here, there = bytes(content[one : one + _PAGE]), bytes(content[two : two + _PAGE])
        if len(here) == len(there):
            changed[one : one + _PAGE] = there
            if kind == "swap":
                changed[two : two + _PAGE] = here
    return f"{kind} at {place}", bytes(changed)


def read(path: Path, model: str = _MODEL) -> Content:
    """All that a fresh opening gives."""
    with closing(open_store(path, model, _DIM)) as store:
        return expected_gallery.read(store, bare="label")


def outcome(path: Path, allowed: list[Content]) -> str:
    """What a damaged copy gives: "refused", "as before", or what is wrong."""
    acknowledged: Content | None = None
    try:
        found = read(path)
        if not any(list(found.items()) == list(content.items()) for content in allowed):
            return "WRONG answers"
        writer = Writer(path, 3)
        try:
            gone = "pictured 4"
            if writer.store.remove(gone) != len(found[gone]):
                return "WRONG removal"
            acknowledged = {label: rows for label, rows in found.items() if label != gone}
            writer.enroll("new", 1, 300)
            acknowledged = acknowledged | writer.content
        finally:
            writer.store.close()
        return "as before" if read(path) == acknowledged else "WRONG after reopening"
    except OneShotError:
        return "refused" if acknowledged is None else "refused after a write"


@contextmanager
def _time_limit() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


def attack(case: Case, folder: Path, seeds: range) -> Counter[str]:
    """Damage copies of a gallery, and count what came of them."""
    path, counts = folder / f"copy-{seeds.start}.db", Counter[str]()
    journal = Path(f"{path}-journal")
    for seed in seeds:
        rng = random.Random(seed)
        what, content = damaged((case.journal or b"") if case.damage_journal else case.file, rng)
        path.unlink(missing_ok=True)
        journal.unlink(missing_ok=True)
        path.write_bytes(case.file if case.damage_journal else content)
        beside = content if case.damage_journal else case.journal
        if beside is not None:
            journal.write_bytes(beside)
        try:
            with _time_limit():
                found = outcome(path, case.allowed)
        except TimeoutError:
            found = "HUNG"
        except Exception as error:
            found = f"RAISED {type(error).__name__}"
        counts[found] += 1
        if found not in ("refused", "as before"):
            print(f"seed {seed}: {what}: {found}", flush=True)
    return counts


def run(folder: Path, states: list[str], count: int, supports: int, jobs: int, seed: int) -> dict[str, dict[str, int]]:
    """All states; the outcomes of each."""
    results = {}
    for state in states:
        begun = time.time()
        home = folder / state.replace(" ", "-")
        home.mkdir()
        case = STATES[state](home, supports)
        # Spread evenly: whatever is slow meets every job.
        shares = [range(seed + job, seed + count, jobs) for job in range(jobs)]
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            parts = pool.starmap(attack, [(case, home, share) for share in shares])
        results[state] = dict(sum(parts, Counter[str]()))
        print(f"{state:12} {len(case.file):8} bytes {time.time() - begun:6.0f} s  {results[state]}", flush=True)
        shutil.rmtree(home)
    return results


def main(argv: list[str] | None = None) -> int:
    """Run the harness; returns 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reliability.random_damage", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--count", type=positive, default=1000, help="damages in each state (default: 1000)")
    parser.add_argument("--supports", type=positive, default=4000)
    parser.add_argument("--states", nargs="+", choices=list(STATES), default=list(STATES))
    parser.add_argument("--jobs", type=positive, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="for the copies, in memory for speed (default: where temporary files go)")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        results = run(Path(folder), arguments.states, arguments.count, arguments.supports, arguments.jobs, arguments.seed)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    return int(any(found not in ("refused", "as before") for counts in results.values() for found in counts))


if __name__ == "__main__":
    raise SystemExit(main())

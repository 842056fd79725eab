"""Attack gallery files: bits, stretches and cuts; copies, openings and checks beside writers; forks; forged files.

    python -m benchmarks.reliability.gallery_attacks --flips 100000 --json attacks.json

What is expected is kept beside the file as plain values, never read back through the code under attack. A damaged file must be
refused, or give every answer, every picture and every removal as before, also after it was opened again. Each attack may be
run by itself: `--only every-bit`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oneshot_runtime.errors import OneShotError
from oneshot_runtime.stores.base import Block, Changes
from oneshot_runtime.stores.sqlite.file_check import check_file
from oneshot_runtime.stores.sqlite.sqlite_store import SqliteStore

__all__ = ["ATTACKS", "main"]

_MODEL = "0123456789abcdef" * 2
_SECONDS = 10.0
Content = dict[str, list[tuple[bytes, bytes | None, int | None]]]
"""Of each label, in order: code, thumbnail, and the number in the metadata of each support."""


@dataclass
class Gallery:
    """A file, the length of its codes, and what is in it."""

    path: Path
    dim: int
    content: Content

    def open(self) -> SqliteStore:
        """The store under attack."""
        return SqliteStore(self.path, _MODEL, self.dim)

    def add(self, store: SqliteStore, label: str, count: int, rng: np.random.Generator, picture: int = 0) -> None:
        """Enrol supports, and note them. picture: bytes of each one's thumbnail, 0 for none."""
        codes = rng.integers(0, 256, (count, self.dim), np.uint8)
        pictures = [rng.bytes(picture) if picture else None for _ in range(count)]
        numbers = [int(rng.integers(1000)) if picture else None for _ in range(count)]
        texts = [None if number is None else json.dumps({"n": number}) for number in numbers]
        store.add([Block([label] * count, codes, pictures, texts, [1.0] * count)])
        rows = [(codes[place].tobytes(), pictures[place], numbers[place]) for place in range(count)]
        self.content.setdefault(label, []).extend(rows)


def read(store: SqliteStore, asked: Collection[str] | None = None) -> Content:
    """Everything in a store, or some labels: codes as they are handed over, pictures and metadata as they are asked for."""
    codes: dict[str, list[bytes]] = {}

    def apply(changes: Changes) -> int:
        if changes.anew:
            codes.clear()
        for block in changes.added:
            for label, code in zip(block.labels, block.codes, strict=True):
                codes.setdefault(label, []).append(code.tobytes())
        return sum(map(len, codes.values()))

    store.sync(apply)
    content: Content = {}
    for label, found in codes.items():
        if asked is not None and label not in asked:
            continue
        supports = store.supports(label)
        extras = [(support.thumbnail, (support.metadata or {}).get("n")) for support in supports]
        content[label] = [(code, *extra) for code, extra in zip(found, extras, strict=True)]
    return content


def outcome(gallery: Gallery, copy: Path) -> str:
    """What a damaged copy of a gallery gives: "refused", "as before", or in which way it was wrong."""
    damaged = Gallery(copy, gallery.dim, gallery.content)
    begun = time.perf_counter()
    try:
        return _as_before(damaged)
    except OneShotError:
        return "refused" if time.perf_counter() - begun < _SECONDS else "slow"
    except Exception as error:
        return f"raised {type(error).__name__}"


def _as_before(damaged: Gallery) -> str:
    store = damaged.open()
    try:
        if list(read(store).items()) != list(damaged.content.items()):
            return "WRONG answers"
        label = next(iter(damaged.content), None)
        if label is None:
            return "as before"
        if store.remove(label) != len(damaged.content[label]):
            return "WRONG removal"
        left = {name: rows for name, rows in damaged.content.items() if name != label}
    finally:
        store.close()
    # From here on the removal is acknowledged: it must hold, whatever else is refused.
    store = damaged.open()
    try:
        return "as before" if list(read(store).items()) == list(left.items()) else "WRONG after reopening"
    finally:
        store.close()


def small_gallery(folder: Path, state: str = "closed") -> Gallery:
    """A dozen supports with pictures, some removed, so that there are free pages; as it is closed, or when it was killed."""
    gallery = Gallery(folder / "small.db", 32, {})
    rng = np.random.default_rng(1)
    store = gallery.open()
    for number in range(4):
        gallery.add(store, f"label {number}", 2, rng, 300)
    gallery.add(store, "large", 1, rng, 9000)
    gallery.add(store, "gone", 2, rng, 9000)
    store.remove("gone")
    del gallery.content["gone"]
    if state == "closed":
        store.close()
    return gallery


def large_gallery(folder: Path, supports: int = 20_000) -> Gallery:
    """Many supports, a few with pictures."""
    gallery = Gallery(folder / "large.db", 64, {})
    rng = np.random.default_rng(2)
    store = gallery.open()
    for number in range(20):
        gallery.add(store, f"label {number}", supports // 20, rng)
        gallery.add(store, f"pictured {number}", 3, rng, 2000)
    store.close()
    return gallery


def hot_gallery(folder: Path) -> Gallery:
    """A gallery whose writer was killed in the middle of a commit: its journal must be rolled back."""
    gallery = small_gallery(folder)
    script = (
        "import os, sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\nc.execute('PRAGMA cache_size = 1')\n"
        "c.execute('BEGIN IMMEDIATE')\nc.execute('UPDATE gallery SET content = zeroblob(length(content)) WHERE id > 0')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(gallery.path)], check=False, timeout=60)
    journal = Path(f"{gallery.path}-journal")
    if not journal.exists() or not journal.stat().st_size:
        raise SystemExit("no hot journal came about")
    return gallery


def each(gallery: Gallery, folder: Path, damages: Iterator[tuple[str, bytes]], suffix: str = "") -> Counter[str]:
    """Count the outcomes of damages to a gallery's file, or to the journal beside it."""
    counts: Counter[str] = Counter()
    copy = folder / "copy.db"
    journal, beside = Path(f"{gallery.path}-journal"), Path(f"{copy}-journal")
    for what, content in damages:
        if journal.exists():
            shutil.copyfile(journal, beside)
        else:
            beside.unlink(missing_ok=True)
        if not suffix:
            copy.write_bytes(content)
        else:
            shutil.copyfile(gallery.path, copy)
            beside.write_bytes(content)
        found = outcome(gallery, copy)
        counts[found] += 1
        if found not in ("refused", "as before"):
            print(f"{gallery.path.name}{suffix}: {what}: {found}", flush=True)
    return counts


def bits(content: bytes, every: int = 1) -> Iterator[tuple[str, bytes]]:
    """Each bit of each byte flipped, or each so manieth."""
    for number in range(0, 8 * len(content), every):
        place, bit = divmod(number, 8)
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        yield f"bit {bit} of byte {place}", bytes(changed)


def random_damage(content: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Bits flipped, stretches of garbage or zeros, cuts, and pages that change places."""
    rng = random.Random(seed)
    for _ in range(count):
        place, kind = rng.randrange(len(content)), rng.choice(["bit"] * 6 + ["garbage", "zeros", "cut", "swap"])
        changed = bytearray(content)
        if kind == "bit":
            changed[place] ^= 1 << rng.randrange(8)
        elif kind in ("garbage", "zeros"):
            length = min(rng.choice([1, 8, 100, 512, 4096]), len(content) - place)
            changed[place : place + length] = rng.randbytes(length) if kind == "garbage" else bytes(length)
        elif kind == "cut":
            del changed[rng.choice([place, place // 512 * 512, place // 4096 * 4096]) :]
        else:
            one, two = (rng.randrange(len(content) // 4096) * 4096 for _ in range(2))
            changed[one : one + 4096], changed[two : two + 4096] = content[two : two + 4096], content[one : one + 4096]
        if changed != content:
            yield f"{kind} at {place}", bytes(changed)


def every_bit(folder: Path, arguments: argparse.Namespace) -> Counter[str]:
    """Every bit of a small gallery that was closed."""
    gallery = small_gallery(folder)
    return each(gallery, folder, bits(gallery.path.read_bytes(), arguments.every))


def every_bit_hot(folder: Path, arguments: argparse.Namespace) -> Counter[str]:
    """Bits of a small gallery whose writer was killed."""
    gallery = hot_gallery(folder)
    return each(gallery, folder, bits(gallery.path.read_bytes(), 7 * arguments.every))


def every_bit_of_the_journal(folder: Path, arguments: argparse.Namespace) -> Counter[str]:
    """Bits of the journal that the killed writer left, and the journal cut off or gone."""
    gallery = hot_gallery(folder)
    content = Path(f"{gallery.path}-journal").read_bytes()
    cuts = ((f"cut at {place}", content[:place]) for place in range(0, len(content), 97))
    return each(gallery, folder, bits(content, 7 * arguments.every), "-journal") + each(gallery, folder, cuts, "-journal")


def random_damage_to_a_large_one(folder: Path, arguments: argparse.Namespace) -> Counter[str]:
    """Flips, stretches, cuts and swapped pages of a large gallery."""
    gallery = large_gallery(folder)
    return each(gallery, folder, random_damage(gallery.path.read_bytes(), arguments.flips, 3))


def random_damage_to_a_small_one(folder: Path, arguments: argparse.Namespace) -> Counter[str]:
    """The same of a small gallery, where more of it hits what SQLite keeps of its own."""
    gallery = small_gallery(folder)
    return each(gallery, folder, random_damage(gallery.path.read_bytes(), arguments.flips, 4))


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


_FORGERIES = [
    "CREATE TRIGGER t AFTER INSERT ON gallery BEGIN DELETE FROM gallery; END",
    "CREATE TRIGGER t AFTER DELETE ON gallery BEGIN INSERT INTO gallery VALUES (1, x'00'); END",
    "CREATE VIEW v AS SELECT 1",
    "CREATE TABLE more (x)",
    "CREATE INDEX i ON gallery (content)",
    "ALTER TABLE gallery RENAME TO other; CREATE VIEW gallery AS WITH RECURSIVE c(id, content) AS (SELECT 1, x'00' UNION ALL "
    "SELECT id, content FROM c) SELECT * FROM c",
    "ALTER TABLE gallery RENAME TO other; CREATE TABLE gallery (id INTEGER PRIMARY KEY, content TEXT)",
    "ALTER TABLE gallery ADD COLUMN x DEFAULT (randomblob(1000000000))",
    "UPDATE gallery SET content = zeroblob(100000000)",
    "UPDATE gallery SET content = zeroblob(100000000) WHERE id = 0",
    "UPDATE gallery SET content = -9223372036854775808",
    "UPDATE gallery SET id = -id",
    "INSERT INTO gallery VALUES (9223372036854775807, x'00')",
    "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = 'CREATE TABLE gallery (id, content)'",
    "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = 3",
    "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = sql || ' --' || hex(zeroblob(20000000))",
    "PRAGMA journal_mode = WAL",
    "PRAGMA auto_vacuum = FULL; VACUUM",
    "PRAGMA user_version = -1",
    "PRAGMA application_id = 7",
]


def forged_files(folder: Path, _: argparse.Namespace) -> Counter[str]:
    """What another program may put into the file: refused in bounded time, or as before."""
    gallery = small_gallery(folder)
    counts: Counter[str] = Counter()
    for forgery in _FORGERIES:
        copy = folder / "forged.db"
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{copy}{suffix}").unlink(missing_ok=True)
        shutil.copyfile(gallery.path, copy)
        connection = sqlite3.connect(copy, isolation_level=None)
        try:
            connection.executescript(forgery)
        except sqlite3.Error as error:
            print(f"not forged, {error}: {forgery[:60]}")
            continue
        finally:
            connection.close()
        found = outcome(gallery, copy)
        counts[found] += 1
        if found not in ("refused", "as before"):
            print(f"{forgery[:70]}: {found}")
    return counts


ATTACKS: dict[str, Callable[[Path, argparse.Namespace], Counter[str]]] = {
    "every-bit": every_bit,
    "every-bit-hot": every_bit_hot,
    "journal": every_bit_of_the_journal,
    "small": random_damage_to_a_small_one,
    "large": random_damage_to_a_large_one,
    "openings": openings_beside_writers,
    "copies": copies_in_the_same_process,
    "forks": forks,
    "forged": forged_files,
}


def main(argv: list[str] | None = None) -> int:
    """Run the attacks; returns 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reliability.gallery_attacks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--only", nargs="+", choices=sorted(ATTACKS), default=list(ATTACKS))
    parser.add_argument("--flips", type=int, default=2000, help="random damages to each gallery (default: 2000)")
    parser.add_argument("--every", type=int, default=1, help="flip only each so manieth bit (default: 1)")
    parser.add_argument("--openings", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20, help="of each attack beside writers (default: 20)")
    parser.add_argument("--forks", type=int, default=40)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    results: dict[str, dict[str, int]] = {}
    for name in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            begun = time.time()
            results[name] = dict(ATTACKS[name](Path(folder), arguments))
            print(f"{name:14} {time.time() - begun:7.0f} s  {results[name]}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    return int(any(key not in ("refused", "as before", "noticed") for found in results.values() for key in found))


if __name__ == "__main__":
    raise SystemExit(main())

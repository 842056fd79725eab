"""Attack gallery files: bits, stretches and cuts; copies, openings and checks beside writers; forks; forged files.

    python -m benchmarks.reliability.gallery_attacks --flips 100000 --json attacks.json

What is expected is kept beside the file as plain values, never read back through the code under attack. A damaged file must be
refused, or give every answer, every picture and every removal as before, also after it was opened again. Each attack may be
run by itself: `--only every-bit`.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.reliability.attacks_in_use import copies_in_the_same_process, forks, openings_beside_writers
from benchmarks.reliability.expected_gallery import Gallery, hot_gallery, large_gallery, outcome, small_gallery

__all__ = ["ATTACKS", "main"]


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

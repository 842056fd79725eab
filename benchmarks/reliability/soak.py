"""Enroll, remove and match with many threads against a reference model: `python -m benchmarks.reliability.soak --minutes 10`.

Every thread owns some labels of one shared durable gallery. It enrolls, extends, removes and matches in random order and keeps
its own record of what its labels must hold: a match that lists every class must list exactly those of its labels that are
enrolled, and what was just added must be found at distance 0. At the end the whole gallery is compared with all records, in
memory and once more after reopening the file. Resident memory and open file handles are sampled; figures leave out the first
fifth.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import positive, resident_bytes
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model.codes import encode
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer

__all__ = ["main", "soak"]

_LABELS = 6
_MOST_SUPPORTS = 5


def main(argv: list[str] | None = None) -> int:
    """Run the soak; returns 0 when no difference was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--threads", type=positive, default=32)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        figures = soak(Path(folder) / "letters.db", 60 * arguments.minutes, arguments.threads)
    for name, value in figures.items():
        print(f"{name}: {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return int(bool(figures["differences"]))


class _Worker(threading.Thread):
    """One thread's share: random operations on its own labels, checked against its own record."""

    def __init__(self, matcher: OneShotMatcher, number: int, pictures: list[NDArray[np.uint8]], until: float) -> None:
        super().__init__(name=f"soak {number}")
        self.record: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self.differences: list[str] = []
        self._matcher, self._pictures, self._until = matcher, pictures, until
        self._rng = np.random.default_rng(number)
        self._labels = [f"thread {number} label {index}" for index in range(_LABELS)]

    def run(self) -> None:
        try:
            while time.monotonic() < self._until:
                self._step()
        except Exception as error:
            self.differences.append(f"{self.name}: {error!r}")

    def _step(self) -> None:
        label = self._labels[self._rng.integers(_LABELS)]
        held = self.record.get(label, 0)
        action = self._rng.choice(("enroll", "extend", "remove", "match", "match", "match"))
        if action == "remove" and held:
            self._matcher.remove(label)
            del self.record[label]
        elif action == "enroll" and held < _MOST_SUPPORTS:
            self._matcher.enroll(label, self._pictures[self._rng.integers(len(self._pictures))])
            self.record[label] = held + 1
        elif action == "extend" and held < _MOST_SUPPORTS:
            self._check_found(label, held)
        elif action == "match":
            found = self._matcher.match(self._pictures[self._rng.integers(len(self._pictures))], top_k=1000)
            named = {candidate.label for candidate in found.candidates}
            wrong = (set(self._labels) & named) ^ set(self.record)
            if wrong:
                self.differences.append(f"{self.name}: a match shows or lacks {sorted(wrong)}")
        self.counts[str(action)] += 1

    def _check_found(self, label: str, held: int) -> None:
        """Add a random embedding, which must then be found at distance 0 under its label."""
        embedding = self._rng.random((1, self._matcher.bundle.dim), np.float32)
        self._matcher.gallery.extend([label], embedding)
        self.record[label] = held + 1
        (nearest,) = self._matcher.gallery.snapshot().nearest(encode(embedding, self._matcher.bundle.head)[0], 1)
        if (nearest.label, nearest.distance) != (label, 0):
            self.differences.append(f"{self.name}: {label} was enrolled, the nearest is {nearest}")


def soak(path: Path, seconds: float, threads: int) -> dict[str, object]:
    """Run `threads` workers for some seconds on the gallery at `path`; returns the figures."""
    rng = np.random.default_rng(0)
    writer = random_writer(rng)
    pictures = [draw(symbol, writer, rng) for symbol in invent_alphabet(12, 1)]
    samples: list[tuple[float, float, int]] = []
    with OneShotMatcher.load(gallery=path, threads=1) as matcher:
        until = time.monotonic() + seconds
        samples.append((time.monotonic(), resident_bytes() / 2**20, _handles()))
        workers = [_Worker(matcher, number, pictures, until) for number in range(threads)]
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            samples.append((time.monotonic(), resident_bytes() / 2**20, _handles()))
            time.sleep(min(1.0, seconds / 20))
        expected = {label: count for worker in workers for label, count in worker.record.items()}
        differences = [text for worker in workers for text in worker.differences]
        differences += _compare("in memory", matcher, expected)
    with OneShotMatcher.load(gallery=path, threads=1) as matcher:
        differences += _compare("after reopening", matcher, expected)
    counts = sum((worker.counts for worker in workers), Counter())
    when, memory, handles = (np.array(values, float) for values in zip(*samples[len(samples) // 5 :], strict=True))
    minutes = (when - when[0]) / 60
    slope = round(float(np.polyfit(minutes, memory, 1)[0]), 3) if minutes[-1] > 0 else None  # too short to have one
    return {
        "threads": threads,
        "operations": dict(counts),
        "differences": differences[:20],
        "resident MiB, first and last": [round(float(memory[0]), 1), round(float(memory[-1]), 1)],
        "resident MiB a minute": slope,
        "file handles, least and most": [int(handles.min()), int(handles.max())],
    }


def _compare(when: str, matcher: OneShotMatcher, expected: dict[str, int]) -> list[str]:
    found = {label: matcher.gallery.count(label) for label in matcher.labels}
    wrong = sorted(label for label in found.keys() | expected.keys() if found.get(label) != expected.get(label))
    return [f"{when}: {label} has {found.get(label)} supports, not {expected.get(label)}" for label in wrong]


def _handles() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


if __name__ == "__main__":
    sys.exit(main())

"""Enrollments one by one: what the log in the file holds, after crashes and damage, and when it goes."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from oneshot_runtime import DamageError
from oneshot_runtime.stores import Block, open_store
from oneshot_runtime.stores.records import State
from oneshot_runtime.stores.registry import open_reader
from oneshot_runtime.stores.sqlite import block as blocks
from oneshot_runtime.stores.sqlite.enrollment_log import CAN_LOG, LOG_BYTES, EnrollmentLog, blank_log
from oneshot_runtime.stores.sqlite.file_check import check_file
from oneshot_runtime.stores.sqlite.repair import repair_file
from oneshot_runtime.transfer.backup import backup

MODEL, DIM = "0123456789abcdef" * 2, 64
STATE = State("f" * 32, MODEL, DIM, revision=7, supports=3, digest=5, last_support=9)
SECTOR = 512


class Row(bytearray):
    """The row, as a blob of SQLite is written to."""

    @contextmanager
    def blobopen(self, *_):
        self.at = 0
        yield self

    def seek(self, at):
        self.at = at

    def write(self, data):
        self[self.at : self.at + len(data)] = data


def put(row: Row, number: int, picture: int = 900) -> EnrollmentLog:
    """Add one support to the row; returns what was in it before."""
    log = EnrollmentLog.read(bytes(row), STATE)
    rng = np.random.default_rng(number)
    extras = blocks.pack_extras(rng.bytes(picture), '{"n": 1}')
    sums = np.array([blocks.checksum_of(extras)], np.uint64)
    codes = rng.integers(0, 256, (1, DIM), np.uint8)
    support = blocks.Block(np.array([log.state.last_support + 1]), [f"s{number}"], codes, np.array([1.0]), sums)
    assert log.put(row, support, [extras]) is not None
    return log


def held(content: bytes, state: State = STATE) -> list[str] | None:
    log = EnrollmentLog.read(content, state)
    return None if log is None else [label for record in log.records for label in record.block.labels]


def filled(count: int) -> Row:
    row = Row(blank_log(STATE))
    for number in range(count):
        put(row, number)
    return row


def test_no_flip_of_a_bit_hides_an_enrollment() -> None:
    row = filled(3)
    used = EnrollmentLog.read(bytes(row), STATE).used
    places = [*range(0, 8 * (used + 64), 101), *range(4 * LOG_BYTES, 4 * LOG_BYTES + 8 * (used + 64), 101)]
    found = []
    for bit in places:
        changed = bytearray(row)
        changed[bit // 8] ^= 1 << bit % 8
        found.append(held(bytes(changed)))
    assert all(labels in (None, ["s0", "s1", "s2"]) for labels in found)
    assert sum(labels is not None for labels in found) > 0.9 * len(found)


def test_what_a_crash_leaves_is_all_of_an_enrollment_or_none() -> None:
    before = filled(1)
    after = Row(before)
    put(after, 1, picture=600)
    sectors = [at for at in range(0, LOG_BYTES, SECTOR) if before[at : at + SECTOR] != after[at : at + SECTOR]]
    assert 4 <= len(sectors) <= 10
    outcomes = set()
    for written in itertools.product([False, True], repeat=len(sectors)):
        torn = bytearray(before)
        for at, is_there in zip(sectors, written, strict=True):
            if is_there:
                torn[at : at + SECTOR] = after[at : at + SECTOR]
        labels = held(bytes(torn))
        assert labels in (["s0"], ["s0", "s1"]), written
        log = EnrollmentLog.read(bytes(torn), STATE)
        assert log.clean == (not any(written) or all(written))  # nothing is put behind pieces
        outcomes.add(len(labels))
    assert outcomes == {1, 2}


def test_rows_of_other_states_and_pieces_of_two_rows_are_refused() -> None:
    row, other = filled(3), State("f" * 32, MODEL, DIM, revision=8, supports=3, digest=5, last_support=9)
    assert held(bytes(row), other) is None
    assert held(bytes(LOG_BYTES)) is None
    fresh = blank_log(other)
    for page in range(4096, LOG_BYTES, 4096):
        assert held(bytes(row[:page]) + fresh[page:]) is None
        assert held(fresh[:page] + bytes(row[page:]), other) is None


def add(store, label: str, picture: bytes | None = None, code: int = 1) -> None:
    store.add([Block([label], np.full((1, DIM), code, np.uint8), [picture], [None])])


def version(path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def counts(path) -> dict[str, int]:
    with closing(open_store(path, MODEL, DIM)) as store:
        return store.counts()


@pytest.fixture
def enrolled(tmp_path):
    """A store that is open, with eight symbols enrolled one by one."""
    path = tmp_path / "letters.db"
    store = open_store(path, MODEL, DIM)
    for number in range(8):
        add(store, f"s{number}", b"picture" * number or None, number)
    yield path, store
    store.close()


def test_everyone_reads_what_is_in_the_log_and_closing_empties_it(enrolled, tmp_path) -> None:
    path, store = enrolled
    expected = {f"s{number}": 1 for number in range(8)}
    assert version(path) == (4 if CAN_LOG else 3)
    assert counts(path) == store.counts() == expected
    assert store.supports("s7")[0].thumbnail == b"picture" * 7
    assert store.holds("s7", bytes([7]) * DIM)
    assert check_file(path).problems == []
    assert backup(path, tmp_path / "copy.db") == 8
    with open_reader(path) as reader:
        assert [row.label for rows in reader.rows() for row in rows] == list(expected)
    store.close()
    assert version(path) == version(tmp_path / "copy.db") == 3
    assert counts(path) == counts(tmp_path / "copy.db") == expected
    assert check_file(path).problems == []


def test_an_enrollment_writes_to_its_row_alone_and_needs_no_journal(enrolled) -> None:
    path, store = enrolled
    if not CAN_LOG:  # Python 3.10 cannot overwrite in place
        assert version(path) == 3
        return
    before = path.read_bytes()
    add(store, "more", b"the picture")
    after = path.read_bytes()
    assert len(before) == len(after)
    pages = {at // 4096 for at in range(len(before)) if before[at] != after[at]}
    assert sum(b"the picture" in after[4096 * page : 4096 * page + 4096] for page in pages) == 2
    assert [at for at in range(4096) if before[at] != after[at] and not (24 <= at < 28 or 92 <= at < 100)] == []
    assert len(pages) <= 5
    assert not path.with_name(f"{path.name}-journal").exists()


def test_every_other_write_moves_the_log_into_the_blocks(enrolled) -> None:
    path, store = enrolled
    with closing(open_store(path, MODEL, DIM)) as other:
        assert other.remove("s3") == 1
        add(store, "late")
        assert other.rename("s4", "moved") == 1
        add(store, "later")
        assert store.remove_support("s5", 0)
        store.write_note("n", "text")
    assert list(store.counts()) == list(counts(path)) == ["s0", "s1", "s2", "s6", "s7", "late", "moved", "later"]
    content = path.read_bytes()
    assert bytes([3]) * DIM not in content
    assert bytes([5]) * DIM not in content


def test_many_enrollments_go_through_the_log_in_order(tmp_path) -> None:
    path, labels = tmp_path / "letters.db", [f"s{number}" for number in range(90)]
    with closing(open_store(path, MODEL, DIM)) as store, closing(open_store(path, MODEL, DIM)) as follower:
        seen: list[str] = []

        def apply(changes) -> int:
            if changes.anew:
                seen.clear()
            seen.extend(label for block in changes.added for label in block.labels)
            return len(seen)

        for label in labels:
            add(store, label, b"x" * 700)
            follower.sync(apply)
        assert seen == labels
    assert list(counts(path)) == labels


def changed_copy(path: Path, folder: Path, statement: str) -> Path:
    copy = folder / "copy.db"
    copy.write_bytes(path.read_bytes())
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute(statement)
        connection.commit()
    return copy


def test_a_repair_keeps_what_is_in_the_log(enrolled, tmp_path) -> None:
    path, _ = enrolled
    if not CAN_LOG:
        assert version(path) == 3
        return
    copy = changed_copy(path, tmp_path, "DELETE FROM gallery WHERE id BETWEEN 2 << 48 AND 3 << 48")
    with pytest.raises(DamageError):
        counts(copy)
    assert repair_file(copy, (MODEL, DIM)).supports == 6


@pytest.mark.parametrize("statement", ["DELETE FROM gallery WHERE id = 1", "PRAGMA user_version = 3"])
def test_a_log_that_is_gone_is_noticed(enrolled, tmp_path, statement) -> None:
    path, _ = enrolled
    if not CAN_LOG:
        assert version(path) == 3
        return
    copy = changed_copy(path, tmp_path, statement)
    with pytest.raises(DamageError, match="last enrollments"):
        counts(copy)
    assert not check_file(copy).ok

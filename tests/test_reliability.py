"""Short versions of the long runs in `docs/reliability.md`."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.reliability.damage import damage
from benchmarks.reliability.fuzz_targets import TARGETS
from benchmarks.reliability.gallery_attacks import ATTACKS
from benchmarks.reliability.soak import soak
from oneshot_runtime import OneShotError


def test_damage_is_detected_or_harmless(tmp_path) -> None:
    figures = damage(tmp_path, flips=10)
    assert {name: row["examples"] for name, row in figures.items() if row["wrong"]} == {}
    assert sum(row["detected"] for row in figures.values()) > 40
    assert {"bundle: manifest.json", "gallery: letters.db"} <= figures.keys()


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_mutated_files_end_in_one_family_of_errors(tmp_path, name) -> None:
    call, seeds = TARGETS[name](tmp_path)
    edit = st.tuples(st.floats(0, 1), st.sampled_from(["set", "cut", "insert", "drop", "repeat"]), st.binary(max_size=9))

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(seed=st.sampled_from(seeds), edits=st.lists(edit, min_size=1, max_size=6))
    def check(seed, edits) -> None:
        data = seed
        for share, kind, content in edits:
            place = int(share * len(data))
            if kind == "cut":
                data = data[:place]
            elif kind == "repeat":
                data = data[:place] + data[place : place + 40] * 3 + data[place:]
            else:
                kept = {"set": place + len(content), "insert": place, "drop": place + 7}[kind]
                data = data[:place] + (b"" if kind == "drop" else content) + data[kept:]
        try:
            call(data)
        except OneShotError:
            return

    check()


def test_threads_agree_with_their_records(tmp_path) -> None:
    figures = soak(tmp_path / "letters.db", seconds=3, threads=8)
    assert figures["differences"] == []
    operations = figures["operations"]
    assert isinstance(operations, dict)
    assert np.sum(list(operations.values())) > 20


@pytest.mark.parametrize("attack", ["every-bit", "small", "forged", "journal"])
def test_no_attack_on_a_gallery_file_gives_a_wrong_answer(tmp_path, attack) -> None:
    arguments = argparse.Namespace(every=1709, flips=60)
    found = ATTACKS[attack](tmp_path, arguments)
    assert set(found) <= {"refused", "as before"}
    assert found["refused"]

"""The benchmark of symbols of other kinds: what is asked, and that perfect and useless embeddings score as they must."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.domains.__main__ import main
from benchmarks.domains.embeddings import Embedding
from benchmarks.domains.image_sets import load_sets
from benchmarks.domains.one_shot import one_shot
from benchmarks.domains.open_set import Alphabet, open_set_curve
from oneshot_runtime.model.thresholds import ThresholdTable
from tests.train.built_fonts import build_font
from train.fonts import checking_fonts, find_fonts
from train.omniglot import DatasetError


def near(queries, supports):
    return -np.abs(queries[:, None] - supports[None]).sum(axis=2)


EMBEDDING = Embedding("numbers", lambda pictures: np.zeros((len(pictures), 1), np.float32), near)


def test_a_perfect_embedding_is_always_right_and_a_useless_one_by_chance() -> None:
    labels = np.repeat(np.arange(30), 6)
    none = np.full(len(labels), -1)
    perfect = one_shot(labels[:, None].astype(np.float32), labels, none, EMBEDDING)
    assert (perfect.score.accuracy, perfect.way, perfect.mistakes) == (1.0, 20, [])
    noise = np.random.default_rng(0).random((len(labels), 4), np.float32)
    useless = one_shot(noise, labels, none, EMBEDDING)
    assert useless.score.accuracy == pytest.approx(1 / 20, abs=0.03)
    assert sum(useless.taken.values()) == len(useless.mistakes)


def test_support_and_query_are_of_two_groups() -> None:
    labels, groups = np.repeat(np.arange(4), 6), np.tile([0, 0, 0, 1, 1, 1], 4)
    # The vector is the group's: an image of the own group is nearest, so support and query of one group would often be right.
    vectors = np.stack([labels * 0.01, groups * 5.0], axis=1).astype(np.float32)
    only_group = one_shot(vectors[:, 1:], labels, groups, EMBEDDING, episodes=20)
    assert (only_group.way, only_group.score.total) == (4, 80)
    for support, query in only_group.mistakes:
        assert labels[support] != labels[query]


def test_the_open_set_curve_counts_strangers_and_falls_with_their_number() -> None:
    rng = np.random.default_rng(0)
    alphabets = [Alphabet(str(n), (np.arange(40) + 100 * n)[:, None, None] + rng.normal(0, 0.3, (40, 6, 1))) for n in range(4)]
    one = open_set_curve(alphabets, EMBEDDING, 10, 1, own=True)
    five = open_set_curve(alphabets, EMBEDDING, 10, 5, own=True)
    assert one is not None
    assert five is not None
    assert list(one.recognised.values()) == sorted(one.recognised.values())
    assert five.recognised[0.05] >= one.recognised[0.05]
    everywhere = open_set_curve(alphabets, EMBEDDING, 10, 1, own=False)
    assert everywhere is not None
    assert everywhere.recognised[0.05] > one.recognised[0.05]  # most strangers are far away
    table = ThresholdTable.from_list([{"classes": 10, "logits": {"0.05": -0.5, "0.01": 10.0}}])
    asked = open_set_curve(alphabets, EMBEDDING, 10, 1, own=False, thresholds=table)
    assert asked is not None
    assert asked.asked[0.01] == (0.0, 0.0)
    assert asked.asked[0.05][1] > 0.3


def test_too_few_classes_give_no_curve() -> None:
    alphabets = [Alphabet("a", np.zeros((22, 3, 1), np.float32))]
    assert open_set_curve(alphabets, EMBEDDING, 20, 5, own=False) is None  # three drawings are no five supports and a query
    assert open_set_curve(alphabets, EMBEDDING, 5, 1, own=False) is None  # no other alphabet, and too few classes


@pytest.mark.parametrize(
    "arrays", [{"images": np.zeros((3, 4, 4), np.uint8)}, {"images": np.zeros((3, 4, 4)), "labels": ["a"] * 3}]
)
def test_a_damaged_set_is_named(tmp_path, arrays) -> None:
    with pytest.raises(DatasetError, match="holds no sets"):
        load_sets(tmp_path)
    np.savez(tmp_path / "odd.npz", **arrays)
    with pytest.raises(DatasetError, match=r"odd\.npz"):
        load_sets(tmp_path)


def test_the_command_measures_every_set_and_writes_its_tables(tmp_path) -> None:
    rng = np.random.default_rng(0)
    images = np.full((40, 40, 40), 255, np.uint8)
    for number in range(40):
        images[number, 5 + number // 4 * 3 : 9 + number // 4 * 3, 4:36] = rng.integers(0, 60)
        images[number, 4:36, 5 + number // 4 : 8 + number // 4] = 0
    labels = np.repeat([f"c{n}" for n in range(10)], 4)
    (tmp_path / "sets").mkdir()
    np.savez(tmp_path / "sets" / "hebrew_marks.npz", images=images, labels=labels)
    np.savez(tmp_path / "sets" / "marks.npz", images=images, labels=labels, groups=np.tile(["a", "a", "b", "b"], 10))
    (tmp_path / "fonts").mkdir()
    build_font(tmp_path / "fonts" / "a.ttf", "DejaVu Sans", range(0x41, 0x5B))
    build_font(tmp_path / "fonts" / "b.ttf", "Mine", range(0x41, 0x5B))
    words = [
        "--sets",
        str(tmp_path / "sets"),
        "--fonts",
        str(tmp_path / "fonts"),
        "--no-ready-made",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(words) == 0
    report = json.loads((tmp_path / "out" / "domains.json").read_text())
    assert set(report["sets"]) == {"hebrew_marks", "marks"}
    assert report["sets"]["hebrew_marks"]["score"]["accuracy"] > 0.5
    text = (tmp_path / "out" / "domains.md").read_text()
    assert text.index("| marks |") < text.index("| hebrew_marks |")  # what was not learned from comes first
    assert (tmp_path / "out" / "marks.png").exists()
    assert [font.family for font in checking_fonts([tmp_path / "fonts"])] == ["DejaVu Sans"]
    assert [font.family for font in find_fonts([tmp_path / "fonts"])] == ["Mine"]


def test_a_missing_folder_ends_in_one_line(tmp_path, capsys) -> None:
    assert main(["--sets", str(tmp_path / "none")]) == 1
    assert "holds no sets" in capsys.readouterr().err

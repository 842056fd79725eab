from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oneshot_runtime import GalleryError, OneShotMatcher, OptionError
from oneshot_runtime.cli.main import main
from oneshot_runtime.model.codes import encode, probabilities
from oneshot_runtime.quality.audit import audit_gallery
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer


def kinds(report) -> list[str]:
    return [finding.kind for finding in report.findings]


@pytest.fixture
def strict() -> OneShotMatcher:
    return OneShotMatcher.load(precision="fp32", threads=1, far=0.01)


def test_ordinary_drawings_raise_no_finding(strict) -> None:
    """Three of three writers each, of symbols that differ: what is odd must stand out."""
    rng = np.random.default_rng(1)
    writers = [random_writer(rng) for _ in range(3)]
    for index, symbol in enumerate(invent_alphabet(3, seed=8)):
        report = strict.enroll(f"s{index}", [draw(symbol, writer, rng) for writer in writers])
        assert (report.label, report.supports, report.findings) == (f"s{index}", 3, ())


def test_a_speck_is_enrolled_and_named(matcher) -> None:
    speck = np.full((105, 105), 255, np.uint8)
    speck[50, 50] = 0
    report = matcher.enroll("speck", speck)
    assert kinds(report) == ["little-ink"]
    assert "almost nothing" in report.findings[0].message
    assert matcher.labels == ["speck"]


@pytest.mark.parametrize(("edge", "turns"), [("left", 0), ("bottom", 1), ("right", 2), ("top", 3)])
def test_a_symbol_that_runs_off_the_picture_is_clipped(matcher, drawings, edge, turns) -> None:
    page = drawings[0][2]
    columns = np.flatnonzero((page < 128).any(axis=0))
    cut = np.rot90(page[:, (columns[0] + columns[-1]) // 2 :], turns)
    (finding,) = matcher.enroll("half", [page, np.ascontiguousarray(cut)]).findings
    assert (finding.kind, finding.image) == ("clipped", 1)
    assert f"touches the {edge} of" in finding.message


def test_one_symbol_under_two_labels_is_a_duplicate(strict, drawings) -> None:
    strict.enroll("a", drawings[0][0])
    # Under its own label it is no more than the same picture twice.
    assert [finding.kind for finding in strict.enroll("a", drawings[0][0]).findings] == ["repeated"]
    (finding,) = strict.enroll("b", [drawings[0][1], drawings[0][0]]).findings
    assert (finding.kind, finding.image, finding.label, finding.other) == ("duplicate", 1, "b", "a")
    assert finding.probability == pytest.approx(probabilities(np.array(strict.bundle.head.bias)))
    assert strict.gallery.count("b") == 2


def test_confusable_is_what_the_matcher_would_accept(drawings) -> None:
    """The finding and the match of the same picture agree, whatever the false accept rate is."""
    seen = set()
    for far in (0.001, 0.01, 0.05, None):
        for alphabet in range(3, 9):
            one = OneShotMatcher.load(precision="fp32", threads=1, far=far)
            rng = np.random.default_rng(alphabet)
            pages = [draw(symbol, random_writer(rng), rng) for symbol in invent_alphabet(16, alphabet)]
            for index, page in enumerate(pages):
                before = one.match(page)
                needed = 0.5 if far is None else before.threshold
                expected = [c.label for c in before.candidates if c.probability >= needed]
                found = one.enroll(f"s{index}", page).findings
                assert [finding.other for finding in found] == expected
                seen.update(finding.kind for finding in found)
            seen.update(finding.kind for finding in one.enroll("twin", pages[0]).findings)
    assert seen == {"duplicate", "confusable"}


def test_the_odd_one_of_three_is_an_outlier(matcher, drawings) -> None:
    first, second = drawings
    other = min(first[1:], key=lambda page: max(matcher.verify(page, first[0]), matcher.verify(page, second[0])))
    (finding,) = matcher.enroll("a", [first[0], other, second[0]]).findings
    assert (finding.kind, finding.image, finding.label, finding.other) == ("outlier", 1, "a", None)
    assert finding.probability < 0.5


def test_an_outlier_is_judged_by_earlier_shots_too(matcher, drawings) -> None:
    first, second = drawings
    matcher.enroll("crowd", first[4])
    assert not matcher.enroll("a", first[0]).findings
    assert "outlier" not in kinds(matcher.enroll("a", first[1]))  # of two, none is the odd one
    assert "outlier" not in kinds(matcher.enroll("a", second[0]))
    for index in range(3, 12):
        matcher.enroll(f"s{index}", second[index])
    report = matcher.enroll("a", second[2])
    assert "outlier" in kinds(report)


@pytest.fixture
def odd(strict, drawings) -> OneShotMatcher:
    """Eight classes; "twin" repeats "s0", and the third shot of "s1" is another symbol."""
    first, second = drawings
    for index in range(7):
        strict.enroll(f"s{index}", [first[index], second[index]])
    strict.enroll("twin", first[0])
    strict.enroll("s1", first[9])
    return strict


def test_a_check_finds_duplicates_and_outliers_most_severe_first(odd) -> None:
    result = audit_gallery(odd.gallery, odd.bundle, odd.far)
    assert (result.supports, result.compared) == (16, 16)
    assert [finding.kind for finding in result.findings[:2]] == ["duplicate", "outlier"]
    twin, outlier = result.findings[:2]
    assert (twin.label, twin.shot, twin.other, twin.other_shot) == ("s0", 0, "twin", 0)
    assert (outlier.label, outlier.shot, outlier.other) == ("s1", 2, "s1")
    assert all(finding.kind == "confusable" for finding in result.findings[2:])


@pytest.mark.parametrize("far", [0.001, 0.05, None])
def test_a_check_equals_a_plain_loop(far) -> None:
    """Clouds of embeddings close enough that some classes touch and some shots stray, several blocks of them."""
    matcher = OneShotMatcher.load(precision="fp32", threads=1, far=far)
    rng = np.random.default_rng(0)
    dim, head = matcher.bundle.dim, matcher.bundle.head
    labels = [f"c{number}" for number in rng.integers(0, 40, 200)]
    middle = rng.uniform(0.2, 0.8, dim)
    offsets = rng.normal(0, 0.12, (20, dim))
    centres = {label: middle + offsets[number % 20] for number, label in enumerate(sorted(set(labels)))}
    rows = np.stack([centres[label] + rng.normal(0, rng.uniform(0.02, 0.4), dim) for label in sorted(labels)])
    embeddings = np.clip(rows, 0, 1).astype(np.float32)
    matcher.gallery.extend(sorted(labels), embeddings)
    codes = encode(embeddings, head).astype(int)
    logits = head.bias - np.abs(codes[:, None] - codes[None]).sum(axis=2) / head.code_scale
    own = np.array(sorted(labels))
    limit = 0.0 if far is None else matcher.bundle.thresholds.logit(far, len(centres) - 1)
    close, stray = {}, set()
    for one in centres:
        for two in centres:
            if one < two and (best := logits[np.ix_(own == one, own == two)].max()) >= limit:
                close[frozenset((one, two))] = best
        inside = logits[np.ix_(own == one, own == one)] - np.diag([np.inf] * int((own == one).sum()))
        if len(inside) >= 3:
            stray |= {(one, shot) for shot in np.flatnonzero(inside.max(axis=1) < 0).tolist()}
    found = audit_gallery(matcher.gallery, matcher.bundle, matcher.far).findings
    pairs = {frozenset((f.label, f.other)): f.probability for f in found if f.kind != "outlier"}
    assert pairs == pytest.approx({pair: float(probabilities(logit)) for pair, logit in close.items()})
    assert {(f.label, f.shot) for f in found if f.kind == "outlier"} == stray
    assert stray
    assert close


def test_a_large_gallery_is_sampled_and_a_larger_one_refused(odd) -> None:
    sampled = audit_gallery(odd.gallery, odd.bundle, odd.far, max_supports=10)
    assert sampled.supports == 16
    assert 8 <= sampled.compared <= 10
    assert sampled.findings[0].kind == "duplicate"
    with pytest.raises(OptionError, match="8 classes"):
        audit_gallery(odd.gallery, odd.bundle, odd.far, max_supports=7)


def test_a_check_of_nothing_finds_nothing(matcher, drawings) -> None:
    assert audit_gallery(matcher.gallery, matcher.bundle, matcher.far).findings == ()
    matcher.enroll("only", drawings[0][0])
    assert audit_gallery(matcher.gallery, matcher.bundle, matcher.far).findings == ()


def test_the_commands_say_what_is_odd(tmp_path, drawings, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    # The automatic choice may fall differently from one command to the next, and codes of two precisions differ a little.
    fp32 = ["--precision", "fp32"]
    for index in range(3):
        Image.fromarray(drawings[0][index]).save(f"{index}.png")
        assert main(["enroll", f"s{index}", f"{index}.png", *fp32]) == 0
    capsys.readouterr()
    assert main(["enroll", "twin", "1.png", *fp32]) == 0
    assert "1.png: looks the same as 's1'" in capsys.readouterr().out
    assert main(["enroll", "twin", "1.png", "--json", *fp32]) == 0
    assert json.loads(capsys.readouterr().out)["present"] == ["1.png"]
    assert main(["enroll", "third", "1.png", "--json", *fp32]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert ("duplicate", "1.png", "s1") in [(found["kind"], found["image"], found["other"]) for found in findings]
    assert main(["remove", "third"]) == 0
    assert main(["gallery", "check", "--picture", "odd.png", *fp32]) == 0
    assert "'s1' (support 0) looks the same as 'twin' (support 0)" in capsys.readouterr().out
    with Image.open("odd.png") as sheet:
        assert sheet.size[0] > 400
    assert main(["gallery", "check", "--json", *fp32]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"]
    assert [(f["kind"], f["label"], f["other"]) for f in answer["findings"]] == [("duplicate", "s1", "twin")]


def test_a_damaged_gallery_is_not_compared(tmp_path, drawings, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    with OneShotMatcher.load(gallery="g.db", precision="fp32") as matcher:
        matcher.enroll("a", drawings[0][0])
    data = bytearray(Path("g.db").read_bytes())
    place = data.rindex(b"\x89PNG") + 40
    data[place] ^= 1
    Path("g.db").write_bytes(data)
    assert main(["gallery", "check", "--gallery", "g.db", "--json"]) == 1
    assert "findings" not in json.loads(capsys.readouterr().out)
    with OneShotMatcher.load(gallery="g.db") as matcher, pytest.raises(GalleryError):
        matcher.gallery.supports("a")


def test_the_same_picture_twice_is_named_and_can_be_skipped(matcher, drawings) -> None:
    first, second = drawings[0][0], drawings[1][0]
    matcher.enroll("a", [second, first])
    report = matcher.enroll("a", [drawings[0][3], first, first])
    named = [(finding.image, finding.message) for finding in report.findings if finding.kind == "repeated"]
    assert [image for image, _ in named] == [1, 2]
    assert all("support 1 of 'a'" in message for _, message in named)
    assert (report.supports, matcher.gallery.count("a")) == (3, 5)
    report = matcher.enroll("b", [first, second, first], skip_duplicates=True)
    assert (report.supports, matcher.gallery.count("b")) == (2, 2)
    report = matcher.enroll("b", first, skip_duplicates=True)
    assert (report.supports, matcher.gallery.count("b")) == (0, 2)
    assert [finding.kind for finding in report.findings if finding.kind == "repeated"] == ["repeated"]

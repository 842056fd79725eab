"""The calls that users look for, in memory and in a file."""

from __future__ import annotations

import copy
import enum
import importlib
import io
import pickle
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from oneshot_runtime import (
    Candidate,
    GalleryError,
    ImageError,
    LabelError,
    Match,
    OneShotMatcher,
    OptionError,
    UnpicklableError,
)
from oneshot_runtime.quality import audit_gallery
from oneshot_runtime.results import clearly_ahead
from oneshot_runtime.stores import Added, Block, Changes, Position, Where
from oneshot_runtime.synthetic import invent_alphabet, random_writer
from oneshot_runtime.transfer import BulkResult, ImageEncoder


@pytest.fixture(params=["memory", "file"])
def place(request, tmp_path) -> Path | None:
    return None if request.param == "memory" else tmp_path / "letters.db"


@pytest.fixture
def known(place, drawings) -> Iterator[OneShotMatcher]:
    with OneShotMatcher.load(gallery=place, precision="fp32", threads=1) as matcher:
        for number in range(4):
            matcher.enroll(f"s{number}", [drawings[0][number], drawings[1][number]], metadata={"number": number})
        yield matcher


def png(page: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(page).save(file, "PNG")
    return file.getvalue()


# One support, the container, copies


def test_one_support_is_removed_by_its_place(known, drawings) -> None:
    kept = known.gallery.codes("s1")[:1]
    known.remove("s1", support=np.int64(1))
    assert np.array_equal(known.gallery.codes("s1"), kept)
    assert known.gallery.counts() == {"s0": 2, "s1": 1, "s2": 2, "s3": 2}
    assert known.match(drawings[0][1]).label == "s1"
    for support in (1, -1, 7):
        with pytest.raises(OptionError, match="1 support.*from 0"):
            known.remove("s1", support)
    for support in ("first", 0.0, True):
        with pytest.raises(OptionError, match="integer"):
            known.remove("s1", support)
    with pytest.raises(LabelError, match="'nobody'"):
        known.remove("nobody", 0)
    known.remove("s1", 0)
    assert known.labels == ["s0", "s2", "s3"]
    assert "s1" not in known.gallery


def test_a_gallery_is_a_container_of_labels(known) -> None:
    gallery = known.gallery
    assert list(gallery) == gallery.labels == list(gallery.counts()) == ["s0", "s1", "s2", "s3"]
    assert len(gallery) == sum(gallery.counts().values()) == 8
    assert "s1" in gallery
    for label in ("s9", "", " ", "\n", "x" * 300, 7, None):
        assert label not in gallery


def test_supports_come_in_the_order_of_their_enrollment(known) -> None:
    """Those of which nothing was kept too: a gallery in memory listed them last."""
    embeddings = known.gallery.codes("s0").astype(np.float32)[:1] / 255
    known.gallery.extend(["mixed"], embeddings)
    known.gallery.extend(["mixed"], embeddings, metadata=[{"n": 1}])
    known.gallery.extend(["mixed", "mixed"], np.repeat(embeddings, 2, axis=0), metadata=[None, {"n": 3}])
    assert [support.metadata for support in known.gallery.supports("mixed")] == [None, {"n": 1}, None, {"n": 3}]
    known.remove("mixed", 0)
    known.gallery.rename("mixed", "renamed")
    found = known.gallery.supports("renamed")
    assert [(support.label, support.metadata) for support in found] == [("renamed", n) for n in ({"n": 1}, None, {"n": 3})]
    known.remove("renamed", 1)
    assert [support.metadata for support in known.gallery.supports("renamed")] == [{"n": 1}, {"n": 3}]


def test_a_saved_gallery_is_the_same(known, tmp_path, drawings) -> None:
    known.gallery.rename("s0", "last")
    known.enroll("s2", drawings[0][7])
    known.remove("s3", 0)
    copy_path = tmp_path / "copy.db"
    assert known.gallery.save(copy_path) == 8
    with OneShotMatcher.load(gallery=copy_path, precision="fp32", threads=1) as copied:
        assert copied.gallery.counts() == known.gallery.counts()
        for label in known.gallery:
            assert np.array_equal(copied.gallery.codes(label), known.gallery.codes(label))
            assert copied.gallery.supports(label) == known.gallery.supports(label)
        assert copied.match_batch(drawings[1]) == known.match_batch(drawings[1])
    with pytest.raises(GalleryError, match="exists already"):
        known.gallery.save(copy_path)
    with pytest.raises(GalleryError, match="nowhere"):
        known.gallery.save(tmp_path / "nowhere" / "copy.db")
    assert sorted(path.name for path in tmp_path.glob("copy.db*")) == sorted(path.name for path in tmp_path.glob("copy*"))


def test_a_copy_that_fails_leaves_nothing(known, tmp_path, monkeypatch) -> None:
    from oneshot_runtime.stores.sqlite import sqlite_store

    def fail(*_: object) -> None:
        raise GalleryError("the disk is full")

    monkeypatch.setattr(sqlite_store.SqliteStore, "add", fail)
    with pytest.raises(GalleryError, match="full"):
        known.gallery.save(tmp_path / "copy.db")
    assert not list(tmp_path.glob("copy*"))


def test_a_closed_gallery_says_so_whatever_happens_to_its_file(known, place, drawings) -> None:
    image = drawings[0][0]
    known.close()
    known.close()
    calls = [
        lambda: known.match(image),
        lambda: known.match_batch([image]),
        lambda: known.explain(image),
        lambda: known.enroll("a", image),
        lambda: known.remove("s0"),
        lambda: known.remove("s0", 0),
        lambda: known.labels,
        lambda: len(known.gallery),
        lambda: list(known.gallery),
        lambda: "s0" in known.gallery,
        lambda: known.gallery.counts(),
        lambda: known.gallery.count("s0"),
        lambda: known.gallery.codes("s0"),
        lambda: known.gallery.supports("s0"),
        lambda: known.gallery.rename("s0", "a"),
        lambda: known.gallery.save("elsewhere.db"),
        lambda: known.gallery.calibrate(),
        lambda: known.gallery.snapshot(),
        lambda: known.gallery.snapshot(Where(labels=["s0"])),
        lambda: known.gallery.revision,
        lambda: known.warmup(),
    ]
    for _ in range(2):
        for call in calls:
            with pytest.raises(GalleryError, match="is closed"):
                call()
        if place is not None:
            for file in place.parent.glob("letters.db*"):
                file.unlink()
    assert "closed" in repr(known)
    assert known.verify(image, image) > 0.9  # of no gallery


def test_every_change_raises_the_revision(known, drawings) -> None:
    gallery, seen = known.gallery, []

    def changed() -> bool:
        seen.append(gallery.revision)
        return len(seen) < 2 or seen[-1] > seen[-2]

    assert changed()
    assert gallery.revision == gallery.snapshot().revision == seen[-1]
    known.match(drawings[0][0])
    assert gallery.revision == seen[-1]
    known.enroll("new", drawings[0][8])
    assert changed()
    gallery.rename("new", "newer")
    assert changed()
    known.remove("s1", 0)
    assert changed()
    known.remove("newer")
    assert changed()


# Images


class Upload:
    """What a web framework hands over: it reads, and is no file of `io`."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)
        self.filename = "upload.png"

    def read(self, size: int = -1) -> bytes:
        return self.file.read(size)


def test_an_image_comes_in_many_forms(matcher, drawings, tmp_path) -> None:
    page = drawings[0][0]
    data = png(page)
    path = tmp_path / "page.png"
    path.write_bytes(data)
    written = io.BytesIO()
    written.write(data)
    expected = matcher.embed(page)
    opened = path.open("rb")
    forms = [path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data), written, opened, Upload(data)]
    forms += [Image.open(path), page[:, :, None], np.repeat(page[:, :, None], 3, axis=2), np.asfortranarray(page)]
    for form in forms:
        assert np.array_equal(matcher.embed(form), expected), type(form)
    assert np.array_equal(matcher.embed(written), expected)  # once more: it is left where it was
    assert written.tell() == len(data)
    opened.close()
    mask = page < 128
    for ink in (mask, ~mask, mask[:, :, None]):
        assert np.array_equal(matcher.embed(ink), matcher.embed(np.where(mask, 0, 255).astype(np.uint8)))


def test_any_iterable_of_images_will_do(matcher, drawings) -> None:
    first, second = drawings
    matcher.enroll("a", (page for page in (first[0], second[0])))
    matcher.enroll("b", iter([first[1]]))
    matcher.enroll("c", {"one": first[2], "two": second[2]}.values())
    assert matcher.gallery.counts() == {"a": 2, "b": 1, "c": 2}
    assert matcher.match_batch(page for page in second[:3]) == matcher.match_batch(second[:3])
    assert matcher.embed(map(np.asarray, second[:3])).shape == (3, matcher.bundle.dim)
    assert matcher.match_batch(iter(())) == []
    with pytest.raises(ImageError, match="empty"):
        matcher.enroll("d", (page for page in ()))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((9, 9), np.float32), r"float32.*255 \* array"),
        (np.zeros((9, 9), np.int64), "int64"),
        (np.zeros((9, 9, 4), np.uint8), "RGBA"),
        (np.zeros((3, 9, 9), np.uint8), r"list\(array\)"),
        ("https://example.org/alef.png", "downloaded.*urlopen"),
        ("HTTP://example.org/alef.png", "downloaded"),
        (io.StringIO("text"), "mode 'rb'"),
        (io.BytesIO(b""), "0 bytes"),
        (io.BytesIO(b"no picture"), "file object"),
        (7, "int"),
        ({"a": 1}, "dict"),
        ({b"a"}, "set"),
    ],
)
def test_what_is_no_image_is_refused_with_a_hint(matcher, image, words) -> None:
    with pytest.raises(ImageError, match=words):
        matcher.embed(image)


def test_a_closed_file_is_named(matcher, tmp_path) -> None:
    path = tmp_path / "page.png"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        pass
    with pytest.raises(ImageError, match="page.png"):
        matcher.match(file)


def test_a_list_where_one_image_goes_names_the_call_for_lists(matcher, drawings) -> None:
    with pytest.raises(ImageError, match="match_batch"):
        matcher.match([drawings[0][0]])


# Errors of a batch


@pytest.fixture
def mixed(drawings, tmp_path) -> list[object]:
    """Fifty images, of which four cannot be used: a missing file, a damaged one, a blank array, floats."""
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(png(drawings[0][0])[:200])
    images: list[object] = [drawings[0][number % 8] for number in range(50)]
    images[3], images[17], images[18], images[49] = (
        tmp_path / "missing.png",
        damaged,
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9)),
    )
    return images


def test_an_error_of_a_batch_names_its_picture(known, mixed) -> None:
    for call in (known.match_batch, known.embed, lambda images: known.enroll("new", images)):
        with pytest.raises(ImageError, match=r"images\[3\].*missing.png"):
            call(mixed)
        with pytest.raises(ImageError, match=r"images\[0\].*damaged.png"):
            call(mixed[17:])
    assert "new" not in known.gallery


def test_one_bad_picture_costs_one_answer(known, mixed) -> None:
    answers = known.match_batch(mixed, on_error="return")
    assert [place for place, answer in enumerate(answers) if isinstance(answer, ImageError)] == [3, 17, 18, 49]
    assert "images[17]" in str(answers[17])
    assert "damaged.png" in str(answers[17])
    good = [image for place, image in enumerate(mixed) if place not in (3, 17, 18, 49)]
    assert [answer for answer in answers if isinstance(answer, Match)] == known.match_batch(good)
    assert all(isinstance(answer, ImageError) for answer in known.match_batch([mixed[3], mixed[17]], on_error="return"))
    with pytest.raises(OptionError, match="on_error"):
        known.match_batch(mixed, on_error="ignore")


def test_bad_pictures_of_a_batch_in_a_large_gallery(matcher, mixed) -> None:
    embeddings = np.random.default_rng(0).random((1500, matcher.bundle.dim), np.float32)
    matcher.gallery.extend([str(number) for number in range(1500)], embeddings)
    answers = matcher.match_batch(mixed, on_error="return")
    assert [place for place, answer in enumerate(answers) if isinstance(answer, ImageError)] == [3, 17, 18, 49]
    with pytest.raises(ImageError, match=r"images\[3\]"):
        matcher.match_batch(mixed)


# Answers


def test_an_empty_gallery_has_no_threshold(matcher, drawings) -> None:
    match = matcher.match(drawings[0][0])
    assert match == Match(None, 0.0, (), None)
    assert (match.best, match.probably) == (None, None)
    assert matcher.match_batch(drawings[0][:2]) == [match, match]


def test_the_best_candidate(known, drawings) -> None:
    match = known.match(drawings[0][0])
    assert match.best == match.candidates[0] == Candidate("s0", match.probability)


@pytest.mark.parametrize(
    ("best", "runner_up", "expected"),
    [
        (0.91, 0.2, True),
        (0.5, 0.125, True),
        (0.5, 0.126, False),
        (0.49, 0.0, False),
        (0.9, 0.6, False),
        (0.6, None, True),
        (1, 1, True),
    ],
)
def test_what_is_clearly_ahead(best, runner_up, expected) -> None:
    assert clearly_ahead(best, runner_up) is expected


def test_a_refused_best_that_is_clearly_ahead_is_named(drawings) -> None:
    """At a rate so strict that near everything is refused; the rule is about the candidates alone."""
    with OneShotMatcher.load(precision="fp32", threads=1, far=1e-9) as matcher:
        matcher.enroll("only", drawings[0][0])
        named = set()
        for number, drawing in enumerate(drawings[0][1:], 1):
            matcher.enroll(f"s{number}", drawing)
        for drawing in drawings[1]:
            match = matcher.match(drawing, top_k=1)
            assert match.label is None
            first, second = matcher.match(drawing, top_k=2).candidates
            assert (match.probably == first.label) == clearly_ahead(first.probability, second.probability)
            assert match.probably in (None, first.label)
            named.add(match.probably)
        assert None in named or len(named) > 5
        assert len(named) > 3
        assert matcher.match(drawings[0][3]).probably == "s3"
    with OneShotMatcher.load(precision="fp32", threads=1, far=None) as matcher:
        matcher.enroll("only", drawings[0][0])
        assert matcher.match(drawings[1][0]).probably is None  # it has its label


def test_numbers_of_numpy_are_numbers(drawings) -> None:
    with OneShotMatcher.load(precision="fp32", threads=np.int64(2), far=np.float32(0.01)) as matcher:
        assert (matcher.threads, matcher.far) == (2, pytest.approx(0.01))
        assert isinstance(matcher.far, float)
        matcher.enroll("a", drawings[0][0])
        assert matcher.match(drawings[0][0], np.uint8(1)).label == "a"
        assert matcher.explain(drawings[0][0], np.int32(2)).match.label == "a"


@pytest.mark.parametrize("far", [1e-12, 0.0005, 0.07, 0.2, 0.5])
def test_any_rate_up_to_a_half_will_do(far, drawings) -> None:
    """Beyond the rates that the bundle was calibrated for, the outer slopes go on: a higher rate never refuses more."""
    with (
        OneShotMatcher.load(precision="fp32", threads=1, far=far) as one,
        OneShotMatcher.load(precision="fp32", threads=1) as default,
    ):
        for matcher in (one, default):
            matcher.enroll("a", drawings[0][0])
        thresholds = [matcher.match(drawings[0][0]).threshold for matcher in (one, default)]
        assert (thresholds[0] < thresholds[1]) == (far > default.far)


def test_the_options_are_checked_before_anything_is_loaded(tmp_path) -> None:
    for options in ({"far": 0.7}, {"far": "often"}, {"threads": 0}, {"threads": 2.5}):
        with pytest.raises(OptionError, match=next(iter(options))):
            OneShotMatcher.load(tmp_path / "no bundle", gallery=tmp_path / "new.db", **options)
    assert not (tmp_path / "new.db").exists()


def test_thresholds_of_sizes_that_are_gone_are_not_kept(matcher, drawings) -> None:
    matcher.far = 0.05
    rows = matcher.embed(drawings[0][0])
    for number in range(60):
        matcher.gallery.extend([str(number)], rows)
        matcher.match(drawings[0][0])
    kept = [value for value in vars(matcher).values() if isinstance(value, dict) and len(value) > 5]
    assert kept == []


def test_explain_and_match_give_one_score(known, drawings) -> None:
    for number in range(4):
        known.enroll(f"s{number}", drawings[1][number + 4])
    for drawing in drawings[1][:6]:
        match, why = known.match(drawing, 3), known.explain(drawing, 3)
        assert why.match.label == match.label
        assert [(near.label, near.probability) for near in why.nearest] == [
            (c.label, c.probability) for c in why.match.candidates
        ]
        assert [c.probability for c in why.match.candidates] == pytest.approx(
            [c.probability for c in match.candidates], abs=1e-6
        )
        assert why.margin == pytest.approx(why.nearest[0].logit - why.nearest[1].logit)
        assert why.margin >= 0
        for near in why.nearest:
            assert near.probability == pytest.approx(1 / (1 + np.exp(-near.logit)))


# Reports, pickles, reprs


def test_a_report_is_data(known, drawings) -> None:
    report = known.enroll("twin", drawings[0][0])
    known.close()
    assert [finding.kind for finding in report.findings] == ["duplicate"]
    assert pickle.loads(pickle.dumps(report)) == report
    assert copy.deepcopy(report) == report


def test_answers_pickle(known, drawings) -> None:
    match, why = known.match(drawings[0][0]), known.explain(drawings[0][0])
    assert pickle.loads(pickle.dumps(match)) == match
    assert pickle.loads(pickle.dumps(why)).match == why.match
    support = known.gallery.supports("s0")[0]
    assert pickle.loads(pickle.dumps(support)) == support


def test_a_matcher_is_not_pickled_and_says_what_to_do(known) -> None:
    for thing in (known, known.gallery):
        for call in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(UnpicklableError, match="save"):
                call(thing)


def public_names(package: str) -> dict[str, Any]:
    module = importlib.import_module(package)
    return {name: getattr(module, name) for name in module.__all__}


def test_what_is_public_fits_a_line(known, place, drawings) -> None:
    known.enroll("x" * 250, drawings[0][9])
    known.gallery.extend(
        [f"c{number}" for number in range(30)], np.random.default_rng(0).random((30, known.bundle.dim), np.float32)
    )
    report = known.enroll("y" * 250, drawings[0][9])
    things = [known, known.gallery, known.bundle, known.match(drawings[0][9], 100), known.explain(drawings[0][9]), report]
    things += [*report.findings, *known.match(drawings[0][9]).candidates, *known.explain(drawings[0][9]).nearest]
    things += [
        known.gallery.supports("s0")[0],
        known.gallery.calibrate(0.2),
        known.bundle.head,
        known.bundle.golden(),
        known.bundle.spec,
    ]
    things += [
        known.gallery.snapshot(),
        known.bundle.thresholds,
    ]
    audit = audit_gallery(known.gallery, known.bundle, 0.05)
    things += [audit, *audit.findings[:1], Where(labels=iter(known.labels), metadata={"n": "y" * 999})]
    things += [*known.read(drawings[0][9]), ImageEncoder(known.bundle, precision="fp32", threads=1), BulkResult(7, 5, 1, 1)]
    rng = np.random.default_rng(0)
    things += [invent_alphabet(2, 0)[0], random_writer(rng)]
    codes = known.gallery.codes("s0")
    block = Block(["s0"] * len(codes), codes, [b"x" * 999] * len(codes), [None] * len(codes))
    position = Position("f" * 32, 7, 40)
    things += [block, Added(["s0"] * 99, np.zeros((99, 9), np.uint8), list(range(99))), position]
    things += [Changes(False, [], [Added(["s0"], codes, [1])], position)]
    for thing in things:
        assert type(thing).__name__ in repr(thing)
        assert len(repr(thing)) <= 240, repr(thing)
        assert "\n" not in repr(thing)
    if place is None:
        return  # once is enough
    rooms = ("", ".model", ".quality", ".stores", ".synthetic", ".transfer", ".vision")
    public = {value for room in rooms for value in public_names(f"oneshot_runtime{room}").values() if isinstance(value, type)}
    plain = {one for one in public if not (issubclass(one, BaseException | Warning) or getattr(one, "_is_protocol", False))}
    assert plain <= {type(thing) for thing in things}


def test_a_folder_is_enrolled_by_the_matcher(known, drawings, tmp_path) -> None:
    root = tmp_path / "pictures"
    for number in range(3):
        folder = root / urllib.parse.quote(f"f{number}")
        folder.mkdir(parents=True)
        for hand in range(2):
            (folder / f"{hand}.png").write_bytes(png(drawings[hand][number + 5]))
    (root / "f1" / "broken.png").write_bytes(b"no picture")
    reasons: list[str] = []
    result = known.enroll_folder(root, failure=reasons.append)
    assert (result.added, result.present, result.failed) == (6, 0, 1)
    assert "broken.png" in reasons[0]
    again = known.enroll_folder(str(root))
    assert (again.added, again.present, again.failed) == (0, 6, 1)
    assert known.gallery.counts() == {"s0": 2, "s1": 2, "s2": 2, "s3": 2, "f0": 2, "f1": 2, "f2": 2}
    assert known.match(drawings[0][6]).best.label == "f1"
    with pytest.raises(ImageError, match="broken.png"):
        known.enroll_folder(root, strict=True)
    with pytest.raises(GalleryError, match="nowhere"):
        known.enroll_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("room", ["", ".model", ".quality", ".stores", ".transfer", ".vision"])
def test_every_public_name_is_used_in_the_file_that_mypy_checks(room) -> None:
    words = set(re.findall(r"\w+", (Path(__file__).parent / "typed_use.py").read_text(encoding="utf-8")))
    assert set(public_names(f"oneshot_runtime{room}")) <= words


class Name(str, enum.Enum):
    alef = "s-alef"


def test_texts_of_other_kinds_are_labels(known, drawings) -> None:
    """They come back as plain texts."""
    known.enroll(np.str_("numpy"), drawings[0][8])
    known.enroll(Name.alef, drawings[0][9])
    known.gallery.extend(np.array(["array"]), known.embed(drawings[0][10]))
    known.gallery.rename("array", np.str_("other"))
    assert known.labels[4:] == ["numpy", "s-alef", "other"]
    assert {type(label) for label in [*known.labels, *known.gallery.counts()]} == {str}
    assert known.match(drawings[0][9]).label == "s-alef"
    known.remove(Name.alef)
    assert Name.alef not in known.gallery


def test_a_label_in_the_place_of_the_image_is_named_in_one_line(known, drawings) -> None:
    with pytest.raises(LabelError, match="a label is a str, got ndarray") as raised:
        known.enroll(drawings[0][0], "alef")
    assert "\n" not in str(raised.value)


def test_embeddings_come_with_any_iterables(known) -> None:
    rows = np.full((2, known.bundle.dim), 0.5, np.float32)
    known.gallery.extend((name for name in "ab"), rows, metadata=iter([{"n": 1}, None]), thumbnails=(None for _ in range(2)))
    assert [support.metadata for support in known.gallery.supports("a")] == [{"n": 1}]
    with pytest.raises(GalleryError, match="3 labels and 2 metadata"):
        known.gallery.extend(iter("abc"), np.repeat(rows, 2, axis=0)[:3], metadata=iter([None, None]))


def test_a_region_is_any_four_whole_numbers(known, drawings) -> None:
    for region in ((5, 5, 90, 90), [5, 5, 90, 90], np.array([5, 5, 90, 90]), np.array([5, 5, 90, 90], np.uint8)):
        known.enroll("part", drawings[0][8], region=region)
    assert len(np.unique(known.gallery.codes("part"), axis=0)) == 1
    for region in (np.array([5.0, 5, 90, 90]), np.zeros((4, 4), np.int64), (5, 5, 90), (5, 5, 101, 90), "abcd"):
        with pytest.raises(OptionError, match="region"):
            known.enroll("part", drawings[0][8], region=region)


def test_a_gallery_is_saved_to_a_place(known) -> None:
    for place in (None, 7, b"copy.db"):
        with pytest.raises(GalleryError, match="saved to the path"):
            known.gallery.save(place)


class Folder:
    """A path as other libraries have them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_a_path_of_another_library_names_a_gallery(tmp_path, drawings) -> None:
    place = Folder(tmp_path / "letters.db")
    with OneShotMatcher.load(gallery=place, precision="fp32", threads=1) as matcher:
        matcher.enroll("a", drawings[0][0])
        assert repr(matcher.gallery) == f"Gallery({str(tmp_path / 'letters.db')!r}, 1 classes)"
        matcher.gallery.save(Folder(tmp_path / "copy.db"))
    assert (tmp_path / "copy.db").exists()

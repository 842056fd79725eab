from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from oneshot_runtime import GalleryError, OneShotMatcher
from oneshot_runtime.cli.main import main
from oneshot_runtime.errors import ArchiveError
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.codes import encode
from oneshot_runtime.stores.sqlite.sqlite_reader import GalleryReader
from oneshot_runtime.stores.sqlite.sqlite_store import SqliteStore
from oneshot_runtime.transfer.folders import export_folder, folder_name, label_of
from oneshot_runtime.transfer.npz import export_npz, import_npz
from oneshot_runtime.vision.grey_png import thumbnail

BUNDLE = Bundle.open()
PNG = thumbnail(np.zeros((8, 8), np.uint8))
LABELS = ["alef", "Alef", "ה", "a/b", "..", "con", "50%", "x" * 256, "ü" * 90, " spaced "]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "letters.db"


@pytest.fixture
def filled(path, drawings):
    """A gallery file with pictures, metadata and awkward labels."""
    with OneShotMatcher.load(gallery=path, precision="fp32", threads=1) as matcher:
        for number, label in enumerate(LABELS):
            metadata = {"page": number, "by": "ה"} if number % 2 else None
            matcher.enroll(label, [drawings[0][number], drawings[1][number]], metadata=metadata)
    return path


def content(path) -> list:
    gallery = Gallery(BUNDLE, path)
    found = [(label, gallery.supports(label)) for label in gallery.labels]
    snapshot = gallery.snapshot()
    codes = [segment.codes.tobytes() for segment in snapshot.segments]
    gallery.close()
    return [found, codes]


def test_an_npz_brings_everything_back(filled, tmp_path) -> None:
    archive = tmp_path / "letters.npz"
    assert export_npz(filled, archive) == 20
    copy = Gallery(BUNDLE, tmp_path / "copy.db")
    seen = []
    assert import_npz(copy, BUNDLE, archive, lambda done, total: seen.append((done, total))) == 20
    copy.close()
    assert content(tmp_path / "copy.db") == content(filled)
    assert seen == [(20, 20)]
    with np.load(archive, allow_pickle=False) as arrays:
        assert arrays["labels"].tolist() == [label for label in LABELS for _ in range(2)]
        assert arrays["codes"].shape == (20, BUNDLE.dim)
    assert {entry.name for entry in tmp_path.iterdir() if "part" in entry.name} == set()


def test_an_npz_of_embeddings_made_elsewhere(path, tmp_path, matcher, drawings) -> None:
    archive = tmp_path / "made.npz"
    embeddings = matcher.embed(drawings[0])
    labels = [f"s{index}" for index in range(12)]
    np.savez_compressed(archive, fingerprint=BUNDLE.fingerprint, labels=labels, embeddings=embeddings)
    assert import_npz(matcher.gallery, BUNDLE, archive) == 12
    assert [matcher.match(drawing).label for drawing in drawings[0]] == labels


def made(tmp_path, **changes):
    arrays = {"fingerprint": BUNDLE.fingerprint, "labels": ["a", "b"], "codes": np.zeros((2, BUNDLE.dim), np.uint8)}
    arrays |= changes
    archive = tmp_path / "made.npz"
    np.savez(archive, **{name: values for name, values in arrays.items() if values is not None})
    return archive


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"fingerprint": "0123"}, "0123"),
        ({"fingerprint": "0123"}, BUNDLE.fingerprint),
        ({"fingerprint": None}, "fingerprint"),
        ({"version": np.int64(9)}, "9"),
        ({"labels": ["a"]}, "codes"),
        ({"labels": ["a", ""]}, "cannot import .*label"),
        ({"labels": np.array(["a", object()], object)}, "labels"),
        ({"labels": ["a", "x" * 300]}, "300|256"),
        ({"codes": np.zeros((2, 7), np.uint8)}, "codes"),
        ({"codes": np.zeros((2, BUNDLE.dim), np.float64)}, "codes"),
        ({"codes": None}, "codes"),
        ({"codes": None, "embeddings": np.full((2, BUNDLE.dim), 2, np.float32)}, r"\[0, 1\]"),
        ({"created": np.array([1, np.nan])}, "finite"),
        ({"thumbnails": np.zeros(9, np.uint8)}, "thumbnail_sizes"),
        ({"thumbnails": np.zeros(9, np.uint8), "thumbnail_sizes": np.array([5, -1])}, "PNG"),
        ({"thumbnails": np.frombuffer(b"\x89PNG junk", np.uint8), "thumbnail_sizes": np.array([9, -1])}, "PNG"),
        ({"metadata": np.frombuffer(b"[1]{", np.uint8), "metadata_sizes": np.array([3, 1])}, "dict|JSON"),
        (
            {"metadata": np.frombuffer(b"{not JSON", np.uint8), "metadata_sizes": np.array([9, -1])},
            r"^cannot import .*JSON",
        ),
        ({"metadata": np.frombuffer(b"{}", np.uint8), "metadata_sizes": np.array([2, 9])}, "ends early"),
        ({"metadata": np.frombuffer(b"{}{}", np.uint8), "metadata_sizes": np.array([2, -1])}, "goes on"),
        ({"metadata": np.frombuffer(b"{}", np.uint8), "metadata_sizes": np.array([2, -7])}, "-7|sizes"),
    ],
)
@pytest.mark.parametrize("durable", [True, False])
def test_an_npz_that_does_not_fit_is_refused_and_nothing_added(path, tmp_path, changes, named, durable) -> None:
    gallery = Gallery(BUNDLE, path if durable else None)
    with pytest.raises(ArchiveError, match=named) as error:
        import_npz(gallery, BUNDLE, made(tmp_path, **changes))
    assert "made.npz" in str(error.value)
    assert gallery.labels == []
    gallery.close()


def test_a_zip_bomb_and_a_lying_header_are_refused_before_anything_is_unpacked(path, tmp_path) -> None:
    rows = 1_000_000
    archive = tmp_path / "bomb.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (rows, BUNDLE.dim)})
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, values in (("fingerprint", BUNDLE.fingerprint), ("labels", ["a"])):
            part = io.BytesIO()
            np.save(part, np.array(values))
            file.writestr(f"{name}.npy", part.getvalue())
        with file.open("codes.npy", "w") as part:
            part.write(header.getvalue())
            for _ in range(BUNDLE.dim):
                part.write(bytes(rows))
    gallery = Gallery(BUNDLE, path)
    with pytest.raises(GalleryError, match="bomb"):
        import_npz(gallery, BUNDLE, archive)
    lying = made(tmp_path)
    with zipfile.ZipFile(lying, "a") as file:
        file.writestr("embeddings.npy", b"")
        file.writestr("created.npy", header.getvalue() + bytes(8))
    with pytest.raises(GalleryError, match="created|codes"):
        import_npz(gallery, BUNDLE, lying)
    assert len(gallery) == 0
    gallery.close()


def test_long_runs_of_long_labels_come_back_from_an_export(path, tmp_path) -> None:
    """Deflate packs them more than 200:1, into more than 64 MiB: what a bomb looks like, and what `enroll --folder` writes."""
    labels = [f"{number:0>250}" for number in range(70) for _ in range(1000)]
    codes = np.random.default_rng(3).random((len(labels), BUNDLE.dim), np.float32)
    gallery = Gallery(BUNDLE, path)
    gallery.extend(labels, codes)
    gallery.close()
    export_npz(path, tmp_path / "long.npz")
    with zipfile.ZipFile(tmp_path / "long.npz") as file:
        info = file.getinfo("labels.npy")
    assert info.file_size > max(1 << 26, 200 * info.compress_size)
    copy = Gallery(BUNDLE)
    assert import_npz(copy, BUNDLE, tmp_path / "long.npz") == 70_000
    assert [(label, copy.count(label)) for label in copy.labels] == [(f"{number:0>250}", 1000) for number in range(70)]
    assert np.array_equal(copy.codes(labels[-1]), encode(codes[-1000:], BUNDLE.head))


def packed(target, method: int, **parts: tuple[dict | bytes, int]) -> None:
    """An `.npz` of arrays by their header and how many bytes of zeros they have, beside a fingerprint and codes of two."""
    with zipfile.ZipFile(target, "w", method) as file:
        for name, values in (("fingerprint", BUNDLE.fingerprint), ("codes", np.zeros((2, BUNDLE.dim), np.uint8))):
            if name not in parts:
                part = io.BytesIO()
                np.save(part, np.array(values))
                file.writestr(f"{name}.npy", part.getvalue())
        for name, (header, size) in parts.items():
            with file.open(f"{name}.npy", "w") as part:
                if isinstance(header, bytes):
                    part.write(header)
                else:
                    np.lib.format.write_array_header_2_0(part, header)
                for _ in range(size >> 20):
                    part.write(bytes(1 << 20))


def plain(descr: str, *shape: int) -> dict:
    return {"descr": descr, "fortran_order": False, "shape": shape}


ROWS = 1 << 18
LONG = (plain("<U64", ROWS), 256 * ROWS)


@pytest.mark.parametrize(
    ("method", "parts", "named"),
    [
        ("DEFLATED", {"labels": LONG}, "codes"),
        ("DEFLATED", {"labels": LONG, "codes": (plain("|u1", 2 * ROWS, BUNDLE.dim), 512 * ROWS)}, "bomb"),
        ("DEFLATED", {"labels": (plain("<U16777216", 2), 1 << 27)}, "256 characters"),
        (
            "DEFLATED",
            {
                "labels": (plain("<U1048576", 0), 0),
                "codes": (plain("|u1", 0, BUNDLE.dim), 0),
                "metadata": (plain("|u1", 0), 0),
                "metadata_sizes": (plain("<i8", 32 * ROWS), 256 * ROWS),
            },
            "metadata_sizes",
        ),
        ("DEFLATED", {"labels": (b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 26), 1 << 26)}, "header claims 67108864"),
        ("BZIP2", {"labels": (plain("<U1", 2), 0)}, "stored or deflated"),
        ("LZMA", {"labels": (plain("<U1", 2), 0)}, "stored or deflated"),
    ],
)
def test_what_may_grow_more_is_bound_to_the_codes_before_it_is_unpacked(tmp_path, method, parts, named) -> None:
    packed(tmp_path / "bomb.npz", getattr(zipfile, f"ZIP_{method}"), **parts)
    gallery = Gallery(BUNDLE)
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match=named):
            import_npz(gallery, BUNDLE, tmp_path / "bomb.npz")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 22
    assert gallery.labels == []


class Observed(SqliteStore):
    """Keeps how many bytes each block had."""

    def add(self, blocks) -> None:
        self.sizes = []

        def seen():
            for block in blocks:
                self.sizes.append(sum(len(picture) for picture in block.thumbnails))
                yield block

        super().add(seen())


def test_a_block_holds_few_bytes_however_large_thumbnails_are(path, tmp_path) -> None:
    pictures = [PNG + bytes([number]) * (1_000_000 - len(PNG)) for number in range(48)]
    labels = [f"s{number}" for number in range(48)]
    codes = np.random.default_rng(2).random((48, BUNDLE.dim), np.float32)
    gallery = Gallery(BUNDLE, path)
    gallery.extend(labels, codes, pictures, [{"place": number} for number in range(48)])
    gallery.close()
    export_npz(path, tmp_path / "large.npz")
    store = Observed(tmp_path / "copy.db", BUNDLE.fingerprint, BUNDLE.dim)
    copy = Gallery(BUNDLE, store)
    assert import_npz(copy, BUNDLE, tmp_path / "large.npz") == 48
    copy.close()
    with GalleryReader(tmp_path / "copy.db") as reader:
        blocks = [[(row.label, row.thumbnail, row.metadata) for row in rows] for rows in reader.rows()]
    read = [sum(len(picture) for _, picture, _ in rows) for rows in blocks]
    for sizes in (store.sizes, read):
        assert sum(sizes) == 48_000_000
        assert max(sizes) < 35_000_000
    places = [json.dumps({"place": number}) for number in range(48)]
    assert [row for rows in blocks for row in rows] == list(zip(labels, pictures, places, strict=True))


@pytest.mark.parametrize("thrown", [ValueError("of the caller"), RuntimeError(), OSError("not the gallery's disk")])
def test_what_the_caller_of_an_import_raises_goes_on_as_it_is(filled, tmp_path, thrown) -> None:
    export_npz(filled, tmp_path / "letters.npz")

    def progress(done: int, total: int) -> None:
        raise thrown

    copy = Gallery(BUNDLE, tmp_path / "copy.db")
    with pytest.raises(type(thrown)) as error:
        import_npz(copy, BUNDLE, tmp_path / "letters.npz", progress)
    assert error.value is thrown
    assert copy.labels == []
    copy.close()


def test_a_gallery_that_cannot_take_an_import_is_not_the_archives_fault(filled, tmp_path) -> None:
    export_npz(filled, tmp_path / "letters.npz")
    copy = Gallery(BUNDLE, tmp_path / "copy.db")
    copy.close()
    with pytest.raises(GalleryError, match=r"copy\.db") as error:
        import_npz(copy, BUNDLE, tmp_path / "letters.npz")
    assert not isinstance(error.value, ArchiveError)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    gallery = Gallery(BUNDLE, folder / "letters.db")
    gallery.extend(["a", "b"], np.full((2, BUNDLE.dim), 0.5, np.float32), [PNG, None], [None, {"a": 1}])
    gallery.close()
    export_npz(folder / "letters.db", folder / "letters.npz")
    return (folder / "letters.npz").read_bytes()


@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 1), change=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_npz_is_refused_or_harmless(tmp_path_factory, archive, place, change, cut) -> None:
    position = int(place * (len(archive) - 1))
    damaged = tmp_path_factory.mktemp("npz") / "damaged.npz"
    damaged.write_bytes(
        archive[:position] if cut else archive[:position] + bytes([archive[position] ^ change]) + archive[position + 1 :]
    )
    gallery = Gallery(BUNDLE)
    try:
        import_npz(gallery, BUNDLE, damaged)
    except ArchiveError:
        assert gallery.labels == []
        return
    assert gallery.labels == ["a", "b"]
    half = np.full((1, BUNDLE.dim), 0.5, np.float32)
    assert [found.distance for found in gallery.snapshot().nearest(encode(half, BUNDLE.head)[0], 2)] == [0, 0]


def test_a_support_without_a_picture_is_not_left_out_silently(path, tmp_path) -> None:
    gallery = Gallery(BUNDLE, path)
    gallery.extend(["a"], np.full((1, BUNDLE.dim), 0.5, np.float32))
    gallery.close()
    with pytest.raises(GalleryError, match="'a'"):
        export_folder(path, tmp_path / "letters")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["letters.db"]


@pytest.mark.parametrize("export", [export_folder, export_npz])
def test_an_export_overwrites_nothing(filled, export) -> None:
    before = filled.read_bytes()
    with pytest.raises(GalleryError, match="exists already"):
        export(filled, filled)
    with pytest.raises(GalleryError, match="nowhere"):
        export(filled, filled.parent / "nowhere" / "x")
    assert filled.read_bytes() == before


@settings(max_examples=300, deadline=None)
@given(label=st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12))
@example(label="LPT1.txt")
@example(label="x.")
@example(label="%41")
@example(label="é")
def test_a_folder_name_is_safe_and_comes_back(label) -> None:
    assume(label.isprintable())
    name = folder_name(label)
    assert label_of(name) == label
    assert not set(name) & set('/\\:*?"<>|\0')
    assert name == name.casefold() or "%" in name
    assert name.split(".")[0].lower() not in ("con", "nul", "prn", "aux", "lpt1")
    assert name[-1] not in " ."


def test_the_commands_export_and_import(filled, tmp_path, capsys) -> None:
    def call(*words: str) -> tuple[int, dict]:
        code = main(["gallery", *words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    for target, copy in (("out.npz", "one.db"), ("out", "two.db")):
        place = str(tmp_path / target)
        assert call("export", place, "--gallery", str(filled))[1]["supports"] == 20
        code, answer = call("import", place, "--gallery", str(tmp_path / copy))
        assert (code, answer["added"]) == (0, 20)
        assert {label for label, _ in content(tmp_path / copy)[0]} == set(LABELS)
    for missing in ("missing", "missing.npz"):
        code, answer = call("import", str(tmp_path / missing), "--gallery", str(tmp_path / "three.db"))
        assert (code, answer["error"]) == (1, "GalleryError")
        assert not (tmp_path / "three.db").exists()
    code, answer = call("rename", "alef", "Beth", "--gallery", str(filled))
    assert answer == {"old": "alef", "new": "Beth", "supports": 2}


def test_a_small_archive_makes_no_large_gallery(path, tmp_path) -> None:
    """Zeros pack a thousand to one: 300 kB became a gallery of 1.4 GB."""
    rows = 300_000
    archive = tmp_path / "bomb.npz"
    np.savez_compressed(
        archive,
        fingerprint=BUNDLE.fingerprint,
        labels=np.full(rows, "x" * 200),
        codes=np.zeros((rows, BUNDLE.dim), np.uint8),
    )
    assert archive.stat().st_size < 1_000_000
    gallery = Gallery(BUNDLE, path)
    with pytest.raises(ArchiveError, match="bomb"):
        import_npz(gallery, BUNDLE, archive)
    assert gallery.labels == []
    gallery.close()
    assert not path.exists()


def test_an_export_follows_no_link_that_was_planted(filled, tmp_path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for target in ("out.npz", "out"):
        (tmp_path / target).symlink_to(tmp_path / f"nowhere {target}")
        with pytest.raises(GalleryError, match="exists already"):
            (export_npz if target == "out.npz" else export_folder)(filled, tmp_path / target)
        assert not (tmp_path / f"nowhere {target}").exists()

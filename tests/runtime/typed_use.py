"""The public names as a user's program uses them, for `mypy --strict`: nothing runs it.

`assert_type` fails where a type becomes wider, and where it becomes `Any`. An ignore that is no longer needed fails too.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from typing_extensions import assert_type

import oneshot_runtime
import oneshot_runtime.server
from oneshot_runtime import (
    ArchiveError,
    BundleError,
    Candidate,
    DamageError,
    DependencyError,
    DeviceError,
    EnrollmentReport,
    Finding,
    Gallery,
    GalleryCalibration,
    GalleryError,
    ImageError,
    LabelError,
    Match,
    OneShotError,
    OneShotMatcher,
    OneShotWarning,
    OptionError,
    ReadSymbol,
    SourceError,
    UnpicklableError,
)
from oneshot_runtime.camera import FrameReader, Sighting, Source, annotate, open_source
from oneshot_runtime.model import DEFAULT_BUNDLE, Bundle
from oneshot_runtime.quality import Explanation, GalleryAudit, GalleryFinding, audit_gallery
from oneshot_runtime.stores import (
    Added,
    Block,
    Changes,
    GalleryStore,
    Position,
    SearchEngine,
    Support,
    View,
    Where,
    gallery_exists,
    open_store,
)
from oneshot_runtime.stores.base import Removed
from oneshot_runtime.synthetic import Symbol, draw, invent_alphabet, random_writer
from oneshot_runtime.transfer import (
    BulkResult,
    ImageEncoder,
    encode_here,
    enroll_folder,
    export_folder,
    export_npz,
    import_npz,
    migrate,
)
from oneshot_runtime.vision import FORMATS, ImageSource, PreprocessSpec, preprocess

ERRORS: list[type[OneShotError]] = [
    ArchiveError,
    BundleError,
    DamageError,
    DependencyError,
    DeviceError,
    GalleryError,
    ImageError,
    LabelError,
    OptionError,
    SourceError,
    UnpicklableError,
]
WARNING: type[UserWarning] = OneShotWarning


def load(folder: Path, store: GalleryStore) -> None:
    assert_type(OneShotMatcher.load(), OneShotMatcher)
    assert_type(OneShotMatcher.load("bundle", gallery=folder / "letters.db", far=None), OneShotMatcher)
    OneShotMatcher.load(gallery=store, device="cuda", precision="int8", threads=2, far=0.01)
    OneShotMatcher.load(gallery=7)  # type: ignore[arg-type]
    OneShotMatcher.load(galery="letters.db")  # type: ignore[call-arg]
    with OneShotMatcher.load() as matcher:
        assert_type(matcher, OneShotMatcher)
        assert_type(matcher.with_far(0.1), OneShotMatcher)
        assert_type(matcher.far, float | None)
        assert_type(matcher.labels, list[str])
        assert_type((matcher.device, matcher.precision, matcher.threads), tuple[str, str, int])
        assert_type(matcher.gallery, Gallery)
        assert_type(matcher.bundle, Bundle)


def teach(matcher: OneShotMatcher, page: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
    report = matcher.enroll("alef", "alef.png", metadata={"writer": 3}, region=(0, 0, 50, 50), keep_frame=True)
    assert_type(report, EnrollmentReport)
    assert_type(report.findings, tuple[Finding, ...])
    assert_type(report.findings[0].message, str)
    assert_type(report.supports, int)
    data = b""
    matcher.enroll("alef", [Path("a.png"), data, bytearray(data), memoryview(data), io.BytesIO(data), page, mask])
    with open("alef.png", "rb") as file:  # noqa: PTH123  as users do
        matcher.enroll("alef", file)
    matcher.enroll("alef", Image.new("L", (20, 20)))
    matcher.enroll("alef", (page for _ in range(3)), skip_duplicates=True)
    matcher.enroll(7, page)  # type: ignore[arg-type]
    assert_type(matcher.enroll_folder("alphabet", strict=True, progress=lambda result: print(result.done)), BulkResult)
    matcher.remove("alef", support=2)
    matcher.remove("alef")


def ask(matcher: OneShotMatcher, page: NDArray[np.uint8]) -> str:
    match = matcher.match(page, top_k=3)
    assert_type(match, Match)
    assert_type((match.label, match.probably), tuple[str | None, str | None])
    assert_type((match.probability, match.threshold), tuple[float, float | None])
    assert_type(match.candidates, tuple[Candidate, ...])
    assert_type((match.symbols, match.readings), tuple[int, int])
    if match.best is not None:
        assert_type((match.best.label, match.best.probability), tuple[str, float])
    assert_type(matcher.match_batch([page, "a.png"]), list[Match])
    assert_type(matcher.match_batch(iter([page]), on_error="raise"), list[Match])
    for answer in matcher.match_batch([page], on_error="return"):
        assert_type(answer, Match | ImageError)
        if not isinstance(answer, ImageError):
            assert_type(answer.label, str | None)
    matcher.match_batch([page], on_error="ignore")  # type: ignore[call-overload]
    matcher.match([page])  # type: ignore[arg-type]
    matcher.match(np.zeros((9, 9), np.float32))  # type: ignore[arg-type]
    for symbol in matcher.read("page.jpg"):
        assert_type(symbol, ReadSymbol)
        assert_type(symbol.box, tuple[int, int, int, int])
        assert_type(symbol.match.label, str | None)
        assert_type(symbol.crop, NDArray[np.uint8])
    why = matcher.explain(page, classes=2)
    assert_type(why, Explanation)
    assert_type((why.margin, why.match), tuple[float, Match])
    assert_type(matcher.verify("a.png", io.BytesIO()), float)
    assert_type(matcher.embed([page]), NDArray[np.float32])
    matcher.match(page, where=Where(labels=["alef"]))
    return match.label or "unknown"


def keep(gallery: Gallery, bundle: Bundle) -> None:
    assert_type(len(gallery), int)
    assert_type("alef" in gallery, bool)
    assert_type(list(gallery), list[str])
    assert_type(gallery.counts(), dict[str, int])
    assert_type((gallery.count("alef"), gallery.revision), tuple[int, int])
    assert_type(gallery.codes("alef"), NDArray[np.uint8])
    for support in gallery.supports("alef"):
        assert_type(support, Support)
        assert_type(support.thumbnail, bytes | None)
        assert_type(support.metadata, dict[str, Any] | None)
    gallery.extend(["a", "b"], np.zeros((2, bundle.dim), np.float32), metadata=[{"n": 1}, None])
    assert_type(gallery.rename("a", "c"), int)
    assert_type(gallery.remove("c", 0), int)
    assert_type(gallery.save("copy.db"), int)
    assert_type(gallery.calibrate(0.05), GalleryCalibration)
    assert_type(gallery.calibration(0.05), GalleryCalibration | None)
    assert_type(gallery.snapshot(), View)
    assert_type(gallery.store, GalleryStore)
    audit = audit_gallery(gallery, bundle, 0.05)
    assert_type(audit, GalleryAudit)
    assert_type(audit.findings, tuple[GalleryFinding, ...])
    gallery.close()


def below(bundle: Bundle, matcher: OneShotMatcher) -> None:
    assert_type(Bundle.open(DEFAULT_BUNDLE), Bundle)
    assert_type((bundle.dim, bundle.fingerprint), tuple[int, str])
    assert_type(bundle.spec, PreprocessSpec)
    assert_type(preprocess("a.png", bundle.spec), NDArray[np.uint8])
    assert_type(open_store("letters.db", bundle.fingerprint, bundle.dim), GalleryStore)
    assert_type(gallery_exists("letters.db"), bool)
    assert_type(export_npz("letters.db", "letters.npz"), int)
    assert_type(import_npz(matcher.gallery, bundle, "letters.npz"), int)
    assert_type(export_folder("letters.db", "letters"), int)
    print(FORMATS, oneshot_runtime.__version__)


def edges(matcher: OneShotMatcher) -> None:
    with open_source("0") as source:
        assert_type(source, Source)
        reader = FrameReader(matcher)
        for frame in source:
            symbols = reader.read(frame.image).symbols
            assert_type(symbols, tuple[Sighting, ...])
            assert_type((symbols[0].label, symbols[0].probability), tuple[str | None, float])
            assert_type(annotate(frame.image, symbols), NDArray[np.uint8])
        assert_type(reader.enroll("alef", track=symbols[0].track), Sighting | None)
    oneshot_runtime.server.create_app(matcher, oneshot_runtime.server.ServerOptions(token="a" * 24))
    rng = np.random.default_rng(0)
    alphabet = invent_alphabet(10, seed=0)
    assert_type(alphabet, list[Symbol])
    assert_type(draw(alphabet[0], random_writer(rng), rng), NDArray[np.uint8])


def stores(position: Position, removed: list[Removed]) -> None:
    block = Block(["a"], np.zeros((1, 9), np.uint8), [None], [None])
    changes = Changes(True, removed, [Added(["a"], block.codes, [1])], position)
    assert_type((changes.position.revision, position.supports), tuple[int, int])
    engine: SearchEngine | None = open_store("letters.db", "f", 9).engine
    print(engine)


def load_in_blocks(bundle: Bundle, gallery: Gallery) -> None:
    encoder = ImageEncoder(bundle, threads=2)
    result = enroll_folder(gallery.store, encode_here(encoder), "alphabet")
    assert_type((result.added, result.reasons), tuple[int, list[str]])
    assert_type(migrate("letters.db", encoder), int)
    picture: ImageSource = "a.png"
    gallery.extend(["a"], np.zeros((1, 9), np.float32))
    print(picture)

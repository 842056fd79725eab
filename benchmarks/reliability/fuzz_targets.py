"""What the fuzzer calls: every parser of untrusted files, reached below the checksums. See `benchmarks.reliability.fuzz`."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from oneshot_runtime.errors import OneShotError
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import DEFAULT_BUNDLE, Bundle, checksum_of, fingerprint_of
from oneshot_runtime.model.onnx_guard import why_refused
from oneshot_runtime.stores.records import row_checksum, row_from
from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from oneshot_runtime.transfer.npz import export_npz, import_npz
from oneshot_runtime.vision.decode import to_grey
from oneshot_runtime.vision.grey_png import thumbnail
from oneshot_runtime.vision.preprocess import PreprocessSpec, preprocess

__all__ = ["TARGETS", "Target"]

Target = tuple[Callable[[bytes], object], list[bytes]]
"""What is called with each input, and the inputs that mutation starts from."""


def image_target(_: Path) -> Target:
    """Decoding and preprocessing of an encoded image."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(draw(invent_alphabet(1, 0)[0], random_writer(rng), rng)).resize((40, 40))
    seeds = []
    for form, mode in (("PNG", "1"), ("PNG", "LA"), ("JPEG", "L"), ("BMP", "L"), ("GIF", "L"), ("TIFF", "L"), ("WEBP", "RGB")):
        file = io.BytesIO()
        picture.convert(mode).save(file, form)
        seeds.append(file.getvalue())
    spec = PreprocessSpec(height=48, width=48)
    return lambda data: preprocess(data, spec), seeds


def manifest_target(folder: Path) -> Target:
    """A manifest whose fingerprint and checksum are right, whatever it says."""
    text = (DEFAULT_BUNDLE / "manifest.json").read_bytes()
    path = folder / "manifest.json"

    def parse(data: bytes) -> None:
        try:
            manifest = json.loads(data)
            spec = PreprocessSpec.from_dict(manifest["preprocess"])
            sums = {str(name): str(value) for name, value in manifest["sha256"].items()}
            manifest["fingerprint"] = fingerprint_of(sums, spec, manifest["head"])
            manifest["checksum"] = checksum_of(manifest)
            data = json.dumps(manifest).encode()
        except (OneShotError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        path.write_bytes(data)
        bundle = Bundle.open(folder)
        bundle.thresholds.logit(0.01, 20)

    small = json.loads(text)
    small["head"]["weights"], small["embedding_dim"] = [0.1, 0.2], 2
    return parse, [json.dumps(small).encode(), text]


def golden_target(folder: Path) -> Target:
    """Golden vectors with the checksum that the manifest asks for."""
    bundle = Bundle.open()
    images = np.zeros((2, bundle.spec.height, bundle.spec.width), np.uint8)
    file = io.BytesIO()
    np.savez(file, images=images, embeddings=np.zeros((2, bundle.dim), np.float32), probabilities=np.eye(2, dtype=np.float32))
    packed = io.BytesIO()
    np.savez_compressed(packed, images=images, embeddings=np.zeros((2, bundle.dim), np.float32), probabilities=np.eye(2))
    path = folder / "golden.npz"

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        sums = {**bundle.manifest["sha256"], "golden.npz": hashlib.sha256(data).hexdigest()}
        forged = Bundle(
            folder, bundle.preset, bundle.spec, bundle.dim, bundle.head, bundle.thresholds, bundle.fingerprint, {"sha256": sums}
        )
        forged.golden()

    return parse, [file.getvalue(), packed.getvalue()]


def graph_target(_: Path) -> Target:
    """The scan for external data and foreign operators."""
    whole = (DEFAULT_BUNDLE / "head.onnx").read_bytes()
    return why_refused, [whole, whole[:400]]


def rows_target(_: Path) -> Target:
    """A gallery's row of any types, with the checksum that belongs to it."""

    def parse(data: bytes) -> None:
        columns = _columns(data)
        try:
            checksum: object = row_checksum(*columns)  # type: ignore[arg-type]
        except Exception:
            checksum = data[:8]
        row = row_from((*columns, checksum), 4)
        if row is not None:
            row.support()

    return parse, [b"\x01\x02label\x03code\x04\x05{}", bytes(40)]


def _columns(data: bytes) -> tuple[object, ...]:
    """Six values as SQLite could return them, types and content chosen by the input."""
    parts = [part + b"\0" for part in data.split(b"\x03", 5)]
    parts += [b"\0"] * (6 - len(parts))
    forms: tuple[Callable[[bytes], object], ...] = (
        lambda _: None,
        lambda part: part,
        lambda part: part.decode("utf-8", "ignore"),
        lambda part: len(part),
        lambda part: float(len(part)),
        lambda part: json.dumps({"text": part.decode("latin-1")}),
        lambda part: part[:4].ljust(4, b"\0"),
    )
    return tuple(forms[part[0] % len(forms)](part[1:]) for part in parts)


def npz_target(folder: Path) -> Target:
    """Import of an exported gallery."""
    bundle = Bundle.open()
    path = folder / "letters.db"
    gallery = Gallery(bundle, path)
    rng = np.random.default_rng(0)
    picture = thumbnail(to_grey(np.full((20, 20), 200, np.uint8)))
    gallery.extend(["a", "b"], rng.random((2, bundle.dim), np.float32), [picture, None], [None, {"site": 1}])
    gallery.close()
    export_npz(path, folder / "seed.npz")
    source = folder / "mutated.npz"

    def parse(data: bytes) -> None:
        source.write_bytes(data)
        import_npz(Gallery(bundle), bundle, source)

    return parse, [(folder / "seed.npz").read_bytes()]


TARGETS = {
    "image": image_target,
    "manifest": manifest_target,
    "golden": golden_target,
    "graph": graph_target,
    "rows": rows_target,
    "npz": npz_target,
}

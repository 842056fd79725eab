"""Read a model bundle: a directory of two ONNX graphs, golden vectors and a manifest that ties them together.

Nothing in a bundle is executed or unpickled: the manifest is JSON, the vectors are plain arrays, and every file is checked
against the manifest's sha256 before it is used.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import BundleError
from oneshot_runtime.model.onnx_guard import why_refused
from oneshot_runtime.model.thresholds import ThresholdTable
from oneshot_runtime.vision.lazy_property import lazy_property
from oneshot_runtime.vision.preprocess import PreprocessSpec
from oneshot_runtime.vision.regular_file import read_regular

__all__ = ["DEFAULT_BUNDLE", "SCHEMA_VERSION", "Bundle", "Golden", "Head", "Sketch", "checksum_of", "fingerprint_of"]

SCHEMA_VERSION = 1
DEFAULT_BUNDLE = Path(__file__).parents[1] / "models" / "edge"

_MANIFEST = "manifest.json"
_REQUIRED = ("embedding.onnx", "head.onnx", "golden.npz")
_INT8 = "embedding.int8.onnx"
_MAX_MANIFEST_BYTES = 4_000_000
_MAX_GRAPH_BYTES = 1_000_000_000
_MAX_GOLDEN_BYTES = 64_000_000
_MAX_MEMBERS = 16


@dataclass(frozen=True)
class Head:
    """The head's constants, which `head.onnx` holds too: `logit = bias - sum_j weights_j |q_j - s_j|`.

    weights: float32 (D,), not negative. code_scale: what `round(code_scale * weights * embedding)` multiplies by, so that a
    code fits a byte.
    """

    weights: NDArray[np.float32]
    bias: float
    code_scale: float

    def __repr__(self) -> str:
        return f"Head(D={len(self.weights)}, bias={self.bias:.4f}, code_scale={self.code_scale:.2f})"

    @lazy_property
    def code_weights(self) -> NDArray[np.float32]:
        """What an embedding is multiplied by to give its code, float32 (D,)."""
        return self.weights * np.float32(self.code_scale)


@dataclass(frozen=True)
class Sketch:
    """Which components of a code are summed, for a search that reads the sums first; any such choice gives a valid bound.

    groups: int64 (D,), the sum that each component belongs to, 0 to `count` - 1. signs: float32 (D,), 1 or -1. offsets: float32
    (count,), whole numbers, what each sum is reduced by. step: what sums are divided by, so that they fit a byte.
    """

    groups: NDArray[np.int64]
    signs: NDArray[np.float32]
    offsets: NDArray[np.float32]
    step: int

    @property
    def count(self) -> int:
        """How many sums there are."""
        return len(self.offsets)

    @lazy_property
    def matrix(self) -> NDArray[np.float32]:
        """What codes are multiplied by to give their sums, float32 (D, count)."""
        matrix = np.zeros((len(self.groups), self.count), np.float32)
        matrix[np.arange(len(self.groups)), self.groups] = self.signs
        return matrix

    def to_dict(self) -> dict[str, Any]:
        """As the manifest has it."""
        return {
            "groups": self.groups.tolist(),
            "signs": [int(sign) for sign in self.signs],
            "offsets": [int(offset) for offset in self.offsets],
            "step": self.step,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any], dim: int) -> Sketch:
        """Raises `BundleError` for what gives no bound."""
        groups, signs = np.asarray(values["groups"]), np.asarray(values["signs"])
        offsets, step = np.asarray(values["offsets"]), values["step"]
        whole = all(array.ndim == 1 and array.dtype == np.int64 for array in (groups, signs, offsets)) and type(step) is int
        if not whole or groups.shape != (dim,) or signs.shape != (dim,) or not 1 <= len(offsets) <= dim:
            raise BundleError(
                f"sketch: expected whole numbers, a group and a sign for each of {dim} components, offsets and a step"
            )
        if not (groups >= 0).all() or not (groups < len(offsets)).all() or not (np.abs(signs) == 1).all():
            raise BundleError(f"sketch: expected groups from 0 to {len(offsets) - 1} and signs of 1 or -1")
        if not (np.abs(offsets) <= 255 * dim).all() or not 1 <= step <= dim:
            raise BundleError(f"sketch: expected offsets up to {255 * dim} and a step from 1 to {dim}, got step {step}")
        return cls(groups, signs.astype(np.float32), offsets.astype(np.float32), step)


@dataclass(frozen=True)
class Golden:
    """Images drawn by the project and what the model must make of them, so that any device can prove itself.

    images: uint8 (N, H, W) canvases. embeddings: float32 (N, D). probabilities: float32 (N, N), all against all.
    """

    images: NDArray[np.uint8]
    embeddings: NDArray[np.float32]
    probabilities: NDArray[np.float32]

    def __repr__(self) -> str:
        return f"Golden({len(self.images)} images)"


@dataclass(frozen=True)
class Bundle:
    """A validated bundle. `manifest` holds everything else that was recorded: training command, accuracy, checksums.

    sketch: None in a bundle that was exported without; searches then read every code.
    """

    path: Path
    preset: str
    spec: PreprocessSpec
    dim: int
    head: Head
    thresholds: ThresholdTable
    fingerprint: str
    manifest: dict[str, Any]
    sketch: Sketch | None = None

    def __repr__(self) -> str:
        return f"Bundle({self.preset!r}, fingerprint={self.fingerprint!r}, path={str(self.path)!r})"

    @classmethod
    def open(cls, path: str | os.PathLike[str] | None = None) -> Bundle:
        """Read and validate the bundle at `path`, by default the one that ships in the package.

        Raises `BundleError` naming the file for a missing, altered or foreign bundle.
        """
        if path is not None and not isinstance(path, str | os.PathLike):
            raise BundleError(f"a bundle is the path of a folder, got {type(path).__name__}: {path!r:.80}")
        folder = DEFAULT_BUNDLE if path is None else Path(path)
        manifest = _read_manifest(folder)
        try:
            bundle = cls._from_manifest(folder, manifest)
        except BundleError as error:
            raise BundleError(f"{folder / _MANIFEST}: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise BundleError(f"{folder / _MANIFEST} lacks or garbles an entry: {error!r}; export the model again") from error
        return bundle

    @classmethod
    def _from_manifest(cls, folder: Path, manifest: dict[str, Any]) -> Bundle:
        if manifest["checksum"] != checksum_of(manifest):
            raise BundleError("its own checksum does not match, so it was altered or damaged; copy the bundle again")
        checksums = {str(name): str(value) for name, value in manifest["sha256"].items()}
        missing = [name for name in _REQUIRED if name not in checksums]
        if missing:
            raise BundleError(f"no checksum for {', '.join(missing)}; export the model again")
        spec = PreprocessSpec.from_dict(manifest["preprocess"])
        if manifest["fingerprint"] != fingerprint_of(checksums, spec, manifest["head"]):
            raise BundleError("its fingerprint is not that of its files and head; export the model again")
        return cls(
            path=folder,
            preset=str(manifest["preset"]),
            spec=spec,
            dim=int(manifest["embedding_dim"]),
            head=_head_from(manifest["head"], int(manifest["embedding_dim"])),
            thresholds=ThresholdTable.from_list(manifest["thresholds"]),
            fingerprint=str(manifest["fingerprint"]),
            manifest=manifest,
            sketch=Sketch.from_dict(manifest["sketch"], int(manifest["embedding_dim"])) if "sketch" in manifest else None,
        )

    @property
    def has_int8(self) -> bool:
        """Whether the bundle holds an int8 embedding."""
        return _INT8 in self.manifest["sha256"]

    def embedding_graph(self, precision: str) -> bytes:
        """The embedding graph's bytes, "fp32" or "int8", checked against the manifest."""
        if precision == "int8" and not self.has_int8:
            raise BundleError(f"bundle '{self.path}' has no {_INT8}; load it with precision='fp32' or 'auto'")
        return self._graph(_INT8 if precision == "int8" else "embedding.onnx")

    def head_graph(self) -> bytes:
        """The head graph's bytes, checked against the manifest."""
        return self._graph("head.onnx")

    def golden(self) -> Golden:
        """The golden vectors, checked against the manifest and against the model's shapes."""
        data = self._checked("golden.npz", _MAX_GOLDEN_BYTES)
        try:
            _bound_archive(data)
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                # A member that is no array comes out as its bytes.
                golden = Golden(*(np.asarray(arrays[name]) for name in ("images", "embeddings", "probabilities")))
        except BundleError as error:
            raise BundleError(f"{self.path / 'golden.npz'}: {error}") from error
        except Exception as error:  # numpy, zipfile and zlib each have their own for a damaged archive
            raise BundleError(f"{self.path / 'golden.npz'} is damaged: {error!r}; export the model again") from error
        count = golden.images.shape[0] if golden.images.ndim else 0
        shapes = (golden.images.shape, golden.embeddings.shape, golden.probabilities.shape)
        expected = ((count, self.spec.height, self.spec.width), (count, self.dim), (count, count))
        types = tuple(array.dtype.name for array in (golden.images, golden.embeddings, golden.probabilities))
        if count < 2 or shapes != expected or types != ("uint8", "float32", "float32"):
            raise BundleError(
                f"{self.path / 'golden.npz'} holds {types} of shapes {shapes}, expected uint8 and float32 of {expected}, "
                "two images at least; export the model again"
            )
        return golden

    def _graph(self, name: str) -> bytes:
        data = self._checked(name, _MAX_GRAPH_BYTES)
        reason = why_refused(data)
        if reason is not None:
            raise BundleError(f"{self.path / name} is refused: {reason}; export the model again")
        return data

    def _checked(self, name: str, limit: int) -> bytes:
        data = _read(self.path / name, limit)
        actual = hashlib.sha256(data).hexdigest()
        if actual != self.manifest["sha256"][name]:
            raise BundleError(
                f"{self.path / name} was altered or only partly copied: sha256 {actual}, "
                f"manifest {self.manifest['sha256'][name]}; copy the bundle again"
            )
        return data


def fingerprint_of(checksums: dict[str, str], spec: PreprocessSpec, head: dict[str, Any]) -> str:
    """What binds a gallery to a model: a hash over both graphs, the preprocessing and the head, whatever the precision."""
    parts = [checksums["embedding.onnx"], checksums["head.onnx"]]
    parts += [json.dumps(values, sort_keys=True) for values in (spec.to_dict(), head)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def checksum_of(manifest: dict[str, Any]) -> str:
    """A hash over every entry of a manifest but the checksum itself: thresholds and records bind no gallery, but count."""
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _bound_archive(data: bytes) -> None:
    """Refuse an archive that would unpack to more than the golden vectors may have, or in a way that is not bounded."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
    odd = [entry for entry in entries if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
    if odd or len(entries) > _MAX_MEMBERS:
        raise BundleError(f"has {len(entries)} members, {len(odd)} of them neither stored nor deflated; export the model again")
    size = sum(entry.file_size for entry in entries)
    if size > _MAX_GOLDEN_BYTES:
        raise BundleError(f"unpacks to {size} bytes, more than the {_MAX_GOLDEN_BYTES} that are read")


def _read(path: Path, limit: int) -> bytes:
    try:
        if path.parent == DEFAULT_BUNDLE and not path.exists():  # the package is imported from a zip archive
            from importlib import resources

            return resources.files("oneshot_runtime").joinpath("models", DEFAULT_BUNDLE.name, path.name).read_bytes()
        return read_regular(path, limit)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise BundleError(f"cannot read {path}: {reason}; a bundle is the folder that `python -m export` writes") from error


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / _MANIFEST
    try:
        manifest = json.loads(_read(path, _MAX_MANIFEST_BYTES))
    except (ValueError, RecursionError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{path} is not JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise BundleError(f"{path} is not a manifest: expected a JSON object, got {type(manifest).__name__}")
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION:
        raise BundleError(f"{path} has schema version {version!r}, this runtime reads {SCHEMA_VERSION}: update one of them")
    return manifest


def _head_from(values: dict[str, Any], dim: int) -> Head:
    weights = np.asarray(values["weights"], dtype=np.float32)
    bias, scale = float(values["bias"]), float(values["code_scale"])
    if weights.shape != (dim,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise BundleError(f"head: expected {dim} finite weights that are not negative, got shape {weights.shape}")
    if not (math.isfinite(bias) and math.isfinite(scale) and scale > 0):
        raise BundleError(f"head: bias {bias} and code_scale {scale} must be finite, the scale above 0")
    return Head(weights, bias, scale)

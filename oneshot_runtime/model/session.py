"""Run the graphs with ONNX Runtime on the device that was asked for, and on no other."""

from __future__ import annotations

import functools
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import BundleError, DependencyError, DeviceError
from oneshot_runtime.model.bundle import Bundle, Golden
from oneshot_runtime.model.processor import has_int8_instructions

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["Embedder", "available_cpus", "create_session", "import_onnxruntime", "open_embedder"]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

GOLDEN_TOLERANCE = {"fp32": 1e-3, "int8": 0.25}
"""Largest difference of an embedding's component from its golden value: rounding of another processor's arithmetic for fp32,
of quantisation for int8, where decisions must be equal besides."""

_WORTH_THREADS = 16 << 20
"""Bytes of a graph from which an embedding is spread over threads: on two processors 0.4 ms (1 MB) became no less, 8 ms
half."""


def import_onnxruntime() -> Any:
    """The onnxruntime module. Raises `DependencyError` naming the two extras when neither wheel is installed."""
    # Unless it is told before the import, ONNX Runtime 1.29 and later writes files into the home folder and looks up a server.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime

        # Uninstalling one of two wheels leaves a folder that imports but holds nothing.
        onnxruntime.InferenceSession  # noqa: B018
    except (ImportError, AttributeError) as error:
        raise DependencyError(
            "onnxruntime is not installed, or only partly: pip install 'oneshot-runtime[cpu]' for a CPU, "
            "or 'oneshot-runtime[gpu]' for an NVIDIA GPU (one of the two, never both)"
        ) from error
    return onnxruntime


def available_cpus() -> int:
    """Processors this process may use: the affinity mask, limited by the container's CPU quota (cgroup v2 or v1)."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(count, math.ceil(_cgroup_quota() or count)))


def _cgroup_quota() -> float | None:
    root = Path("/sys/fs/cgroup")
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return int(quota) / int(period)


def create_session(graph: bytes, device: str, threads: int) -> tuple[onnxruntime.InferenceSession, str]:
    """A session for `graph` on "cpu", "cuda" or "auto" (cuda where it runs, else cpu), and the device it really runs on.

    Threads wait without spinning, so an idle matcher costs no CPU time. Raises `DeviceError` when the session does not run on
    the device that was asked for: ONNX Runtime itself only warns and goes on with the CPU.
    """
    ort = import_onnxruntime()
    if device not in ("auto", *_PROVIDERS):
        raise DeviceError(f"unknown device '{device}': choose auto, cpu or cuda")
    on_cuda = device == "cuda" or (device == "auto" and _PROVIDERS["cuda"] in ort.get_available_providers())
    if on_cuda:
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()  # finds the CUDA libraries of the gpu extra, which are not on the loader's path
        session = _session(ort, graph, "cuda", threads)
        if session is not None and session.get_providers()[0] == _PROVIDERS["cuda"]:
            return session, "cuda"
        if device == "cuda":
            raise DeviceError(
                "device='cuda' was asked for, but the session does not run there; available providers: "
                f"{', '.join(ort.get_available_providers())}. Install 'oneshot-runtime[gpu]' (and no plain onnxruntime beside "
                "it) and check nvidia-smi, or pass device='auto' or 'cpu'; `oneshot doctor` tells more"
            )
    session = _session(ort, graph, "cpu", threads)
    if session is None:
        raise DeviceError("onnxruntime has no CPUExecutionProvider; reinstall it: pip install 'oneshot-runtime[cpu]'")
    return session, "cpu"


def _session(ort: Any, graph: bytes, device: str, threads: int) -> onnxruntime.InferenceSession | None:
    """A session on one provider, None where that provider is not built in or does not start."""
    if _PROVIDERS[device] not in ort.get_available_providers():
        return None
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    providers = [_PROVIDERS[device]] if device == "cpu" else [_PROVIDERS[device], _PROVIDERS["cpu"]]
    try:
        return ort.InferenceSession(graph, options, providers=providers)
    except Exception as error:  # onnxruntime raises classes of its own, none of them public
        if device == "cuda":
            return None
        raise DeviceError(
            f"onnxruntime cannot load the graph: {error}; update onnxruntime or export the model again"
        ) from error


@dataclass
class Embedder:
    """The embedding graph on a device. Calling it is safe from several threads, and in a process that was forked.

    graph: what the session was made of. A forked process makes one of its own: it has none of this one's threads.
    """

    session: onnxruntime.InferenceSession
    device: str
    precision: str
    threads: int = 1
    graph: bytes | None = field(default=None, repr=False)
    _process: int = field(default_factory=os.getpid, init=False, repr=False)

    def __call__(self, canvases: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings float32 (N, D) of canvases uint8 (N, H, W).

        Raises `BundleError` where the graph fails or gives something else: a bundle of others may hold any graph.
        """
        if os.getpid() != self._process and self.graph is not None:
            self.session, _ = create_session(self.graph, self.device, self.threads)
            self._process = os.getpid()
        try:
            embeddings = self.session.run(None, {"images": canvases})[0]
        except Exception as error:  # onnxruntime raises classes of its own, none of them public
            raise BundleError(
                f"the {self.precision} embedding fails on {self.device}: {error}; export the model again"
            ) from error
        shape, expected = getattr(embeddings, "shape", None), (len(canvases), self._dim)
        if shape != expected:
            raise BundleError(f"the {self.precision} embedding gives {shape}, expected {expected}; export the model again")
        if not np.isfinite(embeddings).all():
            raise BundleError(f"the {self.precision} embedding gives values that are not finite; export the model again")
        return embeddings  # type: ignore[no-any-return]

    @functools.cached_property
    def _dim(self) -> int:
        return int(self.session.get_outputs()[0].shape[-1])


def open_embedder(bundle: Bundle, device: str, precision: str, threads: int) -> Embedder:
    """The bundle's embedder.

    Args:
        bundle: The model.
        device: "cpu", "cuda" or "auto".
        precision: "fp32", "int8", or "auto": int8 where the processor has the instructions that make it faster and the golden
            images come out right with it, else fp32. The choice depends on the machine only, so processes agree.
        threads: At most. A small network gets one: waking others would take longer than they save.

    Raises:
        DeviceError: When int8 was asked for and the golden images come out wrong here (int8 saturates on some processors), or
            for an unknown precision.
    """
    if precision not in ("auto", "fp32", "int8"):
        raise DeviceError(f"unknown precision '{precision}': choose auto, fp32 or int8")
    worth = bundle.has_int8 and has_int8_instructions()
    if precision == "fp32" or (precision == "auto" and not worth):
        return _embedder(bundle, device, "fp32", threads)
    try:
        int8 = _embedder(bundle, device, "int8", threads)
    except DeviceError:
        if precision == "int8":
            raise
        return _embedder(bundle, device, "fp32", threads)  # this onnxruntime may be too old for the int8 graph alone
    right = golden_error(int8, bundle.golden(), bundle) is None
    if precision == "int8" and not right:
        raise DeviceError("precision='int8' decides the golden images differently on this processor; use fp32 or auto")
    if precision == "int8" or (right and int8.device == "cpu"):
        return int8
    return _embedder(bundle, device, "fp32", threads)


def golden_error(embedder: Embedder, golden: Golden, bundle: Bundle) -> str | None:
    """What is wrong with the golden images on this device, None when all is right.

    Every component must be within `GOLDEN_TOLERANCE` of its golden value, and every image must find the same partner.
    """
    try:
        embeddings = embedder(golden.images)
    except BundleError as error:
        return str(error)
    worst = float(np.abs(embeddings - golden.embeddings).max())
    if not worst <= GOLDEN_TOLERANCE[embedder.precision]:
        return f"an embedding is off by {worst:.4f}, allowed {GOLDEN_TOLERANCE[embedder.precision]}"
    weights = bundle.head.weights
    distances = np.abs(embeddings[:, None] - embeddings[None]) @ weights
    np.fill_diagonal(distances, np.inf)
    expected = golden.probabilities.copy()
    np.fill_diagonal(expected, -np.inf)
    wrong = int((distances.argmin(axis=1) != expected.argmax(axis=1)).sum())
    return f"{wrong} of {len(expected)} golden images find another partner" if wrong else None


def _embedder(bundle: Bundle, device: str, precision: str, threads: int) -> Embedder:
    graph = bundle.embedding_graph(precision)
    # On a GPU the processor's threads hardly matter.
    threads = threads if len(graph) >= _WORTH_THREADS else 1
    session, actual = create_session(graph, device, threads)
    inputs = [(value.name, value.type, list(value.shape[1:])) for value in session.get_inputs()]
    outputs = [(value.type, list(value.shape[1:])) for value in session.get_outputs()]
    expected = [("images", "tensor(uint8)", [bundle.spec.height, bundle.spec.width])], [("tensor(float)", [bundle.dim])]
    if (inputs, outputs) != expected:
        raise BundleError(
            f"the {precision} embedding of bundle '{bundle.path}' takes {inputs} and gives {outputs}, "
            f"expected {expected[0]} and {expected[1]}; export the model again"
        )
    return Embedder(session, actual, precision, threads, graph)

"""Run the graphs with ONNX Runtime on the device that was asked for, and on no other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import BundleError, DependencyError, DeviceError, OptionError
from oneshot_runtime.model.bundle import Bundle, Golden
from oneshot_runtime.model.processor import has_int8_instructions
from oneshot_runtime.model.providers import (
    DEVICES,
    default_options,
    device_named,
    device_of,
    how_to_start,
    options_as_text,
    provider_of,
)
from oneshot_runtime.vision.lazy_property import lazy_property

if TYPE_CHECKING:
    import onnxruntime

__all__ = [
    "Embedder",
    "create_session",
    "golden_error",
    "import_onnxruntime",
    "nodes_by_provider",
    "open_embedder",
]

_SESSION_ENTRIES = {
    "session.intra_op.allow_spinning": "0",
    "session.inter_op.allow_spinning": "0",
    "session.record_ep_graph_assignment_info": "1",  # from 1.24 on; others ignore it
}

_COSTLY = {"Conv", "Gemm", "MatMul"}
"""Operators that a device must run itself. Others, such as a change of type, may stay on the CPU."""

GOLDEN_TOLERANCE = {"fp32": 1e-3, "int8": 0.25}
"""Largest difference of an embedding's component from its golden value: rounding of another processor's arithmetic for fp32,
of quantisation for int8, where decisions must be equal besides."""

_WORTH_THREADS = 16 << 20
"""Bytes of a graph from which an embedding is spread over threads: on two processors 0.4 ms (1 MB) became no less, 8 ms
half."""


_GOLDEN_BATCH = 4
"""Golden images at once: all 64 would take 80 MB more than any match, on devices that may have 512."""


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


def create_session(
    graph: bytes, device: str, threads: int, provider_options: Mapping[str, Any] | None = None
) -> tuple[onnxruntime.InferenceSession, str]:
    """A session for `graph`, and the device it really runs on.

    Threads wait without spinning, so an idle matcher costs no CPU time.

    Args:
        graph: An ONNX file's bytes.
        device: A device that the installed ONNX Runtime has, or "auto": cuda where it runs, else cpu.
        threads: Of one call, on the processor.
        provider_options: Of the device's execution provider; they go before what `default_options` has.

    Raises:
        DeviceError: When the session does not run on the device that was asked for: ONNX Runtime itself only warns and goes on
            with the CPU.
        OptionError: For options that cannot be any, or options without a device.
    """
    ort = import_onnxruntime()
    options = options_as_text(provider_options)
    available = ort.get_available_providers()
    device = device_named(device, available)
    if options and device == "cpu":
        raise OptionError("provider_options= are for other devices: the CPU's provider has none; threads= bounds its threads")
    if device == "auto":
        if options:
            raise OptionError("provider_options= are those of one device, and device='auto' may take another: name the device")
        if DEVICES["cuda"] in available:
            with suppress(DeviceError):
                return _session(ort, graph, DEVICES["cuda"], threads, options), "cuda"
        return _session(ort, graph, DEVICES["cpu"], threads, options), "cpu"
    return _session(ort, graph, provider_of(device, available), threads, options), device


def nodes_by_provider(session: onnxruntime.InferenceSession) -> dict[str, list[str]]:
    """The operators of the graph that each provider took; empty with ONNX Runtime before 1.24, which does not tell."""
    tell = getattr(session, "get_provider_graph_assignment_info", None)
    nodes: dict[str, list[str]] = {}
    for part in tell() if tell else ():
        nodes.setdefault(part.ep_name, []).extend(node.op_type for node in part.get_nodes())
    return nodes


def _session(ort: Any, graph: bytes, provider: str, threads: int, given: Mapping[str, str]) -> onnxruntime.InferenceSession:
    """A session on one provider, which has taken the network's convolutions and products. Raises `DeviceError`."""
    device = device_of(provider)
    if device == "cuda" and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # finds the CUDA libraries of the gpu extra, which are not on the loader's path
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    for entry, value in _SESSION_ENTRIES.items():
        options.add_session_config_entry(entry, value)
    chosen = {**default_options(device, threads), **given}
    with_cpu = [provider] if device == "cpu" else [provider, DEVICES["cpu"]]
    try:
        session = ort.InferenceSession(
            graph, options, providers=with_cpu, provider_options=[chosen, {}][: len(with_cpu)], enable_fallback=0
        )
    except Exception as error:  # onnxruntime raises classes of its own, none of them public
        if device == "cpu":
            raise DeviceError(
                f"onnxruntime cannot load the graph: {error}; update onnxruntime or export the model again"
            ) from error
        raise DeviceError(
            f"device={device!r} with provider_options={chosen} cannot load the graph: {error}; `oneshot doctor` tells more"
        ) from error
    if session.get_providers()[0] != provider:
        raise DeviceError(
            f"device={device!r} was asked for, but it does not start here (ONNX Runtime says why on the error output), and the "
            f"session would run on {device_of(session.get_providers()[0])}. {how_to_start(device)}; or pass device='auto' or "
            "'cpu'; `oneshot doctor` tells more"
        )
    _check_nodes(session, provider)
    return session


def _check_nodes(session: onnxruntime.InferenceSession, provider: str) -> None:
    """Raise `DeviceError` where a provider runs, but has left what costs time to the CPU."""
    nodes = nodes_by_provider(session)
    left = {operator for other, operators in nodes.items() if other != provider for operator in operators}
    if left & _COSTLY:
        taken, total = len(nodes.get(provider, ())), sum(map(len, nodes.values()))
        raise DeviceError(
            f"device={device_of(provider)!r} takes only {taken} of the graph's {total} nodes and leaves "
            f"{', '.join(sorted(left & _COSTLY))} to the CPU: try the other precision, or pass device='cpu'"
        )


@dataclass
class Embedder:
    """The embedding graph on a device. Calling it is safe from several threads, and in a process that was forked.

    graph, provider_options: what the session was made of. A forked process makes one of its own: it has none of this one's
        threads.
    """

    session: onnxruntime.InferenceSession
    device: str
    precision: str
    threads: int = 1
    graph: bytes | None = field(default=None, repr=False)
    provider_options: Mapping[str, Any] | None = None
    _process: int = field(default_factory=os.getpid, init=False, repr=False)

    def __call__(self, canvases: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings float32 (N, D) of canvases uint8 (N, H, W).

        Raises `BundleError` where the graph fails or gives something else: a bundle of others may hold any graph.
        """
        if os.getpid() != self._process and self.graph is not None:
            self.session, _ = create_session(self.graph, self.device, self.threads, self.provider_options)
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

    @lazy_property
    def _dim(self) -> int:
        return int(self.session.get_outputs()[0].shape[-1])


def open_embedder(
    bundle: Bundle, device: str, precision: str, threads: int, provider_options: Mapping[str, Any] | None = None
) -> Embedder:
    """The bundle's embedder.

    Args:
        bundle: The model.
        device: A device that the installed ONNX Runtime has, or "auto": cuda where it runs, else cpu.
        precision: "fp32", "int8", or "auto": int8 where the processor has the instructions that make it faster and the golden
            images come out right with it, else fp32, as on every device but the CPU. The choice depends on the machine only,
            so processes agree.
        threads: At most. A small network gets one: waking others would take longer than they save.
        provider_options: Of the device's execution provider.

    Raises:
        DeviceError: When the session does not run on the device, when the golden images come out wrong there or with int8
            (which saturates on some processors), or for an unknown precision.
        OptionError: For options that cannot be any, or options without a device.
    """
    if precision not in ("auto", "fp32", "int8"):
        raise DeviceError(f"unknown precision '{precision}': choose auto, fp32 or int8")
    device = device_named(device, import_onnxruntime().get_available_providers())
    worth = bundle.has_int8 and device in ("auto", "cpu") and has_int8_instructions()
    if precision == "fp32" or (precision == "auto" and not worth):
        return _fp32(bundle, device, threads, provider_options)
    try:
        int8 = _embedder(bundle, device, "int8", threads, provider_options)
    except DeviceError:
        if precision == "int8":
            raise
        return _fp32(bundle, device, threads, provider_options)  # this onnxruntime may be too old for the int8 graph alone
    error = golden_error(int8, bundle.golden(), bundle)
    if precision == "int8" and error is not None:
        raise DeviceError(
            f"precision='int8' decides the golden images differently on this {_what(int8)}: {error}; use fp32 or auto"
        )
    if precision == "int8" or (error is None and int8.device == "cpu"):
        return int8
    return _fp32(bundle, device, threads, provider_options)


def _fp32(bundle: Bundle, device: str, threads: int, provider_options: Mapping[str, Any] | None) -> Embedder:
    embedder = _embedder(bundle, device, "fp32", threads, provider_options)
    # The CPU's float32 is what the golden images were made with; others may compute in fewer bits.
    if embedder.device == "cpu" or (error := golden_error(embedder, bundle.golden(), bundle)) is None:
        return embedder
    raise DeviceError(
        f"the golden images come out wrong on device={embedder.device!r}: {error}. It computes in fewer bits than "
        "float32: pass the provider_options= that make it exact (docs/platforms.md), precision='int8', or device='cpu'"
    )


def _what(embedder: Embedder) -> str:
    return "processor" if embedder.device == "cpu" else f"device ({embedder.device})"


def golden_error(embedder: Embedder, golden: Golden, bundle: Bundle) -> str | None:
    """What is wrong with the golden images on this device, None when all is right.

    Every component must be within `GOLDEN_TOLERANCE` of its golden value, and every image must find the same partner.
    """
    try:
        parts = [embedder(golden.images[i : i + _GOLDEN_BATCH]) for i in range(0, len(golden.images), _GOLDEN_BATCH)]
    except BundleError as error:
        return str(error)
    embeddings = np.concatenate(parts)
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


def _embedder(
    bundle: Bundle, device: str, precision: str, threads: int, provider_options: Mapping[str, Any] | None
) -> Embedder:
    graph = bundle.embedding_graph(precision)
    # On a GPU the processor's threads hardly matter.
    threads = threads if len(graph) >= _WORTH_THREADS else 1
    session, actual = create_session(graph, device, threads, provider_options)
    inputs = [(value.name, value.type, list(value.shape[1:])) for value in session.get_inputs()]
    outputs = [(value.type, list(value.shape[1:])) for value in session.get_outputs()]
    expected = [("images", "tensor(uint8)", [bundle.spec.height, bundle.spec.width])], [("tensor(float)", [bundle.dim])]
    if (inputs, outputs) != expected:
        raise BundleError(
            f"the {precision} embedding of bundle '{bundle.path}' takes {inputs} and gives {outputs}, "
            f"expected {expected[0]} and {expected[1]}; export the model again"
        )
    return Embedder(session, actual, precision, threads, graph, provider_options)

"""What really runs on this machine, and whether it is right: the checks behind `oneshot doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from oneshot_runtime.errors import DeviceError, OneShotError
from oneshot_runtime.matcher import OneShotMatcher
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.codes import encode, logits, probabilities, sum_absolute_differences
from oneshot_runtime.model.processor import available_cpus
from oneshot_runtime.model.providers import device_of, installed_devices
from oneshot_runtime.model.session import Embedder, create_session, golden_error, import_onnxruntime, nodes_by_provider

__all__ = ["Check", "diagnose"]

_WHEELS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-qnn",
    "onnxruntime-rocm",
    "onnxruntime-migraphx",
)
"""Each holds the whole module onnxruntime, so a second one overwrites the first."""
_OPENCV = ("opencv-python", "opencv-python-headless")
_HEAD_TOLERANCE, _CODE_TOLERANCE = 1e-4, 0.1
"""Of a probability: another processor's rounding, and that of 256 summed bytes where the sigmoid is steepest."""


@dataclass(frozen=True)
class Check:
    """One finding; `ok` False makes the command's exit code 1."""

    name: str
    ok: bool
    detail: str


def diagnose(
    bundle: str | None,
    device: str,
    precision: str,
    threads: int | None,
    provider_options: Mapping[str, Any] | None = None,
) -> list[Check]:
    """Run every check; what fails is reported, not raised."""
    start = time.perf_counter()
    try:
        matcher = OneShotMatcher.load(
            bundle, device=device, provider_options=provider_options, precision=precision, threads=threads, far=None
        )
    except OneShotError as error:
        return [_versions(), _wheels(), Check("load", False, str(error))]
    loaded = 1000 * (time.perf_counter() - start)
    embedder = matcher._embedder
    checks = [_versions(), _wheels(), _threads(matcher), _provider(matcher, device)]
    checks += [_golden(matcher.bundle, matcher.threads, embedder), _head(matcher)]
    checks += [_thresholds(matcher.bundle), _latency(matcher, loaded)]
    return checks


def _versions() -> Check:
    names = ("oneshot-runtime", "numpy", "pillow", *_WHEELS, *_OPENCV)
    found = ", ".join(f"{name} {version}" for name in names if (version := _version(name)))
    machine = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check("versions", True, f"{machine}; {found}")


def _wheels() -> Check:
    installed = [name for name in _WHEELS if _version(name)]
    remedies = {
        _WHEELS: "pip uninstall -y all of them, then install one of the extras cpu, gpu and openvino",
        _OPENCV: "pip uninstall -y opencv-python opencv-python-headless, then install one of the extras camera and window",
    }
    for kind, remedy in remedies.items():
        both = [name for name in kind if _version(name)]
        if len(both) > 1:
            return Check("wheels", False, f"{' and '.join(both)} are both installed and overwrite each other: {remedy}")
    return Check("wheels", True, installed[0] if installed else "onnxruntime, not installed as one of the known wheels")


def _threads(matcher: OneShotMatcher) -> Check:
    return Check("threads", True, f"{matcher.threads} used, {available_cpus()} available, {os.cpu_count()} in the machine")


def _provider(matcher: OneShotMatcher, asked: str) -> Check:
    available = installed_devices(import_onnxruntime().get_available_providers())
    session = matcher._embedder.session
    running = ", ".join(session.get_providers())
    taken = {device_of(provider): len(operators) for provider, operators in nodes_by_provider(session).items()}
    nodes = "".join(f", {count} nodes on {name}" for name, count in sorted(taken.items()))
    wasted = asked == "auto" and matcher.device == "cpu" and "cuda" in available
    detail = f"{matcher.device} ({running}{nodes}), precision {matcher.precision}; asked for {asked}"
    detail += f"; installed: {', '.join(available)}"
    if wasted:
        detail += "; CUDA is built in but does not start: check the driver with nvidia-smi"
    return Check("provider", not wasted, detail)


def _golden(bundle: Bundle, threads: int, running: Embedder) -> Check:
    """The golden images in every precision of the bundle; only the one that runs decides."""
    golden = bundle.golden()
    findings = []
    for precision in ("fp32", "int8") if bundle.has_int8 else ("fp32",):
        graph, options = bundle.embedding_graph(precision), running.provider_options
        try:
            session, _ = create_session(graph, running.device, threads, options)
            error = golden_error(Embedder(session, running.device, precision), golden, bundle)
        except DeviceError as failure:
            error = str(failure)
        findings.append(f"{precision} {'right' if error is None else error}")
    error = golden_error(running, golden, bundle)
    return Check("golden images", error is None, f"{len(golden.images)} images: {'; '.join(findings)}")


def _head(matcher: OneShotMatcher) -> Check:
    """`head.onnx` on the golden embeddings, against the recorded probabilities and against the codes."""
    bundle = matcher.bundle
    golden = bundle.golden()
    session, _ = create_session(bundle.head_graph(), "cpu", matcher.threads)
    found = session.run(None, {"queries": golden.embeddings, "supports": golden.embeddings})[0]
    error = float(np.abs(found - golden.probabilities).max())
    codes = encode(golden.embeddings, bundle.head)
    coded = np.stack([probabilities(logits(sum_absolute_differences(codes, code), bundle.head)) for code in codes])
    coding = float(np.abs(coded - golden.probabilities).max())
    ok = error <= _HEAD_TOLERANCE and coding <= _CODE_TOLERANCE
    return Check("head", ok, f"probabilities within {error:.1e} by head.onnx, within {coding:.1e} by codes")


def _thresholds(bundle: Bundle) -> Check:
    """What the bundle knows of strangers; without it a model is usable, but refuses nothing."""
    table = bundle.thresholds
    if not table.logits:
        detail = "the bundle has none, so no picture is refused (as with far=None): export a run that held out alphabets"
        return Check("thresholds", True, detail)
    rates = ", ".join(f"{rate:g}" for rate in sorted(table.logits))
    sizes = f"{table.sizes[0]} to {table.sizes[-1]} classes" if len(table.sizes) > 1 else f"{table.sizes[0]} classes"
    return Check("thresholds", True, f"for false accept rates {rates} with {sizes}")


def _latency(matcher: OneShotMatcher, loaded: float) -> Check:
    image = matcher.bundle.golden().images[0]
    start = time.perf_counter()
    matcher.enroll("golden", image)
    matcher.match(image)
    cold = 1000 * (time.perf_counter() - start)
    warm = []
    for _ in range(50):
        start = time.perf_counter()
        matcher.match(image)
        warm.append(1000 * (time.perf_counter() - start))
    detail = f"load {loaded:.0f} ms, first enrollment and match {cold:.1f} ms, match when warm {statistics.median(warm):.2f} ms"
    return Check("latency", True, detail)


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def as_json(checks: list[Check]) -> dict[str, Any]:
    """The findings as JSON-ready values."""
    return {"ok": all(c.ok for c in checks), "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks]}

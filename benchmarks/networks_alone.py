"""Limit and peer of what embeds pictures: ONNX Runtime alone on finished canvases, and the same network in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.session import create_session

__all__ = ["embed_in_torch", "networks_alone", "run_sessions"]

_BATCH = 32


def networks_alone(
    bundle: Bundle, canvases: NDArray[np.uint8], threads: tuple[int, ...] = (1, 2)
) -> dict[str, Callable[[], object]]:
    """Name and call of both for canvases uint8 (N, H, W), with so many threads each; no peer where PyTorch is missing."""
    batch = f"batches of {min(_BATCH, len(canvases))}" if len(canvases) > 1 else "batch 1"
    found: dict[str, Callable[[], object]] = {}
    for count in threads:
        what = f"{batch}, {count} thread{'s' * (count > 1)}"
        found[f"limit: session.run, int8, {what}"] = run_sessions(bundle, canvases, count)
        in_torch = embed_in_torch(bundle, canvases, count)
        if in_torch is not None:
            found[f"peer: PyTorch, fp32, {what}"] = in_torch
    if in_torch is None:
        print("no peer: PyTorch is not installed")
    return found


def run_sessions(bundle: Bundle, canvases: NDArray[np.uint8], threads: int) -> Callable[[], object]:
    """A call that embeds all canvases in batches, a session of one thread for each thread."""
    sessions = [create_session(bundle.embedding_graph("int8"), "cpu", 1)[0] for _ in range(threads)]
    batches = _batches(canvases)

    def run(number: int) -> None:
        for batch in batches[number::threads]:
            sessions[number].run(None, {"images": batch})

    if threads == 1:
        return lambda: run(0)
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(run, range(threads)))


def embed_in_torch(bundle: Bundle, canvases: NDArray[np.uint8], threads: int) -> Callable[[], object] | None:
    """A call that embeds all canvases in batches in PyTorch, in a time that depends on no weights; None without PyTorch."""
    try:
        import torch

        from train.model import PRESETS, SiameseNet
    except ImportError:
        return None
    model = SiameseNet(PRESETS[bundle.preset]).eval()
    batches = [torch.from_numpy(batch) for batch in _batches(canvases)]

    def embed() -> None:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            for batch in batches:
                model.embed(batch)

    return embed


def _batches(canvases: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [canvases[start : start + _BATCH] for start in range(0, len(canvases), _BATCH)]

"""How long a step takes, and in which precision it is faster: by processor time, so that other work does not decide."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from train.ancestors import Teachers
from train.canvases import Canvases
from train.config import TrainConfig
from train.omniglot import DatasetError
from train.trainer import Trainer

__all__ = ["StepTime", "check_device", "fastest", "has_bf16", "in_turns", "measure_steps", "precisions"]

_WARM_UP, _REPEATS = 3, 8


@dataclass(frozen=True)
class StepTime:
    """processor: median processor seconds of a step, all threads together. wall: seconds of a step on free cores."""

    processor: float
    wall: float


def has_bf16() -> bool:
    """Whether this processor multiplies bf16 in hardware; without that it is emulated, and never faster."""
    known = getattr(torch.cpu, "get_capabilities", dict)()
    return not known or any(bool(known.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def check_device(name: str) -> None:
    """Raises `DatasetError` for a device that this PyTorch cannot train on."""
    try:
        device = torch.device(name)
        usable = device.type in ("cpu", "cuda", "mps", "xpu")
        if usable:
            torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError):
        usable = False
    if not usable:
        raise DatasetError(f"--device {name}: this PyTorch {torch.__version__} cannot train on it; use --device cpu")


def precisions(asked: str, device: str) -> tuple[str, ...]:
    """The precisions to choose from: "auto" tries bf16 only where the device has it."""
    if asked != "auto":
        return (asked,)
    return ("fp32", "bf16") if device != "cpu" or has_bf16() else ("fp32",)


def measure_steps(
    configs: Mapping[str, TrainConfig], canvases: Canvases, teachers: Teachers | None = None
) -> dict[str, StepTime]:
    """The time of a step of each configuration, taken in turns on throw-away trainers, so that the run is untouched."""
    trainers = {name: Trainer(config, canvases, teachers=teachers) for name, config in configs.items()}
    on_processor = all(config.device == "cpu" for config in configs.values())
    clock = time.process_time if on_processor else time.perf_counter
    return in_turns({name: trainer.step for name, trainer in trainers.items()}, clock)


def fastest(times: Mapping[str, StepTime]) -> str:
    """The name of the one that takes the least processor time."""
    return min(times, key=lambda name: times[name].processor)


def in_turns(steps: Mapping[str, Callable[[], object]], clock: Callable[[], float] = time.process_time) -> dict[str, StepTime]:
    """The time of each of several kinds of step, taken in turns. clock: seconds of the processor, or of the device."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for number in range(_WARM_UP + _REPEATS):
        for name, step in steps.items():
            processor, wall = clock(), time.perf_counter()
            step()
            if number >= _WARM_UP:
                found[name].append((clock() - processor, time.perf_counter() - wall))
    times = {}
    for name, pairs in found.items():
        processor = float(np.median([pair[0] for pair in pairs]))
        # The best share of wall time that was seen is that of free cores.
        times[name] = StepTime(processor, processor * min(wall / max(used, 1e-9) for used, wall in pairs))
    return times

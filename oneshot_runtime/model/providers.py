"""Which execution provider of ONNX Runtime a device's name stands for, and with which options it computes exactly enough."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from oneshot_runtime.errors import DeviceError, OptionError

__all__ = [
    "DEVICES",
    "default_options",
    "device_named",
    "device_of",
    "how_to_start",
    "installed_devices",
    "options_as_text",
    "provider_of",
]

DEVICES = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "qnn": "QNNExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "nvtensorrtrtx": "NvTensorRTRTXExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "webgpu": "WebGpuExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
    "nnapi": "NnapiExecutionProvider",
    "vitisai": "VitisAIExecutionProvider",
    "cann": "CANNExecutionProvider",
    "dnnl": "DnnlExecutionProvider",
    "acl": "ACLExecutionProvider",
    "armnn": "ArmNNExecutionProvider",
    "rknpu": "RknpuExecutionProvider",
}
"""The names that `device=` takes beside "auto". A provider that is not among them is named by what stands before
ExecutionProvider, in small letters."""

_WHEELS = {
    "cpu": "'oneshot-runtime[cpu]'",
    "cuda": "'oneshot-runtime[gpu]'",
    "tensorrt": "'oneshot-runtime[gpu]' and NVIDIA's TensorRT",
    "openvino": "'oneshot-runtime[openvino]'",
    "directml": "onnxruntime-directml (Windows)",
    "qnn": "onnxruntime-qnn (Windows on ARM)",
    "coreml": "'oneshot-runtime[cpu]' on macOS",
}
"""What has a device's provider."""

_SUFFIX = "executionprovider"
_REMOTE = "AzureExecutionProvider"
"""Sends its input to a server, so it is no device."""

_PRECISE: dict[str, dict[str, Any]] = {
    # Since Ampere, CUDA's convolutions keep 10 of 23 bits otherwise.
    "cuda": {"use_tf32": "0"},
    # On processors with bf16, and on GPUs, OpenVINO may compute in 16 bits otherwise.
    "openvino": {"load_config": {"CPU": {"INFERENCE_PRECISION_HINT": "f32"}, "GPU": {"INFERENCE_PRECISION_HINT": "f32"}}},
}


def installed_devices(available: Iterable[str]) -> list[str]:
    """The devices for the providers that an ONNX Runtime has, as `get_available_providers` gives them."""
    return [device_of(provider) for provider in available if provider != _REMOTE]


def device_of(provider: str) -> str:
    """The device's name for a provider of ONNX Runtime."""
    named = {value: key for key, value in DEVICES.items()}
    return named.get(provider, provider.lower().removesuffix(_SUFFIX))


def device_named(name: str, available: Iterable[str]) -> str:
    """The device, or "auto", for its name or the name of its provider, in any case; whether it is installed or not.

    Raises `DeviceError` for a name that stands for none.
    """
    wanted = name.lower().removesuffix(_SUFFIX) if isinstance(name, str) else None
    if wanted == "auto":
        return "auto"
    for provider in (*DEVICES.values(), *available):
        if provider != _REMOTE and wanted in (device_of(provider), provider.lower().removesuffix(_SUFFIX)):
            return device_of(provider)
    raise DeviceError(
        f"unknown device {name!r}: choose auto or one of those that this onnxruntime has: "
        f"{', '.join(installed_devices(available))}"
    )


def provider_of(device: str, available: Iterable[str]) -> str:
    """The provider for a device. Raises `DeviceError` where it is not among the `available` ones."""
    for provider in available:
        if device_of(provider) == device:
            return provider
    raise DeviceError(
        f"device={device!r} was asked for, and this onnxruntime has only {', '.join(installed_devices(available))}: "
        f"{_how_to_install(device)}"
    )


def default_options(device: str, threads: int) -> dict[str, str]:
    """What a provider is told unless the caller says otherwise: to compute in float32, where it would not."""
    options: dict[str, Any] = json.loads(json.dumps(_PRECISE.get(device, {})))
    if device == "openvino":
        options["load_config"]["CPU"]["INFERENCE_NUM_THREADS"] = str(threads)
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in options.items()}


def options_as_text(options: Mapping[str, Any] | None) -> dict[str, str]:
    """`provider_options` as ONNX Runtime takes them; a mapping within becomes JSON, True and False 1 and 0.

    Raises `OptionError` for anything that has no text.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise OptionError(f"provider_options must be a mapping of names to values, got {type(options).__name__}")
    texts = {}
    for name, value in options.items():
        if not isinstance(name, str) or not isinstance(value, str | int | float | Mapping):
            raise OptionError(
                f"provider_options[{name!r}] is a {type(value).__name__}: expected a text, a number, True, False or a mapping"
            )
        if isinstance(value, Mapping):
            texts[name] = json.dumps(dict(value))
        else:
            texts[name] = str(int(value) if isinstance(value, bool) else value)
    return texts


def _how_to_install(device: str) -> str:
    """What to do where a device is not installed, for the end of a message."""
    if device in _WHEELS:
        return f"install {_WHEELS[device]} in an environment without another onnxruntime, or pass device='auto' or 'cpu'"
    return "no build with it is on PyPI for every machine; see onnxruntime.ai/docs/execution-providers, or pass device='cpu'"


def how_to_start(device: str) -> str:
    """What to do where a device is installed and does not start, for the end of a message."""
    if device == "cuda":
        return "Install 'oneshot-runtime[gpu]' (and no plain onnxruntime beside it) and check nvidia-smi"
    return "Check its driver and provider_options="

"""Any execution provider that ONNX Runtime has is taken when it is asked for, and never silently another.

Another provider is played by the CPU's, for none other is installed here: `tests/platforms/openvino.sh` has a real one.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import onnxruntime
import pytest

from oneshot_runtime import DeviceError, OneShotMatcher, OptionError
from oneshot_runtime.cli.main import main
from oneshot_runtime.model import session as session_module
from oneshot_runtime.model.providers import DEVICES, default_options, device_named, device_of, installed_devices

OPENVINO, CPU = "OpenVINOExecutionProvider", "CPUExecutionProvider"


class PlayedSession:
    """A session of the CPU that says it is OpenVINO's.

    starts: whether that provider starts. left: operators that it leaves to the CPU. bits: of a float's 23 that it keeps.
    """

    made: ClassVar[list[dict[str, Any]]] = []
    starts, left, bits = True, (), 23

    def __init__(self, graph: bytes, options: Any, **words: Any) -> None:
        self.made.append({"options": words["provider_options"][0], "providers": words["providers"]})
        if "refused" in words["provider_options"][0]:
            raise RuntimeError("Invalid OpenVINO EP option: refused")
        self._real = onnxruntime.InferenceSession(graph, options, providers=[CPU])
        self._asked = words["providers"]

    def get_providers(self) -> list[str]:
        return self._asked if self.starts else [CPU]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        def part(provider: str, operators: tuple[str, ...]) -> Any:
            return SimpleNamespace(ep_name=provider, get_nodes=lambda: [SimpleNamespace(op_type=one) for one in operators])

        taken = tuple(one for one in ("Cast", "Conv", "Conv", "Gemm") if one not in self.left)
        return [part(self._asked[0], taken), part(CPU, self.left)]

    def run(self, names: None, values: dict[str, Any]) -> list[np.ndarray]:
        found = self._real.run(names, values)[0]
        if self._asked[0] == CPU:
            return [found]
        mask = np.uint32(0xFFFFFFFF << (23 - self.bits) & 0xFFFFFFFF)
        return [(found.view(np.uint32) & mask).view(np.float32)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def played(monkeypatch) -> type[PlayedSession]:
    """An ONNX Runtime that has OpenVINO beside the CPU."""
    kind = type("Session", (PlayedSession,), {"made": []})
    module = SimpleNamespace(
        InferenceSession=kind, SessionOptions=onnxruntime.SessionOptions, get_available_providers=lambda: [OPENVINO, CPU]
    )
    monkeypatch.setattr(session_module, "import_onnxruntime", lambda: module)
    return kind


@pytest.mark.parametrize("name", ["OpenVINO", "OpenVINOExecutionProvider"])
def test_a_device_is_found_by_its_name_or_its_providers(played, name) -> None:
    matcher = OneShotMatcher.load(device=name)
    assert (matcher.device, matcher.precision) == ("openvino", "fp32")
    assert {tuple(one["providers"]) for one in played.made} == {(OPENVINO, CPU)}


@pytest.mark.parametrize("device", sorted({*DEVICES, *map(str.upper, DEVICES), *DEVICES.values()} - {"openvino", "cpu"}))
def test_a_device_that_is_not_installed_is_an_error_that_names_those_that_are(played, device) -> None:
    if device.lower().removesuffix("executionprovider") in ("cpu", "openvino"):
        assert OneShotMatcher.load(device=device).device in ("cpu", "openvino")
        return
    with pytest.raises(DeviceError, match="has only openvino, cpu:"):
        OneShotMatcher.load(device=device)
    assert not played.made


@pytest.mark.parametrize("device", ["tpu", "", " cpu", "azure", "AzureExecutionProvider", None, 5, b"cpu", ["cpu"], "auto,cpu"])
def test_a_name_that_is_no_device_is_an_error(device) -> None:
    with pytest.raises(DeviceError, match="unknown device .*choose auto or one of those that this onnxruntime has: .*cpu"):
        OneShotMatcher.load(device=device)


def test_the_names_and_the_providers_are_each_others_reverse() -> None:
    assert {device_of(provider): provider for provider in DEVICES.values()} == DEVICES
    assert all(device_named(name, []) == name for name in DEVICES)
    assert device_named("brandnew", ["BrandNewExecutionProvider"]) == "brandnew"
    assert installed_devices(["BrandNewExecutionProvider", "AzureExecutionProvider", CPU]) == ["brandnew", "cpu"]


def test_a_device_that_does_not_start_is_an_error(played) -> None:
    played.starts = False
    with pytest.raises(DeviceError, match="openvino.*does not start here.*would run on cpu"):
        OneShotMatcher.load(device="openvino")
    assert OneShotMatcher.load(device="auto").device == "cpu"


@pytest.mark.parametrize("left", [("Conv",), ("Gemm", "Conv", "Cast"), ("MatMul",)])
def test_a_device_that_leaves_the_work_to_the_processor_is_an_error(played, left) -> None:
    played.left = left
    with pytest.raises(DeviceError, match=f"takes only .* and leaves .*{sorted(set(left) - {'Cast'})[0]}"):
        OneShotMatcher.load(device="openvino")


def test_a_change_of_type_may_stay_on_the_processor(played) -> None:
    played.left = ("Cast",)
    assert OneShotMatcher.load(device="openvino").device == "openvino"


def test_a_device_that_computes_in_fewer_bits_fails_the_golden_images(played) -> None:
    played.bits = 7  # as bf16 does
    with pytest.raises(DeviceError, match=r"golden images come out wrong on device='openvino'.*provider_options="):
        OneShotMatcher.load(device="openvino")
    assert OneShotMatcher.load(device="openvino", precision="int8").precision == "int8"


def test_options_reach_the_provider_beside_those_that_make_it_exact(played) -> None:
    OneShotMatcher.load(device="openvino", provider_options={"device_type": "CPU", "cache": True, "n": 2, "x": {"a": 1}})
    given = played.made[-1]["options"]
    assert {name: given[name] for name in ("device_type", "cache", "n", "x")} == {
        "device_type": "CPU", "cache": "1", "n": "2", "x": '{"a": 1}',
    }  # fmt: skip
    assert '"INFERENCE_PRECISION_HINT": "f32"' in given["load_config"]
    OneShotMatcher.load(device="openvino", provider_options={"load_config": "{}"})
    assert played.made[-1]["options"]["load_config"] == "{}"
    assert default_options("cuda", 1) == {"use_tf32": "0"}
    assert default_options("cpu", 1) == {}


@pytest.mark.parametrize(
    ("device", "options", "words"),
    [
        ("openvino", ["x"], "mapping"),
        ("openvino", "x=1", "mapping"),
        ("openvino", {1: 2}, "provider_options"),
        ("openvino", {"a": [1]}, "'a'.*list"),
        ("openvino", {"a": None}, "'a'.*NoneType"),
        ("auto", {"a": 1}, "name the device"),
        ("cpu", {"a": 1}, "threads="),
    ],
)
def test_options_that_cannot_be_any_are_an_error(played, device, options, words) -> None:
    with pytest.raises(OptionError, match=words):
        OneShotMatcher.load(device=device, provider_options=options)


def test_what_the_provider_says_of_its_options_is_said(played) -> None:
    with pytest.raises(DeviceError, match="Invalid OpenVINO EP option: refused"):
        OneShotMatcher.load(device="openvino", provider_options={"refused": 1})


def test_a_folder_and_a_forked_child_are_embedded_with_the_same_options(played, tmp_path, drawings) -> None:
    from PIL import Image

    matcher = OneShotMatcher.load(device="openvino", provider_options={"device_type": "CPU"})
    (tmp_path / "a").mkdir()
    Image.fromarray(drawings[0][0]).save(tmp_path / "a" / "0.png")
    assert matcher.enroll_folder(tmp_path).added == 1
    assert {one["options"].get("device_type") for one in played.made} == {"CPU"}
    matcher._embedder._process = 0  # as a child finds it
    assert matcher.match(drawings[0][0]).label == "a"
    assert played.made[-1]["options"]["device_type"] == "CPU"


@pytest.mark.parametrize(
    "command", [["match", "x.png"], ["serve", "--port", "0"], ["doctor"], ["demo"], ["gallery", "migrate"]]
)
def test_the_command_line_never_takes_another_device(command, drawings, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    if command[0] == "serve":
        pytest.importorskip("fastapi")
    with OneShotMatcher.load(gallery="oneshot.db", far=None) as matcher:
        matcher.enroll("a", drawings[0][0])
    forced = ["--force"] if command[-1] == "migrate" else []
    assert main([*command, *forced, "--device", "OpenVINO"]) == 1
    said = "".join(capsys.readouterr())
    assert "this onnxruntime has only " in said
    assert "oneshot-runtime[openvino]" in said


@pytest.mark.parametrize(
    "words", [["--device", "tpu"], ["--device", ""], ["--provider-option", "x"], ["--provider-option", "=x"]]
)
def test_what_can_be_no_device_or_option_is_wrong_usage(words, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        main(["match", "x.png", *words])
    assert left.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_the_command_line_gives_options_to_the_provider(played, capsys, monkeypatch) -> None:
    monkeypatch.setattr("oneshot_runtime.cli.doctor.import_onnxruntime", session_module.import_onnxruntime)
    words = ["--device", "openvino", "--provider-option", "device_type=CPU", "--provider-option", "load_config={}"]
    assert main(["doctor", *words]) == 0
    shown = capsys.readouterr().out
    assert "openvino (OpenVINOExecutionProvider, CPUExecutionProvider, " in shown
    assert "4 nodes on openvino" in shown
    assert "installed: openvino, cpu" in shown
    assert {"device_type": "CPU", "load_config": "{}"} in [one["options"] for one in played.made]
    assert main(["doctor", *words[:2], "--provider-option", "refused=1"]) == 1
    assert "FAIL load" in capsys.readouterr().out

"""Precision and minutes are chosen by processor time, and threads wait without spinning."""

import subprocess
import sys
import time

import pytest
import torch

from train.config import TrainConfig
from train.speed import StepTime, fastest, has_bf16, in_turns, precisions
from train.trainer import Trainer


def test_waiting_is_not_taken_for_work() -> None:
    def waiting() -> None:
        time.sleep(0.03)

    def working() -> None:
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass

    times = in_turns({"waiting": waiting, "working": working})
    assert times["working"].processor == pytest.approx(0.02, abs=0.01)
    assert times["waiting"].processor < 0.01
    assert fastest(times) == "waiting"


def test_what_takes_least_processor_time_is_fastest_whatever_the_clock_says() -> None:
    assert fastest({"fp32": StepTime(0.4, 0.2), "bf16": StepTime(0.25, 0.7)}) == "bf16"


@pytest.mark.parametrize(
    ("known", "found"),
    [({"avx512_bf16": True}, True), ({"avx2": True, "avx512_bf16": False}, False), ({"bf16": True}, True), ({}, True)],
)
def test_bf16_is_tried_only_where_the_processor_has_it(monkeypatch, known, found) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert has_bf16() is found
    assert precisions("auto", "cpu") == (("fp32", "bf16") if found else ("fp32",))
    assert precisions("bf16", "cpu") == ("bf16",)
    assert precisions("auto", "cuda") == ("fp32", "bf16")


def test_openmp_is_told_before_torch_is_loaded() -> None:
    code = (
        "import os, sys; os.environ.pop('OMP_WAIT_POLICY', None); from train.__main__ import main; "
        "assert 'torch' not in sys.modules; print(main(['--data', 'nowhere', '--steps', '1'])); "
        "assert 'torch' in sys.modules; print(os.environ['OMP_WAIT_POLICY'])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert said == ["1", "PASSIVE"]


def test_a_run_by_the_clock_follows_its_minutes_and_not_its_steps(canvases, config) -> None:
    clocked = TrainConfig(**{**vars(config), "steps": 10, "minutes": 2.0, "warmup": 1})
    trainer = Trainer(clocked, canvases)
    trainer.done, trainer.spent = 500, 60.0
    assert not trainer.finished
    trainer.step()
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(clocked.learning_rate / 2)
    trainer.spent = 120.0
    assert trainer.finished

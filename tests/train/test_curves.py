from __future__ import annotations

import json

import pytest
from PIL import Image

from train.curves import draw_curves
from train.run_log import RunLog

STEP = {"event": "step", "step": 10, "loss": 0.5}
SCORE = {"event": "validation", "step": 10, "accuracy": 0.75, "interval": [0.7, 0.8]}
PERFECT = {**SCORE, "accuracy": 1.0, "interval": [1.0, 1.0]}


@pytest.mark.parametrize("records", [[], [STEP], [SCORE], [STEP, SCORE], [STEP, PERFECT], [{**STEP, "loss": 0.0}, SCORE]])
def test_a_log_with_nothing_for_a_logarithm_is_drawn_without_a_warning(tmp_path, records) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    draw_curves(log, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (800, 600)


def test_what_a_killed_run_wrote_after_its_checkpoint_is_replaced(tmp_path) -> None:
    log = RunLog(tmp_path)
    log.add({"event": "start", "step": 0})
    for step in (50, 100, 150):
        log.add({**STEP, "step": step})
    log.add({"event": "validation", "step": 150, "weights": "step 150", "mean": 0.9})
    with log.path.open("a") as file:
        file.write('{"event": "step", "st')  # cut off
    again = RunLog(tmp_path, done=100)
    again.add({**STEP, "step": 150, "loss": 0.4})
    rows = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [(row["event"], row["step"]) for row in rows] == [("start", 0), ("step", 50), ("step", 100), ("step", 150)]
    assert rows[-1]["loss"] == 0.4
    assert again.means() == {}


def test_the_end_of_a_run_that_is_extended_is_no_longer_its_end(tmp_path) -> None:
    log = RunLog(tmp_path)
    log.add({"event": "validation", "step": 0, "weights": "start", "mean": 0.8})
    log.add({"event": "validation", "step": 100, "weights": "last", "mean": 0.9})
    log.add({"event": "blend", "step": 100, "weights": "blend 0.5", "mean": 0.95})
    assert RunLog(tmp_path, done=100).means() == {"start": 0.8}

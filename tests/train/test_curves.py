from __future__ import annotations

import json

import pytest
from PIL import Image

from train.curves import draw_curves

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

from __future__ import annotations

import json

import pytest

from oneshot_runtime import OneShotMatcher
from train import hausdorff
from train.__main__ import main
from train.evaluate import bundle_classifier, score_trials
from train.omniglot import load_trials


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_shipped_model_beats_people_on_the_400_trials(omniglot, precision) -> None:
    """People: 95.5 % (Lake et al. 2015). Through the runtime's public API: enroll twenty supports, match twenty queries."""
    score = score_trials(load_trials(omniglot), bundle_classifier(OneShotMatcher.load(precision=precision, far=None)))
    assert score.total == 400
    assert score.accuracy >= 0.97


def test_modified_hausdorff_gives_the_published_figure(omniglot) -> None:
    """38.8 % error in the demo that ships with Omniglot: this proves that the trials are read right."""
    assert score_trials(load_trials(omniglot), hausdorff.classify).accuracy == pytest.approx(0.612, abs=0.001)


def test_evaluate_prints_json(omniglot, capsys) -> None:
    assert main(["evaluate", "--data", str(omniglot), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out).values()
    assert row["interval"][0] < row["accuracy"] < row["interval"][1]

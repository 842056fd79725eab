"""Every benchmark at its smallest: what it says is worth nothing then, but it must still run and say it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALLEST = {
    "latency": "--rounds 3 --json",
    "picture_strangers": "--each 1 --galleries 2 --json",
    "pictures": "--quick --kind clean --json",
    "server_load": "--seconds 0.2 --rounds 1 --clients 1",
    "accuracy.camera": "--alphabets 1 --frames 1 --rounds 1 --speed-frames 2 --live-frames 3 --json",
    "accuracy.migration": "--alphabets 1 --enlarge 1 --json",
    "reliability.damage": "--flips 1 --json",
    "reliability.gallery_attacks": "--only every-bit openings copies --flips 1 --every 100000 --openings 1 --json",
    "reliability.random_damage": "--states closed killed --count 3 --supports 200 --json",
    "reliability.soak": "--minutes 0.001 --threads 1 --json",
    "scale.bulk": "--pictures 1 --classes 1 --threads 1 --json",
    "scale.gallery_scale": "--sizes 1 2 --out",
    "scale.gallery_writes": "--bulk 1 --sizes 1 --rounds 1 --json",
    "scale.planning": "--rows 1 --json",
    "scale.postgres": "--sizes 1 --ef 10 --queries 1 --seconds 1 --json",
    "scale.shard_loading": "--supports 1 --shards 2 --rounds 1 --stores file --json",
    "speed.browser": "--drawings 1 --rounds 1",
    "speed.device": "--device cpu --batches 1 4 --rounds 1 --supports 300 --json",
    "speed.enrollment": "--supports 1 --pictures 1 --check 1 --json",
    "speed.page_latency": "--drawings 1 --taught 1",
    "speed.process": "--starts 1 --idle 0.1 --supports 1 --json",
    "speed.throughput": "--images 1 --rounds 1 --json",
}
ELSEWHERE = {
    "accuracy.scoreboard": "needs Omniglot; tests/train/test_protocols.py has what it measures",
    "accuracy.training_minutes": "needs the logs of runs",
    "domains": "needs pictures of other domains, which are no part of the repository",
    "performance": "runs the others; test_the_page_of_performance_can_be_written",
    "photographs": "needs the photographs of Debian's opencv-doc; tests/test_photographs.py scores an invented one",
    "reliability.fuzz": "needs atheris; tests/test_reliability.py feeds the same targets",
    "reliability.gallery_costs": "runs beside another checkout of the project",
    "reliability.kill_rounds": "tests/test_kill_rounds.py runs it",
    "scale.cluster": "starts a Ray cluster; tests/runtime/cluster has one",
    "speed.page_live": "takes a film of minutes; tests/test_page_live.py shows the page a short one",
}


def test_none_is_forgotten() -> None:
    files = [path for path in BENCHMARKS.rglob("*.py") if "argparse.ArgumentParser" in path.read_text()]
    names = {".".join(path.relative_to(BENCHMARKS).with_suffix("").parts).removesuffix(".__main__") for path in files}
    assert names <= SMALLEST.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("name", SMALLEST)
def test_it_runs_at_its_smallest(name, tmp_path, capsys) -> None:
    benchmark = importlib.import_module(f"benchmarks.{name}")
    words = SMALLEST[name].split()
    if words[-1] in ("--json", "--out"):
        words.append(str(tmp_path / "figures"))
    assert benchmark.main(words) == 0
    assert capsys.readouterr().out
    if "--json" in words:
        assert json.loads((tmp_path / "figures").read_text())


def test_the_page_of_performance_can_be_written(tmp_path, monkeypatch, capsys) -> None:
    performance = importlib.import_module("benchmarks.performance")
    assert {command.split()[0] for command in performance.BENCHMARKS.values()} <= SMALLEST.keys()
    page = tmp_path / "page.md"
    page.write_text(performance.PAGE.read_text())
    monkeypatch.setattr(performance, "BENCHMARKS", {"Batches": "speed.throughput --images 1 --rounds 1"})
    assert performance.main(["--page", str(page)]) == 0
    written = page.read_text()
    assert written.count("### ") == 1
    assert "images/s" in written
    assert "Measured on" in written
    assert performance.main(["--page", str(page)]) == 0  # and again
    assert page.read_text().count("### Batches") == 1
    monkeypatch.setattr(performance, "BENCHMARKS", {"Wrong": "speed.throughput --images none"})
    assert performance.main(["--page", str(page)]) == 1
    assert "### Batches" in page.read_text()


def test_a_size_of_nothing_is_refused(capsys) -> None:
    with pytest.raises(SystemExit):
        importlib.import_module("benchmarks.latency").main(["--rounds", "0"])
    assert "'0' is no whole number of at least 1" in capsys.readouterr().err

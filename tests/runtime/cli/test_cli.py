from __future__ import annotations

import json

import pytest
from PIL import Image

from oneshot_runtime.cli.main import main


@pytest.fixture
def pictures(tmp_path, drawings, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for writer, pages in zip(("a", "b"), drawings, strict=True):
        for index, page in enumerate(pages[:4]):
            Image.fromarray(page).save(tmp_path / f"{writer}{index}.png")
    return tmp_path


def call(capsys, *words: str) -> tuple[int, dict]:
    code = main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_enrol_match_list_remove(pictures, capsys) -> None:
    for index in range(4):
        code, answer = call(capsys, "enroll", f"s{index}", f"a{index}.png")
        assert (code, answer["classes"]) == (0, index + 1)
    assert (pictures / "oneshot.db").exists()
    code, answer = call(capsys, "match", "b0.png", "b1.png", "--far", "none", "--top-k", "2")
    assert [match["label"] for match in answer["matches"]] == ["s0", "s1"]
    assert len(answer["matches"][0]["candidates"]) == 2
    code, answer = call(capsys, "remove", "s0", "s2")
    assert answer == {"removed": ["s0", "s2"], "classes": 2}
    code, answer = call(capsys, "list")
    assert answer["classes"] == [{"label": "s1", "supports": 1}, {"label": "s3", "supports": 1}]


def test_plain_output_names_the_answer(pictures, capsys) -> None:
    assert main(["enroll", "alef", "a0.png", "--gallery", "other.db"]) == 0
    assert main(["match", "b0.png", "--gallery", "other.db", "--far", "none"]) == 0
    assert "b0.png: alef" in capsys.readouterr().out


def test_verify(pictures, capsys) -> None:
    _, same = call(capsys, "verify", "a0.png", "b0.png")
    _, other = call(capsys, "verify", "a0.png", "b1.png")
    assert same["probability"] > other["probability"]


def test_errors_have_exit_code_one_and_json(pictures, capsys) -> None:
    main(["enroll", "alef", "a0.png"])
    capsys.readouterr()
    code, answer = call(capsys, "match", "missing.png")
    assert (code, answer["error"]) == (1, "ImageError")
    assert "missing.png" in answer["message"]
    assert main(["remove", "nobody"]) == 1
    assert "nobody" in capsys.readouterr().err


def test_a_mistyped_gallery_is_not_created(pictures, capsys) -> None:
    for words in (["list"], ["match", "a0.png"], ["remove", "a"]):
        assert main([*words, "--gallery", "typo.db"]) == 1
        assert "typo.db" in capsys.readouterr().err
    assert not (pictures / "typo.db").exists()


def test_remove_removes_all_or_nothing(pictures, capsys) -> None:
    main(["enroll", "a", "a0.png"])
    assert main(["remove", "a", "nosuch"]) == 1
    assert main(["remove", "\udcff"]) == 1
    capsys.readouterr()
    assert call(capsys, "list")[1]["classes"] == [{"label": "a", "supports": 1}]


def test_a_sheet_that_cannot_be_written_is_named(tmp_path, capsys) -> None:
    assert main(["demo", "--symbols", "2", "--sheet", str(tmp_path / "sheet.nonsense")]) == 1
    assert "sheet.nonsense" in capsys.readouterr().err


def test_wrong_usage_has_exit_code_two(capsys) -> None:
    for words in (
        [],
        ["match"],
        ["match", "x.png", "--far", "often"],
        ["enroll"],
        ["enroll", "x"],
        ["enroll", "x", "--folder", "y"],
        ["enroll", "x", "y.png", "--strict"],
        ["match", "x.png", "--device", "tpu"],
        ["match", "x.png", "--top-k", "0"],
        ["demo", "--seed", "-1"],
    ):
        with pytest.raises(SystemExit) as exit_:
            main(words)
        assert exit_.value.code == 2


def test_help_of_every_command(capsys) -> None:
    for command in ("demo", "enroll", "match", "verify", "list", "remove", "info", "doctor"):
        with pytest.raises(SystemExit) as exit_:
            main([command, "--help"])
        assert exit_.value.code == 0
        assert "--json" in capsys.readouterr().out


def test_demo_recognises_and_draws(tmp_path, capsys) -> None:
    sheet = tmp_path / "sheets" / "demo.png"
    code, answer = call(capsys, "demo", "--sheet", str(sheet))
    assert code == 0
    assert answer["total"] == 20
    assert answer["correct"] >= 17
    with Image.open(sheet) as picture:
        assert picture.width > 800


def test_info_and_doctor(capsys) -> None:
    code, answer = call(capsys, "info")
    assert (code, answer["preset"]) == (0, "edge")
    code, answer = call(capsys, "doctor", "--device", "cpu")
    assert code == 0, answer
    assert {check["name"] for check in answer["checks"]} >= {
        "wheels",
        "provider",
        "golden images",
        "head",
        "latency",
        "threads",
    }


def test_doctor_reports_what_does_not_load(capsys, tmp_path) -> None:
    code, answer = call(capsys, "doctor", "--bundle", str(tmp_path))
    assert code == 1
    assert {check["name"]: check["ok"] for check in answer["checks"]} == {"versions": True, "wheels": True, "load": False}


def test_doctor_fails_when_both_wheels_are_installed(capsys, monkeypatch) -> None:
    import oneshot_runtime.cli.doctor as doctor

    monkeypatch.setattr(doctor, "_version", lambda name: "1.0")
    code, answer = call(capsys, "doctor", "--device", "cpu")
    assert code == 1
    assert any(not check["ok"] and "uninstall" in check["detail"] for check in answer["checks"])
    opencv = {"opencv-python": "5.0", "opencv-python-headless": "5.0"}
    monkeypatch.setattr(doctor, "_version", opencv.get)
    code, answer = call(capsys, "doctor", "--device", "cpu")
    assert code == 1
    assert any(not check["ok"] and "opencv-python-headless are both" in check["detail"] for check in answer["checks"])

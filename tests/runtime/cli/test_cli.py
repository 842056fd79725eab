from __future__ import annotations

import io
import json
import re
import shutil
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.cli.main import main
from oneshot_runtime.errors import GalleryError
from oneshot_runtime.model.bundle import DEFAULT_BUNDLE, checksum_of
from oneshot_runtime.stores.base import Block
from oneshot_runtime.stores.sqlite.sqlite_store import SqliteStore


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


def test_an_option_that_turns_out_to_be_wrong_is_wrong_usage(pictures, capsys) -> None:
    """The same as one that the parser refuses: exit code 2, and JSON where it is asked for."""
    main(["enroll", "alef", "a0.png"])
    capsys.readouterr()
    for words in (
        ["remove", "alef", "--support", "1"],
        ["gallery", "index"],
        ["gallery", "backup", "copy.db", "--gallery", "postgresql://nowhere/letters"],
    ):
        code, answer = call(capsys, *words)
        assert (code, answer["error"]) == (2, "OptionError"), words
        assert main(words) == 2
        assert answer["message"] in capsys.readouterr().err


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
        ["demo", "--symbols", "71"],
        ["match", "x.png", "--far", "0.7"],
        ["match", "x.png", "--far", "0"],
        ["match", "x.png", "--threads", "5000"],
        ["match", "x.png", "y.png", "--explain", "z.png"],
        ["remove", "a", "b", "--support", "0"],
        ["remove", "a", "--support", "-1"],
        ["serve", "--port", "70000"],
        ["serve", "--port", "-1"],
        ["serve", "--port", "http"],
        ["list", "--precision", "fp32"],
        ["list", "--nonsense"],
        ["nonsense"],
    ):
        with pytest.raises(SystemExit) as exit_:
            main(words)
        assert exit_.value.code == 2
        capsys.readouterr()
        if words:
            with pytest.raises(SystemExit):
                main([*words, "--json"])
            assert json.loads(capsys.readouterr().out)["error"] == "UsageError"


def test_a_token_file_is_read_to_a_bound(tmp_path, capsys) -> None:
    pytest.importorskip("fastapi")
    endless = tmp_path / "token"
    endless.write_bytes(bytes(5000))
    for path in (endless, Path("/dev/zero")) if Path("/dev/zero").exists() else (endless,):
        assert main(["serve", "--port", "0", "--token-file", str(path)]) == 2
        assert "more than 4096 bytes" in capsys.readouterr().err


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
        "thresholds",
    }
    assert next(check for check in answer["checks"] if check["name"] == "thresholds")["detail"].startswith("for false accept")


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


def refused(capsys, *words: str) -> str:
    with pytest.raises(SystemExit):
        main(list(words))
    return capsys.readouterr().err


def test_what_was_meant_is_said(pictures, capsys) -> None:
    assert "did you mean 'match'?" in refused(capsys, "mtach", "x.png")
    assert "did you mean '--gallery'?" in refused(capsys, "list", "--galery", "x.db")
    assert "there are" in refused(capsys, "xyzzy")
    assert main(["remove", "alef"]) == 1
    assert "oneshot enroll" in capsys.readouterr().err
    main(["enroll", "alef", "a0.png"])
    for words in (["remove", "alf"], ["gallery", "rename", "alf", "bet"]):
        assert main(words) == 1
        assert "did you mean 'alef'?" in capsys.readouterr().err


def test_the_help_shows_examples(capsys) -> None:
    for words in ([], ["--help"]):
        with pytest.raises(SystemExit):
            main(words)
        shown = capsys.readouterr().out
        assert "oneshot enroll alef alef.png" in shown
        assert "--version" in shown
    with pytest.raises(SystemExit):
        main(["match", "--help"])
    assert "oneshot match drawings/" in capsys.readouterr().out


def test_a_command_has_the_options_that_matter(capsys) -> None:
    for command, has, lacks in (
        ("list", "--gallery", "--far"),
        ("verify", "--threads", "--gallery"),
        ("info", "--bundle", "--device"),
    ):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        shown = capsys.readouterr().out
        assert has in shown
        assert lacks not in shown


def test_standard_input_folders_and_several_pictures(pictures, capsys, monkeypatch) -> None:
    for index in range(3):
        main(["enroll", f"s{index}", f"a{index}.png"])
    (pictures / "deep" / "er").mkdir(parents=True)
    (pictures / "b0.png").rename(pictures / "deep" / "b0.png")
    (pictures / "b1.png").rename(pictures / "deep" / "er" / "b1.PNG")
    (pictures / "deep" / "notes.txt").write_text("no picture")
    (pictures / "deep" / "broken.png").write_bytes(b"no picture")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO((pictures / "b2.png").read_bytes())))
    capsys.readouterr()
    code = main(["match", "-", "deep", "missing.png", "--far", "none", "--json"])
    output = capsys.readouterr()
    answer = json.loads(output.out)
    found = {match["image"]: match.get("label", match.get("error")) for match in answer["matches"]}
    assert code == 1
    assert found == {
        "standard input": "s2",
        "deep/b0.png": "s0",
        "deep/broken.png": "ImageError",
        "deep/er/b1.PNG": "s1",
        "missing.png": "ImageError",
    }
    assert "2 of 5" in answer["message"]
    assert "missing.png" in output.err
    assert main(["match", "deep", "--far", "none"]) == 1
    output = capsys.readouterr()
    assert "deep/b0.png: s0 (" in output.out
    assert "\x1b" not in output.out
    assert "broken.png" in output.err
    (pictures / "empty").mkdir()
    assert main(["match", "empty"]) == 1
    assert "no pictures" in capsys.readouterr().err


def test_enroll_says_what_is_there_already_and_what_cannot_be_used(pictures, capsys) -> None:
    assert call(capsys, "enroll", "alef", "a0.png")[1]["added"] == 1
    code, answer = call(capsys, "enroll", "alef", "a0.png", "b0.png", "missing.png")
    assert code == 1
    assert (answer["added"], answer["present"], answer["supports"]) == (1, ["a0.png"], 2)
    assert [failure["image"] for failure in answer["failed"]] == ["missing.png"]
    assert main(["enroll", "alef", "a0.png"]) == 0
    assert "a0.png was enrolled as 'alef' already" in capsys.readouterr().out


def test_one_picture_of_a_symbol_is_removed(pictures, capsys) -> None:
    main(["enroll", "alef", "a0.png", "a1.png", "a2.png"])
    capsys.readouterr()
    code, answer = call(capsys, "remove", "alef", "--support", "1")
    assert (code, answer) == (0, {"removed": ["alef"], "support": 1, "classes": 1})
    assert call(capsys, "list")[1]["classes"] == [{"label": "alef", "supports": 2}]
    code, answer = call(capsys, "remove", "alef", "--support", "2")
    assert (code, answer["error"]) == (2, "OptionError")
    assert "from 0" in answer["message"]


def test_a_refused_picture_that_is_clearly_ahead_is_probably_known(pictures, capsys) -> None:
    for index in range(3):
        main(["enroll", f"s{index}", f"a{index}.png"])
    capsys.readouterr()
    assert main(["match", "a0.png", "--far", "1e-12"]) == 0
    assert re.match(r"a0.png: probably s0 \(over 99.9 %, threshold ", capsys.readouterr().out)
    (match,) = call(capsys, "match", "a0.png", "--far", "1e-12")[1]["matches"]
    assert (match["label"], match["probably"]) == (None, "s0")


def test_an_empty_gallery_is_why(pictures, capsys) -> None:
    main(["enroll", "alef", "a0.png"])
    main(["remove", "alef"])
    capsys.readouterr()
    assert main(["match", "a0.png"]) == 0
    assert "nothing is enrolled yet" in capsys.readouterr().out
    assert main(["list"]) == 0
    assert "nothing is enrolled yet" in capsys.readouterr().out
    assert main(["remove", "alef"]) == 1
    assert "nothing is enrolled yet" in capsys.readouterr().err


def test_the_environment_names_the_gallery(pictures, capsys, monkeypatch) -> None:
    monkeypatch.setenv("ONESHOT_GALLERY", "mine.db")
    main(["enroll", "alef", "a0.png"])
    assert (pictures / "mine.db").exists()
    assert not (pictures / "oneshot.db").exists()
    main(["enroll", "alef", "a0.png", "--gallery", "other.db"])
    assert (pictures / "other.db").exists()


def test_a_terminal_gets_columns_and_colour(pictures, capsys, monkeypatch) -> None:
    for index in range(2):
        main(["enroll", f"s{index}", f"a{index}.png"])
    capsys.readouterr()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert main(["match", "b0.png", "a1.png", "--far", "none"]) == 0
    assert "\x1b[32ms0" in capsys.readouterr().out
    assert main(["list"]) == 0
    assert "s0  1 picture\n" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["match", "b0.png", "--far", "none"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_a_model_without_thresholds_is_usable(pictures, capsys, tmp_path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(DEFAULT_BUNDLE, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["thresholds"] = []
    manifest["checksum"] = checksum_of(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    bundle = ["--bundle", str(folder)]
    assert main(["enroll", "alef", "a0.png", *bundle]) == 0
    assert capsys.readouterr().err.count("no thresholds") == 1
    assert main(["match", "b0.png", *bundle]) == 0
    output = capsys.readouterr()
    assert output.out.startswith("b0.png: alef (")
    assert output.err.count("no thresholds") == 1
    assert main(["doctor", *bundle]) == 0
    assert re.search("thresholds.*the bundle has none, so no picture is refused", capsys.readouterr().out)
    for words in (["list"], ["info"], ["gallery", "rename", "alef", "bet"], ["remove", "bet"]):
        assert main([*words, *bundle]) == 0
        assert capsys.readouterr().err == ""
    main(["enroll", "alef", "a0.png", *bundle])
    capsys.readouterr()
    assert main(["gallery", "migrate", "--force", *bundle]) == 0
    assert capsys.readouterr().err == ""


def test_info_is_a_page(capsys) -> None:
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) < 40
    assert max(map(len, shown.splitlines())) < 120
    for word in ("edge", "fingerprint", "0.05", "--json"):
        assert word in shown


def test_controls_in_the_names_of_files_and_in_what_files_say_are_shown_not_obeyed(pictures, capsys) -> None:
    """Escapes, a bell, C1 controls and line ends: a terminal would move its cursor, a log would get lines of somebody else."""
    name = "e\x1b[2J\x07\x9b31m\x7f\rvil.png"
    (pictures / "a0.png").rename(pictures / name)
    (pictures / f"bad\n{name}").write_bytes(b"no picture")
    forged = SqliteStore(pictures / f"{name}.db", name, 4)
    forged.add([Block(["a"], np.zeros((1, 4), np.uint8), [None], [None])])
    forged.close()
    shown = r"e\x1b[2J\x07"
    for words in (
        ["enroll", "alef", name],
        ["enroll", "alef", name],
        ["match", name, f"bad\n{name}"],
        ["match", f"missing\n{name}"],
        ["read", name, f"bad\n{name}"],
        ["list", "--gallery", f"{name}.db"],
        ["gallery", "check", "--gallery", f"{name}.db"],
        ["gallery", "export", f"{name}.npz"],
        ["gallery", "import", f"missing{name}.npz"],
        ["remove", name],
        ["match", name, f"--unknown{name}"],
        [name],
    ):
        with suppress(SystemExit):  # wrong usage
            main(words)
        output = capsys.readouterr()
        said = output.out + output.err
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", said), words
        assert words[0] in ("enroll", "list") or shown in said, words
        assert "bad\n" not in said
        assert "missing\n" not in said
    with pytest.raises(GalleryError) as raised:
        OneShotMatcher.load(gallery=pictures / f"{name}.db")
    assert str(raised.value).isprintable()
    assert "made with model e\\x1b" in str(raised.value)

"""What Windows and macOS lack or do otherwise, played here: the whole life of a gallery, names, encodings.

`like_windows.py` takes away what Windows does not have and keeps files that are open from being moved or removed;
`tests/platforms/windows.sh` runs much of the runtime's tests with it.
"""

from __future__ import annotations

import json
import ntpath
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import oneshot_runtime
from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model.bundle import DEFAULT_BUNDLE
from oneshot_runtime.stores.address import redacted, scheme_of
from oneshot_runtime.synthetic import draw, invent_alphabet, random_writer
from oneshot_runtime.transfer.folders import export_folder, folder_name, label_of
from oneshot_runtime.vision.grey_png import thumbnail

HERE = Path(__file__).parent
ROOT = Path(oneshot_runtime.__file__).parents[1]
needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are listed by Linux only: POSIX")

LIFE = """
import like_windows
import json, shutil, sqlite3, sys
from multiprocessing import get_start_method
from pathlib import Path
from oneshot_runtime import GalleryError, OneShotMatcher
from oneshot_runtime.cli.main import main
from oneshot_runtime.model.processor import available_cpus
from oneshot_runtime.stores.sqlite import process_lock
from oneshot_runtime.synthetic import draw, invent_alphabet, random_writer
import numpy as np

assert process_lock.fcntl is None and get_start_method() == "spawn" and available_cpus() >= 1
rng = np.random.default_rng(2)
drawings = [draw(symbol, random_writer(rng), rng) for symbol in invent_alphabet(4, seed=2)]
with OneShotMatcher.load(gallery="letters.db", far=None) as one, OneShotMatcher.load(gallery="letters.db", far=None) as two:
    for number, drawing in enumerate(drawings):
        (one if number % 2 else two).enroll(f"CON{number}" if number else "CON", drawing)
    assert [one.match(d).label for d in drawings] == [two.match(d).label for d in drawings] == one.labels
    one.remove("CON3")
    two.gallery.save("copy.db")
for command in (
    ["export", "out.npz"], ["export", "out"], ["check"], ["backup", "backup.db"],
    ["import", "out.npz", "--gallery", "a.db"], ["import", "out", "--gallery", "b.db"],
):
    assert main(["gallery", *command]) == 0, command
data = bytearray(Path("letters.db").read_bytes())
end = data.rindex(b"IEND")  # of a picture: pages after it may be free
for place in range(end - 500, end, 50):
    data[place] ^= 255
with OneShotMatcher.load(gallery="copy.db", far=None) as held:
    # Who has the file open keeps it from being replaced, and is told so.
    Path("copy.db").write_bytes(data)
    assert main(["gallery", "check", "--repair", "--gallery", "copy.db"]) == 1
    assert not list(Path().glob("copy.db.damaged*")) and not list(Path().glob(".copy*"))
main(["gallery", "check", "--repair", "--gallery", "copy.db"])
assert list(Path().glob("copy.db.damaged*"))
assert main(["gallery", "check", "--gallery", "copy.db"]) == 0
"""


@needs_proc
def test_the_life_of_a_gallery_where_open_files_stay(tmp_path) -> None:
    environment = os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{ROOT}", "ONESHOT_GALLERY": "letters.db"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIFE], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "another process has it open" in done.stderr


NASTY = [
    "CON", "con", "nul", "NUL.txt", "aux", "PRN", "COM1", "lpt9.tar.gz", "COM¹", "lpt³", "com0", "con .txt", "a", "A", "ß", "ẞ",
    "SS",
    "x.", "x ", " x", "x..", "a/b", "a\\b", "C:\\x", "..", ".", "a:b", "a|b", 'a"b', "a?", "*", "<>", "é", "e\u0301",
    "K", "\u212a", "ſ", "İ", "i\u0307", "%41", "~1", "LONGNA~1", "x" * 256,
]  # fmt: skip
"""Names that Windows reserves, cuts or refuses, and pairs that are one where a file system ignores case or normal form."""


def reserved(name: str) -> bool:
    """Whether Windows gives a name to a device, as Python 3.13's `ntpath.isreserved` has it."""
    if hasattr(ntpath, "isreserved"):
        return bool(ntpath.isreserved(name))
    device = name.partition(".")[0].rstrip(" ").upper()
    devices = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {f"{d}{n}" for d in ("COM", "LPT") for n in "123456789¹²³"}
    return device in devices or name[-1] in ". " or bool(re.search(r'[\0-\x1f"*:<>?/\\|]', name))


def test_folders_of_labels_are_names_that_every_system_keeps_apart(tmp_path) -> None:
    names = [folder_name(label) for label in NASTY]
    assert [label_of(name) for name in names[:-1]] == NASTY[:-1]
    assert [name for name in names if reserved(name)] == []
    assert len({name.casefold() for name in names}) == len(NASTY)
    rng, picture = np.random.default_rng(0), thumbnail(np.zeros((8, 8), np.uint8))
    with OneShotMatcher.load(gallery=tmp_path / "letters.db") as matcher:
        matcher.gallery.extend(NASTY, rng.random((len(NASTY), matcher.bundle.dim), np.float32), [picture] * len(NASTY))
    assert export_folder(tmp_path / "letters.db", tmp_path / "out") == len(NASTY)
    folders = [path.name for path in (tmp_path / "out").iterdir()]
    assert len({name.casefold() for name in folders}) == len(NASTY)


@pytest.mark.parametrize("path", [r"C:\Users\me\letters.db", r"\\server\share\letters.db", "c:letters.db", r"D:/x/letters.db"])
def test_a_path_of_windows_is_a_path(path) -> None:
    assert scheme_of(path) is None
    assert redacted(path) == path


def test_messages_hide_the_folders_of_a_server_on_windows() -> None:
    problems = pytest.importorskip("oneshot_runtime.server.problems", reason="could not import 'fastapi'")
    error = oneshot_runtime.GalleryError(r"gallery 'C:\Users\me\letters.db' cannot be used: C:\Users\me\x.db-journal is there")
    said = problems._without_paths(error, [])
    assert "Users" not in said
    assert "'letters.db'" in said


def test_any_console_shows_any_label(tmp_path) -> None:
    """A console of Windows has another encoding than the files, which are UTF-8 whatever it is."""
    encoding = "cp1252"
    rng = np.random.default_rng(0)
    Image.fromarray(draw(invent_alphabet(1, seed=1)[0], random_writer(rng), rng)).save(tmp_path / "alef.png")
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    word = [sys.executable, "-X", "warn_default_encoding", "-W", "error::EncodingWarning", "-m", "oneshot_runtime"]

    def run(*words: str) -> str:
        done = subprocess.run([*word, *words], cwd=tmp_path, env=environment, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b""), done.stderr
        return done.stdout.decode(encoding)

    run("enroll", "ℵ-é", "alef.png", "--gallery", "letters.db")
    shown = "ℵ-é".encode(encoding, "backslashreplace").decode(encoding)
    assert shown in run("match", "alef.png", "--gallery", "letters.db", "--far", "none")
    assert json.loads(run("list", "--gallery", "letters.db", "--json"))["classes"][0]["label"] == "ℵ-é"
    run("gallery", "export", "out", "--gallery", "letters.db")


def test_lines_may_end_as_on_windows(tmp_path) -> None:
    """A checkout with `core.autocrlf` changes text files: a manifest's checksum is over what it says, not over its bytes."""
    bundle = shutil.copytree(DEFAULT_BUNDLE, tmp_path / "bundle")
    manifest = bundle / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"\n", b"\r\n"))
    assert OneShotMatcher.load(bundle).bundle.fingerprint == OneShotMatcher.load().bundle.fingerprint
    serve = pytest.importorskip("oneshot_runtime.cli.serve_command")
    (tmp_path / "token").write_bytes(b"secret-of-many-letters\r\n")
    assert serve._token(tmp_path / "token") == "secret-of-many-letters"

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest

from oneshot_runtime import GalleryError
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.stores.sqlite import database_file as file_module
from oneshot_runtime.stores.sqlite.file_check import check_file
from oneshot_runtime.stores.sqlite.repair import repair_file

BUNDLE = Bundle.open()
POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions, limits and open files")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "letters.db"


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, BUNDLE.dim), np.float32)


def reopened(path) -> list[str]:
    gallery = Gallery(BUNDLE, path)
    labels = gallery.labels
    gallery.close()
    return labels


def in_a_child(script: str, path) -> str:
    """Run with limits and rights that this process must not get; prints what happened."""
    start = (
        "import os, resource, sys, numpy as np\nfrom oneshot_runtime import GalleryError\n"
        "from oneshot_runtime.model.bundle import Bundle\nfrom oneshot_runtime.gallery import Gallery\n"
        "import oneshot_runtime.stores.sqlite.sqlite_store  # another user may not read the package's folder\n"
        "path = sys.argv[1]; bundle = Bundle.open()\n"
        "def rows(n): return np.random.default_rng(1).random((n, bundle.dim), np.float32)\n"
        "Gallery(bundle).extend(['in memory'], rows(1))  # what is imported late is imported now\n"
    )
    done = subprocess.run([sys.executable, "-c", start + script, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@POSIX
def test_a_full_disk_changes_nothing_and_the_gallery_goes_on(path) -> None:
    out = in_a_child(
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "gallery = Gallery(bundle, path); gallery.extend(['a'], rows(1))\n"
        "size = os.path.getsize(path) + 20_000\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))\n"
        "try: gallery.extend(['b'] * 3000, rows(3000))\n"
        "except GalleryError as error: print(error)\n"
        "print(gallery.labels)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "gallery.extend(['c'], rows(1)); print(gallery.labels); gallery.close()\n",
        path,
    )
    message, during, afterwards = out.splitlines()
    assert "letters.db" in message
    assert "disk" in message
    assert (during, afterwards) == ("['a']", "['a', 'c']")
    assert reopened(path) == ["a", "c"]


@POSIX
def test_a_folder_that_cannot_be_written_is_named(path) -> None:
    gallery = Gallery(BUNDLE, path)
    gallery.extend(["a"], rows(1))
    gallery.close()
    drop = "os.geteuid() or os.setuid(65534)\ntry: Gallery(bundle, path).extend(['b'], rows(1))\n"
    for place in path.parents[:3]:
        place.chmod(0o755)
    out = in_a_child(drop + "except GalleryError as error: print(error)\n", path)
    assert "letters.db" in out
    assert "writable" in out
    assert reopened(path) == ["a"]


@POSIX
@pytest.mark.parametrize("fault", ["removed", "replaced", "cut off"])
def test_a_file_that_goes_away_under_an_open_gallery_is_noticed(path, fault) -> None:
    gallery = Gallery(BUNDLE, path)
    gallery.extend(["a"], rows(1))
    if fault == "removed":
        path.rename(path.with_name("away.db"))
    elif fault == "replaced":
        shutil.copy(path, path.with_name("copy.db"))
        path.with_name("copy.db").replace(path)
    else:
        os.truncate(path, path.stat().st_size - 4096)
    for call in (lambda: gallery.extend(["b"], rows(1)), lambda: gallery.remove("a"), lambda: gallery.labels):
        with pytest.raises(GalleryError, match="while it was open"):
            call()
    if fault == "removed":
        path.with_name("away.db").rename(path)
        gallery.extend(["b"], rows(1))  # put back: it goes on
        assert gallery.labels == ["a", "b"]
    gallery.close()


def test_a_lock_held_for_long_is_reported(path, monkeypatch) -> None:
    monkeypatch.setattr(file_module, "BUSY_SECONDS", 0.2)
    gallery = Gallery(BUNDLE, path)
    gallery.extend(["a"], rows(1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(GalleryError, match="another process"):
        gallery.extend(["b"], rows(1))
    assert gallery.labels == ["a"]  # reading waits for nobody
    assert reopened(path) == ["a"]
    other.execute("ROLLBACK")
    other.close()
    gallery.extend(["b"], rows(1))
    assert gallery.labels == ["a", "b"]
    gallery.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no FIFOs")
@pytest.mark.parametrize("ending", ["-journal", "-wal"])
@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_what_is_no_file_where_the_journal_would_be_is_refused(path, ending, kind) -> None:
    gallery = Gallery(BUNDLE, path)
    gallery.extend(["a"], rows(1))
    gallery.close()
    beside = path.with_name(f"{path.name}{ending}")
    open_before = Gallery(BUNDLE, path)
    if kind == "fifo":
        os.mkfifo(beside)
    elif kind == "link":
        beside.symlink_to("/dev/zero")
    else:
        beside.mkdir()
    for call in (
        lambda: Gallery(BUNDLE, path),
        lambda: check_file(path),
        lambda: repair_file(path, (BUNDLE.fingerprint, BUNDLE.dim)),
        lambda: open_before.extend(["b"], rows(1)),
        lambda: open_before.remove("a"),
    ):
        with pytest.raises(GalleryError, match=f"letters.db{ending}.*remove it"):
            call()
    if kind == "folder":
        beside.rmdir()
    else:
        beside.unlink()
    open_before.extend(["b"], rows(1))
    assert open_before.labels == ["a", "b"]
    open_before.close()


def test_a_folder_a_link_and_a_second_name(path, tmp_path) -> None:
    with pytest.raises(GalleryError, match="is a folder"):
        Gallery(BUNDLE, tmp_path)
    gallery = Gallery(BUNDLE, path)
    link = tmp_path / "link.db"
    link.symlink_to(path)
    linked = Gallery(BUNDLE, link)
    linked.extend(["a"], rows(1))
    assert gallery.labels == ["a"]
    linked.close()
    gallery.close()
    os.link(path, tmp_path / "second.db")
    with pytest.raises(GalleryError, match="hard links"):
        Gallery(BUNDLE, path)


@POSIX
def test_a_forked_process_is_told_to_open_the_gallery_again(path) -> None:
    out = in_a_child(
        "gallery = Gallery(bundle, path)\n"
        "if os.fork():\n    os.wait()\n"
        "else:\n    try: gallery.extend(['a'], rows(1))\n    except GalleryError as error: print(error, flush=True)\n"
        "    os._exit(0)\n"
        "gallery.extend(['b'], rows(1)); gallery.close()\n",
        path,
    )
    assert "fork" in out
    assert reopened(path) == ["b"]


def test_processes_that_create_the_same_file_at_once_all_succeed(path) -> None:
    script = (
        "import sys, numpy as np\nfrom oneshot_runtime.model.bundle import Bundle\n"
        "from oneshot_runtime.gallery import Gallery\n"
        "bundle = Bundle.open(); print('ready', flush=True); sys.stdin.readline()\n"
        "Gallery(bundle, sys.argv[1]).extend([sys.argv[2]], np.full((1, bundle.dim), 0.5, np.float32))\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen([*command, f"w{number}"], **pipes) for number in range(4)]
    for child in children:
        child.stdout.readline()
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate(timeout=60)
    assert [child.returncode for child in children] == [0] * 4
    assert sorted(reopened(path)) == ["w0", "w1", "w2", "w3"]


@pytest.mark.parametrize("durable", [True, False])
def test_threads_see_the_old_or_the_new_gallery_never_half(path, durable) -> None:
    """Three supports always come and go together, and are renamed together."""
    gallery = Gallery(BUNDLE, path if durable else None)
    gallery.extend(["x"], rows(1))
    stop, wrong = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            snapshot = gallery.snapshot()
            if (snapshot.supports, snapshot.classes) not in ((1, 1), (4, 2)):
                wrong.append((snapshot.supports, snapshot.classes))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in readers:
        thread.start()
    for number in range(40):
        gallery.extend(["t"] * 3, rows(3, number))
        gallery.rename("t", "u")
        gallery.remove("u")
    stop.set()
    for thread in readers:
        thread.join()
    gallery.close()
    assert wrong == []


@POSIX
def test_locks_that_a_copy_in_the_same_process_takes_away_are_not_missed(path) -> None:
    """`shutil.copy` opens and closes the file, and POSIX then drops SQLite's locks of the whole process."""
    script = (
        "import shutil, sys, threading, numpy as np\nfrom oneshot_runtime.model.bundle import Bundle\n"
        "from oneshot_runtime.gallery import Gallery\n"
        "bundle = Bundle.open(); gallery = Gallery(bundle, sys.argv[1]); stop = threading.Event()\n"
        "def copy():\n    while not stop.wait(0.0005): shutil.copy(sys.argv[1], sys.argv[1] + sys.argv[2])\n"
        "thread = threading.Thread(target=copy)\nprint('ready', flush=True); sys.stdin.readline(); thread.start()\n"
        "for n in range(60): gallery.extend([f'{sys.argv[2]} {n}'], np.full((1, bundle.dim), 0.5, np.float32))\n"
        "stop.set(); thread.join(); gallery.close()\n"
    )
    gallery = Gallery(BUNDLE, path)
    gallery.extend(["a"], rows(1))
    gallery.close()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen([sys.executable, "-c", script, str(path), f"w{n}"], **pipes) for n in range(2)]
    for child in children:
        child.stdout.readline()
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate(timeout=100)
    assert [child.returncode for child in children] == [0, 0]
    assert sorted(reopened(path)) == sorted(["a", *(f"w{n} {step}" for n in range(2) for step in range(60))])


@POSIX
def test_a_child_forked_while_threads_write_opens_the_file_again(path) -> None:
    out = in_a_child(
        "import contextlib, signal, threading\n"
        "gallery = Gallery(bundle, path); gallery.extend(['a'], rows(1)); stop = threading.Event()\n"
        "def write():\n    while not stop.is_set(): gallery.extend(['b'], rows(1)); gallery.remove('b')\n"
        "thread = threading.Thread(target=write); thread.start()\n"
        "ends = []\n"
        "for _ in range(12):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        signal.alarm(20)\n"
        "        with contextlib.closing(Gallery(bundle, path)) as own: os._exit(3 if 'a' in own else 4)\n"
        "    ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "stop.set(); thread.join(); gallery.close(); print(ends)\n",
        path,
    )
    assert out == f"{[3] * 12}\n"
    assert reopened(path)[0] == "a"


def test_a_forked_child_answers_at_once_while_threads_write(path) -> None:
    out = in_a_child(
        "import signal, threading, time\n"
        "gallery = Gallery(bundle, path); gallery.extend(['a'], rows(1)); stop = threading.Event()\n"
        "def write():\n    while not stop.is_set(): gallery.extend(['b'], rows(1)); gallery.remove('b')\n"
        "def read():\n    while not stop.is_set(): gallery.snapshot(); gallery.supports('a')\n"
        "threads = [threading.Thread(target=work) for work in (write, read, read)]\n"
        "for thread in threads: thread.start()\n"
        "ends = []\n"
        "for _ in range(15):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        signal.alarm(10)\n"
        "        try: gallery.snapshot()\n"
        "        except GalleryError as error: sys.exit(3 if 'fork' in str(error) else 4)\n"
        "        sys.exit(5)\n"
        "    ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])); time.sleep(0.02)\n"
        "stop.set()\n"
        "for thread in threads: thread.join()\n"
        "gallery.close(); print(ends)\n",
        path,
    )
    assert out == f"{[3] * 15}\n"
    assert reopened(path)[0] == "a"

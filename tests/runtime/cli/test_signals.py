from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")

START = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
"""A shell that runs the tests in the background has its children ignore Ctrl-C."""


def started(code: str, *arguments: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", START + code, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


SLOW = (
    "from oneshot_runtime.cli import main as m, match_commands; import time\n"
    "def slow(*given, **named):\n"
    "    print('ready', flush=True)\n"
    "    time.sleep(60)\n"
    "match_commands.load_existing = slow\n"
    "sys.exit(m.main())"
)


@pytest.mark.parametrize(("kind", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_ends_a_command_with_one_line_and_its_own_code(kind: signal.Signals, word: str, times: int) -> None:
    with started(SLOW, "match", "x.png", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(times):
            process.send_signal(kind)
        _, errors = process.communicate(timeout=60)
    if times == 1:
        assert (process.returncode, errors) == (128 + kind, f"oneshot: {word}\n")
    else:  # the second may come before Python has begun to end, or after it has
        assert process.returncode in (128 + kind, -kind)
        assert "Traceback" not in errors


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", [["info"], ["info", "--json"]])
def test_a_full_disk_behind_the_output_is_said_in_one_line(command: list[str]) -> None:
    code = "from oneshot_runtime.cli.main import main; sys.exit(main())"
    with Path("/dev/full").open("w") as full, started(code, *command, stdout=full) as process:
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (1, "oneshot: cannot write the output: No space left on device\n")


def test_a_reader_that_leaves_ends_a_command_without_a_word() -> None:
    code = "import time; time.sleep(0.3); from oneshot_runtime.cli.main import main; sys.exit(main())"
    with started(code, "info", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        process.wait(60)
    assert (process.returncode, errors) == (141, "")


@pytest.mark.parametrize(
    ("kinds", "options"),
    [
        ([signal.SIGTERM], []),
        ([signal.SIGINT], ["--workers", "2"]),
        ([signal.SIGINT] * 2, []),
        ([signal.SIGINT] * 2, ["--workers", "2"]),
    ],
)
def test_a_server_that_is_stopped_is_no_error(tmp_path: Path, kinds: list[signal.Signals], options: list[str]) -> None:
    pytest.importorskip("fastapi")
    code = "from oneshot_runtime.cli.main import main\nif __name__ == '__main__':\n    sys.exit(main())"
    arguments = ["serve", "--port", "0", "--threads", "1", "--gallery", str(tmp_path / "g.db"), *options]
    with started(code, *arguments, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert "http://" in process.stdout.readline()
        time.sleep(1.5)
        for kind in kinds:
            os.killpg(process.pid, kind)  # as a terminal does
            time.sleep(0.05)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")

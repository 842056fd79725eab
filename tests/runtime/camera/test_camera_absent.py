from __future__ import annotations

import subprocess
import sys


def test_without_opencv_the_extra_is_named_and_the_other_commands_work(tmp_path) -> None:
    code = (
        "import sys; sys.modules['cv2'] = None\n"
        "from oneshot_runtime.cli.main import main\n"
        f"gallery = ['--gallery', {str(tmp_path / 'g.db')!r}]\n"
        "print(main(['camera', '0', '--json', *gallery]), main(['info']))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "oneshot-runtime[camera]" in result.stderr
    assert result.stdout.endswith("1 0\n")


def test_a_missing_system_library_is_named(tmp_path) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file: No such file')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from oneshot_runtime.camera import open_source"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "lacks libGL.so.1" in result.stderr


def test_frames_from_elsewhere_are_read_and_marked_without_opencv(tmp_path) -> None:
    code = (
        "import sys; sys.modules['cv2'] = None\n"
        "import numpy as np\n"
        "from oneshot_runtime import OneShotMatcher\n"
        "from oneshot_runtime.camera import FrameReader, annotate\n"
        "frame = np.full((240, 320, 3), 220, np.uint8)\n"
        "frame[80:160, 100:106] = frame[154:160, 100:150] = 30\n"
        "reader = FrameReader(OneShotMatcher.load())\n"
        "seen = [reader.read(frame) for _ in range(2)][-1]\n"
        "reader.enroll('corner', track=seen.symbols[0].track)\n"
        "seen = reader.read(frame)\n"
        "print(seen.symbols[0].label, (annotate(frame, seen.symbols) != frame).any())\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout == "corner True\n", result.stderr

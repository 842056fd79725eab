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
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import oneshot_runtime.camera"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "lacks libGL.so.1" in result.stderr

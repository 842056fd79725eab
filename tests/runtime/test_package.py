from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import oneshot_runtime
from oneshot_runtime import OneShotError
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.model.bundle import DEFAULT_BUNDLE, Bundle

PACKAGE = Path(oneshot_runtime.__file__).parent


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_import_is_light_and_silent() -> None:
    code = (
        "import os, sys, threading, logging; level = logging.getLogger().level; before = dict(os.environ)\n"
        "import oneshot_runtime\n"
        "heavy = {'torch', 'cv2', 'onnxruntime', 'train', 'export', 'onnx', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import oneshot_runtime.cli.main\n"
        "slow = {'webbrowser', 'PIL.ImageDraw', 'oneshot_runtime.quality.audit', 'oneshot_runtime.quality.sheet'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
        "assert threading.active_count() == 1 and dict(os.environ) == before and logging.getLogger().level == level\n"
    )
    result = run(code)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_matching_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'train', 'export', 'cv2', 'onnx'): sys.modules[name] = None\n"
        "from oneshot_runtime import OneShotMatcher; from oneshot_runtime.cli.demo import run_demo\n"
        "assert run_demo(OneShotMatcher.load(far=None)).correct >= 16\n"
    )
    result = run(code)
    assert result.returncode == 0, result.stderr


def test_without_onnxruntime_the_extras_are_named() -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from oneshot_runtime import DependencyError, OneShotMatcher\n"
        "try: OneShotMatcher.load()\n"
        "except DependencyError as error: print(error)\n"
    )
    result = run(code)
    assert "oneshot-runtime[cpu]" in result.stdout
    assert "oneshot-runtime[gpu]" in result.stdout


def test_symbols_are_listed_renamed_and_removed_without_a_network(tmp_path) -> None:
    gallery, bundle = str(tmp_path / "symbols.db"), Bundle.open()
    opened = Gallery(bundle, gallery)
    opened.extend(["alef", "bet"], np.zeros((2, bundle.dim), np.float32))
    opened.close()
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from oneshot_runtime.cli.main import main\n"
        "for words in (['gallery', 'rename', 'alef', 'aleph'], ['remove', 'bet'], ['list']):\n"
        f"    assert main([*words, '--gallery', {gallery!r}]) == 0, words\n"
    )
    result = run(code)
    assert result.returncode == 0, result.stderr
    assert "aleph" in result.stdout.splitlines()[-1]


def test_nothing_in_the_package_imports_the_training_side() -> None:
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"torch", "train", "export", "onnx"}, file


def test_errors_are_one_family_and_fitting_builtins() -> None:
    expected = {"BundleError": ValueError, "DependencyError": ImportError, "DeviceError": RuntimeError,
                "GalleryError": ValueError, "ImageError": ValueError, "LabelError": KeyError}  # fmt: skip
    for name, builtin in expected.items():
        error = getattr(oneshot_runtime, name)
        assert issubclass(error, OneShotError)
        assert issubclass(error, builtin)
    assert str(oneshot_runtime.LabelError("a sentence")) == "a sentence"


def test_public_names_exist() -> None:
    assert all(hasattr(oneshot_runtime, name) for name in oneshot_runtime.__all__)
    assert (PACKAGE / "py.typed").exists()


def test_the_example_runs() -> None:
    example = Path(__file__).parents[2] / "examples" / "embed.py"
    if not example.exists():
        pytest.skip("the examples are not part of the wheel")
    result = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    for label in ("start", "stop", "pause"):
        assert f"{label} -> {label} " in result.stdout
    assert "blank" in result.stdout


def test_the_manifest_names_no_machine() -> None:
    manifest = json.loads((DEFAULT_BUNDLE / "manifest.json").read_text())
    assert "/" not in manifest["training"]["command"]
    assert manifest["training"]["command"].startswith("python -m train")

from __future__ import annotations

import platform

import pytest

from oneshot_runtime.model import processor, session
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.session import open_embedder


@pytest.mark.parametrize(("able", "precision"), [(True, "int8"), (False, "fp32")])
def test_auto_depends_on_the_processor_and_on_no_stopwatch(able, precision, monkeypatch) -> None:
    monkeypatch.setattr(session, "has_int8_instructions", lambda: able)
    assert {open_embedder(Bundle.open(), "cpu", "auto", 1).precision for _ in range(3)} == {precision}
    assert open_embedder(Bundle.open(), "cpu", "int8", 1).precision == "int8"


@pytest.mark.parametrize(
    ("machine", "system", "flags", "able"),
    [
        ("x86_64", "Linux", "flags\t\t: fpu sse2 avx2 avx_vnni", True),
        ("x86_64", "Linux", "flags\t\t: fpu avx512f avx512_vnni", True),
        ("x86_64", "Linux", "flags\t\t: fpu sse2 avx2 avx512f", False),
        ("aarch64", "Linux", "Features\t: fp asimd crc32 asimddp", True),
        ("aarch64", "Linux", "Features\t: fp asimd crc32", False),
        ("aarch64", "Linux", None, False),
        ("arm64", "Darwin", None, True),
        ("x86_64", "Darwin", None, False),
        ("AMD64", "Windows", None, False),
    ],
)
def test_the_processor_is_asked_for_its_instructions(machine, system, flags, able, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "system", lambda: system)
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"processor\t: 0\n{flags}\n")
    real = processor.Path
    monkeypatch.setattr(processor, "Path", lambda path: cpuinfo if path == "/proc/cpuinfo" else real(path))
    processor.has_int8_instructions.cache_clear()
    try:
        assert processor.has_int8_instructions() is able
    finally:
        processor.has_int8_instructions.cache_clear()

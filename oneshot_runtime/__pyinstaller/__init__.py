"""How PyInstaller packs the runtime: it asks for this folder by the entry point `pyinstaller40`."""

from __future__ import annotations

from pathlib import Path

__all__ = ["get_hook_dirs"]


def get_hook_dirs() -> list[str]:
    """The folder with the hook."""
    return [str(Path(__file__).parent)]

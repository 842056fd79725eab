"""PyInstaller's hook: the model and the page, which are no Python, and what is imported by a name that was put together."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]

datas = [
    (str(file), str(file.parent.relative_to(_PACKAGE.parent)))
    for folder in ("models", "server/static")
    for file in sorted((_PACKAGE / folder).rglob("*"))
    if file.is_file()
]

hiddenimports = [
    "oneshot_runtime.quality.audit",
    "oneshot_runtime.quality.explanation",
    "oneshot_runtime.stores.postgres",
    *(["cv2"] if find_spec("cv2") else []),
]

"""The packages that `js/` uses from npm, the package itself as it is packed, and the checkout served to a browser."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.page_driver import ROOT

PACKAGES = ("onnxruntime-node", "onnxruntime-web", "sharp", "typescript")
PAGE = "examples/web/"
_JS = ROOT / "js"
_MODULES = "/js/node_modules/"
_UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "ERR_SOCKET_TIMEOUT")


class NotThereError(Exception):
    """The packages can't be had: no npm on this machine, or it does not reach its registry."""


def npm_packages(folder: Path) -> Path:
    """The folder of the packages that the lock file names: `js/node_modules`, or installed below `folder`.

    Raises `NotThereError` when there is neither.
    """
    lock = (_JS / "package-lock.json").read_text()
    if _is_installed(_JS / "node_modules", lock):
        return _JS / "node_modules"
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_JS / name, folder)
    _npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1")
    return folder / "node_modules"


def _is_installed(folder: Path, lock: str) -> bool:
    packages = json.loads(lock)["packages"]
    wanted = {folder / name / "package.json": packages[f"node_modules/{name}"]["version"] for name in PACKAGES}
    return all(path.exists() and json.loads(path.read_text())["version"] == version for path, version in wanted.items())


def _npm(folder: Path, *arguments: str) -> str:
    npm = shutil.which("npm")
    if npm is None:
        raise NotThereError("npm is not installed")
    done = subprocess.run([npm, *arguments], cwd=folder, capture_output=True, text=True, timeout=280, check=False)
    if done.returncode and any(word in done.stderr + done.stdout for word in _UNREACHABLE):
        raise NotThereError(f"npm does not reach its registry: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def packed(folder: Path, modules: Path) -> Path:
    """The package in `js/` as npm packs it, unpacked below `folder`, beside the packages in `modules`."""
    listed = json.loads(_npm(_JS, "pack", "--json", "--pack-destination", str(folder)))
    with tarfile.open(folder / listed[0]["filename"]) as archive:
        archive.extractall(folder, filter="data")
    beside = folder / "node_modules"
    beside.mkdir()
    for name in PACKAGES:
        (beside / name).symlink_to(modules / name)
    (folder / "package").rename(beside / listed[0]["name"])
    return beside / str(listed[0]["name"])


@contextmanager
def checkout_served(modules: Path | None) -> Iterator[str]:
    """The checkout over HTTP; gives the page's address. modules: what lies in `js/node_modules`, None for nothing."""
    with folder_served(ROOT, modules) as address:
        yield address + PAGE


@contextmanager
def folder_served(folder: Path, modules: Path | None = None) -> Iterator[str]:
    """A folder over HTTP, as `python -m http.server` would; gives its address."""
    handler = functools.partial(_Handler, modules, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, modules: Path | None, *arguments: object, **options: object) -> None:
        self._modules = modules
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        if path.startswith(_MODULES):
            return str((self._modules or Path("/nowhere")) / path[len(_MODULES) :])
        return super().translate_path(path)

    def log_message(self, *_: object) -> None:
        """Say nothing of every request."""

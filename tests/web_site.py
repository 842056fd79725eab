"""Serves the checkout as `python -m http.server` would, with onnxruntime-web where `npm ci` puts it, for `examples/web`."""

from __future__ import annotations

import base64
import functools
import hashlib
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

_PAGE = "/examples/web/"
_PACKAGE = "onnxruntime-web"
_UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "ERR_SOCKET_TIMEOUT")


class NotThereError(Exception):
    """onnxruntime-web can't be had: no npm on this machine, or it does not reach its registry."""


def onnxruntime_web(folder: Path) -> Path:
    """The package's folder: the installed one, or its tarball from npm, checked by its lock and unpacked in `folder`.

    Raises `NotThereError` when there is neither.
    """
    web = ROOT / "examples" / "web"
    lock = json.loads((web / "package-lock.json").read_text())["packages"][f"node_modules/{_PACKAGE}"]
    installed = web / "node_modules" / _PACKAGE
    if (installed / "package.json").exists() and _version(installed) == lock["version"]:
        return installed
    npm = shutil.which("npm")
    if npm is None:
        raise NotThereError("npm is not installed")
    command = [npm, "pack", f"{_PACKAGE}@{lock['version']}", "--json", "--prefer-offline", "--fetch-retries=1"]
    packed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    if packed.returncode and any(word in packed.stderr + packed.stdout for word in _UNREACHABLE):
        raise NotThereError(f"npm does not reach its registry: {packed.stderr[-300:]}")
    packed.check_returncode()
    tarball = folder / f"{_PACKAGE}-{lock['version']}.tgz"
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    assert lock["integrity"] == f"sha512-{digest}"
    with tarfile.open(tarball) as archive:
        archive.extractall(folder, [member for member in archive if member.name.startswith("package/dist/ort")], filter="data")
    return folder / "package"


def _version(package: Path) -> str:
    version: str = json.loads((package / "package.json").read_text())["version"]
    return version


@contextmanager
def checkout_served(package: Path | None) -> Iterator[str]:
    """The checkout over HTTP; gives the page's address. package: onnxruntime-web's folder, None to leave it out."""
    handler = functools.partial(_Handler, package, directory=str(ROOT))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{_PAGE}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, package: Path | None, *arguments: object, **options: object) -> None:
        self._package = package
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        prefix = f"{_PAGE}node_modules/{_PACKAGE}/"
        if path.startswith(prefix):
            return str((self._package or Path("/nowhere")) / path[len(prefix) :])
        return super().translate_path(path)

    def log_message(self, *_: object) -> None:
        """Say nothing of every request."""

"""Routes that carry a whole gallery: out as an .npz and in again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict
from starlette.types import Receive, Scope, Send

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.server.access import ImportRoute
from oneshot_runtime.server.problems import PROBLEMS, ProblemError
from oneshot_runtime.server.service import Service, TheService, afterwards
from oneshot_runtime.transfer.npz import export_npz, import_npz

__all__ = ["router"]

router = APIRouter(prefix="/v1/gallery", tags=["gallery"], responses=PROBLEMS, route_class=ImportRoute)

_NPZ = "application/x-npz"
_PIECE = 1 << 20
"""Bytes of an upload that are written at once."""

_BODY = {
    "requestBody": {
        "required": True,
        "description": "An .npz that an export gave.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class ImportedBody(BaseModel):
    """How many pictures were added, and how many symbols there are now: null when the gallery could not say so afterwards."""

    model_config = ConfigDict(json_schema_extra={"example": {"added": 12, "classes": 7}})

    added: int
    classes: int | None


class _OnlyCopy(FileResponse):
    """Sends a file and then removes its folder, however the sending ends. What a `Range` asks for is sent whole: the next
    request would read from another copy.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        try:  # without the extension that has the server read the file some time later
            await super().__call__({**scope, "headers": headers, "extensions": {}}, receive, send)
        finally:
            await _remove(Path(self.path).parent)


@router.get(
    "/export",
    summary="The whole gallery in a file",
    response_class=FileResponse,
    responses={200: {"content": {_NPZ: {}}, "description": "An .npz for an import here or with `oneshot gallery import`"}},
)
async def export(service: TheService) -> FileResponse:
    """One state of the gallery: what is taught meanwhile is in it with all its pictures or not at all."""
    if service.gallery is None:
        raise ProblemError(
            409, "this server's gallery is in memory, and only a file's can be exported: start it with --gallery"
        )
    source, folder = service.gallery, await _new_folder(service)
    try:
        await service.write(lambda: export_npz(source, folder / "gallery.npz"))
    except BaseException:
        await _remove(folder)
        raise
    headers = {"Accept-Ranges": "none"}
    return _OnlyCopy(folder / "gallery.npz", headers=headers, media_type=_NPZ, filename="gallery.npz")


@router.post("/import", openapi_extra=_BODY, summary="Add an exported gallery")
async def import_(service: TheService, request: Request) -> ImportedBody:
    """Adds all of it or nothing."""
    matcher, folder = service.matcher, await _new_folder(service)
    place = folder / "upload.npz"

    def work() -> ImportedBody:
        added = import_npz(matcher.gallery, matcher.bundle, place)
        return ImportedBody(added=added, classes=afterwards(lambda: len(matcher.labels)))

    try:
        await _keep(service, request, place)
        return await service.write(work)
    finally:
        await _remove(folder)


async def _keep(service: Service, request: Request, place: Path) -> None:
    """Write a request's body to a file, in threads: a disk that is slow then holds up nobody else."""
    with _on_disk():
        file = await service.write(lambda: place.open("wb"))
        try:
            pieces = bytearray()
            async for part in request.stream():
                pieces += part
                if len(pieces) >= _PIECE:
                    await service.write(partial(file.write, bytes(pieces)))
                    pieces.clear()
            await service.write(partial(file.write, bytes(pieces)))
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(file.close)


async def _new_folder(service: Service) -> Path:
    with _on_disk():
        return Path(await service.write(lambda: tempfile.mkdtemp(prefix="oneshot-")))


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise GalleryError(f"cannot keep a gallery in the folder for temporary files (TMPDIR): {reason}") from error


async def _remove(folder: Path) -> None:
    """Also for a request that was given up, or when all of the service's threads are taken."""
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(partial(shutil.rmtree, folder, ignore_errors=True))

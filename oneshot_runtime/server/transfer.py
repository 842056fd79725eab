"""Routes that carry a whole gallery: out as an .npz and in again."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict
from starlette.background import BackgroundTask

from oneshot_runtime.errors import GalleryError
from oneshot_runtime.npz import export_npz, import_npz
from oneshot_runtime.server.problems import PROBLEMS, ProblemError
from oneshot_runtime.server.service import TheService

__all__ = ["router"]

router = APIRouter(prefix="/v1/gallery", tags=["gallery"], responses=PROBLEMS)

_NPZ = "application/x-npz"
_BODY = {
    "requestBody": {
        "required": True,
        "description": "An .npz that an export gave.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class ImportedBody(BaseModel):
    """How many pictures were added, and how many symbols there are now."""

    model_config = ConfigDict(json_schema_extra={"example": {"added": 12, "classes": 7}})

    added: int
    classes: int


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
    source, folder = service.gallery, Path(tempfile.mkdtemp(prefix="oneshot-"))
    try:
        await service.write(lambda: export_npz(source, folder / "gallery.npz"))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    clean = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    return FileResponse(folder / "gallery.npz", media_type=_NPZ, filename="gallery.npz", background=clean)


@router.post("/import", openapi_extra=_BODY, summary="Add an exported gallery")
async def import_(service: TheService, request: Request) -> ImportedBody:
    """Adds all of it or nothing."""
    matcher = service.matcher
    with tempfile.TemporaryDirectory(prefix="oneshot-") as folder:
        place = Path(folder) / "upload.npz"
        with place.open("wb") as file:
            async for part in request.stream():
                file.write(part)
        try:
            added = await service.write(lambda: import_npz(matcher.gallery, matcher.bundle, place))
        except GalleryError as error:
            raise ProblemError(422, error) from error
    return ImportedBody(added=added, classes=len(matcher.labels))

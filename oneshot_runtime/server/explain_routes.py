"""The route that shows why an image gets its answer."""

from __future__ import annotations

import io
from typing import Any

from fastapi import APIRouter, Response

from oneshot_runtime.errors import ImageError
from oneshot_runtime.server.access import GuardedRoute
from oneshot_runtime.server.problems import PROBLEMS
from oneshot_runtime.server.service import IMAGES_BODY, Images, TheService

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["recognition"], responses=PROBLEMS, route_class=GuardedRoute)

_PICTURE: dict[str, Any] = {
    "summary": "Why an image gets its answer, as a picture",
    "response_class": Response,
    "responses": {200: {"content": {"image/png": {}}, "description": "A PNG: the nearest pictures, and which ink decided"}},
}


@router.post("/explain", openapi_extra=IMAGES_BODY, **_PICTURE)
async def explain(service: TheService, images: Images) -> Response:
    """Takes one image. Costs about a hundred embeddings."""
    if len(images) != 1:
        raise ImageError(f"one image is explained at a time, got {len(images)}")

    def work() -> bytes:
        file = io.BytesIO()
        service.matcher.explain(images[0]).draw().save(file, "PNG")
        return file.getvalue()

    return Response(await service.read(work, images), media_type="image/png", headers={"Cache-Control": "no-store"})

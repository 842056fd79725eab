"""The application: routes, guard, errors, and the page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict

from oneshot_runtime import __version__
from oneshot_runtime.errors import DependencyError
from oneshot_runtime.matcher import OneShotMatcher
from oneshot_runtime.server import class_routes, explain_routes, import_export, match_routes, read_routes
from oneshot_runtime.server.access import GuardedRoute
from oneshot_runtime.server.guard import Guard
from oneshot_runtime.server.live_routes import LIVE_PATH, LiveRoute
from oneshot_runtime.server.metrics import MetricsMiddleware
from oneshot_runtime.server.problems import PROBLEMS, add_handlers
from oneshot_runtime.server.server_options import ServerOptions
from oneshot_runtime.server.service import Service, TheService

__all__ = ["create_app"]

_HEALTH = "/v1/health"
_STATIC = Path(__file__).parent / "static"

router = APIRouter(tags=["service"], responses=PROBLEMS)
guarded = APIRouter(tags=["service"], responses=PROBLEMS, route_class=GuardedRoute)


class HealthBody(BaseModel):
    """Answered only when the gallery can be read. model: the fingerprint of the network. far: the false accept rate."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"status": "ok", "version": "0.1.0", "model": "9f2c", "device": "cpu", "precision": "fp32", "far": 0.05}
        }
    )

    status: str
    version: str
    model: str
    device: str
    precision: str
    far: float | None


def create_app(
    matcher: OneShotMatcher, options: ServerOptions | None = None, *, gallery: str | os.PathLike[str] | None = None
) -> FastAPI:
    """The ASGI application over a loaded matcher.

    Args:
        matcher: Loaded and ready; the caller closes it.
        options: Limits and access.
        gallery: The file or address that the matcher has open, for exports; None for a gallery in memory.

    Returns:
        The application, for uvicorn or another ASGI server.
    """
    options = options or ServerOptions()
    app = FastAPI(
        title="oneshot",
        summary="Recognise a symbol after seeing it once.",
        version=__version__,
        openapi_url=None,  # it is behind the token as all else, and the usual pages load their scripts from other servers
        redirect_slashes=False,
    )
    service = Service(matcher, options, gallery)
    app.state.service = service
    parts = (
        *(module.router for module in (match_routes, read_routes, explain_routes, class_routes, import_export)),
        guarded,
        router,
    )
    add_handlers(app, [route for part in parts for route in part.routes])
    app.add_middleware(Guard, options=options)
    app.add_middleware(MetricsMiddleware, metrics=service.metrics)
    for part in parts:
        app.include_router(part)
    app.add_api_websocket_route(LIVE_PATH, LiveRoute(service).serve)
    app.add_api_route("/", _page, include_in_schema=False)
    if not _STATIC.is_dir():
        raise DependencyError(f"the page's files are not in a folder, '{_STATIC}': unpack the archive that the package is in")
    app.mount("/static", StaticFiles(directory=_STATIC), "static")
    describe = app.openapi
    app.openapi = lambda: _with_token(describe())  # type: ignore[method-assign]
    return app


def _with_token(description: dict[str, Any]) -> dict[str, Any]:
    """The description, with the token that all but the health check may need."""
    scheme = {"type": "http", "scheme": "bearer", "description": "The server's token, where it has one."}
    description.setdefault("components", {})["securitySchemes"] = {"token": scheme}
    for address, operations in description["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if address == _HEALTH else [{"token": []}]
    return description


@router.get(_HEALTH, summary="Whether the server can answer")
async def health(service: TheService) -> HealthBody:
    """Needs no token."""
    matcher = service.matcher
    await service.read(lambda: len(matcher.gallery))
    return HealthBody(
        status="ok",
        version=__version__,
        model=matcher.bundle.fingerprint,
        device=matcher.device,
        precision=matcher.precision,
        far=matcher.far,
    )


@guarded.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> JSONResponse:
    """The description of the API."""
    return JSONResponse(request.app.openapi())


@guarded.get("/metrics", summary="Counters for Prometheus", response_class=PlainTextResponse)
async def metrics(service: TheService) -> PlainTextResponse:
    """Requests, durations, matches, and the gallery's size."""
    snapshot = await service.read(service.matcher.gallery.snapshot)
    gauges = {
        "oneshot_gallery_classes": ("Enrolled symbols.", float(snapshot.classes)),
        "oneshot_gallery_supports": ("Enrolled pictures.", float(snapshot.supports)),
    }
    return PlainTextResponse(service.metrics.text(gauges), media_type=CONTENT_TYPE_LATEST)


async def _page() -> FileResponse:
    return FileResponse(_STATIC / "index.html", headers={"Cache-Control": "no-cache"})

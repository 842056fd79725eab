"""The route that reads whole pictures: every symbol in them, with its box and what it is."""

from __future__ import annotations

import base64
import time
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from oneshot_runtime.matcher import OneShotMatcher
from oneshot_runtime.server.access import GuardedRoute
from oneshot_runtime.server.match_routes import MatchBody, match_body
from oneshot_runtime.server.problems import PROBLEMS
from oneshot_runtime.server.service import IMAGES_BODY, Far, Images, TheService
from oneshot_runtime.vision.decode import to_grey
from oneshot_runtime.vision.grey_png import thumbnail

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["recognition"], responses=PROBLEMS, route_class=GuardedRoute)

_Box = tuple[int, int, int, int]


class SymbolBody(BaseModel):
    """A symbol in a picture. box: x, y, width, height of its ink in pixels. crop: a PNG in base64, dark ink on white, null
    unless it was asked for.
    """

    box: _Box
    match: MatchBody
    crop: str | None


class PictureBody(BaseModel):
    """What a picture shows, topmost symbols first."""

    width: int
    height: int
    symbols: list[SymbolBody]


class ReadBody(BaseModel):
    """Answers in the order of the images. milliseconds: time the server worked on them."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "pictures": [
                    {
                        "width": 800,
                        "height": 600,
                        "symbols": [
                            {
                                "box": [120, 80, 64, 71],
                                "match": {"label": None, "probability": 0.02, "threshold": 0.41, "candidates": []},
                                "crop": None,
                            }
                        ],
                    }
                ],
                "milliseconds": 21.5,
            }
        }
    )

    pictures: list[PictureBody]
    milliseconds: float


@router.post("/read", openapi_extra=IMAGES_BODY, summary="Every symbol in each image")
async def read(
    service: TheService,
    images: Images,
    top_k: Annotated[int, Query(ge=1, le=100)] = 5,
    crops: bool = False,
    far: Far | None = None,
) -> ReadBody:
    """For photos and scans with several symbols. What was found is cut out and matched as `/v1/match` would, `far` included."""
    matcher = service.at(far)

    def work() -> list[PictureBody]:
        return [_picture(matcher, image, top_k, crops) for image in images]

    start = time.perf_counter()
    pictures = await service.read(work, images)
    for symbol in (symbol for picture in pictures for symbol in picture.symbols):
        service.metrics.match(symbol.match.label is not None)
    return ReadBody(pictures=pictures, milliseconds=1000 * (time.perf_counter() - start))


def _picture(matcher: OneShotMatcher, image: bytes, top_k: int, crops: bool) -> PictureBody:
    height, width = to_grey(image).shape
    symbols = [
        SymbolBody(
            box=one.box,
            match=match_body(one.match),
            crop=base64.b64encode(thumbnail(one.crop)).decode() if crops else None,
        )
        for one in matcher.read(image, top_k)
    ]
    return PictureBody(width=width, height=height, symbols=symbols)

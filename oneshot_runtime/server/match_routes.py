"""Routes that look at images and change nothing: match and embed."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from oneshot_runtime.results import Match
from oneshot_runtime.server.access import GuardedRoute
from oneshot_runtime.server.problems import PROBLEMS
from oneshot_runtime.server.service import IMAGES_BODY, Far, Images, TheService

__all__ = ["MatchBody", "match_body", "router"]

router = APIRouter(prefix="/v1", tags=["recognition"], responses=PROBLEMS, route_class=GuardedRoute)


class CandidateBody(BaseModel):
    """A class that the image may show."""

    label: str
    probability: float


class MatchBody(BaseModel):
    """Answer for one image. label: null when the image is unknown. probably: the best candidate where it is refused but clearly
    ahead. threshold: probability from which the best is accepted; null when nothing is enrolled.
    """

    label: str | None
    probably: str | None
    probability: float
    threshold: float | None
    candidates: list[CandidateBody]


class MatchesBody(BaseModel):
    """Answers in the order of the images. milliseconds: time the server worked on them."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "matches": [
                    {
                        "label": "alef",
                        "probably": None,
                        "probability": 0.93,
                        "threshold": 0.41,
                        "candidates": [{"label": "alef", "probability": 0.93}, {"label": "bet", "probability": 0.02}],
                    }
                ],
                "milliseconds": 1.4,
            }
        }
    )

    matches: list[MatchBody]
    milliseconds: float


class EmbeddingsBody(BaseModel):
    """Embeddings in the order of the images, each with components in [0, 1]. model: fingerprint of what made them."""

    model_config = ConfigDict(json_schema_extra={"example": {"model": "9f2c", "embeddings": [[0.12, 0.98, 0.5]]}})

    model: str
    embeddings: list[list[float]]


@router.post("/match", openapi_extra=IMAGES_BODY, response_model=MatchesBody, summary="Which enrolled symbol each image shows")
async def match(
    service: TheService, images: Images, top_k: Annotated[int, Query(ge=1, le=100)] = 5, far: Far | None = None
) -> Response:
    """All images of a request are compared with one state of the gallery. far: the false accept rate, "none" to refuse nothing,
    in place of the server's own.
    """
    matcher = service.at(far)
    if len(images) == 1 and matcher is service.matcher:
        answer = await service.match(images[0], top_k)
        matches, seconds = [answer.match], answer.seconds
    else:
        start = time.perf_counter()
        matches = await service.read(lambda: matcher.match_batch(images, top_k), images)
        seconds = time.perf_counter() - start
    for found in matches:
        service.metrics.match(found.label is not None)
    body = MatchesBody(matches=[match_body(found) for found in matches], milliseconds=1000 * seconds)
    # As text at once: FastAPI would validate and copy what is of the right type already, the longest part of a small answer.
    return Response(body.model_dump_json(), media_type="application/json")


def match_body(match: Match) -> MatchBody:
    """A match as the API answers it."""
    return MatchBody(
        label=match.label,
        probably=match.probably,
        probability=match.probability,
        threshold=match.threshold,
        candidates=[CandidateBody(label=c.label, probability=c.probability) for c in match.candidates],
    )


@router.post("/embed", openapi_extra=IMAGES_BODY, summary="Embeddings of images")
async def embed(service: TheService, images: Images) -> EmbeddingsBody:
    """For a search of one's own: two images show the same symbol when their embeddings are close."""
    rows = await service.read(lambda: service.matcher.embed(images).tolist(), images)
    return EmbeddingsBody(model=service.matcher.bundle.fingerprint, embeddings=rows)

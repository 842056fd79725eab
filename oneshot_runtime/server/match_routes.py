"""Routes that look at images and change nothing: match and embed."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oneshot_runtime.results import Match
from oneshot_runtime.server.access import GuardedRoute
from oneshot_runtime.server.problems import PROBLEMS
from oneshot_runtime.server.service import IMAGES_BODY, Far, Images, Service, TheService, images_of

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


class MatchOptions(BaseModel):
    """How a match is answered. far: the false accept rate, "none" to refuse nothing, in place of the server's own."""

    top_k: int = Field(5, ge=1, le=100)
    far: Far | None = None


class MatchRoute(GuardedRoute):
    """The route that is asked most, without FastAPI's search for a function's arguments: it takes half as long as a match."""

    def answering(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler."""

        async def answer(request: Request) -> Response:
            service: Service = request.app.state.service
            try:
                options = MatchOptions.model_validate(dict(request.query_params))
            except ValidationError as error:
                wrong = [{**one, "loc": ("query", *one["loc"])} for one in error.errors()]
                raise RequestValidationError(wrong) from None
            return await match(service, await images_of(request, service), options)

        return answer


async def match(service: TheService, images: Images, options: Annotated[MatchOptions, Query()]) -> Response:
    """All images of a request are compared with one state of the gallery."""
    top_k = options.top_k
    matcher = service.at(options.far)
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


router.add_api_route(
    "/match",
    match,
    methods=["POST"],
    route_class_override=MatchRoute,
    openapi_extra=IMAGES_BODY,
    response_model=MatchesBody,
    summary="Which enrolled symbol each image shows",
)


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

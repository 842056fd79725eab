"""Routes that list, teach, rename and forget symbols.

A symbol is named in the address or, since clients take `.` and `..` out of addresses, in the query: `/v1/classes?label=..`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from oneshot_runtime.errors import LabelError
from oneshot_runtime.gallery import Gallery, check_label
from oneshot_runtime.quality.enrollment import Finding, FindingKind
from oneshot_runtime.server.access import GuardedRoute
from oneshot_runtime.server.problems import PROBLEMS, ProblemError
from oneshot_runtime.server.service import IMAGES_BODY, Images, TheService, afterwards

__all__ = ["router"]

router = APIRouter(prefix="/v1/classes", tags=["gallery"], responses=PROBLEMS, route_class=GuardedRoute)

_PICTURE: dict[str, Any] = {
    "summary": "An enrolled picture, small",
    "response_class": Response,
    "responses": {200: {"content": {"image/png": {}}, "description": "A PNG of at most 128 pixels a side"}},
}
_TEACH: dict[str, Any] = {"openapi_extra": IMAGES_BODY, "summary": "Teach a symbol", "status_code": 201}


class ClassBody(BaseModel):
    """A symbol and how many pictures of it are enrolled."""

    model_config = ConfigDict(json_schema_extra={"example": {"label": "alef", "supports": 2}})

    label: str
    supports: int


class FindingBody(BaseModel):
    """Something odd about an enrolled picture. image: its place in the request. other: the symbol that it comes close to.
    probability: that it shows the same symbol as `other`, or for "outlier" as its own pictures. message: for people.
    """

    kind: FindingKind
    image: int
    other: str | None
    probability: float | None
    message: str


class TaughtBody(BaseModel):
    """A symbol, how many pictures of it are enrolled now, and what is odd about those of this request. supports, findings: null
    when the pictures were enrolled, but the gallery could not say so afterwards.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "label": "alef",
                "supports": 2,
                "findings": [
                    {
                        "kind": "confusable",
                        "image": 0,
                        "other": "bet",
                        "probability": 0.81,
                        "message": "may be confused with 'bet' (p = 0.810): more drawings of both help to tell them apart",
                    }
                ],
            }
        }
    )

    label: str
    supports: int | None
    findings: list[FindingBody] | None


class ClassesBody(BaseModel):
    """Symbols in the order of their first enrollment. total: how many there are, listed here or not."""

    model_config = ConfigDict(json_schema_extra={"example": {"classes": [{"label": "alef", "supports": 2}], "total": 1}})

    classes: list[ClassBody]
    total: int


class RenameBody(BaseModel):
    """The new name."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"label": "aleph"}})

    label: str


@router.get("", summary="The enrolled symbols")
async def classes(
    service: TheService,
    offset: Annotated[int, Query(ge=0, le=1 << 40)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> ClassesBody:
    """A part of the list, from `offset` on."""

    def work() -> ClassesBody:
        gallery = service.matcher.gallery
        counts = gallery.counts()
        part = itertools.islice(counts.items(), offset, offset + limit)
        return ClassesBody(classes=[ClassBody(label=label, supports=supports) for label, supports in part], total=len(counts))

    return await service.read(work)


@router.get("/supports/{number}", **_PICTURE)
@router.get("/{label:path}/supports/{number}", **_PICTURE)
async def support(service: TheService, label: str, number: int) -> Response:
    """Counted from 0 in the order of enrollment."""

    def work() -> bytes | None:
        with _refusals(service.matcher.gallery, label):
            supports = service.matcher.gallery.supports(label)
        return supports[number].thumbnail if 0 <= number < len(supports) else None

    picture = await service.read(work)
    if picture is None:
        raise ProblemError(404, f"label {label!r} has no picture {number}")
    return Response(picture, media_type="image/png", headers={"Cache-Control": "no-store"})


@router.post("", **_TEACH)
@router.post("/{label:path}", **_TEACH)
async def enroll(service: TheService, label: str, images: Images) -> TaughtBody:
    """Adds the images to the symbol, which may be new; all of them or, when one cannot be used, none.

    The findings name what is odd about them: they were enrolled all the same.
    """

    def work() -> TaughtBody:
        check_label(label)
        report = service.matcher.enroll(label, list(images))
        return TaughtBody(
            label=label,
            supports=afterwards(lambda: service.matcher.gallery.count(label)),
            findings=afterwards(lambda: [_finding(found) for found in report.findings]),
        )

    return await service.write(work, images)


@router.patch("", summary="Give a symbol another name")
@router.patch("/{label:path}", summary="Give a symbol another name")
async def rename(service: TheService, label: str, body: RenameBody) -> ClassBody:
    """Refused with 409 when the new name is taken."""

    def work() -> int:
        with _refusals(service.matcher.gallery, label, body.label):
            return service.matcher.gallery.rename(label, body.label)

    return ClassBody(label=body.label, supports=await service.write(work))


@router.delete("/supports/{number}", summary="Forget one enrolled picture")
@router.delete("/{label:path}/supports/{number}", summary="Forget one enrolled picture")
async def remove_support(service: TheService, label: str, number: int) -> ClassBody:
    """Counted from 0 in the order of enrolment; later ones move up by one. Answers with what is left of the symbol, which goes
    with its last picture.
    """

    def work() -> int:
        gallery = service.matcher.gallery
        with _refusals(gallery, label):
            count = len(gallery.supports(label))
            if not 0 <= number < count:
                raise ProblemError(404, f"label {label!r} has no picture {number}")
            gallery.remove(label, number)
        return count - 1

    return ClassBody(label=label, supports=await service.write(work))


@router.delete("", summary="Forget a symbol")
@router.delete("/{label:path}", summary="Forget a symbol")
async def remove(service: TheService, label: str) -> ClassBody:
    """Answers with what was forgotten."""

    def work() -> int:
        with _refusals(service.matcher.gallery, label):
            return service.matcher.gallery.remove(label)

    return ClassBody(label=label, supports=await service.write(work))


def _finding(found: Finding) -> FindingBody:
    return FindingBody(
        kind=found.kind, image=found.image, other=found.other, probability=found.probability, message=found.message
    )


@contextmanager
def _refusals(gallery: Gallery, label: str, new: str | None = None) -> Iterator[None]:
    """Turns a `LabelError` into 422 for a name that can be none, 409 for one that is taken, else 404."""
    try:
        yield
    except LabelError as error:
        raise ProblemError(_status(gallery, label, new), error) from error


def _status(gallery: Gallery, label: str, new: str | None) -> int:
    try:
        check_label(label)
        return 409 if new is not None and gallery.count(new) else 404
    except LabelError:
        return 422

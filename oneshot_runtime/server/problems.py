"""Errors as `application/problem+json` (RFC 9457), in the library's words but without the server's paths."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from oneshot_runtime.errors import ArchiveError, ImageError, LabelError, OneShotError, OptionError

__all__ = [
    "PROBLEMS",
    "ProblemBody",
    "ProblemError",
    "add_handlers",
    "folders_of",
    "problem_of",
    "problem_response",
]

_MEDIA_TYPE = "application/problem+json"
_PATHLESS = (ImageError, LabelError, OptionError)
_CLIENTS_FAULT = (*_PATHLESS, ArchiveError)
_QUOTED_PATH = re.compile(r"'(?:[^']*[/\\])?([^'/\\]+\.(?:db|npz)[^'/\\]*)'|'(?:/|[A-Za-z]:\\|[a-z]+://)[^']*'")
_ABSOLUTE_FOLDER = re.compile(r"(?<![\w./\\'])(?:[A-Za-z]:)?[/\\](?:[^\s'\"/\\]+[/\\])+")
_DATABASE_SERVER = re.compile(r"(?<=server )(?:at|on socket) \"[^\"]*\"(?: \([^)]*\))?(?:, port \d+)?")


class ProblemError(Exception):
    """Answers the request with a status and a message; `error` names the kind, by default the library's.

    closes: whether the connection ends with the answer.
    """

    def __init__(self, status: int, error: str | OneShotError, kind: str | None = None, *, closes: bool = False) -> None:
        super().__init__(str(error))
        self.closes = closes
        self.status = status
        self._error = error
        self.kind = kind or (type(error).__name__ if isinstance(error, OneShotError) else "RequestError")

    def shown(self, folders: Sequence[str]) -> str:
        """What a client is told. folders: of the server, which no answer names."""
        if isinstance(self._error, OneShotError):
            return _without_paths(self._error, folders)
        return self._error


class ProblemBody(BaseModel):
    """What went wrong. error: the kind of error, the same name as in Python."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "about:blank",
                "title": "Unprocessable Entity",
                "status": 422,
                "detail": "unsupported image format: the image in 9 bytes is none of PNG, JPEG, BMP, TIFF, WEBP, GIF, PPM",
                "error": "ImageError",
            }
        }
    )

    type: str
    title: str
    status: int
    detail: str
    error: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem",
        "content": {_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
        "model": ProblemBody,
    }
}


def problem_response(problem: ProblemError, folders: Sequence[str] = ()) -> JSONResponse:
    """The answer that a problem makes. folders: of the server, which no answer names."""
    body = ProblemBody(
        type="about:blank",
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.shown(folders),
        error=problem.kind,
    )
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(problem.status, {})
    headers |= {"Connection": "close"} if problem.closes else {}
    return JSONResponse(body.model_dump(), problem.status, headers, media_type=_MEDIA_TYPE)


def add_handlers(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Every error of the app becomes a problem. routes: those whose methods a 405 names, where several share an address."""
    app.state.routes = routes
    for kind in (ProblemError, OneShotError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> JSONResponse:
    response = problem_response(problem_of(error), request.app.state.service.folders)
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})
        if error.status_code == 405:
            found = [route for route in request.app.state.routes if route.matches(request.scope)[0] is not Match.NONE]
            methods = {method for route in found for method in route.methods}
            response.headers.update({"Allow": ", ".join(sorted(methods))} if methods else {})
    return response


def problem_of(error: Exception) -> ProblemError:
    """The problem that an error is to a client."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, OneShotError):
        return ProblemError(422 if isinstance(error, _CLIENTS_FAULT) else 503, error)
    if isinstance(error, HTTPException):
        return ProblemError(error.status_code, str(error.detail))
    if isinstance(error, RequestValidationError):
        return ProblemError(422, "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors()))
    return ProblemError(500, "an error that was not expected; the server's log has it", "InternalError")


def folders_of(*paths: str | os.PathLike[str] | None) -> list[str]:
    """The folders that these files lie in and those of this process, as messages may name them, longest first."""
    places = []
    for place in (os.getcwd, Path.home, tempfile.gettempdir):
        with suppress(OSError, RuntimeError):  # a process may have none of them
            places.append(Path(place()))
    places += [Path(path).parent for path in paths if path is not None and "://" not in os.fspath(path)]
    names = {f"{form}{os.sep}" for place in places for form in (place, place.absolute(), place.resolve())}
    return sorted(names - {f".{os.sep}", f"{os.sep}{os.sep}"}, key=len, reverse=True)


def _without_paths(error: OneShotError, folders: Sequence[str]) -> str:
    """The message with the server's files named without their folders; a label may look like a path and stays."""
    text = str(error)
    if isinstance(error, _PATHLESS):
        return text
    for folder in folders:
        text = text.replace(folder, "")
    text = _QUOTED_PATH.sub(lambda match: f"'{match[1] or 'file'}'", text)
    return _ABSOLUTE_FOLDER.sub("", _DATABASE_SERVER.sub("of the gallery", text))

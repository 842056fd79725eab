"""One picture, asked about in every way there is: Python, the command line, the API, the camera."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import cv2
from fastapi.testclient import TestClient

from oneshot_runtime import Match, OneShotMatcher
from oneshot_runtime.camera import FrameReader
from oneshot_runtime.cli.main import main
from oneshot_runtime.server import create_app


class Answer(NamedTuple):
    """What every way of asking tells."""

    label: str | None
    probably: str | None
    probability: float
    threshold: float | None
    candidates: list[tuple[str, float]]


def of_match(match: Match) -> Answer:
    candidates = [(candidate.label, candidate.probability) for candidate in match.candidates]
    return Answer(match.label, match.probably, match.probability, match.threshold, candidates)


def of_json(values: dict[str, Any]) -> Answer:
    candidates = [(candidate["label"], candidate["probability"]) for candidate in values["candidates"]]
    return Answer(values["label"], values["probably"], values["probability"], values["threshold"], candidates)


def matches(matcher: OneShotMatcher, place: str | Path, picture: Path, top_k: int) -> dict[str, Answer]:
    """The answers that take the picture for one symbol. place: the gallery's file or address, for the command line."""
    first, second = matcher.match_batch([picture.read_bytes(), str(picture)], top_k)
    rate = rate_of(matcher)
    return {
        "match": of_match(matcher.match(picture, top_k)),
        "match_batch": of_match(first),
        "match_batch, second": of_match(second),
        "explain": of_match(matcher.explain(picture, top_k).match),
        "oneshot match": of_json(command("match", place, picture, top_k, rate)["matches"][0]),
        "/v1/match": of_json(posted(matcher, f"/v1/match?top_k={top_k}", picture)["matches"][0]),
        "/v1/match?far": of_json(posted(matcher, f"/v1/match?top_k={top_k}&far={rate}", picture)["matches"][0]),
    }


def readings(matcher: OneShotMatcher, place: str | Path, picture: Path, top_k: int) -> dict[str, list[Answer]]:
    """The answers that look for all symbols in the picture."""
    rate, address = rate_of(matcher), f"/v1/read?top_k={top_k}"
    return {
        "read": [of_match(one.match) for one in matcher.read(picture, top_k)],
        "oneshot read": [of_json(one) for one in command("read", place, picture, top_k, rate)["pictures"][0]["symbols"]],
        "/v1/read": [of_json(one["match"]) for one in posted(matcher, address, picture)["pictures"][0]["symbols"]],
    }


def sightings(matcher: OneShotMatcher, picture: Path) -> list[Answer]:
    """What the camera sees in the picture. It tells no threshold."""
    seen = FrameReader(matcher, still=True).read(cv2.imread(str(picture))).symbols
    return [
        Answer(one.label, one.probably, one.probability, None, [(c.label, c.probability) for c in one.candidates])
        for one in seen
    ]


def rate_of(matcher: OneShotMatcher) -> str:
    """The matcher's false accept rate as the command line and the API take it."""
    return "none" if matcher.far is None else repr(matcher.far)


def command(name: str, place: str | Path, picture: Path, top_k: int, rate: str) -> dict[str, Any]:
    """What `oneshot NAME` prints for the picture."""
    words = [name, str(picture), "--gallery", str(place), "--top-k", str(top_k), "--far", rate]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main([*words, "--precision", "fp32", "--threads", "1", "--json"]) == 0
    values: dict[str, Any] = json.loads(printed.getvalue())
    return values


def posted(matcher: OneShotMatcher, address: str, picture: Path) -> dict[str, Any]:
    """What the API answers to the picture."""
    client = TestClient(create_app(matcher), base_url="http://localhost")
    answer = client.post(address, content=picture.read_bytes(), headers={"Content-Type": "image/png"})
    assert answer.status_code == 200, answer.text
    values: dict[str, Any] = answer.json()
    return values

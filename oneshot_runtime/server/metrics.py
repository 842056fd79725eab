"""Counters of the server in Prometheus' text format."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CONTENT_TYPE", "Metrics", "MetricsMiddleware"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Requests by route and status, their durations, and what was matched; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._seconds: dict[str, list[float]] = {}
        self._matches = Counter({"known": 0, "unknown": 0})
        self.in_flight = 0

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        with self._lock:
            self._requests[method, route, str(status)] += 1
            row = self._seconds.setdefault(route, [0.0] * (len(_BOUNDS) + 2))
            for slot, bound in enumerate(_BOUNDS):
                row[slot] += seconds <= bound
            row[-2] += 1
            row[-1] += seconds

    def match(self, known: bool) -> None:
        """Count a query that was answered."""
        with self._lock:
            self._matches["known" if known else "unknown"] += 1

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """All of it; `gauges` maps names to a help text and a value of now."""
        with self._lock:
            lines = _head("oneshot_requests_total", "counter", "Requests answered.")
            for (method, route, status), count in sorted(self._requests.items()):
                lines.append(_line("oneshot_requests_total", count, method=method, route=route, status=status))
            name = "oneshot_request_seconds"
            lines += _head(name, "histogram", "Time from a request's first byte to its answer's last.")
            for route, row in sorted(self._seconds.items()):
                for edge, total in zip((*_BOUNDS, "+Inf"), row, strict=False):
                    lines.append(_line(f"{name}_bucket", int(total), route=route, le=str(edge)))
                lines += [_line(f"{name}_sum", row[-1], route=route), _line(f"{name}_count", int(row[-2]), route=route)]
            lines += _head("oneshot_matches_total", "counter", "Queries answered, by whether they got a label.")
            lines += [_line("oneshot_matches_total", count, verdict=verdict) for verdict, count in self._matches.items()]
            lines += [*_head("oneshot_requests_in_flight", "gauge", "Requests at work."), _line(
                "oneshot_requests_in_flight", self.in_flight
            )]  # fmt: skip
        for gauge, (text, value) in gauges.items():
            lines += [*_head(gauge, "gauge", text), _line(gauge, value)]
        return "\n".join(lines) + "\n"


class MetricsMiddleware:
    """Counts every request under its route's template, so that labels in addresses make no new series."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, start = 500, time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.in_flight += 1
        try:
            await self._app(scope, receive, watched)
        finally:
            self._metrics.in_flight -= 1
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route: Any = scope.get("route")
            self._metrics.request(method, getattr(route, "path", "other"), status, time.perf_counter() - start)


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _line(name: str, value: float, **labels: str) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {value}" if inner else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

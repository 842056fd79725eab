"""Counters of the server for Prometheus; those of all workers, where there are several (PROMETHEUS_MULTIPROC_DIR)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Metrics", "MetricsMiddleware"]

_METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Requests by route and status, their durations, and what was matched; safe to share between threads."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("oneshot_requests", "Requests answered.", labels, registry=registry)
        text = "Time from a request's first byte to its answer's last."
        self._seconds = Histogram("oneshot_request_seconds", text, ("route",), buckets=_BOUNDS, registry=registry)
        text = "Queries answered, by whether they got a label."
        self._matches = Counter("oneshot_matches", text, ("verdict",), registry=registry)
        self._verdicts = {known: self._matches.labels("known" if known else "unknown") for known in (True, False)}
        self._answered: dict[tuple[str, str, int], Callable[[float], None]] = {}
        text = "Requests at work."
        self.in_flight = Gauge("oneshot_requests_in_flight", text, registry=registry, multiprocess_mode="livesum")

    def match(self, known: bool) -> None:
        """Count a query that was answered."""
        self._verdicts[known].inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request and its duration."""
        key = method, route, status
        if key not in self._answered:  # finding a counter by its labels takes longer than counting
            requests, durations = self._requests.labels(method, route, str(status)), self._seconds.labels(route)

            def count(seconds: float) -> None:
                requests.inc()
                durations.observe(seconds)

            self._answered[key] = count
        self._answered[key](seconds)

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> bytes:
        """All of it in Prometheus' text format; `gauges` maps names to a help text and a value of now."""
        registry, now = self._registry, CollectorRegistry()
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        now.register(_Gauges(gauges))
        return generate_latest(registry) + generate_latest(now)


class _Gauges(Collector):
    """Values that are read when they are asked for, from what all workers share."""

    def __init__(self, gauges: Mapping[str, tuple[str, float]]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        for name, (text, value) in self._gauges.items():
            yield GaugeMetricFamily(name, text, value=value)


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

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, watched)
        finally:
            self._metrics.in_flight.dec()
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.answered(method, route, status, time.perf_counter() - start)

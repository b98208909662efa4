"""The histogram of how long requests to the exchange take."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

BUCKETS_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestDurations:
    """Counts requests by endpoint and duration; any thread may call."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the creation time of each series is not needed
        self.registry = CollectorRegistry()
        self._histogram = Histogram(
            "bybit_api_request_duration_seconds",
            "Duration of requests to the exchange by endpoint, failed ones included.",
            ["endpoint"],
            registry=self.registry,
            buckets=BUCKETS_SECONDS,
        )
        self._version = object()
        """A new object after each change. A counter could miss a change by two threads at the same time."""
        self._rendered: dict[bool, tuple[object, bytes]] = {}
        """By format: the version that was rendered, and its lines. It takes a millisecond."""

    def observe(self, endpoint: str, seconds: float) -> None:
        """Counts one request."""
        self._histogram.labels(endpoint).observe(seconds)
        self._version = object()

    def lines(self, *, openmetrics: bool) -> bytes:
        """The lines of the histogram in the text format or in OpenMetrics."""
        version = self._version
        rendered = self._rendered.get(openmetrics)
        if rendered is None or rendered[0] is not version:
            generate = generate_openmetrics if openmetrics else generate_latest
            text = generate(self.registry)
            rendered = self._rendered[openmetrics] = (version, text.removesuffix(b"# EOF\n"))
        return rendered[1]

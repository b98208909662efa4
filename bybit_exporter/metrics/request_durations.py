"""The histogram of how long requests to the exchange take."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

BUCKETS_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestDurations:
    """Counts requests by endpoint and duration; any thread may call."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a timestamp for each series would be of no use
        self.registry = CollectorRegistry()
        self._histogram = Histogram(
            "bybit_api_request_duration_seconds",
            "Duration of requests to the exchange by endpoint, failed ones included.",
            ["endpoint"],
            registry=self.registry,
            buckets=BUCKETS_SECONDS,
        )
        self._changes = 0
        self._rendered: dict[bool, tuple[int, bytes]] = {}
        """By format: the lines, and after how many changes they were rendered. It takes a millisecond."""

    def observe(self, endpoint: str, seconds: float) -> None:
        """Counts one request."""
        self._histogram.labels(endpoint).observe(seconds)
        self._changes += 1

    def lines(self, *, openmetrics: bool) -> bytes:
        """The lines of the histogram in the text format or in OpenMetrics."""
        changes = self._changes
        rendered = self._rendered.get(openmetrics)
        if rendered is None or rendered[0] != changes:
            generate = generate_openmetrics if openmetrics else generate_latest
            text = generate(self.registry)
            rendered = self._rendered[openmetrics] = (changes, text.removesuffix(b"# EOF\n"))
        return rendered[1]

"""The histogram of how long requests to the exchange take."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics

BUCKETS_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestDurations:
    """Counts requests by endpoint and duration. Safe for several threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # Prometheus does not need the _created series
        self._histogram = Histogram(
            "bybit_api_request_duration_seconds",
            "Duration of requests to the exchange by endpoint, failed ones included.",
            ["endpoint"],
            registry=registry,
            buckets=BUCKETS_SECONDS,
        )

    def observe(self, endpoint: str, seconds: float) -> None:
        """Counts one request."""
        self._histogram.labels(endpoint).observe(seconds)

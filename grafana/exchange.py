"""The exchange: how fast it answers, what is left of its limits, and its clock."""

from __future__ import annotations

from .common import BELOW_LOWEST, LOWEST
from .layout import Row
from .panels import AMBER, GREEN, GREY, RED, Display, Json, Query, stat, timeseries
from .polls import waits
from .queries import ACCOUNT, Queries

NO_REQUEST = "No request in this time."


def rows(queries: Queries) -> list[Row]:
    """The section."""
    latencies = [latency(queries, quantile) for quantile in (0.5, 0.95, 0.99)]
    return [
        Row(8, [*((6, panel) for panel in latencies), (6, requests(queries))]),
        Row(8, [(8, headroom(queries)), (8, waits(queries)), (8, clock_over_time(queries))]),
    ]


def latency(queries: Queries, quantile: float) -> Json:
    """How long requests take."""
    buckets = f"rate({queries.select('bybit_api_request_duration_seconds_bucket')}[$__rate_interval])"
    return timeseries(
        f"Request latency, {'median' if quantile == 0.5 else f'p{round(quantile * 100)}'}",
        f"The time within which {quantile:.0%} of the requests to the exchange were answered, by endpoint; of all "
        "exporters together.",
        [Query(f"histogram_quantile({quantile}, sum by (endpoint, le) ({buckets}))", "{{endpoint}}")],
        Display(unit="s", minimum=0, no_value=NO_REQUEST),
    )


def requests(queries: Queries) -> Json:
    """How many requests are sent."""
    count = f"rate({queries.select('bybit_api_request_duration_seconds_count')}[$__rate_interval])"
    return timeseries(
        "Requests per second",
        "Requests to the exchange by endpoint, of all exporters together.",
        [Query(f"sum by (endpoint) ({count})", "{{endpoint}}")],
        Display(unit="reqps", minimum=0, no_value=NO_REQUEST),
    )


def headroom(queries: Queries) -> Json:
    """What is left of the limits."""
    remaining = queries.select("bybit_api_rate_limit_remaining_requests", ACCOUNT)
    limit = queries.select("bybit_api_rate_limit_requests", ACCOUNT)
    low = queries.settings.thresholds.rate_limit_remaining
    return timeseries(
        "Rate limit left",
        "Share of the exchange's limit that was left after the latest answer, by account and endpoint. Other programs "
        "with the same UID use the same limit.",
        [
            Query(
                f"min by ({queries.by('account', 'endpoint')}) ({remaining} / {limit})",
                queries.legend("{{account}} {{endpoint}}"),
            )
        ],
        Display(
            unit="percentunit",
            minimum=0,
            steps=[(RED, None), (AMBER, low), (GREEN, 2.5 * low)],
            no_value="The exchange has stated no limit yet.",
        ),
    )


def _clock_steps(queries: Queries) -> list[tuple[str, float | None]]:
    """The exchange refuses requests that are a second ahead of its clock."""
    warning = queries.settings.thresholds.clock_offset_seconds
    return [(GREY, BELOW_LOWEST), (RED, LOWEST), (AMBER, -1), (GREEN, -warning), (AMBER, warning), (RED, 1)]


def clock_now(queries: Queries) -> Json:
    """The clock."""
    return stat(
        "Clock offset",
        "The exchange's clock minus the clock of the exporter's machine. The exchange refuses requests that are a "
        "second ahead.",
        [Query(queries.of_instance("bybit_api_clock_offset_seconds"), "{{instance}}")],
        Display(unit="s", steps=_clock_steps(queries), no_value="no answer yet"),
        text="value",
    )


def clock_over_time(queries: Queries) -> Json:
    """How the clock drifts."""
    return timeseries(
        "Clock offset over time",
        "The exchange's clock minus the clock of the exporter's machine. The exchange refuses requests that are a "
        "second ahead. The exporter corrects for the offset; other programs may not.",
        [Query(queries.of_instance("bybit_api_clock_offset_seconds"), "{{instance}}")],
        Display(
            unit="s",
            steps=[(RED, None), *_clock_steps(queries)[2:]],
            no_value="The exchange has not answered in this time.",
        ),
    )

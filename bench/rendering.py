"""Compares the exporter's store with the client library: both render the same series, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bybit_exporter import clock
from bybit_exporter.metrics.state import ExporterState
from bybit_exporter.metrics.store import Store
from bybit_exporter.model import RateLimit
from tests.builders import make_account, make_balance, make_result, make_snapshot

from .exchange import ACCOUNT, HOLDINGS

ROUNDS, RENDERINGS_A_ROUND = 30, 20


def compare_rendering() -> Iterator[tuple[float, float]]:
    """Yields pairs: seconds for one rendering by the store, and by the client library."""
    store = _store()
    registry = registry_of(store.exposition().decode())
    check_same_series(store.exposition(), generate_latest(registry))
    for _ in range(ROUNDS):
        yield _time(store.exposition), _time(lambda: generate_latest(registry))


def _time(render: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(RENDERINGS_A_ROUND):
        render()
    return (time.perf_counter() - started) / RENDERINGS_A_ROUND


def _store() -> Store:
    account = make_account(ACCOUNT, coins=tuple(HOLDINGS), poll_interval_seconds=30.0, stale_after_seconds=90.0)
    snapshot = make_snapshot(*(make_balance(coin, "1.25", "0.5") for coin in HOLDINGS))
    limits = {"/v5/asset/transfer/query-asset-info": RateLimit(60, 59)}
    store = Store(ExporterState(True, clock.wall(), clock_offset_seconds=0.01))
    store.replace_accounts([account])
    store.apply(make_result(account, snapshot, clock.now(), rate_limits=limits), clock.wall() + 30)
    return store


HISTOGRAM = b"bybit_api_request_duration_seconds"
"""Rendered by the client library itself, so it is left out of the comparison: about 13 lines for each endpoint."""


def registry_of(exposition: str) -> CollectorRegistry:
    """Makes a registry of the client library that has every sample of the exposition."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    for family in text_string_to_metric_families(exposition):
        if family.name.startswith("process_") or family.type == "histogram":  # the client library renders them for both
            continue
        labels = list(family.samples[0].labels) if family.samples else ["of_none"]
        metric = (Counter if family.type == "counter" else Gauge)(
            family.name, family.documentation, labels, registry=registry
        )
        for sample in family.samples:
            child = metric.labels(**sample.labels) if labels else metric
            child.inc(sample.value)
    return registry


def check_same_series(ours: bytes, theirs: bytes) -> None:
    """Checks that both expositions have the same families and samples, so that the comparison is fair."""
    first, second = (
        {line.partition(b" ")[0] for line in text.splitlines() if HISTOGRAM not in line} for text in (ours, theirs)
    )
    assert first == second, first ^ second

"""The tables of the documents that come from the code of the exporter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bybit_exporter.bybit.errors import ERROR_RULES, ErrorRule
from bybit_exporter.metrics.account_families import FIGURE_FAMILIES, STATE_FAMILIES
from bybit_exporter.metrics.exporter_families import EXPORTER_FAMILIES
from bybit_exporter.metrics.exposition import Family
from bybit_exporter.metrics.request_durations import RequestDurations
from bybit_exporter.metrics.resource_families import COIN_PRICE, RESOURCE_FAMILIES
from bybit_exporter.model import Resource

ROOT = Path(__file__).parent.parent
METRICS = ROOT / "docs" / "metrics.md"
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"

Row = tuple[str, ...]

FAMILIES: Mapping[str, Sequence[Family[Any]]] = {
    "balances": [family for family in FIGURE_FAMILIES if "coin" in family.labels],
    "margin": [family for family in FIGURE_FAMILIES if "coin" not in family.labels],
    "polls": STATE_FAMILIES,
    "funds held back": RESOURCE_FAMILIES[Resource.RISK_FROZEN],
    "products": RESOURCE_FAMILIES[Resource.PRODUCTS],
    "subaccounts": [
        *RESOURCE_FAMILIES[Resource.SUBACCOUNTS],
        *RESOURCE_FAMILIES[Resource.SUBACCOUNT_EQUITY],
        *RESOURCE_FAMILIES[Resource.SUBACCOUNT_BALANCES],
    ],
    "prices": [*RESOURCE_FAMILIES[Resource.PRICES], COIN_PRICE],
    "key": RESOURCE_FAMILIES[Resource.API_KEY],
    "exporter": EXPORTER_FAMILIES,
}
"""The metrics of each table of docs/metrics.md."""


def metrics(name: str) -> str:
    """One of the tables of metrics."""
    rows: list[Row] = [(f"`{f.name}`", f.type, ", ".join(f.labels), f.help) for f in FAMILIES[name]]
    if name == "exporter":
        rows += [
            *_request_durations(),
            ("`process_*`", "", "", "CPU, memory, file descriptors and start of the process."),
        ]
    return table(("metric", "type", "labels", "meaning"), rows)


def _request_durations() -> Iterable[Row]:
    """The histogram, which the client library keeps. It shows its labels once it has a value."""
    durations = RequestDurations()
    durations.observe("/", 0.0)
    for metric in durations.registry.collect():
        labels = metric.samples[0].labels.keys() - {"le"}
        yield f"`{metric.name}`", metric.type, ", ".join(labels), metric.documentation


def errors() -> str:
    """Every row of the table of failures."""
    rows = [(f"`{rule.reason}`", _looks_like(rule), rule.retry.value, rule.advice) for rule in ERROR_RULES]
    return table(("reason", "what it looks like", "what the exporter does", "what to do"), rows)


def _looks_like(rule: ErrorRule) -> str:
    statuses = [f"HTTP {status}" for status in rule.http_statuses]
    codes = [f"retCode {', '.join(map(str, rule.ret_codes))}"] if rule.ret_codes else []
    return "; ".join([*([rule.recognised_by] if rule.recognised_by else []), *statuses, *codes])


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [head, *[["---" for _ in head]], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


Tables = Mapping[Path, Mapping[str, Callable[[], str]]]
"""For each document, a function that makes each of its tables."""

TABLES: Tables = {
    METRICS: {name: partial(metrics, name) for name in FAMILIES},
    TROUBLESHOOTING: {"errors": errors},
}

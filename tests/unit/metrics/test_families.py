"""The table of metrics against the promised one, and its rendering against the client library's."""

from __future__ import annotations

import itertools
import platform
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from bybit_exporter import REVISION, __version__
from bybit_exporter.metrics.account_families import ACCOUNT_FAMILIES, render_account
from bybit_exporter.metrics.exporter_families import EXPORTER_FAMILIES
from bybit_exporter.metrics.exposition import Family
from bybit_exporter.metrics.state import AccountState, ExporterState
from bybit_exporter.model import (
    Account,
    AccountStatus,
    AccountType,
    Balance,
    FailureReason,
    MarginSummary,
    RateLimit,
    Secret,
)
from tests.families import ALL_FAMILIES

PROMISED = """
| metric | type | labels |
| --- | --- | --- |
| `bybit_asset_free` | gauge | account, account_type, coin |
| `bybit_asset_frozen` | gauge | account, account_type, coin |
| `bybit_asset_withdrawing` | gauge | account, account_type, coin |
| `bybit_asset_equity` | gauge | account, account_type, coin |
| `bybit_asset_usd_value` | gauge | account, account_type, coin |
| `bybit_asset_borrowed` | gauge | account, account_type, coin |
| `bybit_asset_accrued_interest` | gauge | account, account_type, coin |
| `bybit_asset_unrealised_pnl` | gauge | account, account_type, coin |
| `bybit_asset_initial_margin` | gauge | account, account_type, coin |
| `bybit_asset_maintenance_margin` | gauge | account, account_type, coin |
| `bybit_account_equity_usd` | gauge | account, account_type |
| `bybit_account_wallet_balance_usd` | gauge | account, account_type |
| `bybit_account_margin_balance_usd` | gauge | account, account_type |
| `bybit_account_available_balance_usd` | gauge | account, account_type |
| `bybit_account_unrealised_pnl_usd` | gauge | account, account_type |
| `bybit_account_initial_margin_usd` | gauge | account, account_type |
| `bybit_account_maintenance_margin_usd` | gauge | account, account_type |
| `bybit_account_initial_margin_ratio` | gauge | account, account_type |
| `bybit_account_maintenance_margin_ratio` | gauge | account, account_type |
| `bybit_account_status` | gauge | account, account_type, status |
| `bybit_up` | gauge | account, account_type |
| `bybit_last_success_timestamp_seconds` | gauge | account, account_type |
| `bybit_poll_duration_seconds` | gauge | account, account_type |
| `bybit_poll_interval_seconds` | gauge | account, account_type |
| `bybit_next_poll_timestamp_seconds` | gauge | account, account_type |
| `bybit_polls_total` | counter | account, account_type |
| `bybit_poll_failures_total` | counter | account, account_type, reason |
| `bybit_api_rate_limit_requests` | gauge | account, endpoint |
| `bybit_api_rate_limit_remaining_requests` | gauge | account, endpoint |
| `bybit_withdrawals_up` | gauge | account, account_type |
| `bybit_api_key_read_only` | gauge | account |
| `bybit_api_key_withdraw` | gauge | account |
| `bybit_api_key_ip_bound` | gauge | account |
| `bybit_api_key_expiry_timestamp_seconds` | gauge | account |
| `bybit_api_key_up` | gauge | account |
| `bybit_subaccount_status` | gauge | account, subaccount, status |
| `bybit_subaccounts_up` | gauge | account |
| `bybit_subaccount_asset_free` | gauge | account, account_type, subaccount, coin |
| `bybit_subaccount_asset_frozen` | gauge | account, account_type, subaccount, coin |
| `bybit_subaccount_balances_up` | gauge | account, subaccount |
| `bybit_subaccount_equity_usd` | gauge | account, subaccount, wallet |
| `bybit_subaccount_equity_up` | gauge | account |
| `bybit_product_equity` | gauge | account, product, category, coin |
| `bybit_product_equity_usd` | gauge | account, product |
| `bybit_products_up` | gauge | account |
| `bybit_products_snapshot_timestamp_seconds` | gauge | account |
| `bybit_account_risk_frozen_usd` | gauge | account |
| `bybit_risk_frozen_up` | gauge | account |
| `bybit_prices_up` | gauge | |
| `bybit_coin_price_usd` | gauge | coin |
| `bybit_api_clock_offset_seconds` | gauge | |
| `bybit_exporter_build_info` | gauge | version, revision, python_version |
| `bybit_exporter_config_last_reload_successful` | gauge | |
| `bybit_exporter_config_last_reload_success_timestamp_seconds` | gauge | |
| `bybit_exporter_shard_info` | gauge | shard, total_shards |
"""
"""A change here breaks the dashboards and alerts of users."""


def promised() -> Iterator[tuple[str, str, set[str]]]:
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| (.*)\|$", PROMISED, re.MULTILINE):
        yield name, kind, set(re.findall(r"\w+", labels))


def test_metrics_are_exactly_the_promised_ones() -> None:
    assert [(family.name, family.type, set(family.labels)) for family in ALL_FAMILIES] == list(promised())


def test_label_values_are_those_that_alerts_name() -> None:
    assert set(AccountStatus) == {"normal", "banned", "unknown"}
    reasons = (
        "network timeout server rate_limit ip_rate_limit clock auth account_mode region banned request malformed api"
    )
    assert set(FailureReason) == {*reasons.split(), "internal"}


@pytest.mark.parametrize("family", ALL_FAMILIES, ids=lambda family: family.name)
def test_help_text_is_a_sentence(family: Family[Any]) -> None:
    assert re.fullmatch(r"[A-Z0-9][^\\\n]+\.", family.help)


# Two ways to the same text: the table's, and the client library's own.

COIN_FIGURES = (
    *("free", "frozen", "withdrawing", "equity", "usd_value", "borrowed", "accrued_interest", "unrealised_pnl"),
    *("initial_margin", "maintenance_margin"),
)
TOTALS = (
    *("equity_usd", "wallet_balance_usd", "margin_balance_usd", "available_balance_usd", "unrealised_pnl_usd"),
    *("initial_margin_usd", "maintenance_margin_usd", "initial_margin_ratio", "maintenance_margin_ratio"),
)


def stated(figures: Balance | MarginSummary, names: Iterable[str]) -> list[tuple[str, float]]:
    return [(name, float(getattr(figures, name))) for name in names if getattr(figures, name) is not None]


def account_samples(state: AccountState) -> Iterator[tuple[str, dict[str, str], float]]:
    """The samples of an account (name, labels, value), written down independently of the table."""
    account = {"account": state.account.name}
    wallet = {**account, "account_type": (state.found_type or state.account.account_type).value}
    for balance in state.balances or ():
        for field, amount in stated(balance, COIN_FIGURES):
            yield f"bybit_asset_{field}", {**wallet, "coin": balance.coin}, amount
    for field, amount in stated(state.margin, TOTALS) if state.margin else ():
        yield f"bybit_account_{field}", wallet, amount
    for status in ("normal", "banned", "unknown") if state.status else ():
        yield "bybit_account_status", {**wallet, "status": status}, state.status == status
    values = {
        "bybit_up": state.up,
        "bybit_last_success_timestamp_seconds": state.last_success_timestamp,
        "bybit_poll_duration_seconds": state.poll_duration_seconds,
        "bybit_poll_interval_seconds": state.account.poll_interval_seconds,
        "bybit_next_poll_timestamp_seconds": state.next_poll_timestamp,
        "bybit_polls_total": state.polls,
    }
    yield from ((name, wallet, value) for name, value in values.items() if value is not None)
    for reason, count in state.failures.items():
        yield "bybit_poll_failures_total", {**wallet, "reason": reason.value}, count
    for endpoint, limit in state.rate_limits.items():
        yield "bybit_api_rate_limit_requests", {**account, "endpoint": endpoint}, limit.limit
        yield "bybit_api_rate_limit_remaining_requests", {**account, "endpoint": endpoint}, limit.remaining


def exporter_samples(state: ExporterState) -> Iterator[tuple[str, dict[str, str], float]]:
    if state.clock_offset_seconds is not None:
        yield "bybit_api_clock_offset_seconds", {}, state.clock_offset_seconds
    build = {"version": __version__, "revision": REVISION, "python_version": platform.python_version()}
    yield "bybit_exporter_build_info", build, 1.0
    yield "bybit_exporter_config_last_reload_successful", {}, state.config_reload_successful
    yield "bybit_exporter_config_last_reload_success_timestamp_seconds", {}, state.config_reload_success_timestamp
    yield "bybit_exporter_shard_info", {"shard": str(state.shard), "total_shards": str(state.total_shards)}, 1.0


class Given(Collector):
    """A collector of given families."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def by_the_library(
    table: Iterable[Family[Any]], samples: Iterable[tuple[str, dict[str, str], float]], *, openmetrics: bool
) -> bytes:
    """Renders the samples with the client library, in the order of the table's families."""
    metrics = {family.name: Metric(family.name.removesuffix("_total"), family.help, family.type) for family in table}
    for name, labels, value in samples:
        metrics[name].add_sample(name, labels, value)
    registry = CollectorRegistry()
    registry.register(Given(list(metrics.values())))
    if not openmetrics:
        return generate_latest(registry)
    text: bytes = generate_openmetrics(registry)  # type: ignore[no-untyped-call]
    return text.removesuffix(b"# EOF\n")


def by_the_table(states: Iterable[AccountState], *, openmetrics: bool) -> bytes:
    rendered = [render_account(ACCOUNT_FAMILIES, state) for state in states]
    parts = []
    for family, *lines in zip(ACCOUNT_FAMILIES, *rendered, strict=True):
        parts += [family.header(openmetrics=openmetrics), *lines]
    return b"".join(parts)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.floats()
COUNT = st.integers(0, 99_999)
AMOUNT = NUMBER.map(Decimal)
PERHAPS = st.none() | AMOUNT
BALANCES = st.builds(Balance, TEXT, *[AMOUNT] * 2, *[PERHAPS] * 8)
MARGINS = st.builds(MarginSummary, *[PERHAPS] * 9)
STATES = st.builds(
    AccountState,
    account=st.builds(
        Account,
        name=TEXT,
        account_type=st.sampled_from(AccountType),
        coins=st.none(),
        api_key=st.just(Secret("k")),
        api_secret=st.just(Secret("s")),
        poll_interval_seconds=NUMBER,
        stale_after_seconds=st.just(1.0),
    ),
    found_type=st.none() | st.sampled_from(AccountType),
    up=st.none() | st.booleans(),
    polls=st.integers(0, 2**53),
    failures=st.dictionaries(st.sampled_from(FailureReason), st.integers(0, 2**53)),
    poll_duration_seconds=st.none() | NUMBER,
    last_success_timestamp=st.none() | NUMBER,
    next_poll_timestamp=st.none() | NUMBER,
    rate_limits=st.dictionaries(TEXT, st.builds(RateLimit, st.integers(0, 10**18), st.integers(0, 10**18)), max_size=2),
    balances=st.none() | st.lists(BALANCES, max_size=4).map(tuple),
    margin=st.none() | MARGINS,
    status=st.none() | st.sampled_from(AccountStatus),
)


@settings(max_examples=200)
@given(st.lists(STATES, max_size=3), st.booleans())
def test_rendering_of_accounts_equals_that_of_the_library(states: list[AccountState], openmetrics: bool) -> None:
    samples = itertools.chain.from_iterable(map(account_samples, states))
    expected = by_the_library(ACCOUNT_FAMILIES, samples, openmetrics=openmetrics)
    assert by_the_table(states, openmetrics=openmetrics) == expected


@settings(max_examples=50)
@given(st.builds(ExporterState, st.booleans(), NUMBER, st.none() | NUMBER, COUNT, COUNT), st.booleans())
def test_rendering_of_the_exporter_equals_that_of_the_library(state: ExporterState, openmetrics: bool) -> None:
    families = EXPORTER_FAMILIES
    rendered = [family.header(openmetrics=openmetrics) + family.lines("", state) for family in families]
    assert b"".join(rendered) == by_the_library(families, exporter_samples(state), openmetrics=openmetrics)

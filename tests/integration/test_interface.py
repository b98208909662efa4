"""The demo's exposition against the published interface: every metric, its type and its labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from bybit_exporter.sandbox import SandboxServer
from bybit_exporter.sandbox.demo import configuration, demo_exchange
from tests.exporter_process import ExporterProcess
from tests.support import eventually

TABLE = """
bybit_asset_free                          gauge    account account_type coin
bybit_asset_frozen                        gauge    account account_type coin
bybit_asset_withdrawing                   gauge    account account_type coin
bybit_asset_equity                        gauge    account account_type coin
bybit_asset_usd_value                     gauge    account account_type coin
bybit_asset_borrowed                      gauge    account account_type coin
bybit_asset_accrued_interest              gauge    account account_type coin
bybit_asset_unrealised_pnl                gauge    account account_type coin
bybit_asset_initial_margin                gauge    account account_type coin
bybit_asset_maintenance_margin            gauge    account account_type coin
bybit_account_equity_usd                  gauge    account account_type
bybit_account_wallet_balance_usd          gauge    account account_type
bybit_account_margin_balance_usd          gauge    account account_type
bybit_account_available_balance_usd       gauge    account account_type
bybit_account_unrealised_pnl_usd          gauge    account account_type
bybit_account_initial_margin_usd          gauge    account account_type
bybit_account_maintenance_margin_usd      gauge    account account_type
bybit_account_initial_margin_ratio        gauge    account account_type
bybit_account_maintenance_margin_ratio    gauge    account account_type
bybit_account_risk_frozen_usd             gauge    account
bybit_account_status                      gauge    account account_type status
bybit_up                                  gauge    account account_type
bybit_last_success_timestamp_seconds      gauge    account account_type
bybit_poll_duration_seconds               gauge    account account_type
bybit_poll_interval_seconds               gauge    account account_type
bybit_polls_total                         counter  account account_type
bybit_poll_failures_total                 counter  account account_type reason
bybit_api_rate_limit_requests             gauge    account endpoint
bybit_api_rate_limit_remaining_requests   gauge    account endpoint
bybit_api_clock_offset_seconds            gauge
bybit_product_equity                      gauge    account product category coin
bybit_product_equity_usd                  gauge    account product
bybit_products_up                         gauge    account
bybit_products_snapshot_timestamp_seconds gauge    account
bybit_coin_price_usd                      gauge    coin
bybit_api_key_read_only                   gauge    account
bybit_api_key_withdraw                    gauge    account
bybit_api_key_expiry_timestamp_seconds    gauge    account
bybit_subaccount_status                   gauge    account subaccount status
bybit_subaccount_equity_usd               gauge    account subaccount wallet
bybit_exporter_build_info                 gauge    version revision python_version
bybit_exporter_config_last_reload_successful                gauge
bybit_exporter_config_last_reload_success_timestamp_seconds gauge
"""
INTERFACE = {name: (kind, frozenset(labels)) for name, kind, *labels in map(str.split, TABLE.strip().splitlines())}

BEYOND = {
    *("bybit_next_poll_timestamp_seconds", "bybit_exporter_shard_info", "bybit_api_request_duration_seconds"),
    *("bybit_withdrawals_up", "bybit_api_key_up", "bybit_api_key_ip_bound", "bybit_prices_up", "bybit_risk_frozen_up"),
    *("bybit_subaccounts_up", "bybit_subaccount_balances_up", "bybit_subaccount_equity_up"),
    *("bybit_subaccount_asset_free", "bybit_subaccount_asset_frozen"),
}
"""What there is besides. A new metric belongs into the interface, or here."""

ACCOUNT_TYPES = {
    **dict.fromkeys(("trading", "treasury", "banned-now-and-then"), "SPOT"),
    **dict.fromkeys(("margin", "group", "isolated", "short", "earn", "leveraged"), "UNIFIED"),
    "vault": "FUND",
}

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExporterProcess]:
    exchange = demo_exchange()
    with SandboxServer(exchange) as server:
        config = configuration(exchange, server.base_url)
        with ExporterProcess(config, tmp_path_factory.mktemp("demo")) as exporter:
            eventually(lambda: exporter.get("/-/ready").status_code == 200, 30)
            for name in ("prices_up", "withdrawals_up", "products_up", "subaccount_equity_up", "risk_frozen_up"):
                exporter.wait_for(1.0, f"bybit_{name}")
            exporter.wait_for(1.0, "bybit_subaccount_balances_up", subaccount="desk01")
            exporter.wait_for(1.0, "bybit_api_key_up", account="vault")
            yield exporter


@pytest.fixture(scope="module")
def families(demo: ExporterProcess) -> dict[str, Metric]:
    """By name in the interface; the parser leaves ``_total`` out."""
    parsed = {family.name: family for family in parse_text(demo.exposition())}
    return {name + ("_total" if family.type == "counter" else ""): family for name, family in parsed.items()}


@pytest.mark.parametrize("name", INTERFACE)
def test_metric_has_the_type_and_the_labels_of_the_interface(name: str, families: dict[str, Metric]) -> None:
    kind, labels = INTERFACE[name]
    family = families[name]
    assert family.type == kind
    assert family.documentation
    assert family.samples, "the demo has none"
    assert {frozenset(sample.labels) for sample in family.samples} == {labels}
    assert {sample.name for sample in family.samples} == {name}


def test_nothing_else_is_exposed(families: dict[str, Metric]) -> None:
    own = {name for name in families if name.startswith("bybit_")}
    assert own == INTERFACE.keys() | BEYOND
    assert {name for name in families if not name.startswith(("bybit_", "process_"))} == set()


def test_openmetrics_has_the_same_series(demo: ExporterProcess) -> None:
    def series(families: Iterable[Metric]) -> set[tuple[str, frozenset[tuple[str, str]]]]:
        return {(sample.name, frozenset(sample.labels.items())) for family in families for sample in family.samples}

    text = series(parse_text(demo.exposition()))
    answer = demo.get("/metrics", headers=OPENMETRICS)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert text <= series(parse_openmetrics(answer.text))  # type: ignore[no-untyped-call]


def test_accounts_have_the_types_that_were_found(families: dict[str, Metric]) -> None:
    shown = {sample.labels["account"]: sample.labels["account_type"] for sample in families["bybit_up"].samples}
    assert shown == ACCOUNT_TYPES


@pytest.mark.parametrize("name", [name for name in INTERFACE if name.startswith("bybit_account_")])
def test_metric_of_the_whole_account_is_of_these_account_types(name: str, families: dict[str, Metric]) -> None:
    accounts = {sample.labels["account"] for sample in families[name].samples}
    unified = {account for account, kind in ACCOUNT_TYPES.items() if kind == "UNIFIED"}
    in_every_mode = ("equity_usd", "wallet_balance_usd", "unrealised_pnl_usd")
    if name == "bybit_account_status":
        assert accounts == ACCOUNT_TYPES.keys()
    elif name == "bybit_account_risk_frozen_usd":
        assert accounts == {"vault"}
    elif name.removeprefix("bybit_account_") in in_every_mode:
        assert accounts == unified
    else:
        assert accounts == unified - {"isolated"}


def test_label_values_are_those_of_the_interface(families: dict[str, Metric]) -> None:
    def values(name: str, label: str) -> set[str]:
        return {sample.labels[label] for sample in families[name].samples}

    assert values("bybit_account_status", "status") == {"normal", "banned", "unknown"}
    assert values("bybit_subaccount_status", "status") == {"normal", "login_banned", "frozen", "unknown"}
    assert values("bybit_subaccount_equity_usd", "wallet") == {"FUND", "UNIFIED"}
    assert values("bybit_product_equity", "product") == {"Earn", "TradingBot", "CopyTrading", "CryptoLoans"}
    assert values("bybit_poll_failures_total", "reason") == {
        *("network", "timeout", "server", "rate_limit", "ip_rate_limit", "clock", "auth", "account_mode", "region"),
        *("banned", "request", "malformed", "api", "internal"),
    }
    assert all(coin == coin.upper() for coin in values("bybit_asset_free", "coin"))


def test_withdrawing_is_shown_of_spot_and_funding_wallets_only(families: dict[str, Metric]) -> None:
    withdrawing = {sample.labels["account_type"] for sample in families["bybit_asset_withdrawing"].samples}
    equity = {sample.labels["account_type"] for sample in families["bybit_asset_equity"].samples}
    worth = {sample.labels["account_type"] for sample in families["bybit_asset_usd_value"].samples}
    assert (withdrawing, equity, worth) == ({"SPOT", "FUND"}, {"UNIFIED"}, {"SPOT", "UNIFIED", "FUND"})


def test_durations_of_requests_are_a_histogram_by_endpoint(demo: ExporterProcess) -> None:
    name, endpoint = "bybit_api_request_duration_seconds", "/v5/account/wallet-balance"
    counts = demo.value(f"{name}_count", endpoint=endpoint) or 0.0
    assert counts > 0
    eventually(lambda: (demo.value(f"{name}_count", endpoint=endpoint) or 0.0) > counts, 20)
    for text, parse in (
        (demo.exposition(), parse_text),
        (demo.get("/metrics", headers=OPENMETRICS).text, parse_openmetrics),
    ):
        (family,) = [family for family in parse(text) if family.name == name]
        assert family.type == "histogram"
        assert {sample.name.removeprefix(name) for sample in family.samples} == {"_bucket", "_sum", "_count"}
        assert {frozenset(sample.labels) for sample in family.samples if not sample.name.endswith("_bucket")} == {
            frozenset({"endpoint"})
        }
        of_one = [sample for sample in family.samples if sample.labels["endpoint"] == endpoint]
        buckets = [sample.value for sample in of_one if sample.name.endswith("_bucket")]
        (count,) = [sample.value for sample in of_one if sample.name.endswith("_count")]
        assert buckets == sorted(buckets)
        assert buckets[-1] == count, "the bucket without an end has every request"
        assert "_created" not in text

"""A real Prometheus scrapes the demo: one sum is everything that the embedded exchange holds, debts subtracted."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from bybit_exporter.sandbox import Exchange, SandboxServer
from bybit_exporter.sandbox.demo import configuration, configured_total_usd, demo_exchange
from bybit_exporter.sandbox.valuation import product_usd, unified_usd
from tests.exporter_process import ExporterProcess, parse, run_exporter, write_private
from tests.real_prometheus import SCRAPE, Prometheus
from tests.support import eventually


@pytest.fixture(scope="module")
def exchange() -> Exchange:
    """The demo's exchange after an hour of trading, at a standstill: prices are read once a minute only."""
    exchange = demo_exchange(seed="total")
    exchange.advance()
    exchange.behaviour = None
    for account in exchange.accounts.values():
        account.behaviour = None
    return exchange


@pytest.fixture(scope="module")
def prometheus(exchange: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    directory = tmp_path_factory.mktemp("demo")
    with (
        SandboxServer(exchange) as server,
        ExporterProcess(configuration(exchange, server.base_url), directory) as exporter,
    ):
        for name in ("prices_up", "withdrawals_up", "products_up", "subaccount_equity_up"):
            exporter.wait_for(1.0, f"bybit_{name}")
        eventually(lambda: exporter.get("/-/ready").status_code == 200, 30)
        target = exporter.base_url.removeprefix("http://")
        with Prometheus(SCRAPE.format(target=target), directory) as running:
            eventually(lambda: running.targets() == {"bybit": "up"}, 30)
            yield running


def close_to(expected: Decimal) -> object:
    return pytest.approx(float(expected), rel=1e-9)


def test_sum_of_the_worth_of_all_wallets_is_what_the_exchange_holds(exchange: Exchange, prometheus: Prometheus) -> None:
    assert prometheus.query("sum(bybit_asset_usd_value)") == close_to(configured_total_usd(exchange))


@pytest.mark.parametrize(
    ("name", "wallet"),
    [("trading", "SPOT"), ("margin", "UNIFIED"), ("vault", "FUND"), ("short", "UNIFIED"), ("leveraged", "UNIFIED")],
)
def test_sum_of_one_account_is_what_it_holds(
    name: str, wallet: str, exchange: Exchange, prometheus: Prometheus
) -> None:
    shown = prometheus.query(f'sum(bybit_asset_usd_value{{account="{name}"}})')
    assert shown == close_to(exchange.accounts[name].total_usd(wallet))


def test_total_is_complete_after_one_poll(exchange: Exchange, tmp_path: Path) -> None:
    with SandboxServer(exchange) as server:
        write_private(tmp_path / "config.yaml", configuration(exchange, server.base_url))
        once = run_exporter("--once", cwd=tmp_path)
    assert once.returncode == 0, once.stderr
    samples = parse(once.stdout)
    total = sum(value for (name, _), value in samples.items() if name == "bybit_asset_usd_value")
    assert total == close_to(configured_total_usd(exchange))
    members = {dict(labels)["subaccount"] for name, labels in samples if name == "bybit_subaccount_equity_usd"}
    assert members == {member.username for member in exchange.accounts["group"].members.values()}


def test_equity_of_a_unified_account_is_the_sum_of_its_coins(prometheus: Prometheus) -> None:
    difference = (
        'sum by (account) (bybit_asset_usd_value{account_type="UNIFIED"}) - on (account) bybit_account_equity_usd'
    )
    assert prometheus.query(f"max(abs({difference}))") < 0.01
    assert prometheus.query(f"count({difference})") == 6


def test_debt_of_the_spot_short_lowers_the_sum(prometheus: Prometheus) -> None:
    assert prometheus.query('bybit_asset_usd_value{account="short",coin="ETH"}') < 0
    assert prometheus.query('bybit_asset_free{account="short",coin="ETH"}') == -12
    assert prometheus.query('bybit_asset_free{account="margin",coin="XRP"}') == -1500


def test_sum_of_the_products_is_what_the_exchange_holds_in_them(exchange: Exchange, prometheus: Prometheus) -> None:
    products, tickers = exchange.accounts["earn"].products.rows.values(), exchange.tickers.rows
    total = sum((product_usd(each, tickers) for each in products), Decimal(0))
    assert prometheus.query("sum(bybit_product_equity_usd)") == close_to(total)


def test_sum_of_the_subaccounts_is_what_they_hold(exchange: Exchange, prometheus: Prometheus) -> None:
    members, tickers = exchange.accounts["group"].members.values(), exchange.tickers.rows
    unified = sum((unified_usd(each.unified.rows, tickers) for each in members), Decimal(0))
    assert prometheus.query('sum(bybit_subaccount_equity_usd{wallet="UNIFIED"})') == close_to(unified)
    by_coin = "sum(bybit_subaccount_asset_free * on (coin) group_left () bybit_coin_price_usd)"
    eventually(lambda: prometheus.query("count(bybit_subaccount_balances_up == 1)") == len(members), 60)
    funding = prometheus.query(by_coin)
    assert prometheus.query('sum(bybit_subaccount_equity_usd{wallet="FUND"})') == pytest.approx(funding, rel=1e-9)

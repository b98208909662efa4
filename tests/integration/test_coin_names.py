"""Coin names are the exchange's: in any script, from the configuration to the label. Only an unknown one is a typo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from bybit_exporter.sandbox import UNLIMITED, Exchange, FundingHolding, Holding, SandboxServer, Ticker, UnifiedHolding
from tests.exporter_process import ExporterProcess, config_for

TYPO = "the exchange does not know this coin: its balance is shown as 0; is it a typo?"
NAMES = ["币安人生", "МИР", "1000PEPE", "USDT-26JUN", 'A"B', "C\\D", "É"]
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
TYPES = {"spot": "SPOT", "unified": "UNIFIED", "fund": "FUND"}


def an_exchange() -> Exchange:
    """An account of each type, which holds every coin of these names."""
    exchange = Exchange(limits=UNLIMITED)
    exchange.tickers.update({f"{name}USDT": Ticker("2", "2") for name in (*NAMES, "BTC")})
    exchange.add_account("spot", {name: Holding("1.5") for name in NAMES})
    exchange.add_account("unified", unified={name: UnifiedHolding("1.5") for name in NAMES})
    exchange.add_account("fund", unified={}, funding={name: FundingHolding("1.5") for name in NAMES})
    return exchange


def test_names_in_any_script_go_from_the_configuration_to_the_label(tmp_path: Path) -> None:
    exchange = an_exchange()
    with SandboxServer(exchange) as server:
        coins = f"coins: {json.dumps(NAMES, ensure_ascii=False)}"
        config = config_for(exchange, server.base_url, account=coins, account_types=TYPES)
        with ExporterProcess(config, tmp_path) as exporter:
            for account in TYPES:
                exporter.wait_for(1.5, "bybit_asset_free", account=account, coin=NAMES[0])
            exporter.wait_for(1.0, "bybit_prices_up")
            text = exporter.get("/metrics", headers=OPENMETRICS).content.decode()
    shown = {
        (sample.labels["account"], sample.labels["coin"]): sample.value
        for family in parse_openmetrics(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if family.name == "bybit_asset_free"
    }
    assert shown == {(account, name): 1.5 for account in TYPES for name in NAMES}
    assert [event for event in exporter.log if event.get("coin")] == []


def test_single_coin_of_a_spot_account_may_have_a_name_in_any_script(tmp_path: Path) -> None:
    """It is a parameter of the request, and so of what is signed."""
    exchange = Exchange(limits=UNLIMITED)
    exchange.add_account("spot", {NAMES[0]: Holding("1.5"), "BTC": Holding("1")})
    with SandboxServer(exchange) as server:
        config = config_for(exchange, server.base_url, account=f"coins: [{NAMES[0]}]")
        with ExporterProcess(config, tmp_path) as exporter:
            exporter.wait_for(1.5, "bybit_asset_free", coin=NAMES[0])


@pytest.mark.parametrize("account_type", TYPES.values())
def test_only_a_coin_that_the_exchange_does_not_know_may_be_a_typo(account_type: str, tmp_path: Path) -> None:
    """An empty wallet is no typo; USDT is the quote of a pair only, and is known, too."""
    exchange = Exchange(limits=UNLIMITED)
    exchange.tickers.update({"BTCUSDT": Ticker("60000", "60000"), "ETHUSDT": Ticker("3000")})
    exchange.add_account("main", unified=None if account_type == "SPOT" else {})
    with SandboxServer(exchange) as server:
        config = config_for(
            exchange, server.base_url, account="coins: [BTC, ETH, USDT, BTV]", account_types={"main": account_type}
        )
        with ExporterProcess(config, tmp_path) as exporter:
            exporter.wait_for(1.0, "bybit_prices_up")
            exporter.wait_for(0.0, "bybit_asset_free", coin="BTV")
            exporter.wait_for(0.0, "bybit_asset_free", coin="BTC")
            polls = exporter.value("bybit_polls_total") or 0.0
            exporter.wait_for(polls + 2, "bybit_polls_total")
    assert [event["coin"] for event in exporter.events(TYPO)] == ["BTV"]

"""What an account has outside its wallets: shown where the exchange offers it, absent where it does not, never old."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bybit_exporter.model import AccountType
from bybit_exporter.sandbox import (
    ASSET_OVERVIEW,
    NOT_IN_DEMO_TRADING,
    NOT_IN_REGIONS,
    UNLIMITED,
    Exchange,
    Product,
    Refusal,
    Ticker,
    UnifiedHolding,
    faults,
)
from tests.in_process import JumpingClock, Serving, account_for
from tests.support import Told, eventually

UP = "bybit_products_up"
EARN = {"Earn": Product(categories={"Easy Earn": {"BTC": "0.3", "USDT": "3000"}}, snapshot_age=20.0)}
LOAN = {"CryptoLoans": Product({"USDT": "-500"})}


def serving_products(**changes: Any) -> Serving:
    """A service with one account that has savings and a loan."""
    exchange = Exchange(limits=UNLIMITED)
    exchange.tickers.update({"BTCUSDT": Ticker("60000", "60000")})
    held = exchange.add_account("main", unified={"USDT": UnifiedHolding("10")})
    held.products.update({**EARN, **LOAN})
    return Serving(exchange, account_for(held, account_type=AccountType.UNIFIED, products=True, **changes))


def product_series(serving: Serving) -> list[str]:
    return [name for name, _ in serving.samples() if name.startswith("bybit_product")]


def times_asked(serving: Serving) -> int:
    return sum(recorded.request.path == ASSET_OVERVIEW for recorded in serving.exchange.requests)


def test_products_are_shown_with_debts_negative() -> None:
    with serving_products() as serving:
        serving.wait_for(1.0, UP)
        assert serving.series("bybit_product_equity", "product", "category", "coin") == {
            ("Earn", "Easy Earn", "BTC"): 0.3,
            ("Earn", "Easy Earn", "USDT"): 3000.0,
            ("CryptoLoans", "", "USDT"): -500.0,
        }
        assert serving.series("bybit_product_equity_usd", "product") == {("Earn",): 21000.0, ("CryptoLoans",): -500.0}


def test_product_that_nobody_knows_has_the_name_of_the_exchange() -> None:
    serving = serving_products()
    serving.main.products.update({"Brand New": Product({"BTC": "1"})})
    with serving:
        serving.wait_for(60000.0, "bybit_product_equity_usd", product="Brand New")
        assert serving.value("bybit_product_equity", product="Brand New", category="", coin="BTC") == 1


def test_products_are_not_read_unless_configured() -> None:
    exchange = Exchange(limits=UNLIMITED)
    held = exchange.add_account("main", unified={"USDT": UnifiedHolding("10")})
    with Serving(exchange, account_for(held, account_type=AccountType.UNIFIED)) as serving:
        serving.wait_for(1.0, "bybit_api_key_up")
        assert times_asked(serving) == 0
        assert product_series(serving) == []


@pytest.mark.parametrize("missing", [NOT_IN_REGIONS, NOT_IN_DEMO_TRADING], ids=["region", "demo trading"])
def test_exchange_without_products_is_logged_once_and_has_no_series(
    missing: frozenset[str], monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    clock = JumpingClock(monkeypatch)
    serving = serving_products(stale_after_seconds=3600.0)
    serving.exchange.missing_paths = missing
    with serving:
        eventually(lambda: any("products" in event["event"] for event in told()))
        clock.jump(361.0)
        eventually(lambda: times_asked(serving) == 2)
        polls = serving.value("bybit_polls_total") or 0.0
        eventually(lambda: (serving.value("bybit_polls_total") or 0.0) > polls + 1)
        assert product_series(serving) == []
        assert serving.value("bybit_up") == 1
    (event,) = [event for event in told() if "products" in event["event"]]
    assert event["event"] == "not available here: products"
    assert event["log_level"] == "warning"
    assert "api.base_url" in event["advice"]


def test_key_without_the_permission_is_a_failure(told: Told) -> None:
    """Or else nobody would notice that products are not seen any more."""
    serving = serving_products()
    serving.main.refusals[ASSET_OVERVIEW] = Refusal(10005)
    with serving:
        serving.wait_for(0.0, UP)
        assert product_series(serving) == [UP]
        assert serving.value("bybit_up") == 1
    (event,) = [event for event in told() if "products" in event["event"]]
    assert event["event"] == "the products cannot be read"
    assert "permission" in event["advice"]


def test_products_that_cannot_be_read_any_more_go_after_three_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock(monkeypatch)
    with serving_products(stale_after_seconds=3600.0) as serving:
        serving.wait_for(1.0, UP)
        serving.main.faults[ASSET_OVERVIEW] = faults.Status(500)
        clock.jump(61.0)
        serving.wait_for(0.0, UP)
        assert serving.value("bybit_product_equity_usd", product="Earn") == 21000, "a failed reading changes no figure"
        clock.jump(100.0)
        assert serving.value("bybit_product_equity_usd", product="Earn") == 21000
        clock.jump(20.0)
        assert product_series(serving) == [UP]
        assert serving.value(UP) == 0
        del serving.main.faults[ASSET_OVERVIEW]
        clock.jump(61.0)
        serving.wait_for(21000.0, "bybit_product_equity_usd", product="Earn")


def test_products_that_are_not_offered_any_more_are_a_failure_also_after_a_reload(
    monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    clock = JumpingClock(monkeypatch)
    with serving_products(stale_after_seconds=3600.0) as serving:
        serving.wait_for(1.0, UP)
        serving.exchange.missing_paths = NOT_IN_REGIONS
        unchanged = tuple(dataclasses.replace(account) for account in serving.config.accounts)
        serving.config = dataclasses.replace(serving.config, accounts=unchanged)
        serving.service.reload()
        clock.jump(61.0)
        serving.wait_for(0.0, UP)
        assert serving.value("bybit_product_equity_usd", product="Earn") == 21000
    (event,) = [event for event in told() if "products" in event["event"]]
    assert (event["event"], event["reason"]) == ("the products cannot be read", "account_mode")


def test_product_that_was_closed_has_no_series(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock(monkeypatch)
    with serving_products(stale_after_seconds=3600.0) as serving:
        serving.wait_for(1.0, UP)
        serving.main.products.update({"CryptoLoans": None})
        clock.jump(61.0)
        eventually(lambda: serving.series("bybit_product_equity_usd", "product") == {("Earn",): 21000.0})


def test_answer_with_a_malformed_amount_is_refused_as_a_whole() -> None:
    serving = serving_products()
    serving.main.faults[ASSET_OVERVIEW] = faults.Mutate(
        lambda envelope: envelope["result"]["list"][1].update(totalEquity="NaN")
    )
    with serving:
        serving.wait_for(0.0, UP)
        assert product_series(serving) == [UP]

"""The funding wallet: its withdrawals, what the exchange holds back, and keys that may withdraw."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from bybit_exporter.model import AccountType
from bybit_exporter.sandbox import (
    KEY_INFO,
    UNLIMITED,
    WITHDRAWABLE_AMOUNT,
    WITHDRAWALS,
    Exchange,
    FundingHolding,
    Refusal,
    Ticker,
    faults,
)
from tests.in_process import JumpingClock, Serving, account_for
from tests.support import Told, eventually

RISK_FROZEN = "bybit_account_risk_frozen_usd"


def serving_a_funding_wallet(**changes: Any) -> Serving:
    exchange = Exchange(limits=UNLIMITED)
    exchange.tickers.update({"BTCUSDT": Ticker("60000", "60000"), "USDTEUR": Ticker("0.9", "1.0")})
    funding = {"USDT": FundingHolding("420", "417.5"), "BTC": FundingHolding("2"), "GIFT": FundingHolding("9")}
    held = exchange.add_account("main", unified={}, funding=funding)
    return Serving(exchange, account_for(held, account_type=AccountType.FUND, **changes))


def asked(serving: Serving, path: str) -> int:
    return sum(recorded.request.path == path for recorded in serving.exchange.requests)


# --- withdrawals


@pytest.mark.parametrize("count", [0, 1, 49])
def test_page_of_withdrawals_that_is_not_full_is_the_last_despite_its_cursor(count: int) -> None:
    serving = serving_a_funding_wallet()
    serving.main.last_page_has_cursor = True
    for _ in range(count):
        serving.main.withdraw("USDT", "1")
    with serving:
        serving.wait_for(float(count), "bybit_asset_withdrawing", coin="USDT")
        assert asked(serving, WITHDRAWALS) == 1


@pytest.mark.parametrize("rows", ["list", "null", "absent"])
def test_no_withdrawals_are_0(rows: Literal["list", "null", "absent"]) -> None:
    serving = serving_a_funding_wallet()
    serving.main.empty_rows = rows
    with serving:
        serving.wait_for(1.0, "bybit_withdrawals_up")
        assert serving.series("bybit_asset_withdrawing", "coin") == {("USDT",): 0.0, ("BTC",): 0.0, ("GIFT",): 0.0}
        assert asked(serving, WITHDRAWALS) == 1


def test_withdrawals_of_several_pages_are_summed_and_valued() -> None:
    serving = serving_a_funding_wallet()
    for _ in range(101):
        serving.main.withdraw("USDT", "1.5")
    with serving:
        serving.wait_for(151.5, "bybit_asset_withdrawing", coin="USDT")
        assert asked(serving, WITHDRAWALS) == 3
        assert serving.value("bybit_asset_usd_value", coin="USDT") == 420 + 151.5


def test_coin_without_a_price_has_no_worth() -> None:
    with serving_a_funding_wallet() as serving:
        serving.wait_for(420.0, "bybit_asset_usd_value", coin="USDT")
        assert serving.series("bybit_asset_usd_value", "coin") == {("USDT",): 420.0, ("BTC",): 120000.0}
        assert serving.value("bybit_asset_free", coin="GIFT") == 9


# --- what the exchange holds back


def test_amount_held_back_is_shown_and_read_again_after_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock(monkeypatch)
    serving = serving_a_funding_wallet(stale_after_seconds=3600.0)
    with serving:
        serving.wait_for(0.0, RISK_FROZEN)
        serving.main.risk_frozen_usd = "2500.5"
        clock.jump(280.0)
        serving.wait_for(1.0, "bybit_withdrawals_up")
        assert asked(serving, WITHDRAWABLE_AMOUNT) == 1
        clock.jump(21.0)
        serving.wait_for(2500.5, RISK_FROZEN)
        assert asked(serving, WITHDRAWABLE_AMOUNT) == 2


def test_amount_held_back_goes_after_three_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock(monkeypatch)
    with serving_a_funding_wallet(stale_after_seconds=7200.0) as serving:
        serving.wait_for(0.0, RISK_FROZEN)
        serving.main.faults[WITHDRAWABLE_AMOUNT] = faults.Status(500)
        clock.jump(890.0)
        assert serving.value(RISK_FROZEN) == 0
        clock.jump(10.0)
        assert serving.value(RISK_FROZEN) is None
        serving.wait_for(0.0, "bybit_risk_frozen_up")


def test_key_that_may_not_read_what_is_held_back_has_no_series(told: Told) -> None:
    serving = serving_a_funding_wallet()
    serving.main.refusals[WITHDRAWABLE_AMOUNT] = Refusal(10005)
    with serving:
        eventually(lambda: any("held back" in event["event"] for event in told()))
        assert serving.value(RISK_FROZEN) is None
        assert serving.value("bybit_risk_frozen_up") is None
        assert serving.value("bybit_up") == 1
    assert len([event for event in told() if "held back" in event["event"]]) == 1


# --- the key


def test_key_that_may_withdraw_is_warned_of_at_the_start(told: Told) -> None:
    serving = serving_a_funding_wallet()
    serving.main.key.read_only = False
    serving.main.key.grant("Wallet", "Withdraw")
    with serving:
        serving.wait_for(1.0, "bybit_api_key_withdraw")
        assert serving.value("bybit_api_key_read_only") == 0
        eventually(lambda: [event for event in told() if "may withdraw" in event["event"]])
    (event,) = [event for event in told() if "key" in event["event"]]
    assert (event["log_level"], event["account"]) == ("warning", "main")


@pytest.mark.parametrize("read_only", [True, False])
def test_key_without_the_permission_to_withdraw_is_0(read_only: bool) -> None:
    serving = serving_a_funding_wallet()
    serving.main.key.read_only = read_only
    if read_only:
        serving.main.key.grant("Wallet", "Withdraw")  # it may not write at all
    with serving:
        serving.wait_for(0.0, "bybit_api_key_withdraw")


def test_key_without_stated_permissions_is_0() -> None:
    serving = serving_a_funding_wallet()
    serving.main.faults[KEY_INFO] = faults.Mutate(lambda envelope: envelope["result"].pop("permissions"))
    with serving:
        serving.wait_for(0.0, "bybit_api_key_withdraw")

"""The worth of subaccounts: every wallet of all of them from one request, under names that are unique."""

from __future__ import annotations

from typing import Any

import pytest

from bybit_exporter.model import AccountType
from bybit_exporter.sandbox import (
    COINS_BALANCE,
    MEMBERS_ASSETS,
    SUBMEMBERS,
    UNLIMITED,
    Exchange,
    FundingHolding,
    Ticker,
    UnifiedHolding,
    faults,
)
from tests.in_process import JumpingClock, Serving, account_for
from tests.support import Told, eventually

EQUITY, UP = "bybit_subaccount_equity_usd", "bybit_subaccount_equity_up"


def serving_a_master(**changes: Any) -> Serving:
    """A master account with two subaccounts: ``desk`` and ``lent``."""
    exchange = Exchange(limits=UNLIMITED)
    exchange.tickers.update({"USDTEUR": Ticker("0.9", "1.0")})
    master = exchange.add_account("main", unified={"USDT": UnifiedHolding("5")})
    desk = master.add_member("desk", {"USDT": FundingHolding("20")}, uid=1000002)
    desk.unified.update({"USDT": UnifiedHolding("40")})
    master.add_member("lent", uid=1000003).unified.update({"USDT": UnifiedHolding("-3")})
    changes = {"subaccounts": True, "stale_after_seconds": 3600.0, **changes}
    return Serving(exchange, account_for(master, account_type=AccountType.UNIFIED, **changes))


def equity(serving: Serving) -> dict[tuple[str, ...], float]:
    return serving.series(EQUITY, "subaccount", "wallet")


ALL = {("desk", "FUND"): 20.0, ("desk", "UNIFIED"): 40.0, ("lent", "FUND"): 0.0, ("lent", "UNIFIED"): -3.0}


def test_every_wallet_of_every_subaccount_is_shown_and_none_of_the_master() -> None:
    with serving_a_master() as serving:
        serving.wait_for(1.0, UP)
        assert equity(serving) == ALL


def test_incomplete_wallet_has_no_series(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock(monkeypatch)
    with serving_a_master() as serving:
        serving.wait_for(1.0, UP)
        serving.main.members[1000002].wallet_stats = {"UNIFIED": 1}
        clock.jump(61.0)
        eventually(lambda: equity(serving) == {key: value for key, value in ALL.items() if key != ("desk", "UNIFIED")})
        assert serving.value(UP) == 1


def test_subaccount_with_the_name_of_another_s_uid_has_a_series_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock(monkeypatch)
    with serving_a_master() as serving:
        serving.wait_for(1.0, UP)
        serving.main.add_member("1000002", {"USDT": FundingHolding("7")}, uid=1000009)
        clock.jump(61.0)
        eventually(lambda: equity(serving).get(("1000009", "FUND")) == 7)
        assert {key: value for key, value in equity(serving).items() if key[0] != "1000009"} == ALL


def test_unlisted_subaccount_whose_uid_is_the_name_of_another_is_left_out() -> None:
    """Two series with the same labels would cost the whole scrape one of the two figures."""
    serving = serving_a_master()
    serving.main.add_member("1000009", {"USDT": FundingHolding("7")}, uid=1000008)
    created_later = {"uid": 1000009, "stat": 0, "items": [{"type": "ACCOUNT_TYPE_FUND", "origb": "1", "stat": 0}]}
    serving.main.faults[MEMBERS_ASSETS] = faults.Mutate(
        lambda envelope: envelope["result"]["list"].append(created_later)
    )
    with serving:
        serving.wait_for(1.0, UP)
        assert equity(serving) == {**ALL, ("1000009", "FUND"): 7.0, ("1000009", "UNIFIED"): 0.0}


def test_host_without_it_is_logged_once_and_has_no_series(told: Told) -> None:
    serving = serving_a_master()
    serving.exchange.missing_paths = frozenset({MEMBERS_ASSETS})
    with serving:
        eventually(lambda: any("equity of subaccounts" in event["event"] for event in told()))
        serving.wait_for(1.0, "bybit_subaccount_status", subaccount="desk", status="normal")
        assert equity(serving) == {}
        assert serving.value(UP) is None
    assert len([event for event in told() if "equity of subaccounts" in event["event"]]) == 1


def test_equity_goes_after_three_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock(monkeypatch)
    with serving_a_master() as serving:
        serving.wait_for(1.0, UP)
        serving.main.faults[MEMBERS_ASSETS] = faults.Status(500)
        clock.jump(61.0)
        serving.wait_for(0.0, UP)
        clock.jump(110.0)
        assert equity(serving) == ALL
        clock.jump(10.0)
        assert equity(serving) == {}
        assert serving.value(UP) == 0


@pytest.mark.parametrize("code", [131202, 131207])
def test_subaccount_that_is_gone_is_no_failure(code: int, monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    """Its series end with the next list. Until then nothing is logged as a failure, and nothing is not up."""
    clock = JumpingClock(monkeypatch)
    serving = serving_a_master(subaccount_balances=True)
    with serving:
        serving.wait_for(20.0, "bybit_subaccount_asset_free", subaccount="desk", coin="USDT")
        serving.wait_for(1.0, "bybit_subaccount_balances_up", subaccount="lent")
        serving.main.faults[SUBMEMBERS] = faults.Hang()
        serving.main.faults[COINS_BALANCE] = gone = faults.Times(1, faults.RetCode(code))
        clock.jump(61.0)
        eventually(lambda: gone.remaining <= 0)
        eventually(lambda: len(serving.series("bybit_subaccount_balances_up", "subaccount")) == 1)
        serving.main.faults.clear()
        clock.jump(61.0)
        eventually(lambda: len(serving.series("bybit_subaccount_balances_up", "subaccount")) == 2)
    assert [event for event in told() if "balances" in event["event"]] == []

"""An account type, host or environment that does not fit: the log says what to change."""

from __future__ import annotations

from typing import Any

import pytest

from bybit_exporter.model import AccountType
from bybit_exporter.sandbox import (
    ASSET_INFO,
    COINS_BALANCE,
    UNLIMITED,
    WALLET_BALANCE,
    Exchange,
    Holding,
    Refusal,
    UnifiedHolding,
)
from bybit_exporter.sandbox.faults import RetCode, Status
from bybit_exporter.sandbox.messages import Fault
from tests.in_process import Serving, account_for
from tests.support import Told, eventually

PATHS = {AccountType.SPOT: ASSET_INFO, AccountType.UNIFIED: WALLET_BALANCE, AccountType.FUND: COINS_BALANCE}


def failure_logged(serving: Serving, told: Told) -> dict[str, Any]:
    """The line about the account that cannot be read, of which there is only one."""
    with serving:
        serving.wait_for(0.0, "bybit_up")
        eventually(lambda: any(event["event"] == "the account cannot be read" for event in told()))
        (event,) = [event for event in told() if event["event"] == "the account cannot be read"]
    return event


def answering(account_type: AccountType, fault: Fault) -> Serving:
    exchange = Exchange(limits=UNLIMITED)
    held = exchange.add_account("main", unified={"USDT": UnifiedHolding("1")})
    held.faults[PATHS[account_type]] = fault
    return Serving(exchange, account_for(held, account_type=account_type))


@pytest.mark.parametrize("code", [10008, 100028])
def test_unified_account_as_spot_is_told_to_write_unified(code: int, told: Told) -> None:
    exchange = Exchange(limits=UNLIMITED)
    held = exchange.add_account("main", unified={"USDT": UnifiedHolding("1")})
    held.mode_code = code
    serving = Serving(exchange, account_for(held, account_type=AccountType.SPOT))
    event = failure_logged(serving, told)
    assert event["reason"] == "account_mode"
    assert "write account_type: UNIFIED instead of account_type: SPOT" in event["advice"]
    assert serving.failures("account_mode") == 1


def test_classic_account_as_unified_is_told_to_write_spot(told: Told) -> None:
    exchange = Exchange(limits=UNLIMITED)
    held = exchange.add_account("main", {"BTC": Holding("1")})
    event = failure_logged(Serving(exchange, account_for(held, account_type=AccountType.UNIFIED)), told)
    assert event["reason"] == "account_mode"
    assert "write account_type: SPOT instead of account_type: UNIFIED" in event["advice"]


@pytest.mark.parametrize(
    "message", ["accountType only support UNIFIED.", "AccountType is invalid", "Illegal account_type"]
)
def test_parameter_error_about_the_account_type_names_it_and_not_the_coins(message: str, told: Told) -> None:
    event = failure_logged(answering(AccountType.UNIFIED, RetCode(10001, message)), told)
    assert event["reason"] == "account_mode"
    assert "account_type" in event["advice"]
    assert "coins" not in event["advice"]


def test_other_parameter_error_names_the_coins(told: Told) -> None:
    event = failure_logged(answering(AccountType.UNIFIED, RetCode(10001, "coin is invalid")), told)
    assert event["reason"] == "request"
    assert "coins" in event["advice"]


@pytest.mark.parametrize("fault", [Status(404), RetCode(10017), RetCode(10404)], ids=["404", "10017", "10404"])
@pytest.mark.parametrize("account_type", PATHS)
def test_path_that_does_not_exist_proves_no_account_type(account_type: AccountType, fault: Fault, told: Told) -> None:
    event = failure_logged(answering(account_type, fault), told)
    assert event["reason"] == "account_mode"
    for setting in ("account_type", "api.base_url", "api.environment"):
        assert setting in event["advice"]
    for stated in ("this is a unified account", "this is a classic account"):
        assert stated not in event["advice"]


@pytest.mark.parametrize("code", [429, 10429])
def test_overloaded_exchange_is_the_server(code: int, told: Told) -> None:
    assert failure_logged(answering(AccountType.UNIFIED, RetCode(code)), told)["reason"] == "server"


def test_log_of_a_ban_says_what_to_do(told: Told) -> None:
    exchange = Exchange(limits=UNLIMITED)
    held = exchange.add_account("main", unified={})
    held.refusal = Refusal(10027)
    event = failure_logged(Serving(exchange, account_for(held, account_type=AccountType.UNIFIED)), told)
    assert event["reason"] == "banned"
    assert "support" in event["advice"]


def test_log_of_a_banned_status_says_what_to_do(told: Told) -> None:
    exchange = Exchange(limits=UNLIMITED)
    held = exchange.add_account("main", {"BTC": Holding("1")})
    held.status = "ACCOUNT_STATUS_UNSPECIFIED"
    with Serving(exchange, account_for(held)) as serving:
        serving.wait_for(1.0, "bybit_account_status", status="banned")
        eventually(lambda: any("banned" in event["event"] for event in told()))
    (event,) = [event for event in told() if "banned" in event["event"]]
    assert "support" in event["advice"]

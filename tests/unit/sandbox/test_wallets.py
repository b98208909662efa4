"""The wallets of the embedded exchange, compared with Bybit's documentation."""

from __future__ import annotations

import sys
import threading
from decimal import Decimal
from typing import Any

import pytest

from bybit_exporter.sandbox import (
    ACCOUNT_INFO,
    ASSET_INFO,
    COINS_BALANCE,
    UNLIMITED,
    WALLET_BALANCE,
    Account,
    Exchange,
    FundingHolding,
    Holding,
    UnifiedHolding,
)
from tests.sandbox_client import refusal, result
from tests.support import FakeClock

UNIFIED = {
    "BTC": UnifiedHolding("1.500000000000000001", "0.5", "96000.5"),
    "XRP": UnifiedHolding("-1500", "0", "-780.25", borrow_amount="1500"),
    "DUST": UnifiedHolding("0", "0", "0"),
}
FUNDING = {"USDT": FundingHolding("1010", "1000"), "USDC": FundingHolding("0"), "ODD": FundingHolding("", "")}


@pytest.fixture
def exchange() -> Exchange:
    return Exchange(FakeClock())


@pytest.fixture
def unified(exchange: Exchange) -> Account:
    return exchange.add_account("unified", unified=UNIFIED, funding=FUNDING)


@pytest.fixture
def classic(exchange: Exchange) -> Account:
    return exchange.add_account("classic", {"ETH": Holding("1")}, funding=FUNDING)


def coins(account: Account, query: str = "accountType=UNIFIED") -> dict[str, dict[str, Any]]:
    listed = result(account, WALLET_BALANCE, query)["list"]
    assert len(listed) == 1
    return {coin["coin"]: coin for coin in listed[0]["coin"]}


def funds(account: Account, query: str = "accountType=FUND") -> list[tuple[str, str, str]]:
    rows = result(account, COINS_BALANCE, query)["balance"]
    return [(row["coin"], row["walletBalance"], row["transferBalance"]) for row in rows]


# --- the unified wallet


def test_unified_coin_has_every_documented_field(unified: Account) -> None:
    assert coins(unified, "accountType=UNIFIED&coin=BTC") == {
        "BTC": {
            "coin": "BTC",
            "equity": "1.500000000000000001",
            "usdValue": "96000.5",
            "walletBalance": "1.500000000000000001",
            "locked": "0.5",
            "borrowAmount": "0",
            "spotBorrow": "0",
            "unrealisedPnl": "0",
            "cumRealisedPnl": "0",
            "accruedInterest": "0",
            "bonus": "0",
            "spotHedgingQty": "0",
            "totalOrderIM": "0",
            "totalPositionIM": "0",
            "totalPositionMM": "0",
            "marginCollateral": True,
            "collateralSwitch": True,
            "colRes": "0",
            "free": "",
            "availableToWithdraw": "",
            "availableToBorrow": "",
        }
    }


def test_unified_wallet_without_a_coin_lists_those_that_are_not_zero(unified: Account) -> None:
    assert list(coins(unified)) == ["BTC", "XRP"]


def test_unified_wallet_lists_a_requested_coin_even_if_not_held(unified: Account) -> None:
    asked = coins(unified, "accountType=UNIFIED&coin=DOGE,BTC,DUST")
    assert [(name, coin["walletBalance"]) for name, coin in asked.items()] == [
        ("DOGE", "0"),
        ("BTC", "1.500000000000000001"),
        ("DUST", "0"),
    ]


def test_debt_from_derivatives_is_a_negative_balance(unified: Account) -> None:
    debt = coins(unified)["XRP"]
    assert (debt["walletBalance"], debt["borrowAmount"], debt["equity"]) == ("-1500", "1500", "-1500")


def test_equity_follows_the_documented_formula(unified: Account) -> None:
    unified.unified.update({"ETH": UnifiedHolding("10", spot_borrow="3.5", unrealised_pnl="-0.25")})
    assert coins(unified)["ETH"]["equity"] == "6.25"


def test_account_totals_are_the_sum_of_all_coins(unified: Account) -> None:
    account = result(unified, WALLET_BALANCE, "accountType=UNIFIED&coin=BTC")["list"][0]
    assert account["accountType"] == "UNIFIED"
    assert account["totalEquity"] == account["totalWalletBalance"] == "95220.25"
    assert {"accountIMRate", "accountMMRate", "accountLTV", "totalPerpUPL", "totalInitialMarginByMp"} <= account.keys()


def test_unified_wallet_that_is_empty_lists_no_coin(exchange: Exchange) -> None:
    account = exchange.add_account("empty", unified={})
    assert coins(account) == {}
    assert result(account, WALLET_BALANCE, "accountType=UNIFIED")["list"][0]["totalEquity"] == "0"


@pytest.mark.parametrize(
    "query", ["", "accountType=SPOT", "accountType=UNIFIED&coin=btc", "accountType=UNIFIED&coin=,"]
)
def test_unified_wallet_with_bad_parameters_is_refused(query: str, unified: Account) -> None:
    assert refusal(unified, WALLET_BALANCE, query) == 10001


def test_wallet_of_the_other_account_mode_is_refused(unified: Account, classic: Account) -> None:
    assert refusal(classic, WALLET_BALANCE, "accountType=UNIFIED") == 10028
    assert refusal(unified, ASSET_INFO, "accountType=SPOT") == 10008
    assert refusal(classic, ASSET_INFO, "accountType=SPOT") == 0


@pytest.mark.parametrize(("mode", "which", "stated"), [("classic", 5, 1), ("unified", 5, 5), ("unified", 4, 4)])
def test_account_info_states_the_account_mode(mode: Any, which: int, stated: int, classic: Account) -> None:
    classic.mode, classic.unified_margin_status = mode, which
    assert result(classic, ACCOUNT_INFO) == {
        "unifiedMarginStatus": stated,
        "marginMode": "REGULAR_MARGIN",
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
        "updatedTime": "1700000000000",
        "dcpStatus": "OFF",
        "timeWindow": 0,
        "smpGroup": 0,
    }


# --- the funding wallet


def test_funding_wallet_gives_the_documented_answer(classic: Account) -> None:
    assert result(classic, COINS_BALANCE, "accountType=FUND&coin=USDC") == {
        "memberId": str(classic.uid),
        "accountType": "FUND",
        "balance": [{"coin": "USDC", "transferBalance": "0", "walletBalance": "0", "bonus": ""}],
    }


def test_funding_wallet_lists_zero_and_empty_amounts(unified: Account) -> None:
    assert funds(unified) == [("USDT", "1010", "1000"), ("USDC", "0", "0"), ("ODD", "", "")]


def test_funding_wallet_lists_a_requested_coin_even_if_not_held(unified: Account) -> None:
    assert funds(unified, "accountType=FUND&coin=DOGE,USDT") == [("DOGE", "0", "0"), ("USDT", "1010", "1000")]


def test_funding_wallet_states_a_bonus_if_requested(unified: Account) -> None:
    balance = result(unified, COINS_BALANCE, "accountType=FUND&coin=USDT&withBonus=1")["balance"]
    assert balance[0]["bonus"] == "0"


def test_coins_balance_of_a_unified_wallet_is_by_coin(unified: Account, classic: Account) -> None:
    assert funds(unified, "accountType=UNIFIED&coin=BTC,XRP") == [
        ("BTC", "1.500000000000000001", "1.000000000000000001"),
        ("XRP", "-1500", "0"),
    ]
    assert refusal(classic, COINS_BALANCE, "accountType=UNIFIED&coin=BTC") == 10028


TEN = ",".join(f"C{number}" for number in range(10))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", 10001),
        ("accountType=SPOT", 10001),
        ("accountType=FUND&coin=usdt", 10001),
        ("accountType=FUND&coin=USDT,", 10001),
        ("accountType=FUND&withBonus=2", 10001),
        ("accountType=FUND&memberId=me", 10001),
        ("accountType=UNIFIED", 10001),
        (f"accountType=UNIFIED&coin={TEN}", 0),
        (f"accountType=UNIFIED&coin={TEN},C10", 10001),
        (f"accountType=FUND&coin={TEN},C10", 0),
    ],
)
def test_coins_balance_checks_its_parameters(query: str, expected: int, unified: Account) -> None:
    assert refusal(unified, COINS_BALANCE, query) == expected


# --- the funds of members


def test_coins_balance_of_a_subaccount_is_for_its_own_master(exchange: Exchange, unified: Account) -> None:
    member = unified.add_member("desk01", {"BTC": FundingHolding("3")})
    other = exchange.add_account("other", funding=FUNDING)
    query = f"accountType=FUND&memberId={member.uid}"
    assert result(unified, COINS_BALANCE, query)["memberId"] == str(member.uid)
    assert funds(unified, query) == [("BTC", "3", "3")]
    assert funds(unified, f"accountType=FUND&memberId={unified.uid}")[0] == ("USDT", "1010", "1000")
    assert refusal(unified, COINS_BALANCE, f"accountType=FUND&memberId={other.uid}") == 131202
    assert refusal(other, COINS_BALANCE, query) == 131202


def test_coins_balance_of_a_subaccount_is_the_same_for_its_master(exchange: Exchange, unified: Account) -> None:
    member = exchange.add_account("sub", unified=UNIFIED, funding={"ETH": FundingHolding("7")}, parent=unified)
    member.funding.freeze("ETH", "2")
    assert funds(member) == [("ETH", "7", "5")]
    assert funds(unified, f"accountType=FUND&memberId={member.uid}") == [("ETH", "7", "5")]
    assert funds(unified, f"accountType=UNIFIED&coin=BTC&memberId={member.uid}")[0][1] == "1.500000000000000001"
    assert funds(member, f"accountType=FUND&memberId={member.uid}") == [("ETH", "7", "5")]
    assert refusal(member, COINS_BALANCE, f"accountType=FUND&memberId={unified.uid}") == 10005


# --- what tests can see


def test_served_states_are_kept_for_each_wallet(unified: Account) -> None:
    first, funding = unified.unified.rows, unified.funding.rows
    for _ in range(2):
        coins(unified)
    unified.unified.freeze("BTC", "0.25")
    funds(unified)
    assert list(unified.unified.served) == [first]
    coins(unified, "accountType=UNIFIED&coin=BTC")
    assert list(unified.unified.served) == [first, unified.unified.rows]
    assert unified.unified.rows["BTC"].locked == "0.75"
    assert list(unified.funding.served) == [funding]
    assert not unified.served


def test_further_key_of_a_uid_shares_wallets_and_limits(exchange: Exchange, unified: Account) -> None:
    other = exchange.add_account("other", uid=unified.uid)
    unified.unified.update({"BTC": None})
    assert list(coins(other)) == ["XRP"]
    assert other.key.api_key != unified.key.api_key
    codes = [refusal(account, COINS_BALANCE, "accountType=FUND") for account in [unified, other] * 3]
    assert codes == [0] * 5 + [10006]


def test_uid_in_use_is_not_assigned_again(exchange: Exchange) -> None:
    given = exchange.add_account("given", uid=100_000_001)
    accounts = [given, exchange.add_account("next"), exchange.add_account("after")]
    assert len({account.uid for account in accounts}) == 3


def test_answer_is_consistent_while_amounts_change() -> None:
    exchange = Exchange(FakeClock(), limits=UNLIMITED)
    account = exchange.add_account("main", unified={}, funding={"USDT": FundingHolding("1000")})
    done = threading.Event()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def shuffle() -> None:
        while not done.is_set():
            account.funding.update({"USDT": FundingHolding("900"), "USDC": FundingHolding("100")})
            account.funding.update({"USDT": FundingHolding("1000"), "USDC": None})

    mover = threading.Thread(target=shuffle)
    mover.start()
    try:
        for _ in range(1000):
            assert sum(Decimal(balance) for _, balance, _ in funds(account)) == 1000
    finally:
        done.set()
        mover.join()
        sys.setswitchinterval(interval)
    assert len(account.funding.served) > 1

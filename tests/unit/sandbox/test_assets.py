"""Products, the worth of subaccounts and what is held back, as the embedded exchange states them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bybit_exporter.sandbox import (
    ASSET_OVERVIEW,
    COINS_BALANCE,
    KEY_INFO,
    MEMBERS_ASSETS,
    NOT_IN_DEMO_TRADING,
    NOT_IN_REGIONS,
    SUBMEMBERS,
    WALLET_BALANCE,
    WITHDRAWABLE_AMOUNT,
    WITHDRAWALS,
    Account,
    Exchange,
    FundingHolding,
    Holding,
    Product,
    Ticker,
    UnifiedHolding,
)
from tests.sandbox_client import ask, refusal, result
from tests.support import FakeClock

NOW_MS = 1_700_000_000_000
TICKERS = {"BTCUSDT": Ticker("60000", "60000"), "USDTEUR": Ticker("0.9", "1")}
EARN = Product(categories={"Easy Earn": {"BTC": "0.3", "USDT": "3000"}})
LOAN = Product({"USDT": "-500"}, snapshot_age=10.0)


@pytest.fixture
def master() -> Account:
    exchange = Exchange(FakeClock())
    exchange.tickers.update(TICKERS)
    master = exchange.add_account("master", unified={}, funding={"USDT": FundingHolding("5950")})
    master.products.update({"Earn": EARN, "CryptoLoans": LOAN})
    return master


# --- everything an account has


def test_asset_overview_lists_products_and_wallets(master: Account) -> None:
    answer = result(master, ASSET_OVERVIEW)
    assert answer["list"].pop() == {
        "accountType": "UnifiedTradingAccount",
        "totalEquity": "0",
        "valuationCurrency": "USD",
        "snapshotTime": str(NOW_MS),
        "coinDetail": [],
    }
    assert answer == {
        "totalEquity": "26450",
        "list": [
            {
                "accountType": "Earn",
                "totalEquity": "21000",
                "valuationCurrency": "USD",
                "snapshotTime": str(NOW_MS),
                "categories": [
                    {
                        "category": "Easy Earn",
                        "equity": "21000",
                        "coinDetail": [{"coin": "BTC", "equity": "0.3"}, {"coin": "USDT", "equity": "3000"}],
                    }
                ],
            },
            {
                "accountType": "CryptoLoans",
                "totalEquity": "-500",
                "valuationCurrency": "USD",
                "snapshotTime": str(NOW_MS - 10_000),
                "coinDetail": [{"coin": "USDT", "equity": "-500"}],
            },
            {
                "accountType": "FundingAccount",
                "totalEquity": "5950",
                "valuationCurrency": "USD",
                "snapshotTime": str(NOW_MS),
                "coinDetail": [{"coin": "USDT", "equity": "5950"}],
            },
        ],
    }


def test_asset_overview_of_one_account_type(master: Account) -> None:
    answer = result(master, ASSET_OVERVIEW, "accountType=Earn&valuationCurrency=USD")
    assert (answer["totalEquity"], [each["accountType"] for each in answer["list"]]) == ("21000", ["Earn"])


def test_asset_overview_of_a_classic_account_has_no_unified_wallet(master: Account) -> None:
    classic = master.exchange.add_account("classic", {"BTC": Holding("1")})
    assert [each["accountType"] for each in result(classic, ASSET_OVERVIEW)["list"]] == ["FundingAccount"]


def test_asset_overview_of_a_subaccount_is_for_its_master(master: Account) -> None:
    member = master.exchange.add_account("member", unified={"BTC": UnifiedHolding("1")}, parent=master)
    member.products.update({"TradingBot": Product({"USDT": "70"})})
    assert result(master, ASSET_OVERVIEW, f"memberId={member.uid}")["totalEquity"] == "60070"
    assert result(member, ASSET_OVERVIEW)["totalEquity"] == "60070"
    assert refusal(member, ASSET_OVERVIEW, f"memberId={master.uid}") == 10005
    assert refusal(master, ASSET_OVERVIEW, "memberId=1") == 131202
    assert refusal(master, ASSET_OVERVIEW, "valuationCurrency=EUR") == 10001


# --- what all subaccounts are worth


def test_members_assets_list_every_wallet_of_master_and_subaccounts(master: Account) -> None:
    master.unified.update({"USDT": UnifiedHolding("100")})
    master.funding.update({"USDT": None})
    desk = master.add_member("desk", {"USDT": FundingHolding("20")}, uid=1_000_002)
    desk.unified.update({"USDT": UnifiedHolding("0", spot_borrow="60"), "BTC": UnifiedHolding("0.002")})
    answer = result(master, MEMBERS_ASSETS, "coin=USDT")
    assert answer == {
        "total": "180",
        "quoteTotal": "180",
        "stat": 0,
        "list": [
            {
                "uid": master.uid,
                "isM": True,
                "stat": 0,
                "origb": "100",
                "quoteb": "100",
                "items": [
                    {"type": "ACCOUNT_TYPE_FUND", "origb": "0", "quoteb": "0", "stat": 0},
                    {"type": "ACCOUNT_TYPE_UNIFIED", "origb": "100", "quoteb": "100", "stat": 0},
                ],
            },
            {
                "uid": 1_000_002,
                "type": 1,
                "stat": 0,
                "origb": "80",
                "quoteb": "80",
                "items": [
                    {"type": "ACCOUNT_TYPE_FUND", "origb": "20", "quoteb": "20", "stat": 0},
                    {"type": "ACCOUNT_TYPE_UNIFIED", "origb": "60", "quoteb": "60", "stat": 0},
                ],
            },
        ],
    }
    assert result(master, MEMBERS_ASSETS)["quoteTotal"] == "0.003", "in BTC, unless a coin is given"


def test_members_assets_of_a_wallet_that_cannot_be_read_are_incomplete(master: Account) -> None:
    member = master.add_member("desk", {"USDT": FundingHolding("3")})
    member.unified.update({"USDT": UnifiedHolding("50")})
    member.wallet_stats = {"UNIFIED": 1}
    answer = result(master, MEMBERS_ASSETS)
    desk = answer["list"][1]
    assert (answer["stat"], desk["stat"], desk["origb"]) == (0, 1, "3")
    assert [(item["origb"], item["stat"]) for item in desk["items"]] == [("3", 0), ("0", 1)]
    master.members_stat = 1
    assert result(master, MEMBERS_ASSETS)["stat"] == 1


def test_members_assets_are_for_master_accounts(master: Account) -> None:
    member = master.exchange.add_account("member", unified={}, parent=master)
    assert refusal(member, MEMBERS_ASSETS) == 10005


# --- what the exchange holds back


def test_withdrawable_amount_leaves_out_what_is_held_back(master: Account) -> None:
    master.risk_frozen_usd = "950.5"
    master.unified.update({"USDT": UnifiedHolding("10", "4")})
    assert result(master, WITHDRAWABLE_AMOUNT, "coin=USDT") == {
        "limitAmountUsd": "950.5",
        "withdrawableAmount": {
            "FUND": {"coin": "USDT", "withdrawableAmount": "4999.5", "availableBalance": "5950"},
            "UTA": {"coin": "USDT", "withdrawableAmount": "0", "availableBalance": "6"},
        },
    }


def test_withdrawable_amount_of_a_classic_account_has_a_spot_wallet(master: Account) -> None:
    classic = master.exchange.add_account("classic", {"BTC": Holding("2", "1")})
    amounts = result(classic, WITHDRAWABLE_AMOUNT, "coin=BTC")["withdrawableAmount"]
    assert {wallet: amount["availableBalance"] for wallet, amount in amounts.items()} == {"FUND": "0", "SPOT": "2"}


@pytest.mark.parametrize("query", ["", "coin=", "coin=usdt", "coin=A,B"])
def test_withdrawable_amount_without_one_coin_is_refused(query: str, master: Account) -> None:
    assert refusal(master, WITHDRAWABLE_AMOUNT, query) == 10001


# --- hosts and accounts that lack paths


def missing(account: Account, path: str, query: str = "") -> bool:
    response = ask(account, path, query)
    body: dict[str, Any] = json.loads(response.body)
    assert (response.status == 404) == (body["retCode"] == 10017)
    return response.status == 404


def test_regional_host_lacks_the_asset_overview(master: Account) -> None:
    master.exchange.missing_paths = NOT_IN_REGIONS
    assert missing(master, ASSET_OVERVIEW)
    assert not missing(master, MEMBERS_ASSETS)


def test_demo_trading_lacks_funding_withdrawals_subaccounts_and_products(master: Account) -> None:
    master.exchange.missing_paths = NOT_IN_DEMO_TRADING
    for path in (COINS_BALANCE, WITHDRAWALS, SUBMEMBERS, ASSET_OVERVIEW, MEMBERS_ASSETS, WITHDRAWABLE_AMOUNT):
        assert missing(master, path)
    assert not missing(master, KEY_INFO)
    assert not missing(master, WALLET_BALANCE, "accountType=UNIFIED")


def test_path_can_be_missing_for_one_account(master: Account) -> None:
    other = master.exchange.add_account("other", unified={})
    master.missing_paths = frozenset({ASSET_OVERVIEW})
    assert missing(master, ASSET_OVERVIEW)
    assert not missing(other, ASSET_OVERVIEW)


# --- the total


def test_total_is_all_wallets_with_withdrawals_under_way_and_debts(master: Account) -> None:
    master.withdraw("USDT", "50", "Pending")
    master.withdraw("USDT", "9", "success")
    master.unified.update({"BTC": UnifiedHolding("0", spot_borrow="0.01"), "USDT": UnifiedHolding("-100")})
    assert master.total_usd("FUND") == 6000
    assert master.total_usd("UNIFIED") == -700
    assert master.total_usd() == 5300
    classic = master.exchange.add_account("classic", {"BTC": Holding("1", "0.5", "0.25")})
    assert classic.total_usd() == classic.total_usd("SPOT") == 105_000

"""Spot loans, debts and margin in the embedded exchange's unified wallet, compared with published answers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from bybit_exporter.sandbox import (
    ACCOUNT_INFO,
    COINS_BALANCE,
    WALLET_BALANCE,
    Account,
    Exchange,
    MarginMode,
    Ticker,
    UnifiedHolding,
)
from tests.sandbox_client import result
from tests.support import FakeClock

TICKERS = {"BTCUSDT": Ticker("60000", "60000"), "ETHUSDT": Ticker("2400", "2400"), "USDTEUR": Ticker("0.9", "1")}
ISOLATED = UnifiedHolding(
    "5000", "300", unrealised_pnl="-200", order_im="99.5", position_im="1200.5", position_mm="40.25", bonus="10"
)
POSITION = UnifiedHolding("750", unrealised_pnl="60", position_im="9000", position_mm="2464.8")
BORROWED = UnifiedHolding("0.9", "0.1", spot_borrow="0.4", accrued_interest="0.00002")

TOTALS = (
    *("totalEquity", "totalWalletBalance", "totalMarginBalance", "totalAvailableBalance", "totalPerpUPL"),
    *("totalInitialMargin", "totalMaintenanceMargin", "accountIMRate", "accountMMRate"),
)


def unified(coins: Mapping[str, UnifiedHolding], mode: MarginMode = "REGULAR_MARGIN", haircut: str = "0") -> Account:
    exchange = Exchange(FakeClock())
    exchange.tickers.update(TICKERS)
    account = exchange.add_account("unified", unified=coins)
    account.margin_mode, account.haircut_usd = mode, haircut
    return account


def answer(account: Account) -> dict[str, Any]:
    wallet: dict[str, Any] = result(account, WALLET_BALANCE, "accountType=UNIFIED")["list"][0]
    return wallet


def coin(account: Account, name: str) -> dict[str, Any]:
    return next(each for each in answer(account)["coin"] if each["coin"] == name)


@pytest.mark.parametrize(
    ("coins", "mode", "haircut", "expected"),
    [
        (
            {"BTC": BORROWED, "USDT": POSITION},
            "REGULAR_MARGIN",
            "9809.5",
            ("30810", "30750", "30810", "12000.5", "60", "9000", "2464.8", "0.2921", "0.08"),
        ),
        (
            {"ETH": UnifiedHolding("0", spot_borrow="0.25"), "USDT": UnifiedHolding("2000")},
            "REGULAR_MARGIN",
            "600",
            ("1400", "1400", "1400", "800", "0", "0", "0", "0", "0"),
        ),
        (
            {"USDC": UnifiedHolding("-1000"), "USDT": UnifiedHolding("6000")},
            "REGULAR_MARGIN",
            "0",
            ("5000", "5000", "5000", "5000", "0", "0", "0", "0", "0"),
        ),
        (
            {"USDT": ISOLATED},
            "ISOLATED_MARGIN",
            "0",
            ("4800", "5000", "", "", "-200", "", "", "", ""),
        ),
        (
            {"USDT": UnifiedHolding("10", position_im="1", position_mm="0.5")},
            "PORTFOLIO_MARGIN",
            "0",
            ("10", "10", "10", "9", "0", "1", "0.5", "0.1", "0.05"),
        ),
        ({}, "REGULAR_MARGIN", "0", ("0",) * 9),
    ],
    ids=["spot-borrow", "spot-short", "derivatives-debt", "isolated", "portfolio", "empty"],
)
def test_account_totals_follow_from_the_coins(
    coins: dict[str, UnifiedHolding], mode: MarginMode, haircut: str, expected: tuple[str, ...]
) -> None:
    account = answer(unified(coins, mode, haircut))
    assert tuple(account[name] for name in TOTALS) == expected
    assert account["accountLTV"] == ""


def test_spot_borrow_is_in_the_wallet_balance_and_not_in_the_equity() -> None:
    stated = coin(unified({"BTC": BORROWED}), "BTC")
    assert {name: stated[name] for name in ("walletBalance", "spotBorrow", "borrowAmount", "equity", "usdValue")} == {
        "walletBalance": "0.9",
        "spotBorrow": "0.4",
        "borrowAmount": "0.4",
        "equity": "0.5",
        "usdValue": "30000",
    }
    assert stated["accruedInterest"] == "0.00002"


def test_borrow_amount_is_both_kinds_of_debt() -> None:
    account = unified({"ETH": UnifiedHolding("-1", spot_borrow="0.25")})
    assert coin(account, "ETH")["borrowAmount"] == "1.25"
    assert coin(account, "ETH")["usdValue"] == "-3000"


def test_coin_that_was_borrowed_and_sold_is_listed() -> None:
    assert coin(unified({"ETH": UnifiedHolding("0", spot_borrow="0.25")}), "ETH")["equity"] == "-0.25"


def test_margin_of_a_coin_is_empty_in_portfolio_margin_alone() -> None:
    fields = ("totalOrderIM", "totalPositionIM", "totalPositionMM")
    account = unified({"USDT": ISOLATED}, "ISOLATED_MARGIN")
    assert [coin(account, "USDT")[name] for name in fields] == ["99.5", "1200.5", "40.25"]
    account.margin_mode = "REGULAR_MARGIN"
    assert [coin(account, "USDT")[name] for name in fields] == ["99.5", "1200.5", "40.25"]
    account.margin_mode = "PORTFOLIO_MARGIN"
    assert [coin(account, "USDT")[name] for name in fields] == ["", "", ""]


def test_margin_ratio_without_a_balance_that_covers_it_is_1() -> None:
    account = unified({"USDT": UnifiedHolding("100", unrealised_pnl="-150", position_im="50", position_mm="10")})
    assert (answer(account)["accountMMRate"], answer(account)["totalAvailableBalance"]) == ("1", "0")


@pytest.mark.parametrize("mode", ["REGULAR_MARGIN", "PORTFOLIO_MARGIN", "ISOLATED_MARGIN"])
def test_account_info_names_the_margin_mode(mode: MarginMode) -> None:
    assert result(unified({}, mode), ACCOUNT_INFO)["marginMode"] == mode


@pytest.mark.parametrize(
    ("holding", "mode", "transferable"),
    [
        (UnifiedHolding("1000", "300"), "REGULAR_MARGIN", "700"),
        (UnifiedHolding("1000", "300", spot_borrow="200"), "REGULAR_MARGIN", "500"),
        (UnifiedHolding("0", spot_borrow="200"), "REGULAR_MARGIN", "0"),
        (UnifiedHolding("1000", unrealised_pnl="-200", position_im="300"), "REGULAR_MARGIN", "500"),
        (UnifiedHolding("1000", unrealised_pnl="-200", position_im="300"), "PORTFOLIO_MARGIN", "500"),
        (UnifiedHolding("1000", unrealised_pnl="-200", position_im="300"), "ISOLATED_MARGIN", "700"),
        (ISOLATED, "ISOLATED_MARGIN", "3390"),
    ],
)
def test_transferable_amount_is_what_is_owned_and_not_tied_up(
    holding: UnifiedHolding, mode: MarginMode, transferable: str
) -> None:
    answer = result(unified({"USDT": holding}, mode), COINS_BALANCE, "accountType=UNIFIED&coin=USDT")
    assert answer["balance"][0]["walletBalance"] == holding.wallet_balance
    assert Decimal(answer["balance"][0]["transferBalance"]) == Decimal(transferable)


def test_value_of_a_coin_follows_its_price() -> None:
    account = unified({"BTC": UnifiedHolding("2"), "GIFT": UnifiedHolding("5")})
    assert coin(account, "BTC")["usdValue"] == "120000"
    account.exchange.tickers.update({"BTCUSDT": Ticker("61000", "")})
    assert coin(account, "BTC")["usdValue"] == "122000", "the latest price, where there is no index price"
    assert coin(account, "GIFT")["usdValue"] == "0", "there is no price"
    assert account.total_usd() == 122000

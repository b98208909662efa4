"""The unified wallet: how each field of an answer is used in every margin mode."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from bybit_exporter.bybit.errors import BybitError
from bybit_exporter.bybit.wallets.unified import UnifiedResult, unified_snapshot
from bybit_exporter.model import AccountSnapshot, AccountStatus, Balance, MarginSummary

USDT = {"coin": "USDT", "walletBalance": "5000", "locked": "300", "equity": "4800", "usdValue": "4799.5"}
DERIVATIVES = {"totalPositionIM": "1200.5", "totalOrderIM": "99.5", "totalPositionMM": "40.25", "bonus": "10"}
CROSS = {"accountIMRate": "0.3", "accountMMRate": "0.1", "totalMarginBalance": "4800"}
ISOLATED = dict.fromkeys(CROSS, "")
OLDER: dict[str, str] = {}


def snapshot(
    totals: dict[str, Any], *coins: dict[str, Any], configured: tuple[str, ...] | None = None
) -> AccountSnapshot:
    answer = msgspec.convert({"list": [{**totals, "coin": list(coins)}]}, UnifiedResult)
    return unified_snapshot(answer, configured)


def balance(totals: dict[str, Any], **changes: Any) -> Balance:
    (only,) = snapshot(totals, {**USDT, **changes}).balances
    return only


@pytest.mark.parametrize(
    ("totals", "free", "frozen"), [(CROSS, "4700", "300"), (ISOLATED, "3390", "1610"), (OLDER, "4700", "300")]
)
def test_frozen_has_the_margin_of_positions_in_isolated_margin_only(
    totals: dict[str, str], free: str, frozen: str
) -> None:
    held = balance(totals, **DERIVATIVES)
    assert (held.free, held.frozen) == (Decimal(free), Decimal(frozen))
    assert (held.initial_margin, held.maintenance_margin) == (Decimal(1300), Decimal("40.25"))


@pytest.mark.parametrize("totals", [CROSS, ISOLATED, OLDER])
def test_spot_borrow_is_subtracted_from_free(totals: dict[str, str]) -> None:
    assert balance(totals, spotBorrow="200").free == 4500
    assert balance(totals, walletBalance="0", locked="0", spotBorrow="0.25").free == Decimal("-0.25")


@pytest.mark.parametrize("totals", [CROSS, ISOLATED, OLDER])
def test_negative_wallet_balance_is_a_debt(totals: dict[str, str]) -> None:
    assert balance(totals, walletBalance="-1000", locked="0").free == -1000


@pytest.mark.parametrize("mode", [CROSS, ISOLATED])
@pytest.mark.parametrize("margins", [{}, dict.fromkeys(("totalPositionIM", "totalOrderIM", "bonus", "spotBorrow"), "")])
def test_absent_or_empty_margin_counts_as_0_in_frozen_and_has_no_figure(
    mode: dict[str, str], margins: dict[str, str]
) -> None:
    held = balance(mode, **margins)
    assert (held.free, held.frozen) == (Decimal(4700), Decimal(300))
    assert (held.initial_margin, held.maintenance_margin) == (None, None)


@pytest.mark.parametrize("empty", ["totalPositionIM", "totalOrderIM"])
def test_initial_margin_is_not_stated_if_a_part_of_it_is_empty(empty: str) -> None:
    assert balance(CROSS, **{**DERIVATIVES, empty: ""}).initial_margin is None


@pytest.mark.parametrize(
    ("name", "field"),
    [("borrowAmount", "borrowed"), ("accruedInterest", "accrued_interest"), ("unrealisedPnl", "unrealised_pnl")],
)
def test_debt_interest_and_pnl_empty_is_0_and_absent_is_not_stated(name: str, field: str) -> None:
    assert getattr(balance(CROSS, **{name: "-1.5"}), field) == Decimal("-1.5")
    assert getattr(balance(CROSS, **{name: ""}), field) == 0
    assert getattr(balance(CROSS), field) is None


@pytest.mark.parametrize(("name", "field"), [("equity", "equity"), ("usdValue", "usd_value")])
def test_empty_worth_is_0_only_if_there_is_nothing(name: str, field: str) -> None:
    assert getattr(balance(CROSS, **{name: ""}), field) is None
    assert getattr(balance(CROSS, walletBalance="0", **{name: ""}), field) == 0
    assert getattr(balance(CROSS, walletBalance="0", unrealisedPnl="5", **{name: ""}), field) is None
    assert getattr(balance(CROSS, walletBalance="0", spotBorrow="5", **{name: ""}), field) is None


def test_configured_coin_that_is_not_listed_is_neither_held_nor_owed() -> None:
    found = snapshot(CROSS, USDT, configured=("SOL",))
    zero = Decimal(0)
    assert found.balances == (Balance("SOL", zero, zero, None, zero, zero, zero, zero, zero, None, None),)
    assert found.unlisted_coins == ("SOL",)


TOTALS = {
    "totalEquity": "equity_usd",
    "totalWalletBalance": "wallet_balance_usd",
    "totalMarginBalance": "margin_balance_usd",
    "totalAvailableBalance": "available_balance_usd",
    "totalPerpUPL": "unrealised_pnl_usd",
    "totalInitialMargin": "initial_margin_usd",
    "totalMaintenanceMargin": "maintenance_margin_usd",
    "accountIMRate": "initial_margin_ratio",
    "accountMMRate": "maintenance_margin_ratio",
}


@pytest.mark.parametrize(("name", "field"), TOTALS.items())
def test_total_is_as_stated_and_none_if_empty_or_absent(name: str, field: str) -> None:
    others = dict.fromkeys(TOTALS, "7")
    sevens = dict.fromkeys(TOTALS.values(), Decimal(7))
    assert snapshot({**others, name: "-2.5"}).margin == MarginSummary(**{**sevens, field: Decimal("-2.5")})
    assert snapshot({**others, name: "0"}).margin == MarginSummary(**{**sevens, field: Decimal(0)})
    assert snapshot({**others, name: ""}).margin == MarginSummary(**{**sevens, field: None})
    del others[name]
    assert snapshot(others).margin == MarginSummary(**{**sevens, field: None})


def test_account_without_coins_is_normal() -> None:
    found = snapshot(dict.fromkeys(TOTALS, "0"))
    assert (found.status, found.balances) == (AccountStatus.NORMAL, ())


@pytest.mark.parametrize("name", TOTALS)
def test_total_that_is_not_a_number_is_malformed(name: str) -> None:
    with pytest.raises(BybitError) as caught:
        snapshot({name: "soon"}, USDT)
    assert str(caught.value) == f"result.list[0].{name}: not a finite decimal number"


NUMBERS = (*USDT, *DERIVATIVES, "spotBorrow", "borrowAmount", "accruedInterest", "unrealisedPnl")


@pytest.mark.parametrize("totals", [CROSS, ISOLATED])
@pytest.mark.parametrize("name", sorted({*NUMBERS} - {"coin"}))
def test_amount_that_is_not_a_number_is_malformed_in_every_mode(totals: dict[str, str], name: str) -> None:
    with pytest.raises(BybitError) as caught:
        snapshot(totals, {**USDT, "coin": "BTC"}, {**USDT, name: "Infinity"}, configured=("BTC",))
    assert str(caught.value) == f"result.list[0].coin[1].{name}: not a finite decimal number"


@pytest.mark.parametrize("name", ["free", "availableToWithdraw", "availableToBorrow"])
def test_deprecated_field_of_a_coin_is_not_read(name: str) -> None:
    assert snapshot(CROSS, {**USDT, name: "no number"}) == snapshot(CROSS, USDT)


@pytest.mark.parametrize("name", ["accountLTV", "accountIMRateByMp", "totalMaintenanceMarginByMp"])
def test_total_that_is_to_be_ignored_is_not_read(name: str) -> None:
    assert snapshot({**CROSS, name: "no number"}, USDT) == snapshot(CROSS, USDT)
